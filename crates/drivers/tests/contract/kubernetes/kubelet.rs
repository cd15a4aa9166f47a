//! A fake kubelet: it takes the pods of its node from any API server, the fake one or a real one, runs their commands
//! as processes of this machine, and reports what became of them as a real kubelet does.
//!
//! It has no containers: images, users and limits of processors are ignored, memory is watched, and paths of volumes
//! are replaced by folders in the words and variables of the command. A claim is a folder beside those of pods. A hook
//! is not run: the one that the engine makes would find the processes of this machine in place of a container's, so its
//! signal is sent to all that the command started, as the hook does.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use super::{
    admission::Admission,
    api::{Api, pause},
    cluster::{text, time},
    container::{expanded, hook, memory, mounts},
    ways::Terminal,
};

/// How often a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// For a moment after its start a process still counts the memory of this program, whose copy it was.
const YOUNG: Duration = Duration::from_millis(100);

/// What the main loop tells the thread of a pod.
enum Word {
    /// End it within so many seconds.
    End(u64),
}

/// One fake node.
#[derive(Debug)]
pub(crate) struct Kubelet {
    pub(crate) api: Api,
    pub(crate) node: String,
    /// Outputs, by uid.
    pub(crate) logs: PathBuf,
    /// Folders of pods, and of claims.
    pub(crate) root: PathBuf,
    pods: Mutex<BTreeMap<String, Sender<Word>>>,
    admission: Admission,
    /// Terminals of containers that have one, by uid.
    terminals: Mutex<BTreeMap<String, Arc<Terminal>>>,
    /// The uid of each pod by its name, and whether it is over.
    known: Mutex<BTreeMap<String, (String, bool)>>,
}

impl Kubelet {
    /// Begins to take pods.
    pub(crate) fn start(api: Api, node: &str, logs: &Path, root: &Path) -> Arc<Kubelet> {
        let kubelet = Arc::new(Kubelet {
            api,
            node: node.to_owned(),
            logs: logs.to_owned(),
            root: root.to_owned(),
            pods: Mutex::default(),
            admission: Admission::default(),
            terminals: Mutex::default(),
            known: Mutex::default(),
        });
        let taking = Arc::clone(&kubelet);
        thread::spawn(move || {
            loop {
                // A server that is away comes back; this ends with the test program.
                if taking.watch().is_none() {
                    pause();
                }
            }
        });
        kubelet
    }

    /// The pod of a name that runs or ran here.
    pub(crate) fn uid_of(&self, pod: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(pod).map(|(uid, _)| uid.clone())
    }

    /// The terminal of a pod of a name.
    pub(crate) fn terminal_of(&self, pod: &str) -> Option<Arc<Terminal>> {
        let terminals = self.terminals.lock().unwrap_or_else(PoisonError::into_inner);
        terminals.get(&self.uid_of(pod)?).cloned()
    }

    /// Whether all of a pod's output is written.
    pub(crate) fn is_over(&self, uid: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().any(|(known, over)| known == uid && *over)
    }

    fn note(&self, pod: &Value, over: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(text(pod, "/metadata/name").to_owned(), (text(pod, "/metadata/uid").to_owned(), over));
    }

    fn watch(self: &Arc<Self>) -> Option<()> {
        let own = format!("fieldSelector=spec.nodeName%3D{}", self.node);
        let (code, list) = self.api.call("GET", &format!("/api/v1/pods?{own}"), "", None);
        if code == 0 {
            return None;
        }
        list["items"].as_array().into_iter().flatten().for_each(|pod| self.take(pod));
        let version = text(&list, "/metadata/resourceVersion");
        let path = format!("/api/v1/pods?watch=1&timeoutSeconds=300&{own}&resourceVersion={version}");
        let reader = BufReader::new(self.api.stream(&path)?);
        for line in reader.lines() {
            let Ok(event) = serde_json::from_str::<Value>(&line.unwrap_or_default()) else { break };
            match text(&event, "/type") {
                "ADDED" | "MODIFIED" => self.take(&event["object"]),
                "ERROR" => break,
                _ => {}
            }
        }
        Some(())
    }

