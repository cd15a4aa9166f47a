//! What Slurm's programs print of what the site keeps to: reservations, and the qualities of service with who may have which.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{SiteQos, TimeMs, hostlist};

use super::{not_understood, read_limit, read_memory, read_time};

/// A reservation of the site's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::slurm) struct Reservation {
    pub(in crate::slurm) name: String,
    pub(in crate::slurm) from: TimeMs,
    pub(in crate::slurm) until: TimeMs,
    pub(in crate::slurm) nodes: BTreeSet<String>,
    /// How many processors of them it takes.
    pub(in crate::slurm) cpus: Option<u64>,
    /// For maintenance.
    pub(in crate::slurm) maintenance: bool,
}

/// Reads what `scontrol show reservation --oneliner` printed, in one go: of half of it nothing is said.
pub(in crate::slurm) fn read_reservations(text: &str) -> Result<Vec<Reservation>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("No reservations"));
    lines.map(|line| read_reservation(line).ok_or_else(|| not_understood(line))).collect()
}

fn read_reservation(line: &str) -> Option<Reservation> {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in line.split_ascii_whitespace().filter_map(|word| word.split_once('=')) {
        // What people write of it comes last, and may hold anything.
        fields.entry(name).or_insert(value);
    }
    let told = |name: &str| fields.get(name).copied().filter(|value| !matches!(*value, "" | "(null)" | "N/A"));
    let name = line.strip_prefix("ReservationName=").and(told("ReservationName"))?;
    let nodes = match told("Nodes") {
        // Of licences or burst buffers.
        None => BTreeSet::new(),
        Some(list) => hostlist::names(list)?.into_iter().collect(),
    };
    let (from, until) = (read_time(fields.get("StartTime")?)?, read_time(fields.get("EndTime")?)?);
    let maintenance = told("Flags").is_some_and(|flags| flags.split(',').any(|flag| flag == "MAINT"));
    // Its count of cores leaves their threads out.
    let cpus = told("TRES").and_then(|tres| tres.split(',').find_map(|one| one.strip_prefix("cpu=")));
    let cpus = cpus.map(str::parse).transpose().ok()?;
    (from < until).then(|| Reservation { name: name.to_owned(), from, until, nodes, cpus, maintenance })
}

/// What `sacctmgr` is asked for of each quality of service.
pub(in crate::slurm) const QOS_FORMAT: &str = "format=Name,MaxWall,MaxTRES,MaxSubmitJobsPerUser";

/// The same of each association: who may have which, and which without asking.
pub(in crate::slurm) const ASSOCIATION_FORMAT: &str = "format=User,Account,QOS,DefaultQOS";

/// Reads what `sacctmgr --parsable2 show qos` printed: what each lets a job have.
pub(in crate::slurm) fn read_qos(text: &str) -> Result<Vec<SiteQos>, String> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let read = |line: &str| {
        let [name, walltime, tres, jobs] = line.split('|').collect::<Vec<_>>().try_into().ok()?;
        let mut qos = SiteQos { name: String::from(name), ..SiteQos::default() };
        qos.walltime_max = if walltime.is_empty() { None } else { read_limit(walltime)? };
        qos.jobs_max = if jobs.is_empty() { None } else { Some(jobs.parse().ok()?) };
        for (what, most) in
            tres.split(',').filter(|one| !one.is_empty()).map(|one| one.split_once('=')).collect::<Option<Vec<_>>>()?
        {
            match what {
                "cpu" => qos.cores_max = Some(most.parse().ok()?),
                "node" => qos.nodes_max = Some(most.parse().ok()?),
                // Without a unit they are MiB.
                "mem" if most.bytes().all(|byte| byte.is_ascii_digit()) => {
                    qos.memory_max = Some(read_memory(&format!("{most}M"))?)
                }
                "mem" => qos.memory_max = Some(read_memory(most)?),
                "gres/gpu" => qos.devices_max = Some(most.parse().ok()?),
                // Of one type of accelerators, licences, billing: Slurm keeps these, and nothing is said of them here.
                _ => {}
            }
        }
        (!name.is_empty()).then_some(qos)
    };
    lines.map(|line| read(line).ok_or_else(|| not_understood(line))).collect()
}

