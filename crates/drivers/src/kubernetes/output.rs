//! Output of attempts: read through the pod log API while the pod is there, kept in a file when it is let go.
//!
//! The API knows no offset, so what is read is read from the beginning into a file, `output/JOB/TASK.ATTEMPT.part`,
//! and offsets are places in that file. While an attempt runs and somebody reads, one thread follows it; when it has
//! ended, all of it is fetched once into `.log`. Kubernetes mixes both outputs into one: standard error is empty.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use huisuan_model::AttemptId;

use super::{client::CallError, shared::Shared, state::PodReference};
use crate::EngineError;

/// Most attempts that are followed at the same time.
const FOLLOWED_MAX: usize = 64;
/// How long an attempt is followed after it was read last.
const IDLE: Duration = Duration::from_secs(60);
/// How many bytes are moved at once.
const PIECE: usize = 64 << 10;

/// How much is asked for when only the end of an output is wanted.
const TAIL_LINES: u32 = 400;
const TAIL_BYTES: u64 = 4 << 20;

/// Where outputs are kept.
pub(super) struct Outputs {
    folder: PathBuf,
    bytes_max: u64,
    /// When each followed attempt was read last.
    followed: Mutex<BTreeMap<AttemptId, Instant>>,
    /// One fetch at a time of whole outputs, so that two do not write one file.
    fetching: Mutex<()>,
}

impl Outputs {
    pub(super) fn open(folder: &Path, bytes_max: u64) -> Result<Outputs, EngineError> {
        let folder = folder.join("output");
        fs::create_dir_all(&folder).map_err(EngineError::file("output folder", &folder))?;
        Ok(Outputs { folder, bytes_max, followed: Mutex::default(), fetching: Mutex::default() })
    }

    fn path(&self, attempt: AttemptId, kind: &str) -> PathBuf {
        self.folder.join(attempt.job.to_string()).join(format!("{}.{}.{kind}", attempt.task, attempt.attempt))
    }

