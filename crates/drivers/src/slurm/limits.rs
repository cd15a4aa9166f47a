//! Qualities of service: which one a job will have, and what it lets a job have. What Slurm would leave waiting for ever is
//! refused here, with the limit that it breaks.

use huisuan_model::{Bytes, SiteQos, StartOrder};

use super::{
    answers::{Association, Settings},
    config::SlurmConfig,
    users::Users,
};
use crate::engine::Alarm;

/// What was read last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// What the agent's own user is called.
    pub(super) own: String,
    pub(super) settings: Option<Settings>,
    pub(super) qos: Vec<SiteQos>,
    pub(super) associations: Vec<Association>,
}

impl Limits {
    /// The quality of service that an order's job will have, where its limits are kept and nothing of that is a guess.
    pub(super) fn of(&self, order: &StartOrder, config: &SlurmConfig, users: &Users) -> Option<&SiteQos> {
        let user = users.of(order).ok()?;
        let name = self.name_for(user.as_ref().map(|user| user.name.as_str()), config.account_for(order), config)?;
        self.kept().then(|| self.qos.iter().find(|qos| qos.name == name))?
    }

    fn kept(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.limits)
    }

    fn name_for<'a>(&'a self, user: Option<&str>, account: Option<&str>, config: &'a SlurmConfig) -> Option<&'a str> {
        if let Some(named) = &config.qos {
            return Some(named);
        }
        let user = user.unwrap_or(&self.own);
        let of = |one: &&Association| one.user == user && account.is_none_or(|account| one.account == account);
        let mut found = self.associations.iter().filter(of).map(Association::unasked);
        let first = found.next()??;
        // Several accounts, or an entry for a partition, may each have their own.
        found.all(|other| other == Some(first)).then_some(first)
    }

    /// The qualities of service that our jobs have or may have, for people.
    pub(super) fn told(&self, config: &SlurmConfig) -> Vec<SiteQos> {
        let unasked = |name: &str| match &config.qos {
            Some(named) => named == name,
            None => self.associations.iter().any(|one| one.unasked() == Some(name)),
        };
        let may = |name: &str| self.associations.iter().any(|one| one.qos.iter().any(|qos| qos == name));
        let told = self.qos.iter().filter(|qos| unasked(&qos.name) || may(&qos.name));
        told.map(|qos| SiteQos { ours: unasked(&qos.name), kept: self.kept(), ..qos.clone() }).collect()
    }

    /// That the configured one is not there, or not ours to have: each job would be refused.
    pub(super) fn alarm(&self, config: &SlurmConfig) -> Option<Alarm> {
        let (name, settings) = (config.qos.as_deref()?, self.settings.as_ref()?);
        let may = |one: &Association| one.qos.iter().any(|qos| qos == name);
        let is = match () {
            () if !settings.qos || self.qos.is_empty() => return None,
            () if !self.qos.iter().any(|qos| qos.name == name) => "is not there",
            () if !self.associations.is_empty() && !self.associations.iter().any(may) => {
                "is none that our jobs may have"
            }
            () => return None,
        };
        let what = format!("{is}, and the configuration names it; hint: sacctmgr show associations");
        Some(Alarm { subject: format!("qos {name}"), what })
    }
}

