//! The site operator's own rules: what may run here, whatever a server orders.
//!
//! They are read from a file at the site and kept by the agent, so that a server in wrong hands cannot have more of a
//! centre than its operator allows. Nothing that a server says changes them.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use huisuan_api::spec::quantity;
use huisuan_model::{Bytes, CentreId, DurationMs, MilliDevices, Millicores, StartOrder, spec::JobKind};
use serde::Deserialize;

use crate::{
    hours::Hours,
    staging::{DataFile, DataRules},
};

/// What a site lets in. The default lets everything in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SitePolicy {
    tenants: Option<Vec<Who>>,
    pools: Option<Vec<Pattern>>,
    images: Option<Vec<Pattern>>,
    /// Terminals and ports for tenants; allowed when absent.
    sessions: Option<bool>,
    largest: Largest,
    /// The most attempts that the engine may have at once.
    pub(crate) attempts_max: Option<u64>,
    /// When nothing runs.
    pub(crate) closed: Option<Hours>,
    accounts: BTreeMap<String, String>,
    /// Where data may come from and go to.
    pub(crate) data: DataRules,
}

/// The bounds of one task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Largest {
    cores: Option<Millicores>,
    memory: Option<Bytes>,
    devices: Option<MilliDevices>,
    walltime: Option<DurationMs>,
}

/// A tenant, or one project of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who(String, Option<String>);

/// A name, or all names that begin so when it ends in `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(String);

/// What the file may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tenants: Option<Vec<String>>,
    pools: Option<Vec<String>>,
    images: Option<Vec<String>>,
    sessions: Option<bool>,
    #[serde(default)]
    largest: LargestText,
    attempts_max: Option<u64>,
    zone: Option<String>,
    closed: Option<Vec<String>>,
    #[serde(default)]
    accounts: BTreeMap<String, String>,
    #[serde(default)]
    data: DataFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LargestText {
    cores: Option<f64>,
    memory: Option<String>,
    devices: Option<f64>,
    walltime: Option<String>,
}

/// Why a policy file is not taken. No agent runs with half a policy.
#[derive(Debug, thiserror::Error)]
#[error("site policy `{path}`: {what}; hint: docs/en/sites.md lists what it may say")]
pub struct PolicyError {
    path: String,
    what: String,
}

/// A rule of the site that an order breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its name in the file.
    pub rule: &'static str,
    /// What the order has and what the rule wants.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "site rule `{}`: {}", self.rule, self.detail)
    }
}

