//! Whether centres are there: watched here, told to the state only when it changes. The same look finds that
//! maintenance is over, and which ratings are old.
//!
//! A centre is absent after a long silence. Silence is counted in looks of this watch, each of which counts for at most
//! twice its interval: time in which the server itself was down, stopped or overloaded is not the centres' silence.
//! It is the kernel's monotonic time: who sets the system's clock silences nobody.
//! Who comes back is there at once, but who was back for a short time only must first be heard steadily: a flapping
//! line does not draw work to itself.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_control::State;
use huisuan_model::{Centre, CentreId, Command, Presence, TimeMs};

use crate::{hub::AWAY_AFTER_MS, identity, ratings, server::Shared, wake::Wake};

/// How often the watch looks.
const LOOK_EVERY_MS: u64 = 5_000;
/// A centre that goes away sooner than this after it came back is flapping.
const FLAPPING_WITHIN_MS: u64 = 600_000;
/// A centre that is silent for so long is given up by jobs that may be run again: an hour. Only looks count, so the
/// server's own pauses are credited; what an earlier run recorded counts, too.
const GIVE_UP_AFTER_MS: u64 = 3_600_000;
/// How long a flapping centre must be heard before it is taken to be back.
const STEADY_FOR_MS: u64 = 60_000;

/// Looks again and again until the server stops.
pub(crate) async fn watch(shared: Arc<Shared>, planner: Arc<Wake>) {
    let (mut watch, mut looked_at) = (Watch::starting_at(Instant::now()), shared.clock.now());
    let recorded_at = shared.recorded_at;
    let silences = shared.writer.look(move |state| silences(state, recorded_at));
    watch.remember(silences.await.unwrap_or_default());
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)) => {}
            () = shared.stopping() => return,
        }
        let centres = shared.writer.look(|state| {
            // A centre that never told its pools has not joined yet, so it is not away either.
            let joined = state.centres().values().filter(|centre| !centre.pools.is_empty());
            let presence = joined.map(|centre| (centre.id.clone(), centre.presence())).collect::<Vec<_>>();
            let windows = state.centres().values().flat_map(|centre| &centre.windows).map(|window| window.until);
            let reserved = state.centres().values().flat_map(|centre| &centre.reservations);
            let moments = windows.chain(reserved.flat_map(|kept| [kept.from, kept.until]));
            (presence, moments.collect::<Vec<_>>())
        });
        let Ok((centres, moments)) = centres.await else { return };
        let now = shared.clock.now();
        if moments.iter().any(|moment| (looked_at..=now).contains(moment)) {
            // Nothing changes in the state when maintenance is over or a reservation begins or ends, but there is room.
            planner.wake();
        }
        looked_at = now;
        shared.seen.note(now);
        let heard = |centre: &CentreId, after: Instant| shared.hub.heard_after(centre, after);
        for (centre, presence) in watch.look(Instant::now(), &centres, heard) {
            tracing::info!(%centre, ?presence, "presence of a centre changed");
            let command = Command::SetPresence { centre, presence };
            if let Err(error) = shared.writer.execute(identity::server(), command).await {
                // The next look finds the same and tries again.
                tracing::warn!(%error, "presence of a centre not recorded");
            }
        }
        for centre in watch.given_up() {
            if let Err(error) = shared.writer.execute(identity::server(), Command::GiveUp { centre }).await {
                tracing::warn!(%error, "a centre is not given up");
            }
        }
        ratings::renew(&shared).await;
    }
}

/// For how long centres had been away when the last run of the server recorded something: that much of their silence
/// it surely saw. What came after until now is its own pause.
fn silences(state: &State, recorded_at: TimeMs) -> Vec<(CentreId, u64)> {
    let away = |centre: &Centre| Some((centre.id.clone(), recorded_at.since(centre.absent_since?).0));
    state.centres().values().filter_map(away).collect()
}

/// What was heard so far.
struct Watch {
    last: Instant,
    centres: BTreeMap<CentreId, Heard>,
}

#[derive(Default)]
struct Heard {
    /// For how long nothing was heard, as far as it counts.
    silent_ms: u64,
    /// For how long it was heard in every look.
    steady_ms: u64,
    /// When it last came back.
    returned_at: Option<Instant>,
    /// It went away again soon after that.
    flapping: bool,
}

impl Watch {
    fn starting_at(now: Instant) -> Self {
        Watch { last: now, centres: BTreeMap::new() }
    }

    /// Takes over what an earlier run of the server saw.
    fn remember(&mut self, silences: Vec<(CentreId, u64)>) {
        for (centre, silent_ms) in silences {
            self.centres.entry(centre).or_default().silent_ms = silent_ms;
        }
    }

