//! The threads that move files, and what the agent's own two threads ask of them.
//!
//! An attempt with data is here before its engine has it, and again between its engine's word that it ended and the
//! server's: the engine gives an end until it is acknowledged, so that a killed agent is given it again.

use std::{
    fs, io,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, AttemptReport, EndCause, ReportKind, StartOrder};

use super::{
    bring::Bring,
    ends::{add, failed, spoil, unwritten},
    fault::{Fault, patiently},
    live::{Goal, Live, Progress},
    queue::{State, Task},
    record::{Home, Item, Record, known},
    rules::{DataRules, Way},
    take::Take,
    web::Web,
};
use crate::agent::now;

/// So many files move at once.
const THREADS: usize = 8;
/// How often the server is told how far an attempt is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Brings data to attempts and takes it from them.
#[derive(Debug)]
pub(crate) struct Stager(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The engine's folder; none where tasks see no file of this machine.
    root: Option<PathBuf>,
    web: Web,
    state: Mutex<State>,
    work: Condvar,
}

impl Stager {
    /// For an engine whose tasks see what is below `root`.
    pub(crate) fn new(root: Option<PathBuf>, rules: DataRules) -> Stager {
        let known = root.iter().flat_map(|root| known(root)).collect();
        let state = Mutex::new(State { known, ..State::default() });
        Stager(Arc::new(Shared { root, web: Web::new(Arc::new(rules)), state, work: Condvar::new() }))
    }

    /// Begins to bring an order's data, or goes on; what has all of it is ready at once.
    ///
    /// # Errors
    /// Why this centre can never do it, for people.
    pub(crate) fn bring(&self, order: StartOrder) -> Result<(), String> {
        let Some(home) = self.0.home(order.attempt) else {
            return Err("this centre's engine cannot bring data to tasks; hint: `centres:` names those that can".into());
        };
        let attempt = order.attempt;
        let mut state = self.0.lock();
        let here = state.live.contains_key(&attempt) || state.failed.contains(&attempt);
        if here || state.ready.iter().any(|ready| ready.attempt == attempt) {
            return Ok(());
        }
        state.known.insert(attempt);
        let record = match home.open(&order) {
            Ok(record) => record,
            Err(error) => {
                let what = format!("its data folder `{}` cannot be made: {error}", home.0.display());
                state.failed.insert(attempt);
                state.ended.push(failed(attempt, &what));
                return Ok(());
            }
        };
        if record.brought {
            state.ready.push(order);
            return Ok(());
        }
        self.0.begin(&mut state, Live::new(attempt, home, record, Goal::Start(Box::new(order))));
        Ok(())
    }

    /// Orders whose data is there.
    pub(crate) fn ready(&self) -> Vec<StartOrder> {
        std::mem::take(&mut self.0.lock().ready)
    }

    /// The engine did not take these yet.
    pub(crate) fn put_back(&self, orders: Vec<StartOrder>) {
        self.0.lock().ready.extend(orders);
    }

    /// What is not the engine's yet.
    pub(crate) fn bringing(&self) -> Vec<AttemptId> {
        let state = self.0.lock();
        let live = state.live.values().filter(|live| matches!(live.goal, Goal::Start(_))).map(|live| live.attempt);
        live.chain(state.ready.iter().map(|order| order.attempt)).collect()
    }

    /// Ends what is under way for these attempts, at once. What was to be brought is the engine's to report as
    /// cancelled.
    pub(crate) fn stop(&self, attempts: &[AttemptId]) {
        let mut state = self.0.lock();
        state.ready.retain(|order| !attempts.contains(&order.attempt));
        for attempt in attempts {
            let Some(live) = state.live.get_mut(attempt) else { continue };
            live.cancelled = true;
            live.stop();
            if matches!(live.goal, Goal::Start(_)) {
                state.live.remove(attempt);
                state.drop_queued(*attempt);
            } else {
                let waited = state.drop_queued(*attempt);
                self.0.done(&mut state, *attempt, waited, None);
            }
        }
    }

    /// Keeps ends of attempts back whose outputs are to be taken first, and adds to the others what was moved for them.
    pub(crate) fn hold_back(&self, reports: Vec<AttemptReport>) -> Vec<AttemptReport> {
        let mut state = self.0.lock();
        reports.into_iter().filter_map(|report| self.0.hold_back(&mut state, report)).collect()
    }

