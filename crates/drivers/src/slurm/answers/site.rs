//! What Slurm's programs print of what the site keeps to: reservations.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{TimeMs, hostlist};

use super::{not_understood, read_time};

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

#[cfg(test)]
mod tests {
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
}
