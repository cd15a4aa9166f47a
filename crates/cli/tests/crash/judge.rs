//! Holds what the server tells against what was acknowledged and what ran.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

use huisuan_api::{
    Client,
    jobs::{AttemptView, JobRequest, JobSummary},
    routes::{JobsQuery, PAGE_SIZE_MAX, PageQuery},
};

use crate::{
    support::running::{Home, PATIENCE, wait_until},
    work::{AGAIN, Acknowledged, FAILS, Sent},
};

/// Whether attempts may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Their supervisor lived, so none may.
    Never,
    /// Their supervisor died, or a cluster's controller did and forgot them, so some may, if the server says so.
    Told,
}

/// The jobs of this test; the demo has some of its own.
fn ours(job: &JobSummary) -> bool {
    job.name.starts_with("crash-")
}

fn open(job: &JobSummary) -> bool {
    job.ended_at.is_none()
}

/// All jobs, page by page.
fn all_jobs(client: &Client) -> Vec<JobSummary> {
    let (mut jobs, mut page_token) = (Vec::new(), None);
    loop {
        let query = JobsQuery { page_size: Some(PAGE_SIZE_MAX), page_token, ..JobsQuery::default() };
        let page = client.jobs(&query).expect("a list of jobs");
        jobs.extend(page.jobs);
        page_token = page.next_page_token;
        if page_token.is_none() {
            return jobs;
        }
    }
}

/// Ends what still runs, so that no task outlives the test.
pub(crate) fn end_all(client: &Client) {
    for job in all_jobs(client).into_iter().filter(open) {
        client.cancel(job.job_id).expect("cancelled");
    }
    let ended = || (!all_jobs(client).iter().any(open)).then_some(());
    wait_until(Instant::now() + PATIENCE, ended).expect("what is cancelled ends");
    assert!(client.ledger().expect("a ledger").balanced, "the ledger is not balanced");
}

/// Has the data of a server that has ended checked: its journal against its tables.
pub(crate) fn check_data(home: &Home, data: &str) {
    let doctor = home.run(&["doctor", "--data", data, "-o", "json"]);
    assert_eq!(doctor.exit, 0, "{doctor:?}");
}

/// Waits for the ends of all jobs; meanwhile somebody looks after what they run on.
pub(crate) fn wait_ended(client: &Client, patience: Duration, tend: impl Fn()) {
    let waiting = || all_jobs(client).into_iter().filter(|job| ours(job) && open(job)).collect::<Vec<_>>();
    let ended = wait_until(Instant::now() + patience, || {
        tend();
        waiting().is_empty().then_some(())
    });
    assert!(ended.is_some(), "jobs did not end: {:#?}", waiting());
}

/// What was found where no promise was broken.
pub(crate) struct Judged {
    pub(crate) runs: usize,
    /// Attempts that are told to be lost.
    pub(crate) lost: usize,
}

/// Waits for the ends of all jobs and panics at the first broken promise.
pub(crate) fn judge(client: &Client, acknowledged: &Acknowledged, trace: &str, lost: Lost) -> Judged {
    wait_ended(client, PATIENCE, || {});
    let found: BTreeMap<u64, JobSummary> =
        all_jobs(client).into_iter().filter(ours).map(|job| (job.job_id, job)).collect();
    let expected: BTreeSet<u64> = acknowledged.jobs.values().map(|(id, _)| *id).collect();
    assert_eq!(expected.len(), acknowledged.jobs.len(), "two keys led to one job");
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), expected, "jobs are lost, or there more than once");
    let runs = runs(trace);
    let (mut known, mut told_lost) = (BTreeSet::new(), 0);
    for (key, (id, sent)) in &acknowledged.jobs {
        let again = client.submit(&JobRequest(sent.spec.clone()), Some(key)).expect("a known key is answered");
        assert_eq!(again.job_id, *id, "key {key} leads to another job");
        let attempts = attempts(client, *id);
        Case { job: &found[id], sent, attempts: &attempts, runs: &runs, lost }.check();
        told_lost += attempts.iter().filter(|attempt| is_lost(attempt)).count();
        known.extend(attempts.into_iter().map(|attempt| attempt.attempt));
    }
    let unknown: Vec<&String> = runs.keys().filter(|run| !known.contains(*run)).collect();
    assert!(unknown.is_empty(), "attempts ran that the server does not know: {unknown:?}");
    assert!(client.ledger().expect("a ledger").balanced, "the ledger is not balanced");
    Judged { runs: runs.len(), lost: told_lost }
}

fn is_lost(attempt: &AttemptView) -> bool {
    attempt.cause.as_deref() == Some("lost")
}

