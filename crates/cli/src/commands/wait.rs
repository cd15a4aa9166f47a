//! `wait`, and the `--wait` of `run` and `sbatch`: until jobs have ended.

use std::{
    convert::Infallible,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use huisuan_api::{
    Client,
    jobs::{JobList, JobSummary, JobView},
};

use crate::{
    args::WaitArgs,
    commands::jobs::{end_text, jobs_listing},
    failure::{Exit, Failure},
    interrupt,
    session::Session,
    text,
};

/// Jobs are looked at this often even when no event tells of them: an event stream may break.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A server that does not answer for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Waits for jobs and reports them; fails when one did not succeed.
pub(crate) fn wait(session: &Session, args: &WaitArgs) -> Result<(), Failure> {
    let mut ids = Vec::new();
    for selector in &args.jobs {
        ids.push(session.whole_job_id(selector)?);
    }
    let timeout = args.timeout.map(|timeout| Duration::from_millis(timeout.0));
    let ended = until_ended(session, &ids, timeout)?;
    let list = JobList { jobs: ended.iter().map(|job| job.summary.clone()).collect(), next_page_token: None };
    session.output.list(&list, &list.jobs, "no jobs", || jobs_listing(&list.jobs, session.now()))?;
    verdict(&ended)
}

/// Waits until all have ended; in the order asked.
pub(crate) fn until_ended(session: &Session, ids: &[u64], timeout: Option<Duration>) -> Result<Vec<JobView>, Failure> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let client = session.client()?;
    let mut ended: Vec<Option<JobView>> = vec![None; ids.len()];
    look(client, ids, &mut ended)?;
    if ended.iter().any(Option::is_none) {
        let first = ids.first().copied().unwrap_or_default();
        let list: Vec<String> = ids.iter().map(u64::to_string).collect();
        interrupt::on_interrupt(interrupt::still_running(&format!("huisuan wait {}", list.join(" ")), first));
        session.output.remark(&format!("waiting for {} ...", text::count(ids.len() as u64, "job")));
        let news = listen(client.clone());
        let mut answered_at = Instant::now();
        while ended.iter().any(Option::is_none) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(timed_out(ids, &ended));
            }
            hear(&news, left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY)));
            match look(client, ids, &mut ended) {
                Ok(()) => answered_at = Instant::now(),
                Err(failure) if failure.retryable && answered_at.elapsed() < GIVE_UP_AFTER => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(ended.into_iter().flatten().collect())
}

/// Asks for every job that has not ended yet.
fn look(client: &Client, ids: &[u64], ended: &mut [Option<JobView>]) -> Result<(), Failure> {
    for (id, slot) in ids.iter().zip(ended).filter(|(_, slot)| slot.is_none()) {
        let job = client.job(*id)?;
        if terminal(&job.summary) {
            *slot = Some(job);
        }
    }
    Ok(())
}

/// True for a job that has ended.
pub(crate) fn terminal(job: &JobSummary) -> bool {
    matches!(&*job.state, "succeeded" | "failed" | "cancelled")
}

/// Word that a job has ended, or that one may have.
struct News {
    told: Receiver<()>,
    /// One sender more than the listener has, so that waiting for news lasts as long as it is asked to.
    _own: Sender<()>,
    /// Gone when nobody waits any more.
    _waiting: Sender<Infallible>,
}

/// Ends of jobs as the server tells of them; says something whenever the stream opens, too, because a job
/// may have ended in between.
fn listen(client: Client) -> News {
    let (tell, told) = channel();
    let (waiting, over) = channel();
    let own = tell.clone();
    let listener = move || {
        loop {
            pass_on(&client, &tell);
            let Err(RecvTimeoutError::Timeout) = over.recv_timeout(LOOK_EVERY) else { return };
        }
    };
    // Without the thread jobs are still looked at from time to time.
    let _ = std::thread::Builder::new().name("events".to_owned()).spawn(listener);
    News { told, _own: own, _waiting: waiting }
}

/// Tells of events until their stream breaks or nobody listens.
fn pass_on(client: &Client, tell: &Sender<()>) {
    let Ok(events) = client.events(None) else { return };
    if tell.send(()).is_err() {
        return;
    }
    for event in events {
        let Ok(event) = event else { return };
        if event.kind == "job-ended" && tell.send(()).is_err() {
            return;
        }
    }
}

/// Waits for news or for the time to be over; takes all news that is there, so that many ends at once
/// lead to one look.
fn hear(news: &News, time: Duration) {
    if news.told.recv_timeout(time).is_ok() {
        while news.told.try_recv().is_ok() {}
    }
}

fn timed_out(ids: &[u64], ended: &[Option<JobView>]) -> Failure {
    let left: Vec<String> =
        ids.iter().zip(ended).filter(|(_, slot)| slot.is_none()).map(|(id, _)| id.to_string()).collect();
    let named = left.iter().take(5).cloned().collect::<Vec<_>>().join(" ");
    Failure::new(Exit::Timeout, format!("{} not ended in time: {named}", text::count(left.len() as u64, "job")))
        .hint(format!("it goes on; why it waits: huisuan explain {}", left.first().map_or("last", |id| id)))
}

/// A failure when a job did not succeed.
pub(crate) fn verdict(ended: &[JobView]) -> Result<(), Failure> {
    let Some(job) = ended.iter().find(|job| job.summary.state != "succeeded") else {
        return Ok(());
    };
    let (id, state) = (job.summary.job_id, &job.summary.state);
    let failed = job.attempts.iter().find(|attempt| attempt.state == "failed");
    Err(match failed {
        Some(attempt) => {
            let what = format!("job {id} {state}: task {} at {}: {}", attempt.task, attempt.centre, end_text(attempt));
            let hint = match attempt.cause.as_deref() {
                Some("refused") => "the rule is its site's: ask for what it allows, or allow other centres".to_owned(),
                _ => format!("see what it wrote: huisuan logs {id}.{} --stream stderr", attempt.task),
            };
            Failure::new(Exit::JobFailed, what).hint(hint)
        }
        None => Failure::new(Exit::JobFailed, format!("job {id} {state}")).hint(format!("see huisuan show {id}")),
    })
}
