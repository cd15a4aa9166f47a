//! What a pod's spec becomes where there are no containers: folders for volumes, texts as a node makes them, a signal
//! for a hook.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use super::cluster::text;

/// The claim of the volume that agent and pods share.
pub(crate) const CLAIM: &str = "shared";

/// Whom pods are to run as: somebody else where the agent can give them files, else the agent's own user.
pub(crate) fn user() -> u32 {
    let own = rustix::process::geteuid();
    if own.is_root() { 65_534 } else { own.as_raw() }
}

/// Folders of claims, by their names.
pub(crate) fn claims(root: &Path) -> PathBuf {
    root.join("claims")
}

/// Where claims are seen, and the folders that are seen there.
pub(crate) fn mounts(pod: &Value, root: &Path) -> Vec<(String, PathBuf)> {
    let spec = &pod["spec"];
    let claim_of = |name: &Value| {
        let volume = spec["volumes"].as_array()?.iter().find(|volume| volume["name"] == *name)?;
        volume.pointer("/persistentVolumeClaim/claimName")?.as_str()
    };
    let mounts = spec["containers"][0]["volumeMounts"].as_array().into_iter().flatten();
    let claims = mounts.filter_map(|mount| {
        let folder = claims(root).join(claim_of(&mount["name"])?).join(text(mount, "/subPath"));
        // A node would make it, of its own user, and the task would find nothing in it.
        assert!(folder.is_dir(), "{} is there before its pod", folder.display());
        Some((text(mount, "/mountPath").to_owned(), folder))
    });
    claims.collect()
}

/// What a node gives of a log: all of it, or its last lines.
pub(crate) fn lines_from(log: &Path, lines: Option<usize>) -> std::io::Result<u64> {
    let Some(lines) = lines else { return Ok(0) };
    let text = std::fs::read(log)?;
    let ends: Vec<usize> = (0..text.len()).filter(|&at| text[at] == b'\n' && at + 1 < text.len()).collect();
    Ok(ends.len().checked_sub(lines).map_or(0, |skipped| ends[skipped] as u64 + 1))
}

/// The signal of the hook that the engine makes.
pub(crate) fn hook(spec: &Value) -> Option<Signal> {
    let words = spec.pointer("/containers/0/lifecycle/preStop/exec/command")?.as_array().expect("words");
    let words: Vec<&str> = words.iter().map(|word| word.as_str().expect("a word")).collect();
    let ["/bin/sh", "-c", script, "huisuan", signal] = words[..] else { panic!("another hook: {words:?}") };
    assert!(script.starts_with("kill -s \"$1\" 1; kill -s \"$1\" -- -1; while kill -0 1 "), "another hook: {script}");
    Some(match signal {
        "TERM" => Signal::TERM,
        "HUP" => Signal::HUP,
        "USR1" => Signal::USR1,
        other => panic!("no test uses {other}"),
    })
}

/// What Kubernetes makes of a text: `$$` is a dollar, `$(NAME)` a variable. No variable is ever to be found in ours.
pub(crate) fn expanded(text: &str) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        assert!(!rest[at + 1..].starts_with('('), "a node would replace a variable in `{text}`");
        result.push('$');
        rest = rest[at + 1..].strip_prefix('$').unwrap_or(&rest[at + 1..]);
    }
    result + rest
}

/// Resident bytes of a process.
pub(crate) fn memory(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