impl SitePolicy {
    /// Reads a file in TOML; keys that are not known are refused.
    ///
    /// # Errors
    /// When it cannot be read or does not say what it may.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let failed = |what: String| PolicyError { path: path.display().to_string(), what };
        let text = fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
        Self::parse(&text).map_err(failed)
    }

    /// The same from its text.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim().replace('\n', " "))?;
        let patterns = |list: Option<Vec<String>>| list.map(|list| list.into_iter().map(Pattern).collect());
        if let Some((tenant, account)) = file.accounts.iter().find(|(_, account)| !plain(account)) {
            return Err(format!("accounts: `{account}` of {tenant} is no account: letters, digits, `.`, `_` and `-`"));
        }
        Ok(SitePolicy {
            tenants: file.tenants.map(|list| list.into_iter().map(Who::read).collect()),
            pools: patterns(file.pools),
            images: patterns(file.images),
            sessions: file.sessions,
            largest: file.largest.read()?,
            attempts_max: file.attempts_max,
            closed: match file.closed {
                Some(closed) => Some(Hours::read(&closed, file.zone.as_deref().unwrap_or("UTC"))?),
                None => None,
            },
            accounts: file.accounts,
            data: file.data.read()?,
        })
    }

    /// Whether a pool of the engine is offered to the network at all.
    pub(crate) fn offers(&self, pool: &str) -> bool {
        self.pools.as_ref().is_none_or(|pools| pools.iter().any(|pattern| pattern.meets(pool)))
    }

    /// Whether tenants may have terminals and ports here.
    pub(crate) fn sessions(&self) -> bool {
        self.sessions != Some(false)
    }

    /// The rule that an order breaks for good; what passes with time is not asked here.
    ///
    /// # Errors
    /// The first rule in the order of the file's documentation.
    pub fn judge(&self, order: &StartOrder, centre: &CentreId) -> Result<(), Broken> {
        self.who(order, centre)?;
        self.size(order)?;
        self.data.judge(order)?;
        let broken = |rule, detail| Err(Broken { rule, detail });
        if let Some(image) = &order.spec.image
            && let Some(images) = &self.images
            && !images.iter().any(|pattern| pattern.meets(image))
        {
            return broken("images", format!("image `{image}` is not allowed here"));
        }
        if order.spec.kind == JobKind::Session && !self.sessions() {
            return broken("sessions", "terminals and ports are not given here".to_owned());
        }
        // It starts together or not at all: a part of it would hold the others' places for ever.
        let together = if order.spec.gang { order.spec.tasks.len() } else { 1 };
        if let Some(most) = self.attempts_max.filter(|most| together > *most) {
            return broken("attempts_max", format!("a gang of {together} tasks, at most {most} attempts at once"));
        }
        match (&self.pools, &order.pool) {
            (Some(_), Some(pool)) if !self.offers(pool.as_str()) => {
                return broken("pools", format!("pool `{pool}` is not offered"));
            }
            (Some(_), None) => return broken("pools", "the order names no pool".to_owned()),
            _ => {}
        }
        if let Some(closed) = &self.closed
            && !closed.ever_fits(order.walltime())
        {
            return broken("closed", "its walltime is longer than the hours between closed ones".to_owned());
        }
        Ok(())
    }

    fn who(&self, order: &StartOrder, centre: &CentreId) -> Result<(), Broken> {
        let (tenant, project) = (order.tenant.as_str(), order.project.as_str());
        if let Some(tenants) = &self.tenants
            && !tenants.iter().any(|who| who.is(tenant, project))
        {
            let detail = format!("`{tenant}/{project}` may not run at {centre}");
            return Err(Broken { rule: "tenants", detail });
        }
        if !self.accounts.is_empty() && self.account(tenant).is_none() {
            return Err(Broken { rule: "accounts", detail: format!("`{tenant}` has no account at {centre}") });
        }
        Ok(())
    }

    fn size(&self, order: &StartOrder) -> Result<(), Broken> {
        let asked = [
            ("largest.cores", order.cores.0, self.largest.cores.map(|most| most.0), "thousandths of cores"),
            ("largest.memory", order.memory().0, self.largest.memory.map(|most| most.0), "bytes"),
            ("largest.devices", order.devices.0, self.largest.devices.map(|most| most.0), "thousandths of devices"),
            ("largest.walltime", order.walltime().0, self.largest.walltime.map(|most| most.0), "ms"),
        ];
        for (rule, asks, most, unit) in asked {
            if let Some(most) = most.filter(|most| asks > *most) {
                return Err(Broken { rule, detail: format!("asks for {asks} {unit}, at most {most} are allowed") });
            }
        }
        Ok(())
    }

    /// The engine's account that a tenant's work runs under; `*` names that of all others.
    pub fn account(&self, tenant: &str) -> Option<&str> {
        self.accounts.get(tenant).or_else(|| self.accounts.get("*")).map(String::as_str)
    }
}

impl Who {
    /// `TENANT` or `TENANT/PROJECT`.
    pub(crate) fn read(name: String) -> Who {
        match name.split_once('/') {
            Some((tenant, project)) => Who(tenant.to_owned(), Some(project.to_owned())),
            None => Who(name, None),
        }
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, tenant: &str, project: &str) -> bool {
        self.0 == tenant && self.1.as_deref().is_none_or(|one| one == project)
    }
}

impl LargestText {
    fn read(self) -> Result<Largest, String> {
        let named = |name: &'static str| move |error| format!("largest.{name}: {error}");
        let count = |name: &str, count: Option<f64>| match count {
            Some(count) if !(0.0..=1e12).contains(&count) => Err(format!("largest.{name}: `{count}` is no amount")),
            // In range, and rounded to thousandths.
            count => Ok(count.map(|count| (count * 1000.0).round() as u64)),
        };
        Ok(Largest {
            cores: count("cores", self.cores)?.map(Millicores),
            devices: count("devices", self.devices)?.map(MilliDevices),
            memory: self.memory.map(|text| quantity::bytes(&text)).transpose().map_err(named("memory"))?,
            walltime: self.walltime.map(|text| quantity::duration(&text)).transpose().map_err(named("walltime"))?,
        })
    }
}

impl Pattern {
    fn meets(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.0 == name,
        }
    }
}

