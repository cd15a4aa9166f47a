//! [`SlurmEngine`]: a Slurm cluster as an engine.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use huisuan_model::{
    AttemptId, AttemptReport, ChannelTarget, EndCause, EngineKind, GflopPerS, Pool, PoolId, SiteBook, StartOrder,
    Stream,
};

use super::{
    config::SlurmConfig,
    files::Files,
    gang::{Gang, with_mates},
    journal::{Journal, Line},
    look, nodes,
    output::Output,
    poll,
    session::Viewers,
    shared::Shared,
    start::refusal,
    state::{Record, State, never_ran},
    submit, trial,
    users::Users,
};
use crate::{
    container::ContainerRules,
    engine::{Alarm, Closed, Engine, EngineError, Held, LogChunk, SubmitResult},
    failpoint,
    folder::{batch::Batch, lock::lock_folder},
};

/// What a thread of the engine does until the engine stops.
type Loop = fn(&Shared);

/// A Slurm cluster, driven by its own programs as an ordinary user of it.
///
/// Three threads work for it: one submits and cancels, one asks Slurm, one looks into the shared folder. What they know
/// is on disk, so this value may be dropped, or its process killed, at any moment.
#[derive(Debug)]
pub struct SlurmEngine {
    shared: Arc<Shared>,
    viewers: Viewers,
    threads: Vec<JoinHandle<()>>,
}

impl SlurmEngine {
    /// Opens the engine in `config.folder` and goes on with what is open there. Slurm is not asked yet: an agent may
    /// start while the controller is away.
    ///
    /// # Errors
    /// When the configuration is wrong, the folder cannot be used or another engine uses it.
    pub fn open(config: SlurmConfig) -> Result<Self, EngineError> {
        config.check().map_err(|detail| EngineError::Config { path: config.folder.clone(), detail })?;
        let failed = EngineError::file("folder", &config.folder);
        let wrong = |detail: String| EngineError::Config { path: config.folder.clone(), detail };
        let users = Users::look_up(config.users.as_ref()).map_err(wrong)?;
        let mut files = Files::make(&config.folder, &users).map_err(failed)?;
        files.containers = config.containers.as_ref().and_then(ContainerRules::declared);
        let lock = lock_folder(&files.paths.dir, "slurm.lock")?;
        let (journal, known) = Journal::open(&files)?;
        let mut state = State::recover(journal, known);
        nodes::recall(&mut state, &files, &config);
        let shared = Arc::new(Shared::new(config, files, users, state, lock));
        if shared.users.some() && !shared.client.has("sudo") {
            let detail = "`[users]` needs `sudo`, which is not in PATH".to_owned();
            return Err(EngineError::Config { path: shared.config.folder.clone(), detail });
        }
        read_all_records(&shared)?;
        let mut engine = SlurmEngine { shared, viewers: Viewers::default(), threads: Vec::new() };
        let threads: [(&str, Loop); 3] = [("submit", submit::run), ("poll", poll::run), ("look", look::run)];
        for (name, run) in threads {
            let shared = Arc::clone(&engine.shared);
            let spawned = thread::Builder::new().name(format!("slurm-{name}")).spawn(move || run(&shared));
            let dir = &engine.shared.config.folder;
            engine.threads.push(spawned.map_err(EngineError::file("thread for folder", dir))?);
        }
        Ok(engine)
    }

    /// Whether an attempt was ever ordered here: its folder is never removed.
    fn known(&self, state: &State, id: AttemptId) -> bool {
        state.records.contains_key(&id) || self.shared.files.attempt(id).dir.exists()
    }
}

/// News of what happened while no engine ran may be gone; the records themselves are not.
fn read_all_records(shared: &Shared) -> Result<(), EngineError> {
    let open: Vec<AttemptId> = shared.lock().in_slurm.iter().copied().collect();
    let mut exits = Vec::new();
    for id in open {
        let path = shared.files.attempt(id).dir;
        match shared.files.exit(id).map_err(EngineError::file("done record", &path))? {
            Some(exit) => exits.push((id, exit)),
            None => {
                let claim = shared.files.claim(id).map_err(EngineError::file("claim", &path))?;
                if let Some(at) = claim.and_then(|claim| claim.at) {
                    shared.lock().note_started(id, at);
                }
            }
        }
    }
    look::end(shared, &exits)
}

