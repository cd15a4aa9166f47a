//! The disk of a Slurm site is full: what was taken waits until there is room. Only root may mount a small file system:
//! for another user the test says so and is over.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    bench::{end_of, id, order, script},
    slurm::{WORKING, bench_at},
};

/// Long enough for a few tries: the queue is asked every half second.
const FULL_FOR: Duration = Duration::from_secs(3);

/// A file system of a megabyte, until it is dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Small> {
        fs::create_dir(at).expect("a folder");
        let options = ["-t", "tmpfs", "-o", "size=1m", "huisuan-test"];
        let mounted = Command::new("mount").args(options).arg(at).output().expect("mount runs");
        if !mounted.status.success() {
            eprintln!("not tested: {}", String::from_utf8_lossy(&mounted.stderr).trim());
            return None;
        }
        Some(Small(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: an engine has its files there until the test is over.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn orders_wait_until_there_is_room() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let Some(disk) = Small::mount(&scratch.path().join("disk")) else { return };
    let mut bench = bench_at(WORKING.node(), |config| config.folder = disk.0.join("centre"));
    bench.engine.inventory().expect("an inventory");
    let filler = disk.0.join("filler");
    // The log's last page has room for one order.
    fs::write(&filler, vec![0; 2 << 20]).expect_err("the disk has an end");
    bench.submit(&[order(1, script("exit 3"))]);
    let until = Instant::now() + FULL_FOR;
    while Instant::now() < until {
        let new = bench.engine.observe(Duration::from_millis(200)).expect("observed");
        assert!(!new.iter().any(|report| end_of(report, id(1, 0)).is_some()), "it ended for want of room: {new:?}");
    }
    fs::remove_file(filler).expect("the filler");
    assert_eq!(bench.end(id(1, 0)).outcome.exit_code, Some(3));
}