/// Who may have which qualities of service under which account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::slurm) struct Association {
    pub(in crate::slurm) user: String,
    pub(in crate::slurm) account: String,
    pub(in crate::slurm) qos: Vec<String>,
    /// The one of a job that names none, where it is told.
    pub(in crate::slurm) default: Option<String>,
}

impl Association {
    /// What a job gets that names none: the default, or else the only one there is, or else the one that Slurm makes by
    /// itself.
    pub(in crate::slurm) fn unasked(&self) -> Option<&str> {
        match (&self.default, self.qos.as_slice()) {
            (Some(default), _) => Some(default),
            (None, [only]) => Some(only),
            (None, several) => several.iter().map(String::as_str).find(|name| *name == "normal"),
        }
    }
}

/// Reads what `sacctmgr --parsable2 show associations` printed of users.
pub(in crate::slurm) fn read_associations(text: &str) -> Result<Vec<Association>, String> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let read = |line: &str| {
        let [user, account, qos, default] = line.split('|').collect::<Vec<_>>().try_into().ok()?;
        // What changes what is inherited begins with a sign: that is no name.
        let qos: Vec<String> = qos.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let known = qos.iter().all(|name| !name.starts_with(['+', '-']));
        let default = Some(default).filter(|name| !name.is_empty()).map(str::to_owned);
        known.then(|| Association { user: String::from(user), account: String::from(account), qos, default })
    };
    lines.map(|line| read(line).ok_or_else(|| not_understood(line))).collect()
}

/// What of its configuration matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::slurm) struct Settings {
    pub(in crate::slurm) cluster: String,
    /// Limits are kept, of qualities of service too.
    pub(in crate::slurm) limits: bool,
    /// Who may have which quality of service is kept.
    pub(in crate::slurm) qos: bool,
}

/// Reads what `scontrol show config` printed.
pub(in crate::slurm) fn read_settings(text: &str) -> Result<Settings, String> {
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let found = lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
        found.ok_or_else(|| format!("said nothing of {name}"))
    };
    let enforced = value("AccountingStorageEnforce")?.to_ascii_lowercase();
    let kept = |words: &[&str]| enforced.split(',').any(|word| words.contains(&word));
    let cluster = value("ClusterName")?.to_owned();
    Ok(Settings { cluster, limits: kept(&["limits", "safe", "all"]), qos: kept(&["qos", "all"]) })
}

#[cfg(test)]
mod tests {
    use huisuan_model::{Bytes, DurationMs};

    use super::*;

    fn reservation(name: &str, from: i64, until: i64, nodes: &[&str]) -> Reservation {
        let nodes = nodes.iter().map(|&name| name.to_owned()).collect();
        let (from, until) = (TimeMs(from), TimeMs(until));
        Reservation { name: name.to_owned(), from, until, nodes, cpus: None, maintenance: false }
    }