impl Drop for SlurmEngine {
    /// Ends the threads; a program of Slurm that runs is given up, and asked about at the next start.
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Engine for SlurmEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Slurm
    }

    fn memory_mode(&self) -> String {
        "slurm".to_owned()
    }

    fn staging_folder(&self) -> Option<PathBuf> {
        Some(self.shared.files.paths.staging())
    }

    fn images(&self) -> Result<String, String> {
        let containers = self.shared.files.containers.as_ref();
        let containers = containers.ok_or("its configuration has no `[containers]`, or disables them")?;
        Ok(format!("{}, as the configuration says: not tried", containers.told("each node")))
    }

    fn local_users(&self) -> Vec<(String, Result<(), String>)> {
        trial::entries(&self.shared)
    }

    fn blank(&self) -> bool {
        fs::read_dir(self.shared.files.paths.attempts()).is_ok_and(|mut attempts| attempts.next().is_none())
    }

    fn inventory(&self) -> Result<Vec<Pool>, EngineError> {
        Ok(nodes::refresh(&self.shared)?.pools())
    }

    fn pools(&self) -> Result<Vec<Pool>, EngineError> {
        Ok(self.shared.lock().inventory.pools())
    }

    fn declared_rate(&self, pool: &PoolId) -> Option<GflopPerS> {
        let pools = self.shared.lock().inventory.pools();
        self.shared.config.declared_rate(pools.iter().find(|known| known.id == *pool)?)
    }

    fn measurable_cpus(&self, _: &PoolId) -> Vec<usize> {
        // The nodes are elsewhere.
        Vec::new()
    }

    fn submit(&self, starts: &[StartOrder]) -> Result<Vec<SubmitResult>, EngineError> {
        let shared = &self.shared;
        let mut state = shared.lock();
        let mut results = Vec::with_capacity(starts.len());
        let mut taken: Vec<Arc<StartOrder>> = Vec::new();
        for start in starts {
            let id = start.attempt;
            if taken.iter().rev().any(|order| order.attempt == id) {
                results.push(SubmitResult::Duplicate);
            } else if self.known(&state, id) {
                // Who asks again for an attempt that was acknowledged is told its end again.
                if !state.records.contains_key(&id)
                    && let Some(report) = shared.files.end(id)
                {
                    state.tell_end(report);
                }
                results.push(SubmitResult::Duplicate);
            } else if let Some(why) = refusal(start, shared.files.containers.as_ref()) {
                results.push(SubmitResult::Refused { why });
            } else if let Err(why) = shared.users.of(start) {
                results.push(SubmitResult::Refused { why });
            } else if let Err(why) = state.inventory.may_run(start, &shared.config, &shared.users) {
                results.push(SubmitResult::Refused { why });
            } else if start.spec.gang && shared.files.gang_claimed(Gang::with(id)) {
                results.push(SubmitResult::Refused { why: "its gang has ended, or began without it".to_owned() });
            } else {
                taken.push(Arc::new(start.clone()));
                results.push(SubmitResult::Accepted);
            }
        }
        if !taken.is_empty() {
            state.note(&[Line::Accepted(Batch::new(taken.iter().map(Arc::as_ref)))], true)?;
            failpoint::reach("slurm-after-accepted");
            for order in taken {
                state.enqueue(order);
            }
            shared.work.notify_all();
        }
        shared.reports.notify_all();
        Ok(results)
    }

    fn observe(&self, wait: Duration) -> Result<Vec<AttemptReport>, EngineError> {
        let shared = &self.shared;
        let mut state = shared.wait(shared.lock(), &shared.reports, wait, State::reportable);
        Ok(state.take_reports())
    }

    fn acknowledge(&self, ended: &[AttemptId]) -> Result<(), EngineError> {
        if ended.is_empty() {
            return Ok(());
        }
        self.shared.lock().acknowledge(ended)
    }

    fn cancel(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        if attempts.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        let mut state = shared.lock();
        let over = |id: &AttemptId| match state.records.get(id) {
            Some(Record::Ended(_)) => true,
            Some(Record::Open(_)) => false,
            None => self.known(&state, *id),
        };
        let ids: Vec<AttemptId> = attempts.iter().copied().filter(|id| !over(id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let (ids, gangs) = with_mates(&state, ids);
        state.note(&[Line::Cancelled(ids.clone())], true)?;
        for gang in gangs {
            shared.files.bar_gang(gang).map_err(EngineError::file("claim", &shared.files.gang(gang)))?;
        }
        let (mut ends, mut running) = (Vec::new(), Vec::new());
        for id in ids {
            // Whoever has the claim decides: if it is ours, the attempt never starts, whatever Slurm does with its job.
            let path = shared.files.attempt(id).claim();
            let never = shared.files.claim_against_start(id).map_err(EngineError::file("claim", &path))?;
            let job = state.open_mut(id).and_then(|open| {
                open.cancelled = true;
                open.job
            });
            match job {
                Some(job) if never => state.doom(id, job, &shared.files),
                Some(job) => running.push((id, job)),
                None => {}
            }
            if never {
                ends.push((id, never_ran(EndCause::Cancelled, String::new())));
            }
        }
        // After all others: the job of a gang is ended as those of it wish that run.
        running.into_iter().for_each(|(id, job)| state.end_running(id, job, &shared.files));
        state.finish(ends, &shared.files)?;
        shared.reports.notify_all();
        shared.work.notify_all();
        Ok(())
    }

    fn held(&self) -> Result<Option<Held>, EngineError> {
        let state = self.shared.lock();
        let mut held = Held::default();
        for (&id, record) in &state.records {
            match record {
                Record::Open(_) => held.live.push(id),
                Record::Ended(_) => held.ended.push(id),
            }
        }
        Ok(Some(held))
    }

    fn knows(&self, attempt: AttemptId) -> Result<bool, EngineError> {
        Ok(self.known(&self.shared.lock(), attempt))
    }

    fn look_for(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        let shared = &self.shared;
        let mut state = shared.lock();
        let (mut ends, mut exits) = (Vec::new(), Vec::new());
        for &id in attempts {
            if state.open(id).is_some() {
                continue;
            }
            if let Some(report) = state.end(id).or_else(|| shared.files.end(id)) {
                state.tell_end(report);
                continue;
            }
            // Nothing is remembered of it. Either it never starts from now on, or it did start and its record tells.
            let path = shared.files.attempt(id).claim();
            if shared.files.claim_against_start(id).map_err(EngineError::file("claim", &path))? {
                ends.push((id, never_ran(EndCause::Lost, "the centre never had it, or lost all that it knew".into())));
            } else if let Some(exit) = shared.files.exit(id).map_err(EngineError::file("done record", &path))? {
                exits.push((id, exit));
            }
        }
        ends.extend(exits.into_iter().filter_map(|(id, exit)| Some((id, look::told_by_record(&exit)?))));
        state.finish(ends, &shared.files)?;
        shared.reports.notify_all();
        Ok(())
    }

    fn sessions(&self) -> Result<(), String> {
        // Whether a node has `script` is found out there.
        Ok(())
    }

    fn attach(&self, attempt: AttemptId, target: ChannelTarget) -> Result<UnixStream, EngineError> {
        self.viewers.attach(&self.shared, attempt, target)
    }

    fn closed(&self) -> Vec<Closed> {
        self.shared.lock().inventory.closed().to_vec()
    }

    fn book(&self) -> SiteBook {
        let state = self.shared.lock();
        let qos = state.inventory.limits.told(&self.shared.config);
        let (reservations, features) = (state.inventory.reservations().to_vec(), state.inventory.features().to_vec());
        SiteBook { reservations, qos, features }
    }

    fn alarms(&self) -> Vec<Alarm> {
        self.shared.lock().alarms()
    }

    fn logs(&self, attempt: AttemptId, stream: Stream, offset: u64, limit: usize) -> Result<LogChunk, EngineError> {
        let ended = {
            let state = self.shared.lock();
            if !self.known(&state, attempt) {
                return Err(EngineError::UnknownAttempt(attempt));
            }
            // Looked up before the output is read: what was written until then is all there is.
            state.open(attempt).is_none()
        };
        let output = Output::of(&self.shared.files, attempt, stream)?;
        let (data, all) = output.part(offset, limit).map_err(EngineError::file("output", &output.path))?;
        Ok(LogChunk { data, offset, end: ended && all })
    }
}
