//! Alarms of centres: raised once, kept until they are no longer so.

use std::collections::BTreeSet;

use huisuan_model::{
    Alarm, AlarmKind, CentreId, Event, TimeMs,
    alarm::{ALARMS_MAX, DETAIL_BYTES_MAX},
};

use crate::{Refusal, State};

pub(crate) fn set(
    state: &State,
    centre: &CentreId,
    raised: &[Alarm],
    cleared: &[(AlarmKind, String)],
    now: TimeMs,
) -> Result<Vec<Event>, Refusal> {
    let known = state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))?;
    let mut names: BTreeSet<(AlarmKind, &str)> =
        known.alarms.iter().map(|alarm| (alarm.kind, alarm.subject.as_str())).collect();
    let mut events = Vec::new();
    for (kind, subject) in cleared {
        if names.remove(&(*kind, subject.as_str())) {
            events.push(Event::AlarmCleared { centre: centre.clone(), kind: *kind, subject: subject.clone() });
        }
    }
    for alarm in raised {
        if names.len() < ALARMS_MAX && names.insert((alarm.kind, alarm.subject.as_str())) {
            let alarm = Alarm { subject: cut(&alarm.subject), detail: cut(&alarm.detail), since: now, ..alarm.clone() };
            events.push(Event::AlarmRaised { centre: centre.clone(), alarm });
        }
    }
    Ok(events)
}

/// One line that fits: details may come from a site that lies.
fn cut(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = clean.floor_char_boundary(DETAIL_BYTES_MAX);
    clean[..end].to_owned()
}
