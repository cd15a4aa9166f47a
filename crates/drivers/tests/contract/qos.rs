//! Qualities of service of a real Slurm that keeps their limits.

use std::sync::Arc;

use huisuan_drivers::SubmitResult;
use huisuan_model::{Bytes, DurationMs, JobSpec, Millicores, StartOrder};

use crate::{
    bench::{id, order, script, task},
    slurm::{WORKING, bench_at, job_name},
};

/// What Slurm would leave waiting for ever is refused with the limit; what fits has this quality of service.
#[test]
fn what_a_quality_of_service_never_lets_run_is_refused() {
    let place = WORKING.node();
    {
        let lab = WORKING.take();
        let limits = ["MaxWall=3", "MaxTRESPerJob=cpu=2,mem=100M", "MaxSubmitJobsPerUser=50"];
        lab.call("sacctmgr", &[&["--immediate", "add", "qos", "tight"], &limits[..]].concat());
        lab.call("sacctmgr", &["--immediate", "modify", "user", "where", "account=lab", "set", "qos+=tight"]);
    }
    let mut bench = bench_at(place, |config| config.qos = Some("tight".to_owned()));
    bench.engine.inventory().expect("an inventory");
    let told = bench.engine.book().qos;
    let told: Vec<_> = told.iter().map(|qos| (qos.name.as_str(), qos.ours, qos.kept, qos.cores_max)).collect();
    assert_eq!(told, [("normal", false, true, None), ("tight", true, true, Some(2))]);
    let refused = |orders: &[StartOrder], why: &str| {
        let results = bench.engine.submit(orders).expect("submitted");
        let said = |result: &SubmitResult| matches!(result, SubmitResult::Refused { why: said } if said.contains(why));
        assert!(results.iter().all(said), "{results:?} does not say `{why}`");
    };
    let spec = |change: fn(&mut JobSpec)| {
        let mut spec = script("true");
        change(&mut spec);
        spec
    };
    let long = order(1, spec(|spec| spec.walltime = DurationMs(180_001)));
    refused(&[long], "QOS `tight` lets a job run for 180000 ms");
    refused(&[StartOrder { cores: Millicores(3_000), ..order(2, script("true")) }], "QOS `tight` lets a job have 2");
    refused(&[order(3, spec(|spec| spec.memory = Bytes(101 << 20)))], "of memory, QOS `tight`");
    let gang = Arc::new(JobSpec { gang: true, tasks: "0-2".parse().expect("ranges"), ..script("true") });
    let gang: Vec<StartOrder> = (0..3).map(|index| task(4, index, &gang)).collect();
    refused(&gang, "QOS `tight` lets a job have 2");
    // All that it lets a job have, and a walltime that leaves Slurm's own limit no room.
    let all = spec(|spec| (spec.walltime, spec.memory) = (DurationMs(180_000), Bytes(100 << 20)));
    let end = bench.run(StartOrder { cores: Millicores(2_000), ..order(5, all) });
    assert!(end.outcome.success(), "{end:?}");
    let lab = WORKING.take();
    let name = job_name(&bench, &id(5, 0).to_string());
    assert_eq!(lab.call("squeue", &["--noheader", "--states=all", "--name", &name, "--format=%q"]), "tight");
    drop(lab);
    assert_eq!(bench.engine.alarms(), []);
}
