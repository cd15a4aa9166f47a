//! Energy that a machine counts, from its counters to the record of a bill. The counters are files of the form that the
//! kernel shows and a test that counts: no machine is known to have some.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::{site::until, support::running::Home};

/// One package of a processor that takes a joule at each count.
fn package(folder: &Path) -> PathBuf {
    let package = folder.join("intel-rapl:0");
    fs::create_dir_all(&package).expect("a folder");
    for (name, text) in [("name", "package-0"), ("energy_uj", "0"), ("max_energy_range_uj", "262143328850")] {
        fs::write(package.join(name), text).expect("a file");
    }
    package.join("energy_uj")
}

#[test]
fn counted_energy_is_measured_in_the_record() {
    let home = Home::new();
    let counters = home.path("powercap");
    let counter = package(Path::new(&counters));
    let server = home.start(
        &["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0", "--centre", "hpc-1:hpc:2400"],
        &[],
    );
    let line = until("the line for the agent", || {
        server.stderr().lines().find(|line| line.contains("join it with")).map(str::to_owned)
    });
    let join = line.split('`').nth(1).expect("a command").split(' ').next_back().expect("a token").to_owned();
    let words = ["agent", "--join", &join, "--memory", "1GiB", "--data", &home.path("centre")];
    let agent = home.spawn_with(&words, &[("HUISUAN_POWERCAP", &counters)]);
    until("the agent's welcome", || agent.stderr().contains("has joined").then_some(()));
    let client = server.client();
    until("a rated centre", || {
        let centre = client.centre("hpc-1").expect("a centre");
        (!centre.pools.is_empty() && centre.pools.iter().all(|pool| pool.rating.is_some())).then_some(())
    });
    let script = "i=0; until [ -e release ]; do i=$((i+1)); done";
    let folder = home.path("");
    let ran = home.run(&["run", "--cores", "1", "--dir", &folder, "-o", "json", "--", "/bin/sh", "-c", script]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let id = ran.json()["job_id"].as_u64().expect("a number");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // A joule at each count, as often as one can: what the job gets of it is its part of the processor time.
        scope.spawn(|| {
            let mut counted = 0_u64;
            while !over.load(Ordering::Relaxed) {
                counted += 1_000_000;
                let next = counter.with_extension("next");
                fs::write(&next, counted.to_string()).expect("a file");
                fs::rename(&next, &counter).expect("the next count");
                thread::park_timeout(std::time::Duration::from_millis(5));
            }
        });
        until("some of its energy", || {
            let job = client.job(id).expect("a job");
            job.attempts.iter().any(|attempt| attempt.cpu_ms > 1_000).then_some(())
        });
        fs::write(Path::new(&folder).join("release"), "").expect("a file");
        until("the end of the job", || (client.job(id).expect("a job").summary.state == "succeeded").then_some(()));
        over.store(true, Ordering::Relaxed);
    });
    let shown = home.run(&["show", &id.to_string(), "-o", "json"]).json();
    let attempt = &shown["attempts"][0];
    assert_eq!(attempt["energy_mark"], "measured", "{shown}");
    assert!(attempt["energy_kwh"].as_f64().is_some_and(|kwh| kwh > 0.0), "{shown}");
    assert!(agent.stop().success());
}
