//! Whole imports of made-up dumps.

use proptest::prelude::*;

use super::{simulate, synthetic, *};
use crate::{
    read::{Text, sacct::read_sacct},
    scenario::Scenario,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_dump_becomes_a_workload_that_its_network_can_run(seed in any::<u64>(), count in 1..120_u64, cores in 1..64_u64) {
        let made = synthetic::dump(seed, count, cores);
        let dump = read_sacct(&Text::new("dump", made.text), None).expect("well formed");
        prop_assert_eq!(dump.jobs.len() as u64, made.ran);
        // A dump of which nothing ran is refused as a whole before it comes so far.
        prop_assume!(made.ran > 0);
        prop_assert_eq!((dump.counts.steps, dump.counts.never_started), (made.steps, made.never_started));

        let network = Network::of_sacct(&dump.jobs, &[]);
        for centre in &network.centres {
            prop_assert!(centre.pools.iter().all(|pool| pool.cores <= cores), "no more than there was: {:?}", centre);
        }
        let workload = Workload::of_sacct(&dump.jobs);
        let read = Workload::read(&Text::new("w.csv", workload.to_csv())).expect("our own form");
        prop_assert_eq!(&read, &workload);

        let simulation = simulate(&workload, &network, &Options::default(), |_, _| {});
        let compared = compare(&workload, &simulation);
        prop_assert_eq!((compared.all.jobs, compared.refused, compared.never_started), (made.ran, 0, 0));

        let folder = tempfile::tempdir().expect("a scratch folder");
        std::fs::write(folder.path().join(JOBS_FILE), jobs_csv(&workload, &network, false)).expect("space on disk");
        let file = Text::new("scenario.toml", scenario_toml("site", &workload, &network));
        let scenario = Scenario::parse(&file, folder.path()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let mut world = scenario.world(simulate::Watch::new(workload.jobs.len()));
        world.run();
        prop_assert_eq!(world.decisions().hash(), simulation.decision_hash.clone());
        prop_assert_eq!(&world.observer().fates, &simulation.fates);

        let again = simulate(&workload, &network, &Options::default(), |_, _| {});
        prop_assert_eq!(again, simulation);
    }
}