    fn followed(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Instant>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At most `limit` bytes from `offset` on of an attempt that has ended, and whether that is the last of it.
pub(super) fn read_whole(
    shared: &Shared,
    attempt: AttemptId,
    pod: Option<&PodReference>,
    offset: u64,
    limit: usize,
) -> Result<(Vec<u8>, bool), EngineError> {
    let path = shared.outputs.path(attempt, "log");
    if let Some(pod) = pod
        && !path.exists()
    {
        keep(shared, attempt, pod).map_err(|error| error.during("reading output"))?;
    }
    let path = if path.exists() { path } else { shared.outputs.path(attempt, "part") };
    read_part(&path, offset, limit)
}

/// The same of one that runs: what is there by now. Begins to follow it.
pub(super) fn read_live(
    shared: &Arc<Shared>,
    attempt: AttemptId,
    pod: &PodReference,
    offset: u64,
    limit: usize,
) -> Result<Vec<u8>, EngineError> {
    let mut followed = shared.outputs.followed();
    let known = followed.contains_key(&attempt);
    if !known && followed.len() >= FOLLOWED_MAX {
        return Err(EngineError::Refused(format!(
            "output of {FOLLOWED_MAX} attempts is being followed already; hint: wait until it has ended"
        )));
    }
    followed.insert(attempt, Instant::now());
    drop(followed);
    if !known {
        let (shared, pod) = (Arc::clone(shared), pod.clone());
        let work = move || {
            if let Err(error) = follow(&shared, attempt, &pod) {
                tracing::debug!(%attempt, error = %error.during("following output"), "output is followed no more");
            }
            shared.outputs.followed().remove(&attempt);
        };
        let spawned = std::thread::Builder::new().name("kube-output".into()).spawn(work);
        spawned.map_err(|source| EngineError::Connection { doing: "following output", source })?;
    }
    Ok(read_part(&shared.outputs.path(attempt, "part"), offset, limit)?.0)
}

/// Fetches all output of a pod that is over into its file, and tells how it went only when another try may help.
pub(super) fn keep(shared: &Shared, attempt: AttemptId, pod: &PodReference) -> Result<(), CallError> {
    let outputs = &shared.outputs;
    let _one = outputs.fetching.lock().unwrap_or_else(PoisonError::into_inner);
    let (whole, part) = (outputs.path(attempt, "log"), outputs.path(attempt, "part"));
    if whole.exists() {
        return Ok(());
    }
    let mut stream = match open(shared, pod, "") {
        Ok(stream) => stream,
        // It never began, or its node has nothing of it any more.
        Err(error) if matches!(error.code(), 400 | 404) => Box::new(io::empty()),
        Err(error) => return Err(error),
    };
    let temporary = outputs.path(attempt, "new");
    let mut fetch = || -> io::Result<()> {
        fs::create_dir_all(temporary.parent().expect("it is below the folder of outputs"))?;
        let mut file = File::create(&temporary)?;
        let fetched = io::copy(&mut stream, &mut file)?;
        // Nodes turn logs over at some size and then give only the rest; what was followed may be more.
        let more = fs::metadata(&part).is_ok_and(|metadata| metadata.len() > fetched);
        fs::rename(if more { &part } else { &temporary }, &whole)
    };
    fetch().map_err(CallError::Broken)?;
    let _ = fs::remove_file(&temporary);
    let _ = fs::remove_file(&part);
    Ok(())
}

/// Takes what was followed, or nothing, for all output of an attempt whose node does not give it.
pub(super) fn give_up(shared: &Shared, attempt: AttemptId) -> Result<(), CallError> {
    let (whole, part) = (shared.outputs.path(attempt, "log"), shared.outputs.path(attempt, "part"));
    let make = || -> io::Result<()> {
        fs::create_dir_all(whole.parent().expect("it is below the folder of outputs"))?;
        OpenOptions::new().create(true).append(true).open(&part)?;
        fs::rename(&part, &whole)
    };
    make().map_err(CallError::Broken)
}

/// The end of what a pod wrote, at most so many bytes, from the first whole line on; nothing where that cannot be had.
pub(super) fn tail(shared: &Shared, pod: &PodReference, bytes_max: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let path = format!("{}/log?container=task&tailLines={TAIL_LINES}", shared.pod_path(&pod.name));
    // What is beyond is the end of few and very long lines: it is left out then.
    let read = shared.client.stream(&path).map(|stream| stream.take(TAIL_BYTES).read_to_end(&mut all));
    if let Err(error) = read {
        tracing::debug!(pod = pod.name, error = %error.during("reading output"), "what a session wrote is not shown");
    }
    if all.len() > bytes_max {
        all.drain(..all.len() - bytes_max);
        let line = all.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        all.drain(..line);
    }
    all
}

/// Writes what comes behind what is there, until the attempt ends or nobody reads any more.
fn follow(shared: &Shared, attempt: AttemptId, pod: &PodReference) -> Result<(), CallError> {
    let path = shared.outputs.path(attempt, "part");
    let make = || -> io::Result<File> {
        fs::create_dir_all(path.parent().expect("it is below the folder of outputs"))?;
        OpenOptions::new().create(true).append(true).open(&path)
    };
    let mut file = make().map_err(CallError::Broken)?;
    let mut skip = file.metadata().map_err(CallError::Broken)?.len();
    let mut stream = match open(shared, pod, "follow=true&") {
        Ok(stream) => stream,
        Err(error) if matches!(error.code(), 400 | 404) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut piece = vec![0; PIECE];
    loop {
        let read = match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CallError::Broken(error)),
        };
        let old = usize::try_from(skip).unwrap_or(usize::MAX).min(read);
        skip -= old as u64;
        file.write_all(&piece[old..read]).map_err(CallError::Broken)?;
        let idle = shared.outputs.followed().get(&attempt).is_none_or(|read_at| read_at.elapsed() > IDLE);
        if idle || shared.stopped() {
            return Ok(());
        }
    }
}

fn open(shared: &Shared, pod: &PodReference, query: &str) -> Result<Box<dyn io::Read + Send>, CallError> {
    let path = shared.pod_path(&pod.name);
    shared.client.stream(&format!("{path}/log?{query}container=task&limitBytes={}", shared.outputs.bytes_max))
}

/// At most `limit` bytes from `offset` on, and whether the file ends there. One that is not there is empty.
fn read_part(path: &Path, offset: u64, limit: usize) -> Result<(Vec<u8>, bool), EngineError> {
    let mut data = Vec::new();
    let mut read = || -> io::Result<u64> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(offset))?;
        (&file).take(limit as u64).read_to_end(&mut data)?;
        Ok(file.metadata()?.len())
    };
    let length = read().map_err(EngineError::file("output", path))?;
    let all = offset + data.len() as u64 >= length;
    Ok((data, all))
}
