//! What tasks write is what readers get, byte by byte and as it comes.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use crate::site::Site;

/// Standard output of `logs` as bytes.
fn logs(site: &Site, arguments: &[&str]) -> Vec<u8> {
    let output = site.home.command().args([&["logs"], arguments].concat()).output().expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn any_bytes_come_through() {
    let site = Site::open();
    let mut bytes: Vec<u8> = (0..=255).cycle().take(700_001).collect();
    bytes.extend("汇算 ✓ \u{1b}[31m\r\n".as_bytes());
    let file = site.home.path("bytes");
    fs::write(&file, &bytes).expect("a file");
    let id = site.submit(&["run", "--wait", "--", "cat", &file]).to_string();
    assert!(logs(&site, &[&id]) == bytes, "more than one piece, no character lost");
    assert!(logs(&site, &[&id, "-f"]) == bytes, "following an ended task ends");
    assert!(logs(&site, &[&id, "--offset", "700001"]) == bytes[700_001..]);
    assert_eq!(logs(&site, &[&id, "--offset", "99999999"]), b"");
    assert_eq!(logs(&site, &[&id, "--stream", "stderr"]), b"");
    let quiet = site.submit(&["run", "--wait", "--", "true"]).to_string();
    assert_eq!(logs(&site, &[&quiet]), b"");
    assert_eq!(site.cli(&["logs", &format!("{quiet}.5")]).exit, 5, "no such task");
}

/// A reader sees each line before the next is written: the task waits for that.
#[test]
fn a_follower_sees_each_line_when_it_is_written() {
    let site = Site::open();
    let folder = site.home.path("slow");
    fs::create_dir(&folder).expect("a folder");
    let script = "for n in 1 2 3; do echo \"line $n\"; until [ -e seen-$n ]; do sleep 0.02; done; done; printf end";
    // The reader is there before the task.
    site.json(&["centre", "pause", "hpc-1"]);
    let id = site.submit(&["run", "--dir", &folder, "--", "/bin/sh", "-c", script]).to_string();
    let mut reader = site.home.command();
    let mut reader = reader.args(["logs", "-f", &id]).stdout(Stdio::piped()).spawn().expect("a follower");
    let mut lines = BufReader::new(reader.stdout.take().expect("a pipe"));
    site.json(&["centre", "resume", "hpc-1"]);
    for number in 1..=3 {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        assert_eq!(line, format!("line {number}\n"));
        fs::write(format!("{folder}/seen-{number}"), "").expect("seen");
    }
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("the end");
    assert_eq!(rest, "end");
    assert!(reader.wait().expect("a child").success());
}

#[test]
fn files_that_a_job_names_get_its_output_and_logs_too() {
    let site = Site::open();
    let folder = site.home.path("files");
    fs::create_dir(&folder).expect("a folder");
    let script = "#!/bin/sh\n#SBATCH --output=%x-%j.out\n#SBATCH --error=%x-%j.err\necho out; echo err >&2\n";
    fs::write(format!("{folder}/named.sh"), script).expect("a script");
    let mut command = site.home.command();
    command.current_dir(&folder).args(["sbatch", "--wait", "-q", "named.sh"]);
    let ran = crate::support::ran(&mut command);
    assert_eq!((ran.exit, &*ran.stdout), (0, "1\n"), "{ran:?}");
    let written = |end: &str| fs::read_to_string(format!("{folder}/named.sh-1.{end}")).expect("a file");
    assert_eq!((&*written("out"), &*written("err")), ("out\n", "err\n"));
    assert_eq!(logs(&site, &["1"]), b"out\n");
    assert_eq!(logs(&site, &["1", "--stream", "stderr"]), b"err\n");
}