/// Looks whether what ran is in the books for about as long as it ran, all together. A tenth is missing while the clock
/// of the server's machine is behind, and then what passes while no server runs: it cannot know how long that was.
pub(crate) fn check_metered(client: &Client, acknowledged: &Acknowledged) {
    let (mut ran, mut metered) = (0, 0);
    for (id, sent) in acknowledged.jobs.values() {
        for attempt in attempts(client, *id).iter().filter(|attempt| attempt.cause.as_deref() == Some("exited")) {
            ran += u64::try_from(sent.run.as_millis()).expect("less than a second");
            metered += attempt.wall_ms;
            assert!(attempt.wall_ms < 60_000, "nothing runs for so long: {attempt:?}");
        }
    }
    assert!(metered >= ran * 6 / 10, "{metered} ms are metered of {ran} ms");
}

/// How often every attempt ran.
fn runs(trace: &str) -> BTreeMap<String, u32> {
    let mut runs = BTreeMap::new();
    for line in fs::read_to_string(trace).unwrap_or_default().lines() {
        *runs.entry(line.to_owned()).or_default() += 1;
    }
    runs
}

fn attempts(client: &Client, job: u64) -> Vec<AttemptView> {
    let (mut attempts, mut page_token) = (Vec::new(), None);
    loop {
        let query = PageQuery { page_size: Some(PAGE_SIZE_MAX), page_token };
        let page = client.attempts(job, &query).expect("a list of attempts");
        attempts.extend(page.attempts);
        page_token = page.next_page_token;
        if page_token.is_none() {
            return attempts;
        }
    }
}

/// One job with all that is known of it.
struct Case<'a> {
    job: &'a JobSummary,
    sent: &'a Sent,
    attempts: &'a [AttemptView],
    runs: &'a BTreeMap<String, u32>,
    lost: Lost,
}

impl Case<'_> {
    fn check(&self) {
        let spec = &self.sent.spec;
        assert_eq!(self.job.name, spec.name, "{}", self.story());
        for attempt in self.attempts {
            self.check_attempt(attempt);
        }
        for task in spec.tasks.iter() {
            let tries: Vec<&AttemptView> = self.attempts.iter().filter(|attempt| attempt.task == task).collect();
            assert!(tries.len() as u32 <= spec.retries + 1, "task {task} was tried too often: {}", self.story());
            for (number, attempt) in (1..).zip(&tries) {
                let name = format!("{}.{task}.{number}", self.job.job_id);
                assert_eq!(attempt.attempt, name, "attempts are numbered: {}", self.story());
            }
            let apart = |pair: &[&AttemptView]| {
                pair[0].ended_at.zip(pair[1].started_at).is_none_or(|(end, start)| end <= start)
            };
            assert!(tries.windows(2).all(apart), "two attempts at once: {}", self.story());
            if !self.any_lost() {
                let needed = self.sent.succeeds_at.unwrap_or(spec.retries + 1);
                assert_eq!(tries.len() as u32, needed, "task {task}: {}", self.story());
            }
        }
        let state = if self.sent.succeeds_at.is_some() { "succeeded" } else { "failed" };
        let excused = self.any_lost() && self.job.state == "failed";
        assert!(self.job.state == state || excused, "it was to be {state}: {}", self.story());
    }

    fn check_attempt(&self, attempt: &AttemptView) {
        let runs = self.runs.get(&attempt.attempt).copied().unwrap_or(0);
        assert!(runs <= 1, "{} ran {runs} times: {}", attempt.attempt, self.story());
        let times = [Some(attempt.placed_at), attempt.started_at, attempt.ended_at];
        assert!(times.iter().flatten().is_sorted(), "{}: times run backwards: {}", attempt.attempt, self.story());
        let number: u32 = attempt.attempt.rsplit('.').next().and_then(|text| text.parse().ok()).expect("a number");
        let code = match self.sent.succeeds_at {
            Some(last) if number >= last => 0,
            Some(_) => AGAIN,
            None => FAILS,
        };
        match attempt.cause.as_deref() {
            Some("exited") => {
                assert_eq!((runs, attempt.exit_code), (1, Some(code)), "{}: {}", attempt.attempt, self.story());
                let state = if code == 0 { "succeeded" } else { "failed" };
                assert_eq!(attempt.state, state, "{}: {}", attempt.attempt, self.story());
            }
            Some("lost") => {
                assert_eq!(self.lost, Lost::Told, "{} is lost: {}", attempt.attempt, self.story());
                assert_eq!((&*attempt.state, attempt.exit_code), ("failed", None), "{}", self.story());
            }
            // A gang ends as a whole.
            Some("cancelled") if self.sent.spec.gang && self.any_lost() => {}
            cause => panic!("{} ended by {cause:?}: {}", attempt.attempt, self.story()),
        }
    }

    fn any_lost(&self) -> bool {
        self.attempts.iter().any(is_lost)
    }

    fn story(&self) -> String {
        format!("{:#?}\n{:#?}", self.job, self.attempts)
    }
}