    #[test]
    fn reservations_are_read_whole_or_not_at_all() {
        let check = |text: &str, expected: Option<&[Reservation]>| {
            assert_eq!(read_reservations(text).ok().as_deref(), expected, "{text}");
        };
        check("No reservations in the system\n", Some(&[]));
        check("", Some(&[]));
        // 22.05, recorded.
        let maintenance = "ReservationName=maint1 StartTime=1795438611 EndTime=1795442211 Duration=01:00:00 \
            Nodes=probe[1-4] NodeCnt=4 CoreCnt=16 Features=(null) PartitionName=(null) \
            Flags=MAINT,IGNORE_JOBS,SPEC_NODES,ALL_NODES TRES=cpu=16 Users=root Groups=(null) Accounts=(null) \
            Licenses=(null) State=INACTIVE BurstBuffer=(null) Watts=n/a MaxStartDelay=(null)\n";
        let plain = "ReservationName=r2 StartTime=1795431411 EndTime=1795435011 Duration=01:00:00 Nodes=probe1 NodeCnt=1 \
            CoreCnt=4 Features=(null) PartitionName=(null) Flags=SPEC_NODES TRES=cpu=4 Users=root Groups=(null) \
            Accounts=(null) Licenses=(null) State=ACTIVE BurstBuffer=(null) Watts=n/a MaxStartDelay=(null)\n";
        let all = ["probe1", "probe2", "probe3", "probe4"];
        let told = [
            Reservation {
                cpus: Some(16),
                maintenance: true,
                ..reservation("maint1", 1_795_438_611_000, 1_795_442_211_000, &all)
            },
            Reservation { cpus: Some(4), ..reservation("r2", 1_795_431_411_000, 1_795_435_011_000, &all[..1]) },
        ];
        check(&[maintenance, plain].concat(), Some(&told));
        // Others, from what is known of them: of licences alone, and with what somebody wrote of it at its end.
        let licences = "ReservationName=lic StartTime=1 EndTime=2 Nodes=(null) Flags= Licenses=x:3\n";
        check(licences, Some(&[reservation("lic", 1_000, 2_000, &[])]));
        let comment = "ReservationName=c StartTime=1 EndTime=2 Nodes=n1 Comment=mind Nodes=n[1-9] EndTime=9\n";
        check(comment, Some(&[reservation("c", 1_000, 2_000, &["n1"])]));
        for bad in [
            "ReservationName=r StartTime=2026-11-23T10:56:51 EndTime=2 Nodes=n1\n",
            "ReservationName=r StartTime=1 EndTime=Unknown Nodes=n1\n",
            "ReservationName=r StartTime=2 EndTime=1 Nodes=n1\n",
            "ReservationName=r StartTime=1 EndTime=2 Nodes=n[1-\n",
            "ReservationName=r StartTime=1 EndTime=2 Nodes=n1 TRES=cpu=some\n",
            "ReservationName= StartTime=1 EndTime=2 Nodes=n1\n",
            "slurm_load_reservations error: Unable to contact slurm controller\n",
        ] {
            check(bad, None);
            check(&[plain, bad].concat(), None);
        }
    }

    #[test]
    fn qualities_of_service_are_read_with_their_limits() {
        let minutes = |minutes: u64| Some(DurationMs(minutes * 60_000));
        let check = |text: &str, expected: Option<&[SiteQos]>| {
            assert_eq!(read_qos(text).ok().as_deref(), expected, "{text}");
        };
        let named = |name: &str| SiteQos { name: name.to_owned(), ..SiteQos::default() };
        // 22.05, recorded.
        let tight = SiteQos {
            walltime_max: minutes(30),
            cores_max: Some(2),
            memory_max: Some(Bytes(1 << 30)),
            nodes_max: Some(1),
            devices_max: Some(1),
            jobs_max: Some(10),
            ..named("tight")
        };
        check("normal|||\ntight|00:30:00|cpu=2,gres/gpu=1,mem=1G,node=1|10\n", Some(&[named("normal"), tight]));
        check("", Some(&[]));
        let long = SiteQos { walltime_max: minutes(24 * 60), memory_max: Some(Bytes(500 << 20)), ..named("x") };
        check("x|1-00:00:00|mem=500M,billing=7,gres/gpu:h100=2|\n", Some(std::slice::from_ref(&long)));
        check("x|1-00:00:00|mem=500|\n", Some(&[long]));
        for bad in ["x\n", "x|soon||\n", "x||cpu|\n", "x||cpu=many|\n", "x|||-1\n", "|||\n", "x||||\n"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_job_that_names_no_quality_of_service_gets_one() {
        let check = |qos: &str, default: &str, expected: Option<&str>| {
            let found = read_associations(&format!("anna|lab|{qos}|{default}\n")).expect("understood");
            assert_eq!((found[0].user.as_str(), found[0].account.as_str()), ("anna", "lab"));
            assert_eq!(found[0].unasked(), expected, "{qos} {default}");
        };
        check("normal,tight", "", Some("normal"));
        check("normal,tight", "tight", Some("tight"));
        check("tight", "", Some("tight"));
        check("a,b", "", None);
        check("", "", None);
        for bad in ["anna|lab\n", "anna|lab|+tight|\n"] {
            assert!(read_associations(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_say_whether_limits_are_kept() {
        let check = |enforced: &str, limits: bool, qos: bool| {
            let text =
                format!("Configuration data\nAccountingStorageEnforce = {enforced}\nClusterName             = c\n");
            assert_eq!(read_settings(&text), Ok(Settings { cluster: "c".to_owned(), limits, qos }));
        };
        check("none", false, false);
        check("associations", false, false);
        check("associations,limits,qos", true, true);
        check("safe", true, false);
        check("all", true, true);
        assert!(read_settings("ClusterName = c\n").is_err());
    }
}