    fn take(self: &Arc<Self>, pod: &Value) {
        if text(pod, "/spec/nodeName") != self.node {
            return;
        }
        let uid = text(pod, "/metadata/uid").to_owned();
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let deleted = pod.pointer("/metadata/deletionTimestamp").is_some();
        let over = ["Succeeded", "Failed"].contains(&text(pod, "/status/phase"));
        if !pods.contains_key(&uid) && !over && !deleted {
            let (sender, receiver) = channel();
            pods.insert(uid.clone(), sender);
            self.note(pod, false);
            let (kubelet, pod) = (Arc::clone(self), pod.clone());
            thread::spawn(move || Run { kubelet: &kubelet, path: path_of(&pod), pod: &pod, words: receiver }.admit());
            return;
        }
        if deleted {
            let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(30);
            let told = pods.get(&uid).is_some_and(|words| words.send(Word::End(grace)).is_ok());
            // Its thread is done, or it was deleted before it was seen: nothing of it runs here.
            if !told && grace > 0 {
                let api = self.api.clone();
                let pod = pod.clone();
                thread::spawn(move || gone(&api, &pod));
            }
        }
    }
}

fn path_of(pod: &Value) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"))
}

/// Says that nothing of a pod runs any more.
fn gone(api: &Api, pod: &Value) {
    let uid = text(pod, "/metadata/uid");
    let options = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": uid } });
    api.call("DELETE", &path_of(pod), "application/json", Some(&options));
}

/// One pod while it runs.
struct Run<'a> {
    kubelet: &'a Kubelet,
    pod: &'a Value,
    path: String,
    words: Receiver<Word>,
}

/// How a process ended.
struct Ended {
    status: ExitStatus,
    reason: Option<&'static str>,
    deadline: bool,
    deleted: bool,
}

