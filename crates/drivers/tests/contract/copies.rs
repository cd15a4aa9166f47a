//! Two jobs of one attempt, of which one is one too many.

use std::fs;

use huisuan_model::{EndCause, Millicores, StartOrder};

use crate::{
    bench::{expect_cause, id, order, script},
    faults::programs,
    slurm::{WORKING, bench_at},
};

/// A look at the queue shows both copies waiting. Before anything follows from it, the copy that nobody knows begins and
/// has the claim: it is not the one too many any more.
#[test]
fn a_copy_that_begins_as_it_is_to_go() {
    let place = WORKING.node();
    let whole = ["--account=lab", "--cpus-per-task=4", "--mem=10", "--job-name=blocker", "--output=/dev/null"];
    let partition = format!("--partition={}", place.partition);
    let blocker = [&[&*partition], &whole[..], &["--wrap", "sleep 1000"]].concat();
    WORKING.take().call("sbatch", &blocker);
    let mut bench = bench_at(place, |config| {
        let folder = config.folder.parent().expect("a folder");
        let twice = "arguments=(); for a in \"$@\"; do [ \"$a\" = --hold ] || arguments+=(\"$a\"); done; \
                     REAL \"${arguments[@]}\" >/dev/null; REAL \"${arguments[@]}\"";
        programs(folder, "sbatch", twice);
        let late = format!(
            "said=$(REAL \"$@\"); both=$(grep -c '|PENDING|.*|hs-' <<<\"$said\")\n\
             if [ \"$both\" -ge 2 ] && mkdir ONCE 2>/dev/null; then\n\
             scancel --name=blocker {partition}; until [ -s {0}/trace ]; do sleep 0.05; done\n\
             fi\n[ -z \"$said\" ] || printf '%s\\n' \"$said\"",
            folder.display()
        );
        config.programs = Some(programs(folder, "squeue", &late));
        config.command_timeout_ms = 60_000;
    });
    let task = script(&format!("echo ran >> {}; sleep 3; exit 3", bench.file("trace")));
    bench.submit(&[StartOrder { cores: Millicores(4000), ..order(1, task) }]);
    let end = bench.end(id(1, 0));
    expect_cause(&end, EndCause::Exited);
    assert_eq!(end.outcome.exit_code, Some(3), "{end:?}");
    assert_eq!(fs::read_to_string(bench.file("trace")).expect("it ran"), "ran\n");
    assert!(fs::exists(bench.file("programs/once")).expect("readable"), "the copy did not begin at that moment");
}