/// Why a job of so many tasks like this one can never run under a quality of service.
pub(super) fn refusal(qos: &SiteQos, order: &StartOrder, tasks: u64) -> Option<String> {
    let name = &qos.name;
    if let Some(most) = qos.walltime_max.filter(|most| order.walltime() > *most) {
        return Some(format!("it asks for {} ms, QOS `{name}` lets a job run for {} ms", order.walltime().0, most.0));
    }
    let beyond = |most: Option<u64>, each: u64| {
        let all = each.saturating_mul(tasks);
        most.filter(|most| all > *most).map(|most| (all, most))
    };
    if let Some((all, most)) = beyond(qos.cores_max, order.cores.cores_up()) {
        return Some(format!("it asks for {all} cores, QOS `{name}` lets a job have {most}"));
    }
    if let Some((all, most)) = beyond(qos.devices_max, order.devices.0.div_ceil(1000)) {
        return Some(format!("it asks for {all} accelerators, QOS `{name}` lets a job have {most}"));
    }
    if let Some((all, most)) = beyond(qos.memory_max.map(|most| most.0), order.memory().0) {
        return Some(format!("it asks for {} of memory, QOS `{name}` lets a job have {}", Bytes(all), Bytes(most)));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use huisuan_model::{DurationMs, MilliDevices, Millicores};

    use super::*;
    use crate::slurm::{config::example, journal};

    fn limits(enforced: bool, associations: &[(&str, &[&str], &str)]) -> Limits {
        let association = |&(account, qos, default): &(&str, &[&str], &str)| Association {
            user: "me".to_owned(),
            account: account.to_owned(),
            qos: qos.iter().map(|&name| name.to_owned()).collect(),
            default: Some(default.to_owned()).filter(|name| !name.is_empty()),
        };
        let qos = |name: &str| SiteQos { name: name.to_owned(), cores_max: Some(1), ..SiteQos::default() };
        Limits {
            own: "me".to_owned(),
            settings: Some(Settings { cluster: "c".to_owned(), limits: enforced, qos: true }),
            qos: vec![qos("normal"), qos("tight")],
            associations: associations.iter().map(association).collect(),
        }
    }

    #[test]
    fn limits_are_those_of_the_quality_of_service_that_a_job_will_have() {
        let check = |limits: &Limits, named: Option<&str>, account: Option<&str>, expected: Option<&str>| {
            let mut config = example(Path::new("/shared"));
            (config.qos, config.account) = (named.map(str::to_owned), account.map(str::to_owned));
            let found = limits.of(&journal::order(1), &config, &Users::default());
            assert_eq!(found.map(|qos| qos.name.as_str()), expected, "{named:?} {account:?} {limits:?}");
            limits.alarm(&config).map(|alarm| alarm.what)
        };
        let both: &[&str] = &["normal", "tight"];
        let one = limits(true, &[("lab", both, "")]);
        check(&one, None, Some("lab"), Some("normal"));
        check(&one, None, None, Some("normal"));
        assert_eq!(check(&one, Some("tight"), None, Some("tight")), None);
        check(&one, None, Some("other"), None);
        check(&limits(false, &[("lab", both, "")]), Some("tight"), None, None);
        check(&Limits::default(), Some("tight"), None, None);
        let two = limits(true, &[("lab", both, "tight"), ("rich", both, "normal")]);
        check(&two, None, Some("lab"), Some("tight"));
        check(&two, None, Some("rich"), Some("normal"));
        check(&two, None, None, None);
        let gone = check(&one, Some("gone"), None, None).expect("an alarm");
        assert!(gone.contains("is not there"), "{gone}");
        let foreign = check(&limits(true, &[("lab", &["normal"], "")]), Some("tight"), None, Some("tight"));
        assert!(foreign.expect("an alarm").contains("may have"));
        let config = SlurmConfig { qos: Some("tight".to_owned()), ..example(Path::new("/shared")) };
        let told: Vec<_> = one.told(&config).into_iter().map(|qos| (qos.name, qos.ours, qos.kept)).collect();
        assert_eq!(told, [("normal".to_owned(), false, true), ("tight".to_owned(), true, true)]);
    }

    #[test]
    fn what_is_beyond_a_limit_says_which() {
        let mut order = journal::order(1);
        (order.cores, order.devices) = (Millicores(2_000), MilliDevices(1_000));
        let spec = Arc::make_mut(&mut order.spec);
        (spec.memory, spec.walltime) = (Bytes(1 << 30), DurationMs(3_600_000));
        let check = |qos: SiteQos, tasks: u64, expected: Option<&str>| {
            let why = refusal(&SiteQos { name: "q".to_owned(), ..qos }, &order, tasks);
            assert_eq!(why.as_deref(), expected);
        };
        let free = SiteQos::default();
        check(free.clone(), 1_000, None);
        let hours = |hours: u64| SiteQos { walltime_max: Some(DurationMs(hours * 3_600_000)), ..free.clone() };
        check(hours(1), 1, None);
        check(hours(0), 1, Some("it asks for 3600000 ms, QOS `q` lets a job run for 0 ms"));
        let cores = SiteQos { cores_max: Some(4), ..free.clone() };
        check(cores.clone(), 2, None);
        check(cores, 3, Some("it asks for 6 cores, QOS `q` lets a job have 4"));
        let devices = SiteQos { devices_max: Some(1), ..free.clone() };
        check(devices, 2, Some("it asks for 2 accelerators, QOS `q` lets a job have 1"));
        let memory = SiteQos { memory_max: Some(Bytes(1 << 30)), ..free };
        check(memory.clone(), 1, None);
        assert!(refusal(&memory, &order, 2).expect("too much").contains("of memory, QOS ``"));
    }
}
