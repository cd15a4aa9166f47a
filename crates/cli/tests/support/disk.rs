//! File systems of a few megabytes. Only root may mount them: as another user the tests that need one
//! say so and are over.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{path::PathBuf, process::Command};

use crate::support::running::Home;

/// Mounted below a test's home until it is dropped.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// `None`, and a line that says why, where mounting is not allowed.
    pub(crate) fn mount(home: &Home, megabytes: u32) -> Option<Disk> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("not tested: a disk of its own can only be mounted by root");
            return None;
        }
        let folder = PathBuf::from(home.path("disk"));
        std::fs::create_dir(&folder).expect("a folder");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0700"), "huisuan-test"])
            .arg(&folder)
            .output()
            .expect("mount runs");
        if !output.status.success() {
            eprintln!("not tested: {}", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        Some(Disk(folder))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Changes size or mode, such as `size=8m` or `ro`.
    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status().expect("mount runs");
        assert!(status.success(), "remount with {options}");
    }

    /// Writes zeros until nothing fits any more.
    pub(crate) fn fill(&self) {
        let filler = format!("of={}", self.path("filler"));
        let output = Command::new("dd").args(["if=/dev/zero", "bs=4k", &filler]).output().expect("dd runs");
        assert!(!output.status.success(), "the disk has an end");
    }

    pub(crate) fn clear(&self) {
        std::fs::remove_file(self.path("filler")).expect("the filler");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still have files there.
        _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