    /// Ends that may be told, and how far the others are.
    pub(crate) fn news(&self) -> Vec<AttemptReport> {
        let mut state = self.0.lock();
        let mut news = std::mem::take(&mut state.ended);
        for live in state.live.values_mut() {
            let staged = live.staged();
            let new = match &live.told {
                None => !staged.is_none(),
                Some((at, told)) => *told != staged && at.elapsed() >= TELL_EVERY,
            };
            if new {
                live.told = Some((Instant::now(), staged));
                news.push(AttemptReport { attempt: live.attempt, at: now(), what: ReportKind::Used(live.usage()) });
            }
        }
        news
    }

    /// The server has the ends of these: their data is removed.
    pub(crate) fn forget(&self, ended: &[AttemptId]) {
        let mut state = self.0.lock();
        for attempt in ended.iter().filter(|attempt| state.known.contains(*attempt)).copied().collect::<Vec<_>>() {
            state.known.remove(&attempt);
            state.failed.remove(&attempt);
            state.queue.push_back(Task::Remove(attempt));
        }
        self.0.wake(&mut state);
    }
}

impl Drop for Stager {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.stopped = true;
        state.live.values().for_each(Live::stop);
        self.0.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn home(&self, attempt: AttemptId) -> Option<Home> {
        self.root.as_deref().map(|root| Home::of(root, attempt))
    }

    /// Queues the files of an attempt.
    fn begin(self: &Arc<Self>, state: &mut State, live: Live) {
        let (attempt, tenant) = (live.attempt, live.record.tenant.to_string());
        let files = live.files.len();
        state.live.insert(attempt, live);
        state.queue.extend((0..files).map(|index| Task::File { attempt, tenant: tenant.clone(), index }));
        self.done(state, attempt, 0, None);
        self.wake(state);
    }

