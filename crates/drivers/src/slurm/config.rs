//! What a site's operator says about its Slurm cluster.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use huisuan_model::{Bytes, Class, GflopPerS, Pool, PoolId, StartOrder, TenantId};
use serde::Deserialize;

use super::users::{LocalUser, Whose};
use crate::{container::ContainerRules, engine::EngineError};

/// A Slurm cluster as a centre. Read from TOML; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlurmConfig {
    /// A folder of this engine alone that compute nodes see under the same path; made when it is not there. Letters,
    /// digits and `/ . _ -` only, because Slurm replaces patterns in paths.
    pub folder: PathBuf,
    /// Partitions to submit to, the first that fits is Slurm's choice.
    pub partitions: Vec<String>,
    /// The account of tenants that `accounts` does not name; Slurm's default when absent.
    #[serde(default)]
    pub account: Option<String>,
    /// The account of each tenant.
    #[serde(default)]
    pub accounts: BTreeMap<TenantId, String>,
    /// The local user that runs the jobs of each tenant, `TENANT` or `TENANT/PROJECT = "USER"` or `"USER:GROUP"`: an
    /// allow-list, whoever is not in it is refused. All run as the agent's own user when absent.
    #[serde(default)]
    pub users: Option<BTreeMap<Whose, LocalUser>>,
    /// Quality of service; Slurm's default when absent.
    #[serde(default)]
    pub qos: Option<String>,
    /// A reservation to run in.
    #[serde(default)]
    pub reservation: Option<String>,
    /// The pool of nodes without accelerators. With none given it is `cpu:slurm`.
    #[serde(default)]
    pub cpu_pool: Option<PoolId>,
    /// The class that the pool of nodes without accelerators is rated in.
    #[serde(default = "general")]
    pub class: Class,
    /// The sustained rate of one core of that pool in the precision of its class, as the site declares it: compute
    /// nodes cannot be measured from a login node, and a pool without a rating gets no work.
    #[serde(default)]
    pub rate_each: Option<GflopPerS>,
    /// What is known of accelerators beyond what Slurm says.
    #[serde(default)]
    pub devices: Vec<DeviceType>,
    /// That nodes run container images, and how; they run none when absent. Nobody looks whether that is so.
    #[serde(default)]
    pub containers: Option<ContainerRules>,
    /// Whether the cluster keeps accounts (`sacct`). Without them an attempt whose own record is missing ends as lost.
    #[serde(default = "yes")]
    pub accounting: bool,
    /// That accounting is asked for what each attempt used, and not only where its own record is missing: what is
    /// larger counts, and energy where the site's plugin counts it. An end is told a look at the queue or two later.
    #[serde(default)]
    pub usage_from_accounting: bool,
    /// Folder of `sbatch`, `squeue` and the others; looked up in `PATH` when absent.
    #[serde(default)]
    pub programs: Option<PathBuf>,
    /// Slurm's configuration file, when it is not where Slurm looks for it.
    #[serde(default)]
    pub slurm_conf: Option<PathBuf>,
    /// Milliseconds between two questions to Slurm. One `squeue`, and at most one `sacct`, are asked each time.
    #[serde(default = "ten_seconds")]
    pub poll_interval_ms: u64,
    /// Milliseconds between two questions for what the site announces and keeps to, such as reservations.
    #[serde(default = "five_minutes")]
    pub site_interval_ms: u64,
    /// Milliseconds after which a job that Slurm shows as running and that has not begun is submitted again. A site's
    /// prologs count, and take less time than that.
    #[serde(default = "launch_ms")]
    pub launch_ms: u64,
    /// Milliseconds between two looks into the folder, which cost Slurm nothing.
    #[serde(default = "look_interval")]
    pub look_interval_ms: u64,
    /// The most submissions in a second, in the long run; an array is one.
    #[serde(default = "submit_per_s")]
    pub submit_per_s: u32,
    /// The most submissions at once after a pause.
    #[serde(default = "submit_burst")]
    pub submit_burst: u32,
    /// The most attempts in one array of Slurm, below the site's `MaxArraySize`; 1 for none. Of larger ones that Slurm
    /// refuses it learns.
    #[serde(default = "array_max")]
    pub array_max: usize,
    /// How many jobs may be in Slurm at a time; more wait here. Below the site's `MaxJobCount` and `MaxSubmitJobs`.
    #[serde(default = "open_max")]
    pub open_max: usize,
    /// Milliseconds that an attempt which was asked to end has before it is killed. Below the site's `KillWait`.
    #[serde(default = "ten_seconds")]
    pub grace_ms: u64,
    /// Milliseconds between two signs of life of a running attempt.
    #[serde(default = "beat_ms")]
    pub beat_ms: u64,
    /// Milliseconds after which a program of Slurm is given up. Above the site's `MessageTimeout`.
    #[serde(default = "command_timeout_ms")]
    pub command_timeout_ms: u64,
}

