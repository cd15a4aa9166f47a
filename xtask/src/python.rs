//! Python environments for tests that compare with other people's programs: one folder for each set of
//! pinned packages below `target/python`, made once and used again.

use crate::repository::Repository;
use crate::step::{Outcome, status};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The interpreter of an environment that has exactly these packages, each as `name==version`. The first call
/// makes it, from published wheels only: nothing is compiled and no package's own installer is run.
///
/// # Errors
///
/// When there is no Python with `venv`, or a package cannot be had; the message says what to do.
pub fn venv(repository: &Repository, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = repository.join("target/python").join(name);
    let (python, stamp, wanted) = (folder.join("bin/python"), folder.join("packages.txt"), packages.join("\n"));
    // The stamp is written last: an environment that was left half-made is made anew.
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    eprintln!("making {} with {}", folder.display(), packages.join(", "));
    if status(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)) != Outcome::Passed {
        bail!("python environment `{name}` cannot be made; hint: cargo xtask setup");
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
    if !packages.is_empty() && status(Command::new(&python).args(pip).args(packages)) != Outcome::Passed {
        bail!("python packages {} cannot be installed; hint: is the package index reachable?", packages.join(", "));
    }
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_made_once_and_again_when_its_packages_change() {
        let root = tempfile::tempdir().unwrap();
        let repository = Repository::at(root.path());
        let folder = root.path().join("target/python/none");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("packages.txt"), "left==1").unwrap();
        let python = venv(&repository, "none", &[]).unwrap();
        let prefix = ["-c", "import sys; print(sys.prefix)"];
        let output = Command::new(&python).args(prefix).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), folder.to_string_lossy());
        fs::write(folder.join("kept"), "").unwrap();
        venv(&repository, "none", &[]).unwrap();
        assert!(folder.join("kept").is_file());
    }
}
