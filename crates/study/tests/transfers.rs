//! What reports say of work that runs away from its data: what moved, what that took, what was saved and when.

use std::path::Path;

use huisuan_study::{
    read::Text,
    report::{Report, csv},
    run,
    scenario::Scenario,
};

/// Work of the hour from 10 to 11 runs half an hour on 8 kW in the west, where power costs so much by the hour; its data
/// and dearer machines are at home, where a kWh costs a yuan.
fn report(west_cny_per_kwh: &str, gbit_per_s: u64) -> Report {
    let centre = |id: &str, price: u64, power: &str| {
        format!(
            "[[centre]]\nid = \"{id}\"\nclass = \"ai\"\nprice_cny_per_p_h = {price}\npower_cny_per_kwh = {power}\n\
             carbon_g_per_kwh = 500\n[[centre.pool]]\npart = \"NPU\"\nnodes = 64\nnode_tflops = 1000\nnode_devices = 8\n\
             node_cores = 64\nnode_memory_gib = 512\nsustained_percent = 100\nnode_watts_idle = 1000\n\
             node_watts_busy = 9000\n"
        )
    };
    let (home, west) = (centre("home", 6, "1.0"), centre("west", 4, west_cny_per_kwh));
    let hours: Vec<&str> = (0..24).map(|hour| if hour == 10 { "1" } else { "0" }).collect();
    let text = format!(
        "name = \"two\"\nstart = 2025-07-01T00:00:00+08:00\nhours = 24\nseed = 5\n[[tenant]]\nid = \"t\"\n\
         funds_cny = 1e6\n{home}{west}[[link]]\nfrom = \"home\"\nto = \"west\"\nround_trip_ms = 10\n\
         gbit_per_s = {gbit_per_s}\nprice_cny_per_gb = 0.01\nwh_per_gb = 2\n[[family]]\nname = \"work\"\n\
         jobs_per_day = 20\nhours = [{}]\ntenants = {{ t = 1 }}\ncentres = [\"west\"]\ncores = 8\ndevices = 8\n\
         memory_gib = 64\nwalltime_s = 3600\nrun_s = {{ median = 1800 }}\ndata_gib = 100\ndata_at = \"home\"\n",
        hours.join(", ")
    );
    let scenario =
        Scenario::parse(&Text::new("two.toml", text), Path::new("")).unwrap_or_else(|error| panic!("{error}"));
    let (report, lines) = run(&scenario, |_| ());
    let last = csv(&lines).lines().last().expect("a series").to_owned();
    let cost = report.cost.amount as f64 / 1e6;
    assert!(last.contains(&format!(",{cost:.3},")), "what all has cost in the end is in the series: {last}");
    report
}

#[test]
fn what_moved_is_paid_by_the_gigabyte_and_netted() {
    let report = report("0.5", 100);
    let (moved, tasks) = (report.moved.expect("all of it ran in the west"), report.placements);
    assert!(tasks > 5 && moved.tasks == tasks, "{moved:?}");
    // Each takes 100 GiB, 107.37 GB: a yuan and 215 Wh at home's yuan for a kWh.
    let gigabytes = tasks as f64 * 107.374_182_4;
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
    let cny = |cost: huisuan_study::report::Cost| cost.amount as f64 / 1e6;
    near(moved.gib, tasks as f64 * 100.0);
    near(cny(moved.transfer.price), gigabytes * 0.01);
    near(moved.transfer.energy_kwh, gigabytes * 0.002);
    near(cny(moved.transfer.energy_price), gigabytes * 0.002);
    near(moved.transfer.carbon_kg, gigabytes * 0.001);
    // 8 kW beyond idling for half an hour are 4 kWh; half of a P·h costs a yuan less.
    near(cny(moved.energy_saved), tasks as f64 * 4.0 * 0.5);
    near(cny(moved.saved), tasks as f64 * 0.5 * 2.0);
    near(cny(moved.net.saved), cny(moved.saved) - gigabytes * 0.01);
    near(cny(moved.net.energy_saved), cny(moved.energy_saved) - gigabytes * 0.002);
    near(moved.net.carbon_saved_kg, -gigabytes * 0.001);
    let [link] = &report.links[..] else { panic!("one direction was used: {:?}", report.links) };
    assert_eq!((link.from.as_str(), link.to.as_str(), link.transfers), ("home", "west", tasks));
    near(link.used, gigabytes * 8.0 / (100.0 * 86_400.0));
}

#[test]
fn what_is_saved_depends_on_the_hours_in_which_work_ran() {
    let saved = |cheap: &[usize]| {
        let hours: Vec<&str> = (0..24).map(|hour| if cheap.contains(&hour) { "0.2" } else { "1.0" }).collect();
        report(&format!("[{}]", hours.join(", ")), 100).moved.expect("it ran in the west").energy_saved.amount
    };
    let all: Vec<usize> = (0..24).collect();
    let (ten, eleven, noon) = (saved(&[10]), saved(&[11]), saved(&[12]));
    assert!(ten > 0 && eleven > 0 && noon == 0, "work of the hour from 10 ends before noon: {ten} {eleven} {noon}");
    assert!((saved(&all) - ten - eleven).abs() <= 1, "a millionth may be rounded");
}

#[test]
fn a_narrow_link_is_seen_in_what_transfers_take_and_is_expected() {
    let of = |gbit_per_s| {
        let moved = report("0.5", gbit_per_s).moved.expect("it ran in the west");
        (moved.staging_s_mean, moved.staging_expected_s_mean)
    };
    let (wide, narrow) = (of(100), of(5));
    // Alone it would take 8.6 s and 171.8 s. All of an hour's work comes over the narrow link at once.
    assert!((8.6..9.6).contains(&wide.0) && narrow.0 > 5.0 * 171.8, "{wide:?} {narrow:?}");
    for (took, expected) in [wide, narrow] {
        assert!(
            (0.9..1.1).contains(&(expected / took)),
            "the scheduler counts with what is under way: {wide:?} {narrow:?}"
        );
    }
}