/// A type of accelerator.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceType {
    /// As Slurm calls it: `gpu:h100`, or `gpu` where sites give no types.
    pub gres: String,
    /// The pool that nodes with it make up: a part number.
    pub pool: PoolId,
    /// The class that the pool is rated in.
    #[serde(default = "ai")]
    pub class: Class,
    /// Memory of one device, in bytes.
    #[serde(default)]
    pub memory: Bytes,
    /// The sustained rate of one device in the precision of the class, as the site declares it.
    #[serde(default)]
    pub rate_each: Option<GflopPerS>,
}

fn general() -> Class {
    Class::General
}
fn ai() -> Class {
    Class::Ai
}
fn yes() -> bool {
    true
}
fn ten_seconds() -> u64 {
    10_000
}
fn five_minutes() -> u64 {
    300_000
}
fn launch_ms() -> u64 {
    300_000
}
fn look_interval() -> u64 {
    250
}
fn submit_per_s() -> u32 {
    50
}
fn submit_burst() -> u32 {
    100
}
fn array_max() -> usize {
    500
}
fn open_max() -> usize {
    5_000
}
fn beat_ms() -> u64 {
    20_000
}
fn command_timeout_ms() -> u64 {
    120_000
}

impl SlurmConfig {
    /// The rate of a whole pool, where the site declares what one of its devices or cores sustains.
    pub(super) fn declared_rate(&self, pool: &Pool) -> Option<GflopPerS> {
        let (each, thousandths) = match self.devices.iter().find(|device| device.pool == pool.id) {
            Some(device) => (device.rate_each?, pool.devices.0),
            None => (self.rate_each.filter(|_| pool.devices.is_zero())?, pool.cores.0),
        };
        u64::try_from(u128::from(each.0) * u128::from(thousandths) / 1_000).ok().map(GflopPerS)
    }

    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// When the file cannot be read, has a key that is not known, or a value that must not reach Slurm.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let text = fs::read_to_string(path).map_err(EngineError::file("engine configuration", path))?;
        let bad = |detail: String| EngineError::Config { path: path.to_owned(), detail };
        let config: SlurmConfig = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
        config.check().map_err(bad)?;
        Ok(config)
    }

    /// Checks what will become arguments of Slurm's programs. The error is a sentence for people.
    pub(super) fn check(&self) -> Result<(), String> {
        let folder = self.folder.to_str().unwrap_or_default();
        if !self.folder.is_absolute() || !folder.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b)) {
            return Err(format!(
                "folder `{}` is not an absolute path of letters, digits and / . _ -",
                self.folder.display()
            ));
        }
        if self.partitions.is_empty() {
            return Err("`partitions` is empty: name at least one".to_owned());
        }
        let words = self.partitions.iter().map(|word| ("partition", word));
        let words = words.chain(self.account.iter().map(|word| ("account", word)));
        let words = words.chain(self.accounts.values().map(|word| ("account", word)));
        let words = words.chain(self.qos.iter().map(|word| ("qos", word)));
        let words = words.chain(self.reservation.iter().map(|word| ("reservation", word)));
        for (what, word) in words {
            if !is_word(word) {
                return Err(format!(
                    "{what} `{word}` is not a name: 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter, digit or _"
                ));
            }
        }
        for device in &self.devices {
            if !device.gres.split(':').all(is_word) || device.gres.matches(':').count() > 1 {
                return Err(format!("gres `{}` is not NAME or NAME:TYPE", device.gres));
            }
        }
        let positive = [
            self.poll_interval_ms,
            self.site_interval_ms,
            self.launch_ms,
            self.look_interval_ms,
            self.beat_ms,
            self.command_timeout_ms,
        ];
        if positive.contains(&0)
            || self.submit_per_s == 0
            || self.submit_burst == 0
            || self.open_max == 0
            || self.array_max == 0
        {
            return Err("intervals, rates and limits must be above 0".to_owned());
        }
        if self.usage_from_accounting && !self.accounting {
            return Err("`usage_from_accounting` needs `accounting`".to_owned());
        }
        if self.users.is_some() && self.images() {
            return Err(
                "`[users]` and `[containers]` do not go together: containers were never run as other users".into()
            );
        }
        self.containers.as_ref().map_or(Ok(()), ContainerRules::check)
    }

    /// Whether nodes run container images.
    pub(super) fn images(&self) -> bool {
        self.containers.as_ref().is_some_and(|rules| !rules.disabled)
    }

    /// The account that an order's job runs under: the site's rules come before this configuration.
    pub(super) fn account_for<'a>(&'a self, order: &'a StartOrder) -> Option<&'a str> {
        order.account.as_deref().or_else(|| self.account_of(&order.tenant))
    }

    /// The account that a tenant's jobs run under.
    pub(super) fn account_of(&self, tenant: &TenantId) -> Option<&str> {
        self.accounts.get(tenant).or(self.account.as_ref()).map(String::as_str)
    }
}

