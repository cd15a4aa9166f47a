//! Follows the demo's jobs to their ends, as any client of the API could.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use huisuan_api::{
    Client,
    centres::CentreView,
    jobs::{JobSummary, JobView},
    routes::{JobsQuery, PAGE_SIZE_MAX},
};

use super::{display::Display, examples::Wish};
use crate::{
    commands::wait::terminal,
    failure::{Exit, Failure},
    interrupt::Interrupt,
};

/// The display is drawn at most this often.
const DRAW_EVERY: Duration = Duration::from_millis(80);
/// And at least this often, so that times go on and a broken event stream does no harm.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A job of the demo.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    /// What the server says of it.
    pub(crate) summary: JobSummary,
    /// Why it went there, or why it waits.
    pub(crate) why: String,
    /// How it is meant to end.
    pub(crate) wish: Wish,
    /// It was told to end.
    pub(crate) cancel_sent: bool,
}

/// One look at the network.
pub(crate) struct Frame<'a> {
    /// All centres.
    pub(crate) centres: &'a [CentreView],
    /// The demo's jobs in the order in which they were submitted.
    pub(crate) jobs: &'a [Followed],
    /// Since the demo began.
    pub(crate) elapsed: Duration,
}

/// Events of the server as wake-ups. Keeps one sender to itself, so that waiting goes on (and ends by
/// time) when the event stream breaks.
struct News {
    heard: Receiver<()>,
    _kept: Sender<()>,
}

impl News {
    /// Listens from now on.
    fn of(client: Client) -> News {
        let (tell, heard) = channel();
        let kept = tell.clone();
        let listener = move || {
            let Ok(events) = client.events(None) else {
                return;
            };
            for event in events {
                if event.is_err() || tell.send(()).is_err() {
                    return;
                }
            }
        };
        // Without the thread the network is still looked at from time to time.
        let _ = std::thread::Builder::new().name("events".to_owned()).spawn(listener);
        News { heard, _kept: kept }
    }

    /// Waits for the first event, then gathers what comes until `gather` is over.
    fn wait(&self, time: Duration, gather: Duration) {
        if self.heard.recv_timeout(time).is_ok() {
            let until = Instant::now() + gather;
            while self.heard.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        }
    }
}

/// Looks at the demo's network as any client could.
pub(crate) struct Watch {
    /// The client it looks through.
    pub(crate) client: Client,
    /// Whether somebody wants the demo to end.
    pub(crate) interrupt: Interrupt,
    news: News,
    began: Instant,
}

impl Watch {
    /// Looks from now on; `began` is what times count from.
    pub(crate) fn new(client: Client, began: Instant, interrupt: Interrupt) -> Watch {
        Watch { news: News::of(client.clone()), client, interrupt, began }
    }

    /// Waits until `enough` centres are connected and rated.
    pub(crate) fn centres_ready(&self, enough: usize, display: &mut Display, deadline: Instant) -> Result<(), Failure> {
        loop {
            let centres = self.client.centres()?.centres;
            display.frame(&Frame { centres: &centres, jobs: &[], elapsed: self.began.elapsed() });
            let rated =
                |centre: &&CentreView| centre.connected && centre.pools.iter().any(|pool| pool.rating.is_some());
            if centres.iter().filter(rated).count() >= enough {
                return Ok(());
            }
            self.wait(deadline, || "the centres did not join and rate themselves in time".to_owned())?;
        }
    }

    /// Follows jobs until all have ended; cancels those that are to be cancelled once they run.
    pub(crate) fn to_the_end(
        &self,
        submitted: &[(u64, Wish)],
        display: &mut Display,
        deadline: Instant,
    ) -> Result<Vec<Followed>, Failure> {
        let mut jobs: BTreeMap<u64, Followed> = BTreeMap::new();
        loop {
            let centres = self.client.centres()?.centres;
            refresh(&self.client, submitted, &mut jobs)?;
            let ordered: Vec<Followed> = submitted.iter().filter_map(|(id, _)| jobs.get(id).cloned()).collect();
            display.frame(&Frame { centres: &centres, jobs: &ordered, elapsed: self.began.elapsed() });
            if ordered.len() == submitted.len() && ordered.iter().all(|job| terminal(&job.summary)) {
                return Ok(ordered);
            }
            self.wait(deadline, || {
                let left = ordered.iter().filter(|job| !terminal(&job.summary)).map(|job| &*job.summary.name);
                format!("examples did not end in time: {}", left.collect::<Vec<_>>().join(" "))
            })?;
        }
    }

    /// Cancels every job that has not ended, and waits for their ends, but not beyond `deadline`.
    pub(crate) fn cancel_all(&self, deadline: Instant) {
        loop {
            let query = JobsQuery { page_size: Some(PAGE_SIZE_MAX), ..JobsQuery::default() };
            // A server that does not answer is about to end, and its jobs with it.
            let Ok(list) = self.client.jobs(&query) else {
                return;
            };
            let open: Vec<&JobSummary> = list.jobs.iter().filter(|job| !terminal(job)).collect();
            if open.is_empty() || Instant::now() >= deadline {
                return;
            }
            for job in open {
                let _ = self.client.cancel(job.job_id);
            }
            self.news.wait(LOOK_EVERY, DRAW_EVERY);
        }
    }

    fn wait(&self, deadline: Instant, late: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.interrupt.asked() {
            return Err(Failure::new(Exit::Interrupted, "the demo was interrupted").hint("run it again: huisuan demo"));
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(Exit::Timeout, late())
                .hint("is the machine very busy? run `huisuan demo --data DIR` and look at DIR/demo.log"));
        }
        self.news.wait(LOOK_EVERY, DRAW_EVERY);
        Ok(())
    }
}

fn refresh(client: &Client, submitted: &[(u64, Wish)], jobs: &mut BTreeMap<u64, Followed>) -> Result<(), Failure> {
    let query = JobsQuery { page_size: Some(PAGE_SIZE_MAX), ..JobsQuery::default() };
    for summary in client.jobs(&query)?.jobs {
        let Some(&(id, wish)) = submitted.iter().find(|(id, _)| *id == summary.job_id) else {
            continue;
        };
        let before = jobs.get(&id);
        if before.is_some_and(|before| before.summary == summary && terminal(&summary)) {
            continue;
        }
        let cancel_sent = before.is_some_and(|before| before.cancel_sent);
        let view = client.job(id)?;
        let mut job = Followed { why: why(&view), wish, cancel_sent, summary: view.summary };
        if wish == Wish::Cancel && !cancel_sent && view.attempts.iter().any(|attempt| attempt.state == "running") {
            client.cancel(id)?;
            job.cancel_sent = true;
        }
        jobs.insert(id, job);
    }
    Ok(())
}

/// The reason of a waiting job, or the two largest terms of the newest placement.
fn why(job: &JobView) -> String {
    match (&job.summary.reason, job.attempts.last()) {
        (Some(reason), _) if job.summary.tasks.active == 0 => reason.message.clone(),
        (_, Some(attempt)) => {
            let terms: Vec<String> =
                attempt.score.iter().take(2).map(|score| format!("{} {}", score.term, score.value)).collect();
            terms.join(", ")
        }
        _ => String::new(),
    }
}