impl Run<'_> {
    /// Runs it, if the node has room for it.
    fn admit(self) {
        let node = self.kubelet.api.get(&format!("/api/v1/nodes/{}", self.kubelet.node));
        match self.kubelet.admission.admit(self.pod, &node) {
            Ok(()) => self.work(),
            Err((reason, message)) => {
                self.kubelet.note(self.pod, true);
                self.report(json!({ "phase": "Failed", "reason": reason, "message": message }));
            }
        }
    }

    fn work(self) {
        let api = &self.kubelet.api;
        let started_at = time();
        let spawned = self.spawn();
        let (phase, terminated, reason, mut deleted) = match spawned {
            Err(message) => {
                let state = json!({ "exitCode": 128, "reason": "StartError", "message": message,
                                    "startedAt": "1970-01-01T00:00:00Z", "finishedAt": time() });
                ("Failed", state, None, false)
            }
            Ok((child, terminal)) => {
                self.tell("Running", json!({ "running": { "startedAt": started_at } }), None);
                let ended = self.run_to_end(child, &started_at);
                terminal.into_iter().for_each(|terminal| terminal.join().expect("all is written"));
                let code = std::os::unix::process::ExitStatusExt::signal(&ended.status).map_or_else(
                    || ended.status.code().expect("it exited or was ended by a signal"),
                    |signal| 128 + signal,
                );
                let word = ended.reason.unwrap_or(if code == 0 { "Completed" } else { "Error" });
                let state = json!({ "exitCode": code, "reason": word, "startedAt": started_at, "finishedAt": time() });
                let phase = if code == 0 && !ended.deadline { "Succeeded" } else { "Failed" };
                (phase, state, ended.deadline.then_some("DeadlineExceeded"), ended.deleted)
            }
        };
        self.kubelet.note(self.pod, true);
        self.kubelet.admission.leave(self.pod);
        self.tell(phase, json!({ "terminated": terminated }), reason);
        // What was asked meanwhile must not wait for somebody who is gone.
        let mut pods = self.kubelet.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let (closed, _) = channel();
        pods.insert(text(self.pod, "/metadata/uid").to_owned(), closed);
        deleted |= self.words.try_iter().count() > 0;
        drop(pods);
        if deleted {
            gone(api, self.pod);
        }
    }

    fn tell(&self, phase: &str, state: Value, reason: Option<&str>) {
        let container = json!({ "name": "task", "image": "fake", "imageID": "", "ready": phase == "Running",
                                "restartCount": 0, "state": state });
        let mut status = json!({ "phase": phase, "containerStatuses": [container] });
        if let Some(reason) = reason {
            status["reason"] = json!(reason);
        }
        self.report(status);
    }

    fn report(&self, status: Value) {
        for _ in 0..300 {
            let code = self.kubelet.api.patch(&format!("{}/status", self.path), &json!({ "status": status }));
            if !matches!(code, 0 | 429 | 500..) {
                return;
            }
            pause();
        }
    }

    fn folder(&self) -> PathBuf {
        self.kubelet.root.join(text(self.pod, "/metadata/uid"))
    }

    /// Replaces the places of volumes by folders, and variables as Kubernetes does.
    fn real(&self, text: &str) -> String {
        let folder = self.folder();
        let folder = folder.to_str().expect("scratch paths are UTF-8");
        let mut text = expanded(text);
        for (place, there) in mounts(self.pod, &self.kubelet.root) {
            text = text.replace(&place, there.to_str().expect("scratch paths are UTF-8"));
        }
        text.replace("/huisuan/attempt", &format!("{folder}/attempt"))
            .replace("/huisuan/script", &format!("{folder}/script"))
    }

    fn spawn(&self) -> Result<(Child, Option<JoinHandle<()>>), String> {
        let container = &self.pod["spec"]["containers"][0];
        let folder = self.folder();
        fs::create_dir_all(folder.join("attempt")).expect("a folder");
        if let Some(script) = self.pod["metadata"]["annotations"]["huisuan.io/script"].as_str() {
            fs::create_dir_all(folder.join("script")).expect("a folder");
            fs::write(folder.join("script/script"), script).expect("a script");
        }
        let words: Vec<String> = container["command"]
            .as_array()
            .expect("the engine always says what to run")
            .iter()
            .map(|word| self.real(word.as_str().expect("a word")))
            .collect();
        let log = File::create(self.kubelet.logs.join(text(self.pod, "/metadata/uid"))).expect("a log");
        let tty = container["tty"] == true;
        // Makes a session at the terminal, as a container runtime does.
        let mut command = Command::new(if tty { "setsid" } else { &words[0] });
        if tty {
            command.arg("-c").args(&words);
        } else {
            command.args(&words[1..]).process_group(0);
        }
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        for variable in container["env"].as_array().into_iter().flatten() {
            command.env(text(variable, "/name"), self.real(text(variable, "/value")));
        }
        let place = PathBuf::from(self.real(text(container, "/workingDir")));
        // A container runtime makes the folder that a command is to run in.
        fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
        command.current_dir(place);
        let failed = |error| format!("exec: \"{}\": {error}", words[0]);
        if !tty {
            command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
            return Ok((command.spawn().map_err(failed)?, None));
        }
        let (terminal, slave) = Terminal::open();
        let again = || slave.try_clone().expect("a terminal");
        let child = command.stdin(again()).stdout(again()).stderr(again()).spawn().map_err(failed)?;
        // While it is open here the terminal never ends.
        drop((command, slave));
        let written = terminal.serve(log);
        let mut terminals = self.kubelet.terminals.lock().unwrap_or_else(PoisonError::into_inner);
        terminals.insert(text(self.pod, "/metadata/uid").to_owned(), terminal);
        Ok((child, Some(written)))
    }

    fn run_to_end(&self, mut child: Child, started_at: &str) -> Ended {
        let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id");
        let spec = &self.pod["spec"];
        let deadline = spec["activeDeadlineSeconds"].as_u64().map(|s| Instant::now() + Duration::from_secs(s));
        let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        let limit = text(spec, "/containers/0/resources/limits/memory").parse::<u64>().unwrap_or(u64::MAX);
        let began = Instant::now();
        let (mut kill_at, mut reason) = (None, None);
        let (mut over_deadline, mut deleted) = (false, false);
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            let ask = |seconds: u64, kill_at: &mut Option<Instant>| {
                // As a container runtime does: the first process is asked, all are killed. A hook comes before, and has
                // all of the time.
                let _ = match hook(spec) {
                    Some(signal) => kill_process_group(group, signal),
                    None => kill_process(group, Signal::TERM),
                };
                let latest = Instant::now() + Duration::from_secs(seconds);
                *kill_at = Some(kill_at.map_or(latest, |at: Instant| at.min(latest)));
            };
            if let Ok(Word::End(seconds)) = self.words.recv_timeout(LOOK_EVERY) {
                deleted = true;
                ask(seconds, &mut kill_at);
            }
            if !over_deadline && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                over_deadline = true;
                // As a kubelet does: the pod has failed before its container is over.
                self.tell("Failed", json!({ "running": { "startedAt": started_at } }), Some("DeadlineExceeded"));
                ask(grace, &mut kill_at);
            }
            if began.elapsed() >= YOUNG && memory(group.as_raw_nonzero().get()) > limit {
                reason = Some("OOMKilled");
                kill_at = Some(Instant::now());
            }
            if kill_at.is_some_and(|at| Instant::now() >= at) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        };
        // A container ends with all that it started.
        let _ = kill_process_group(group, Signal::KILL);
        Ended { status, reason, deadline: over_deadline, deleted }
    }
}