/// A name that can be an argument of Slurm's programs: never an option, a list or a pattern.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
pub(super) fn example(folder: &Path) -> SlurmConfig {
    let text = format!("folder = \"{}\"\npartitions = [\"batch\"]\n", folder.display());
    toml::from_str(&text).expect("a configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_whole_or_refused() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("slurm.toml");
        let check = |text: &str, expected: Result<(), &str>| {
            fs::write(&path, text).expect("written");
            match (SlurmConfig::read(&path), expected) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "`{error}` does not say `{part}`"),
                (read, expected) => panic!("{text}: {read:?}, expected {expected:?}"),
            }
        };
        let good = "folder = \"/shared/x\"\npartitions = [\"batch\"]\n";
        check(good, Ok(()));
        check(&format!("{good}account = \"lab\"\naccounts = {{ alice = \"phys-1\" }}\nqos = \"normal\"\n"), Ok(()));
        check(&format!("{good}[[devices]]\ngres = \"gpu:h100\"\npool = \"H100\"\nmemory = 85899345920\n"), Ok(()));
        check(&format!("{good}acount = \"lab\"\n"), Err("acount"));
        check("partitions = [\"batch\"]\n", Err("folder"));
        check("folder = \"/a\"\npartitions = []\n", Err("partitions"));
        check("folder = \"a\"\npartitions = [\"b\"]\n", Err("absolute"));
        check("folder = \"/a/%j\"\npartitions = [\"b\"]\n", Err("/a/%j"));
        for bad in ["--uid=0", "a,b", "a b", "", "$(id)", "a\\nb"] {
            check(&format!("{good}account = \"{bad}\"\n"), Err("account"));
        }
        check(&format!("{good}[[devices]]\ngres = \"gpu:a:1\"\npool = \"H100\"\n"), Err("gpu:a:1"));
        check(&format!("{good}poll_interval_ms = 0\n"), Err("above 0"));
        check(&format!("{good}usage_from_accounting = true\n"), Ok(()));
        check(&format!("{good}usage_from_accounting = true\naccounting = false\n"), Err("needs"));
        check(&format!("{good}launch_ms = 0\n"), Err("above 0"));
        check(&format!("{good}[containers]\nruntime = \"runc\"\n"), Ok(()));
        check(&format!("{good}[users]\nphysics = \"anna\"\n\"physics/x\" = \"bert:hs-bert\"\n"), Ok(()));
        check(&format!("{good}[users]\nphysics = \"root\"\n"), Err("nobody's"));
        check(&format!("{good}[users]\nphysics = \"-u\"\n"), Err("USER"));
        check(&format!("{good}[users]\n\"Phy sics\" = \"anna\"\n"), Err("tenant `Phy sics`"));
        check(&format!("{good}[users]\nphysics = \"anna\"\n[containers]\nruntime = \"runc\"\n"), Err("together"));
        check(&format!("{good}[containers]\nuser = 0\n"), Err("root"));
        check(&format!("{good}[containers]\nprivileged = true\n"), Err("privileged"));
    }
}
