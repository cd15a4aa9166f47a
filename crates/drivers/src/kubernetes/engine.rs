//! The engine: an attempt is a pod, its name is its claim, and the cluster is the record of it.

use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering, mpsc},
    thread,
    time::Duration,
};

use huisuan_model::{AttemptId, AttemptReport, ChannelTarget, EngineKind, GflopPerS, Pool, PoolId, StartOrder, Stream};
use serde_json::Value;

use super::{
    client::{CallError, Client},
    config::{KubernetesConfig, PlacedBy},
    create::{Created, create},
    errands,
    gang::{self, Unnamed},
    journal::{Entry, Journal},
    kubeconfig::Access,
    output,
    placing::{self, Nodes, Others},
    session::Viewers,
    shared::{Errands, Shared, in_lanes},
    state::{Look, State},
    volume::{NoPod, Volume},
    watch::{Attempts, relist, watch},
};
use crate::{Alarm, Engine, EngineError, Held, LogChunk, SubmitResult, clock::now, folder::lock::lock_folder};

/// Runs attempts as pods of a Kubernetes cluster.
pub struct KubernetesEngine {
    shared: Arc<Shared>,
    journal: Mutex<Journal>,
    viewers: Viewers,
    blank: bool,
    _only_one: File,
}

impl KubernetesEngine {
    /// Opens a centre: reads its journal, asks the cluster for its nodes and pods, and begins to watch.
    ///
    /// # Errors
    /// When the configuration, the folder or the cluster cannot be used, or another process uses the folder.
    pub fn open(config: KubernetesConfig) -> Result<KubernetesEngine, EngineError> {
        let refused = |detail: String| EngineError::Refused(format!("kubernetes: {detail}"));
        config.check().map_err(refused)?;
        let Some(centre) = config.centre.clone() else {
            return Err(refused("the configuration names no centre; hint: set `centre`".to_owned()));
        };
        let dir = config.dir.clone();
        if dir.as_os_str().is_empty() {
            return Err(refused("the configuration names no folder; hint: set `dir`".to_owned()));
        }
        fs::create_dir_all(&dir).map_err(EngineError::file("folder", &dir))?;
        let only_one = lock_folder(&dir, "engine.lock")?;
        let (journal, entries) = Journal::open(&dir)?;
        let client = Client::new(Access::of(&config).map_err(refused)?);
        let (deletions, to_delete) = mpsc::channel();
        let (sweeps, to_sweep) = mpsc::channel();
        let errands = Errands { deletions, sweeps };
        let shared = Arc::new(Shared::new(client, config, centre, State::restore(entries), errands)?);
        shared.refresh_hardware()?;
        let mut attempts = Attempts::default();
        let version = relist(&shared, &mut attempts).map_err(|error| error.during("listing pods"))?;
        let blank = shared.state().is_empty();
        let engine = KubernetesEngine {
            shared,
            journal: Mutex::new(journal),
            viewers: Viewers::default(),
            blank,
            _only_one: only_one,
        };
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
            spawned.map_err(|source| EngineError::Connection { doing: "starting a thread", source })
        };
        let shared = Arc::clone(&engine.shared);
        spawn("kube-watch", Box::new(move || watch(&shared, attempts, version)))?;
        let shared = Arc::clone(&engine.shared);
        spawn("kube-clean", Box::new(move || errands::clean(&shared)))?;
        // Pods that were made while the site chose otherwise wait for us all the same.
        let own = engine.shared.state().needs_us();
        if own || engine.shared.config.placement == PlacedBy::Huisuan {
            placing::may_bind(&engine.shared).map_err(refused)?;
            let (mut nodes, mut others) = (Nodes::default(), Others);
            let version = relist(&engine.shared, &mut nodes).map_err(|error| error.during("listing nodes"))?;
            engine.shared.nodes_watched.store(true, Ordering::Relaxed);
            let shared = Arc::clone(&engine.shared);
            spawn("kube-nodes", Box::new(move || watch(&shared, nodes, version)))?;
            let version = relist(&engine.shared, &mut others).map_err(|error| error.during("listing all pods"))?;
            let shared = Arc::clone(&engine.shared);
            spawn("kube-others", Box::new(move || watch(&shared, others, version)))?;
            let shared = Arc::clone(&engine.shared);
            spawn("kube-bind", Box::new(move || placing::bind(&shared)))?;
        }
        let shared = Arc::clone(&engine.shared);
        spawn("kube-errands", Box::new(move || errands::work(&shared, &to_delete)))?;
        let shared = Arc::clone(&engine.shared);
        spawn("kube-sweep", Box::new(move || errands::sweep(&shared, &to_sweep)))?;
        Ok(engine)
    }

    fn write(&self, entry: &Entry) -> Result<(), EngineError> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).write(entry)
    }

    /// Takes in what became of creations; the first failure, if any. What was made is on disk when this returns.
    fn settle(
        &self,
        wanted: &[(&StartOrder, Result<Value, String>)],
        outcomes: Vec<Result<Created, CallError>>,
    ) -> Result<Vec<SubmitResult>, EngineError> {
        let made = |outcome: &Result<Created, CallError>| matches!(outcome, Ok(Created::New(_) | Created::Known(_)));
        let ids =
            wanted.iter().zip(&outcomes).filter(|(_, outcome)| made(outcome)).map(|((order, _), _)| order.attempt);
        let accepted: Vec<AttemptId> = ids.collect();
        let written = if accepted.is_empty() { Ok(()) } else { self.write(&Entry::Accepted(accepted)) };
        let (mut results, mut failure) = (Vec::new(), written.err());
        let mut errands = Vec::new();
        for ((order, _), outcome) in wanted.iter().zip(outcomes) {
            let id = order.attempt;
            let mut state = self.shared.state();
            let result = match outcome {
                Ok(Created::New(pod)) => {
                    state.created(id, (*pod).clone());
                    errands.extend(state.take(*pod, now(), self.shared.patience()));
                    SubmitResult::Accepted
                }
                Ok(Created::Known(pod)) => {
                    state.created(id, (*pod).clone());
                    errands.extend(state.take(*pod, now(), self.shared.patience()));
                    SubmitResult::Duplicate
                }
                Ok(Created::Refused(why)) => {
                    state.not_created(id);
                    SubmitResult::Refused { why }
                }
                Err(error) => {
                    state.not_created(id);
                    failure = failure.or(Some(error.during("making pods")));
                    continue;
                }
            };
            results.push(result);
        }
        self.shared.changed(errands);
        match failure {
            None => Ok(results),
            Some(error) => Err(error),
        }
    }

    fn look(&self, attempt: AttemptId) -> Option<Look> {
        self.shared.state().look(attempt)
    }
}