    /// Makes threads as they are needed.
    fn wake(self: &Arc<Self>, state: &mut State) {
        while state.threads < THREADS.min(state.queue.len()) {
            let shared = Arc::clone(self);
            match thread::Builder::new().name("stage".into()).spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                Err(error) => {
                    tracing::warn!(%error, threads = state.threads, "no thread to move data with");
                    break;
                }
            }
        }
        self.work.notify_all();
    }

    /// The loop of a thread.
    fn work(self: Arc<Self>) {
        loop {
            let task = {
                let mut state = self.lock();
                loop {
                    if state.stopped {
                        return;
                    }
                    match state.next() {
                        Some(task) => break task,
                        None => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                    }
                }
            };
            match task {
                Task::File { attempt, tenant, index } => self.file(attempt, &tenant, index),
                Task::Remove(attempt) => self.remove(attempt),
            }
        }
    }

    fn file(self: &Arc<Self>, attempt: AttemptId, tenant: &str, index: usize) {
        let found = {
            let state = self.lock();
            let live = state.live.get(&attempt);
            live.map(|live| {
                let bring = matches!(live.goal, Goal::Start(_));
                (live.home.clone(), live.record.clone(), live.files.clone(), bring)
            })
        };
        let result = found.as_ref().map(|(home, record, all, bring)| {
            // A thread that is gone would leave its attempt waiting for ever.
            let moved = || self.moved(home, record, all, *bring, index);
            let moved = panic::catch_unwind(AssertUnwindSafe(moved));
            moved.unwrap_or_else(|_| Err(Fault::Lasting("the agent failed; hint: its log says more".to_owned())))
        });
        let mut state = self.lock();
        if let Some(moving) = state.moving.get_mut(tenant) {
            *moving -= 1;
        }
        let same = found.zip(state.live.get(&attempt)).is_some_and(|((_, _, all, _), live)| {
            // It may have been stopped and ordered again meanwhile.
            live.files.first().zip(all.first()).is_some_and(|(a, b)| Arc::ptr_eq(a, b))
        });
        if same {
            let fault = result.and_then(Result::err);
            self.done(&mut state, attempt, 1, fault);
        }
        self.work.notify_all();
    }

    /// Moves one file, with as many tries as make sense.
    fn moved(
        &self,
        home: &Home,
        record: &Record,
        all: &[Arc<Progress>],
        bring: bool,
        index: usize,
    ) -> Result<(), Fault> {
        let (way, items) = if bring { (Way::In, &record.inputs) } else { (Way::Out, &record.outputs) };
        let (item, progress): (&Item, &Arc<Progress>) = (&items[index], &all[index]);
        let place = self.web.rules.place(&item.url, way, &record.tenant, &record.project);
        let place = place.map_err(|broken| Fault::Lasting(broken.to_string()))?;
        let (web, place) = (&self.web, &place);
        if bring {
            let bring = Bring { web, place, home, item, index, progress, all };
            if bring.done() {
                return Ok(());
            }
            return patiently(progress, || bring.once());
        }
        let take = Take { web, place, home, item, index, progress, all };
        patiently(progress, || take.once())
    }

    /// So many more files of an attempt are over; when all are, it goes on.
    fn done(&self, state: &mut State, attempt: AttemptId, files: usize, fault: Option<Fault>) {
        let Some(live) = state.live.get_mut(&attempt) else { return };
        live.left -= files;
        if let Some(fault) = fault
            && live.fault.is_none()
        {
            live.fault = Some(fault.to_string());
            live.stop();
            let waited = state.drop_queued(attempt);
            return self.done(state, attempt, waited, None);
        }
        if live.left > 0 {
            return;
        }
        let mut live = state.live.remove(&attempt).expect("it was found above");
        live.record.staged = live.staged();
        let wrote = |live: &Live| live.home.write(&live.record);
        let usage = live.usage();
        match live.goal {
            Goal::Start(ref order) => {
                live.record.brought = live.fault.is_none();
                let fault = wrote(&live).err().map(|error| unwritten(&error)).or(live.fault);
                match fault {
                    None => state.ready.push(StartOrder::clone(order)),
                    Some(why) => {
                        state.failed.insert(attempt);
                        let mut report = failed(attempt, &why);
                        add(&mut report, usage.staged);
                        state.ended.push(report);
                    }
                }
            }
            Goal::End(ref report) => {
                let mut report = AttemptReport::clone(report);
                live.record.taken = live.fault.is_none() && !live.cancelled;
                add(&mut report, usage.staged);
                let fault = wrote(&live).err().map(|error| unwritten(&error)).or(live.fault);
                if live.cancelled {
                    spoil(&mut report, EndCause::Cancelled, "cancelled while its outputs were taken");
                } else if let Some(why) = fault {
                    spoil(&mut report, EndCause::Staging, &why);
                }
                state.ended.push(report);
            }
        }
    }

    fn hold_back(self: &Arc<Self>, state: &mut State, mut report: AttemptReport) -> Option<AttemptReport> {
        let attempt = report.attempt;
        let ReportKind::Ended { outcome, .. } = &report.what else { return Some(report) };
        let home = self.home(attempt).filter(|_| state.known.contains(&attempt));
        let Some(home) = home else { return Some(report) };
        match state.live.get(&attempt).map(|live| matches!(live.goal, Goal::End(_))) {
            // Given again while its outputs are on their way.
            Some(true) => return None,
            // Nobody starts it any more.
            Some(false) => {
                state.live.remove(&attempt).iter().for_each(Live::stop);
                state.drop_queued(attempt);
            }
            None => {}
        }
        let record = match home.read() {
            Ok(Some(record)) => record,
            // Stopped before it was written down: it never ran.
            Ok(None) => return Some(report),
            Err(error) => {
                if outcome.success() {
                    spoil(&mut report, EndCause::Staging, &unwritten(&error));
                }
                return Some(report);
            }
        };
        if !outcome.success() || record.outputs.is_empty() || record.taken {
            add(&mut report, record.staged);
            return Some(report);
        }
        self.begin(state, Live::new(attempt, home, record, Goal::End(Box::new(report))));
        None
    }

    fn remove(&self, attempt: AttemptId) {
        let Some(home) = self.home(attempt) else { return };
        match fs::remove_dir_all(&home.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%attempt, %error, "data of an attempt that ended cannot be removed");
            }
            // The last attempt of a job takes the job's folder along.
            _ => drop(home.0.parent().map(fs::remove_dir)),
        }
    }
}