    /// Looks at every centre and answers what changed. `heard` says whether one was heard after a moment.
    fn look(
        &mut self,
        now: Instant,
        centres: &[(CentreId, Presence)],
        heard: impl Fn(&CentreId, Instant) -> bool,
    ) -> Vec<(CentreId, Presence)> {
        let counts_ms = millis(now.saturating_duration_since(self.last)).min(2 * LOOK_EVERY_MS);
        let mut changes = Vec::new();
        for (centre, known) in centres {
            let watched = self.centres.entry(centre.clone()).or_default();
            let change = watched.look(now, counts_ms, *known, heard(centre, self.last));
            changes.extend(change.map(|presence| (centre.clone(), presence)));
        }
        self.last = now;
        changes
    }
}

impl Watch {
    /// The centres that have been silent for too long. Told at every look: what was placed before the silence was
    /// noticed may be there, too.
    fn given_up(&self) -> Vec<CentreId> {
        let gone = self.centres.iter().filter(|(_, heard)| heard.silent_ms >= GIVE_UP_AFTER_MS);
        gone.map(|(centre, _)| centre.clone()).collect()
    }
}

impl Heard {
    fn look(&mut self, now: Instant, counts_ms: u64, known: Presence, heard: bool) -> Option<Presence> {
        if heard {
            self.silent_ms = 0;
            self.steady_ms += counts_ms;
        } else {
            self.silent_ms += counts_ms;
            self.steady_ms = 0;
        }
        match known {
            Presence::Present if self.silent_ms >= AWAY_AFTER_MS => {
                self.flapping = self.returned_at.is_some_and(|back| millis(now - back) < FLAPPING_WITHIN_MS);
                Some(Presence::Absent)
            }
            Presence::Absent if heard && (!self.flapping || self.steady_ms >= STEADY_FOR_MS) => {
                self.returned_at = Some(now);
                Some(Presence::Present)
            }
            _ => None,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One centre, watched; `.` is a look at which it was heard, `-` one at which it was not, a number that many
    /// seconds in which the server did not look.
    fn check(story: &str, expected: &[(u64, Presence)]) {
        let centre = CentreId::new("hpc-1").expect("a name");
        let (began, mut known, mut changes) = (Instant::now(), Presence::Present, Vec::new());
        let mut now = began;
        let mut watch = Watch::starting_at(now);
        for word in story.split(' ') {
            let (times, heard) = match word.split_once(['.', '-']) {
                Some((times, _)) => (times.parse().unwrap_or(1), word.ends_with('.')),
                None => {
                    now += Duration::from_secs(word.parse().expect("seconds"));
                    continue;
                }
            };
            for _ in 0..times {
                now += Duration::from_secs(5);
                for (_, presence) in watch.look(now, &[(centre.clone(), known)], |_, _| heard) {
                    changes.push(((now - began).as_secs(), presence));
                    known = presence;
                }
            }
        }
        assert_eq!(changes, expected, "{story}");
    }

    #[test]
    fn silence_makes_absent_and_a_word_makes_present() {
        check("100.", &[]);
        check("8- .", &[]);
        check("9-", &[(45, Presence::Absent)]);
        check("20- .", &[(45, Presence::Absent), (105, Presence::Present)]);
        check("8- . 8- . 8-", &[]);
    }

    #[test]
    fn the_servers_own_pauses_are_not_the_centres_silence() {
        check("3600 - .", &[]);
        check("3600 - 3600 - 3600 - 3600 - .", &[]);
        check("3600 8-", &[(3600 + 40, Presence::Absent)]);
    }

    #[test]
    fn a_centre_is_given_up_after_an_hour_that_the_server_saw() {
        let centre = CentreId::new("hpc-1").expect("a name");
        let mut now = Instant::now();
        let mut watch = Watch::starting_at(now);
        let mut look = |watch: &mut Watch, ms: u64, heard: bool| {
            now += Duration::from_millis(ms);
            watch.look(now, &[(centre.clone(), Presence::Absent)], |_, _| heard);
            watch.given_up().len()
        };
        // The server itself sleeps for a day: that is ten seconds of silence.
        assert_eq!(look(&mut watch, 86_400_000, false), 0);
        for _ in 0..717 {
            assert_eq!(look(&mut watch, 5_000, false), 0);
        }
        assert_eq!(look(&mut watch, 5_000, false), 1);
        assert_eq!(look(&mut watch, 5_000, true), 0);
        watch.remember(vec![(centre.clone(), 3_595_000)]);
        assert_eq!(look(&mut watch, 5_000, false), 1, "an earlier run saw the rest");
    }

    #[test]
    fn a_flapping_centre_must_be_heard_steadily() {
        check(
            "9- . 9- . 10. - 12. .",
            &[(45, Presence::Absent), (50, Presence::Present), (95, Presence::Absent), (215, Presence::Present)],
        );
        // Away again long after it came back is not flapping.
        let calm = [(45, Presence::Absent), (50, Presence::Present), (745, Presence::Absent), (750, Presence::Present)];
        check("9- . 130. 9- .", &calm);
    }

    #[test]
    fn a_present_or_absent_centre_is_told_once() {
        check("100- 2.", &[(45, Presence::Absent), (505, Presence::Present)]);
    }
}