/// What may reach an engine as an account.
fn plain(account: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&account.len()) && !account.starts_with('-') && account.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use huisuan_model::{AttemptId, JobId, JobSpec, PoolId};

    use super::*;

    fn order(change: impl FnOnce(&mut StartOrder, &mut JobSpec)) -> StartOrder {
        let mut spec = JobSpec::command("true", &["true"]);
        let mut order = StartOrder {
            attempt: AttemptId { job: JobId(1), task: 0, attempt: 1 },
            centre: "here".parse().expect("a name"),
            tenant: "lab".parse().expect("a name"),
            project: "vision".parse().expect("a name"),
            spec: Arc::new(spec.clone()),
            cores: Millicores(2000),
            devices: MilliDevices(1000),
            pool: Some(PoolId::new("cpu:a").expect("a name")),
            account: None,
        };
        change(&mut order, &mut spec);
        StartOrder { spec: Arc::new(spec), ..order }
    }

    /// The rule that the order breaks under the policy; empty when none.
    fn check(policy: &str, order: &StartOrder, expected: &str) {
        let policy = SitePolicy::parse(policy).expect(policy);
        let rule = policy.judge(order, &order.centre).err().map_or("", |broken| broken.rule);
        assert_eq!(rule, expected, "{policy:?}");
    }

    #[test]
    fn each_rule_refuses_what_breaks_it() {
        let plain = order(|_, _| ());
        check("", &plain, "");
        check("tenants = ['lab']", &plain, "");
        check("tenants = ['city', 'lab/vision']", &plain, "");
        check("tenants = ['lab/other', 'la', 'lab2']", &plain, "tenants");
        check("tenants = []", &plain, "tenants");
        check("accounts = { lab = 'grp' }", &plain, "");
        check("accounts = { city = 'grp' }", &plain, "accounts");
        check("accounts = { city = 'grp', '*' = 'guest' }", &plain, "");
        check("pools = ['cpu:*']", &plain, "");
        check("pools = ['gpu:*', 'cpu:b']", &plain, "pools");
        check("pools = ['cpu:*']", &order(|order, _| order.pool = None), "pools");
        check("largest = { cores = 2, devices = 1 }", &plain, "");
        check("largest = { cores = 1.999 }", &plain, "largest.cores");
        check("largest = { devices = 0 }", &plain, "largest.devices");
        check("largest = { memory = '255MiB' }", &plain, "largest.memory");
        check("largest = { walltime = '59m' }", &plain, "largest.walltime");
        check("closed = ['00:00-23:30']", &plain, "closed");
        check("closed = ['00:00-23:00']", &plain, "");
        let image = order(|_, spec| spec.image = Some("docker.io/a@sha256:0".to_owned()));
        check("images = ['docker.io/*']", &image, "");
        check("images = ['ghcr.io/*']", &image, "images");
        check("images = []", &image, "images");
        check("images = []", &plain, "");
        let gang = order(|_, spec| (spec.gang, spec.tasks) = (true, "0-3".parse().expect("ranges")));
        check("attempts_max = 4", &gang, "");
        check("attempts_max = 3", &gang, "attempts_max");
        check("attempts_max = 1", &plain, "");
        let session = order(|_, spec| spec.kind = JobKind::Session);
        check("", &session, "");
        check("sessions = true", &session, "");
        check("sessions = false", &session, "sessions");
        check("sessions = false", &plain, "");
    }

    #[test]
    fn accounts_are_the_sites_alone() {
        let policy = SitePolicy::parse("accounts = { lab = 'grp-1', '*' = 'guest' }").expect("a policy");
        assert_eq!((policy.account("lab"), policy.account("x")), (Some("grp-1"), Some("guest")));
        assert_eq!(SitePolicy::default().account("lab"), None);
    }

    #[test]
    fn what_is_not_understood_is_refused_whole() {
        for (text, said) in [
            ("tenant = ['lab']", "tenant"),
            ("largest = { core = 1 }", "core"),
            ("largest = { cores = -1 }", "largest.cores"),
            ("largest = { memory = 'much' }", "largest.memory"),
            ("accounts = { lab = 'a b' }", "account"),
            ("accounts = { lab = '--uid=0' }", "account"),
            ("closed = ['8-9']", "8-9"),
            ("closed = ['08:00-09:00']\nzone = 'Moon/Sea'", "Moon/Sea"),
            ("tenants = 'lab'", "expected a sequence"),
        ] {
            let error = SitePolicy::parse(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