impl Drop for KubernetesEngine {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Engine for KubernetesEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Kubernetes
    }

    fn images(&self) -> Result<String, String> {
        Ok("pulled by the nodes of the cluster".to_owned())
    }

    fn staging_folder(&self) -> Option<PathBuf> {
        self.shared.volume.as_ref().map(Volume::staging)
    }

    fn sessions(&self) -> Result<(), String> {
        self.shared.no_sessions.clone().map_or(Ok(()), Err)
    }

    fn attach(&self, attempt: AttemptId, target: ChannelTarget) -> Result<UnixStream, EngineError> {
        self.viewers.attach(&self.shared, attempt, target)
    }

    fn memory_mode(&self) -> String {
        "cgroup".to_owned()
    }

    fn inventory(&self) -> Result<Vec<Pool>, EngineError> {
        self.shared.refresh_hardware()?;
        self.pools()
    }

    /// Known since the engine was opened.
    fn pools(&self) -> Result<Vec<Pool>, EngineError> {
        Ok(self.shared.hardware.lock().unwrap_or_else(PoisonError::into_inner).pools())
    }

    fn blank(&self) -> bool {
        self.blank
    }

    fn measurable_cpus(&self, _: &PoolId) -> Vec<usize> {
        Vec::new()
    }

    fn declared_rate(&self, pool: &PoolId) -> Option<GflopPerS> {
        self.shared.hardware.lock().unwrap_or_else(PoisonError::into_inner).declared_rate(pool)
    }

    fn submit(&self, starts: &[StartOrder]) -> Result<Vec<SubmitResult>, EngineError> {
        let mut results: Vec<Option<SubmitResult>> = Vec::with_capacity(starts.len());
        let mut wanted: Vec<(&StartOrder, Result<Value, String>)> = Vec::new();
        let mut later = None;
        // Judged before the Services of their gangs are made: a gang that is refused needs none.
        let unknown = |order: &StartOrder| self.look(order.attempt).is_none();
        let addresses = gang::addresses(&self.shared, starts.iter().filter(|order| unknown(order)));
        let judge = |order: &StartOrder| unknown(order).then(|| self.shared.manifest(order, &addresses));
        let judged: Vec<Option<Result<Value, NoPod>>> = starts.iter().map(judge).collect();
        let good = starts.iter().zip(&judged).filter(|(_, manifest)| matches!(manifest, Some(Ok(_))));
        let unnamed = Unnamed::after(&self.shared, good.map(|(order, _)| order));
        for (order, manifest) in starts.iter().zip(judged) {
            let named = |manifest| unnamed.none_of(order).map(|()| manifest);
            let manifest = match manifest.map(|manifest| manifest.and_then(named)) {
                None => None,
                Some(Ok(manifest)) => Some(Ok(manifest)),
                Some(Err(NoPod::Refused(why))) => Some(Err(why)),
                Some(Err(NoPod::Later(error))) => {
                    later = later.or(Some(error));
                    continue;
                }
            };
            // Whoever is known is told again; whoever is not is known from here on, twice in one call included. Of
            // several calls at once only the first makes it.
            let fresh = self.shared.state().begin(order.attempt);
            match manifest {
                Some(manifest) if fresh => {
                    wanted.push((order, manifest));
                    results.push(None);
                }
                None if fresh => {
                    // Known when it was judged, to another call that could not make it since.
                    self.shared.state().not_created(order.attempt);
                    later = later.or(Some(EngineError::Refused("its pod was not made; hint: order it again".into())));
                }
                _ => results.push(Some(SubmitResult::Duplicate)),
            }
        }
        self.shared.changed([]);
        let outcomes = in_lanes(&wanted, |(order, pod)| create(&self.shared, order, pod));
        let mut made = self.settle(&wanted, outcomes)?.into_iter();
        // The others are made by now; whoever asks again is told so.
        if let Some(error) = later {
            return Err(error);
        }
        let answer = |result: Option<SubmitResult>| {
            result.unwrap_or_else(|| made.next().expect("every order without an answer was made or failed"))
        };
        Ok(results.into_iter().map(answer).collect())
    }

    fn observe(&self, wait: Duration) -> Result<Vec<AttemptReport>, EngineError> {
        Ok(self.shared.news(wait))
    }

    fn acknowledge(&self, ended: &[AttemptId]) -> Result<(), EngineError> {
        let reports = self.shared.state().unacknowledged(ended);
        if reports.is_empty() {
            return Ok(());
        }
        let ids: Vec<AttemptId> = reports.iter().map(|report| report.attempt).collect();
        self.write(&Entry::Acknowledged(reports))?;
        let errands = self.shared.state().acknowledge(ids.into_iter());
        self.shared.changed(errands);
        Ok(())
    }

    fn cancel(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        let (mut alive, mut strange) = (Vec::new(), Vec::new());
        for &id in attempts {
            match self.look(id) {
                Some(look) if look.ended => {}
                Some(_) => alive.push(id),
                None => strange.push(id),
            }
        }
        let mut buried = Vec::new();
        for id in strange {
            match self.shared.find(id).map_err(|error| error.during("looking for a pod"))? {
                None => buried.push(id),
                Some(pod) => {
                    alive.push(id);
                    self.shared.state().take(pod, now(), self.shared.patience());
                }
            }
        }
        if !alive.is_empty() {
            self.write(&Entry::Cancelled(alive.clone()))?;
        }
        if !buried.is_empty() {
            let at = now();
            self.write(&Entry::Buried { attempts: buried.clone(), at })?;
            let mut state = self.shared.state();
            buried.into_iter().for_each(|id| state.bury(id, at));
        }
        // What is written will be done, now or by a successor.
        let errands = self.shared.state().cancel(&alive);
        self.shared.changed(errands);
        Ok(())
    }

    fn held(&self) -> Result<Option<Held>, EngineError> {
        Ok(Some(self.shared.state().held()))
    }

    fn knows(&self, attempt: AttemptId) -> Result<bool, EngineError> {
        Ok(self.look(attempt).is_some())
    }

    fn look_for(&self, attempts: &[AttemptId]) -> Result<(), EngineError> {
        let mut unknown = Vec::new();
        for &id in attempts {
            if self.shared.state().tell_again(id) {
                continue;
            }
            match self.shared.find(id).map_err(|error| error.during("looking for a pod"))? {
                Some(pod) => {
                    let errand = self.shared.state().take(pod, now(), self.shared.patience());
                    self.shared.changed(errand);
                }
                None => unknown.push(id),
            }
        }
        if !unknown.is_empty() {
            let at = now();
            self.write(&Entry::Unknown { attempts: unknown.clone(), at })?;
            let mut state = self.shared.state();
            unknown.into_iter().for_each(|id| state.lose(id, at));
        }
        self.shared.changed([]);
        Ok(())
    }

    fn alarms(&self) -> Vec<Alarm> {
        self.shared.alarms()
    }

    fn logs(&self, attempt: AttemptId, stream: Stream, offset: u64, limit: usize) -> Result<LogChunk, EngineError> {
        let look = self.look(attempt).ok_or(EngineError::UnknownAttempt(attempt))?;
        if stream == Stream::Stderr {
            return Ok(LogChunk { data: Vec::new(), offset, end: look.ended });
        }
        if look.ended {
            let (data, end) = output::read_whole(&self.shared, attempt, look.pod.as_ref(), offset, limit)?;
            return Ok(LogChunk { data, offset, end });
        }
        let data = match &look.pod {
            Some(pod) => output::read_live(&self.shared, attempt, pod, offset, limit)?,
            None => Vec::new(),
        };
        Ok(LogChunk { data, offset, end: false })
    }
}
