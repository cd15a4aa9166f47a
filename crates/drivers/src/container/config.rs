//! What a site says of containers, and whether they can be run at all.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::engine::EngineError;

/// The user of containers where the site names none: `nobody`.
const NOBODY: u32 = 65_534;

/// Runtimes that are tried where the site names none, after podman's own choice.
const RUNTIMES: [&str; 2] = ["crun", "runc"];

/// Containers that this machine is known to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Containers {
    /// The program `podman`, an absolute path.
    pub podman: PathBuf,
    /// The OCI runtime; podman's own choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// User and group of what runs in them, where the supervisor is root. Elsewhere it is the supervisor's own.
    pub user: u32,
    /// What images may be pulled begin with; all others must be on this machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<String>,
    /// Where device nodes of accelerators are; `/dev` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_root: Option<PathBuf>,
}

impl Containers {
    /// User and group of what runs in them; `None` where that is the user who starts them.
    pub(crate) fn owner(&self) -> Option<u32> {
        rustix::process::geteuid().is_root().then_some(self.user)
    }

    /// What runs them and where their images come from, for people; `place` is where they run.
    pub(crate) fn told(&self, place: &str) -> String {
        let runtime = self.runtime.as_ref().map_or_else(String::new, |runtime| format!(" with {runtime}"));
        let pulled = match self.registries.is_empty() {
            true => format!("images of {place} only"),
            false => format!("pulled from {}", self.registries.join(", ")),
        };
        format!("{}{runtime}, {pulled}", self.podman.display())
    }
}

/// What a site says of containers; all of it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerRules {
    /// No image runs here, whatever is installed.
    #[serde(default)]
    pub disabled: bool,
    /// The program; found in PATH when absent.
    pub podman: Option<PathBuf>,
    /// The OCI runtime, such as `runc`.
    pub runtime: Option<String>,
    /// User and group of what runs in them, where the supervisor is root; 65534 when absent, never 0.
    pub user: Option<u32>,
    /// Registries that images are pulled from, each with its slash: `registry.local/`. None when absent.
    #[serde(default)]
    pub registries: Vec<String>,
    /// Where device nodes of accelerators are, for tests with nodes that stand in for them; `/dev` when absent.
    pub device_root: Option<PathBuf>,
}

/// Where podman is on machines that cannot be asked.
const PODMAN: &str = "/usr/bin/podman";

/// The configuration file of the local engine.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    containers: ContainerRules,
}

impl ContainerRules {
    /// Reads the local engine's file, in TOML; keys that are not known are refused.
    ///
    /// # Errors
    /// [`EngineError::Config`] when it cannot be read or does not say what it may.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let failed = |detail: String| EngineError::Config { path: path.to_owned(), detail };
        let text = fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
        Self::parse(&text).map_err(failed)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim().replace('\n', " "))?;
        file.containers.check().map(|()| file.containers)
    }

    /// Checks what will become arguments of podman. The error is a sentence for people.
    pub(crate) fn check(&self) -> Result<(), String> {
        let rules = self;
        if rules.user == Some(0) {
            return Err("containers.user is 0: no container runs as root".into());
        }
        for (key, path) in [("podman", &rules.podman), ("device_root", &rules.device_root)] {
            if let Some(path) = path.as_ref().filter(|path| !path.is_absolute()) {
                return Err(format!("containers.{key} `{}` is not absolute", path.display()));
            }
        }
        if let Some(runtime) = &rules.runtime
            && !runtime.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
        {
            return Err(format!("containers.runtime `{runtime}` is no name or path of a program"));
        }
        match rules.registries.iter().find(|registry| !registry.ends_with('/')) {
            Some(registry) => Err(format!(
                "containers.registries: `{registry}` also begins other registries' names; hint: end it with /"
            )),
            None => Ok(()),
        }
    }

    /// Containers as the site declares them for machines that cannot be asked, such as compute nodes; `None` when it
    /// disables them.
    pub(crate) fn declared(&self) -> Option<Containers> {
        let ContainerRules { podman, runtime, user, registries, device_root, .. } = self.clone();
        let (podman, user) = (podman.unwrap_or_else(|| PODMAN.into()), user.unwrap_or(NOBODY));
        (!self.disabled).then_some(Containers { podman, runtime, user, registries, device_root })
    }

    /// Looks whether containers can be run here: starts one that has no program in it, and sees podman say so.
    /// `scratch` is a folder of the centre. The error says for people why none runs.
    ///
    /// # Errors
    /// When they are disabled, podman is not there, or no runtime of it works.
    pub fn find(&self, scratch: &Path) -> Result<Containers, String> {
        if self.disabled {
            return Err("the site's configuration disables them".into());
        }
        let podman = match &self.podman {
            Some(podman) => podman.clone(),
            None => in_path("podman").ok_or("podman is not installed; hint: apt-get install podman")?,
        };
        let rules = ContainerRules { podman: Some(podman), ..self.clone() };
        let mut containers = rules.declared().expect("they are not disabled");
        let mut tried = containers.probe(scratch);
        if self.runtime.is_none() {
            for runtime in RUNTIMES.iter().filter(|runtime| in_path(runtime).is_some()) {
                if tried.is_ok() {
                    break;
                }
                containers.runtime = Some((*runtime).to_owned());
                tried = containers.probe(scratch).map_err(|error| tried.err().unwrap_or(error));
            }
        }
        tried.map(|()| containers).map_err(|error| format!("podman cannot run containers: {error}"))
    }
}

/// A program in this process's PATH, and where administrators keep theirs.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let runnable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(runnable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_says_what_it_may() {
        let rules = ContainerRules::parse("[containers]\nruntime = 'runc'\nregistries = ['registry.local/']").unwrap();
        assert_eq!((rules.runtime.as_deref(), rules.registries.len(), rules.disabled), (Some("runc"), 1, false));
        assert_eq!(ContainerRules::parse(""), Ok(ContainerRules::default()));
        let check = |text: &str, hint: &str| {
            let error = ContainerRules::parse(text).expect_err(text);
            assert!(error.contains(hint), "{text}: {error}");
        };
        check("[containers]\nuser = 0", "root");
        check("[containers]\nregistries = ['registry.local']", "end it with /");
        check("[containers]\nruntime = 'runc --privileged'", "runtime");
        check("[containers]\npodman = 'podman'", "absolute");
        check("[containers]\ndevice_root = 'dev'", "absolute");
        check("[containers]\nprivileged = true", "privileged");
        check("[container]", "container");
    }

    #[test]
    fn what_cannot_run_says_why() {
        let scratch = tempfile::tempdir().unwrap();
        let find = |rules: ContainerRules| rules.find(scratch.path()).expect_err("it cannot run");
        assert!(find(ContainerRules { disabled: true, ..ContainerRules::default() }).contains("disables"));
        let none = ContainerRules { podman: Some("/no/such/podman".into()), ..ContainerRules::default() };
        assert!(find(none).contains("cannot be started"));
        let other = ContainerRules { podman: Some("/bin/true".into()), ..ContainerRules::default() };
        assert!(find(other).contains("cannot run containers"));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
