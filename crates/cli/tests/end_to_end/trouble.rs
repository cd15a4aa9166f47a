//! What goes wrong around the program: each time one line of error, one line of hint, one exit code.

use std::{fs, time::Instant};

use huisuan_api::{Client, ErrorCode, jobs::JobRequest};
use huisuan_model::JobSpec;

use crate::{
    disk::Disk,
    site::{Site, ends_well, serve, until},
    support::{
        Ran,
        running::{Home, PATIENCE, Running, wait_until},
    },
};

/// One line of error with these words, one line of hint, nothing on standard output.
#[track_caller]
fn check(ran: &Ran, exit: i32, words: &[&str]) {
    assert_eq!((ran.exit, &*ran.stdout), (exit, ""), "{ran:?}");
    let told: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let hints = ran.stderr.lines().filter(|line| line.starts_with("hint: ")).count();
    assert_eq!((told.len(), hints), (1, 1), "one error and one hint: {}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in {}", ran.stderr);
    }
}

/// A server that must not start.
#[track_caller]
fn cannot_serve(home: &Home, data: &str, listen: &str) -> Ran {
    match home.try_start(&["serve", "--data", data, "--listen", listen], &[]) {
        Err(ran) => ran,
        Ok(server) => panic!("it runs at {}", server.url),
    }
}

#[test]
fn every_situation_has_its_exit_code() {
    let site = Site::open();
    let bad_file = site.home.path("bad.yaml");
    fs::write(&bad_file, "command: [true]\nwalltme: 1h\n").expect("a job file");
    for (arguments, exit, words) in [
        (["run", "--", "true", "-o"].as_slice(), 0, [].as_slice()),
        (&["run", &bad_file], 2, &["walltme", "did you mean `walltime`?"]),
        (&["run", "/no/such/file"], 2, &["/no/such/file"]),
        (&["run", "--cores", "0", "--", "true"], 2, &["cores"]),
        (&["ls", "--state", "lost"], 2, &["lost"]),
        (&["run", "--cores", "999", "--", "true"], 3, &["hpc-1: needs 999 cores"]),
        (&["run", "--centre", "hpc-2", "--", "true"], 3, &["hpc-2", "hpc-1"]),
        (&["ls", "--token", "hsu_wrong"], 4, &["token", "HUISUAN_TOKEN"]),
        (&["show", "77"], 5, &["job `77`"]),
        (&["logs", "77"], 5, &["job `77`"]),
        (&["centre", "show", "mars"], 5, &["mars"]),
        (&["wait", "77"], 5, &["77"]),
    ] {
        let ran = site.cli(arguments);
        match exit {
            0 => assert_eq!(ran.exit, 0, "{ran:?}"),
            _ => check(&ran, exit, words),
        }
    }
}

#[test]
fn without_a_server_the_way_to_one_is_told() {
    let home = Home::new();
    for arguments in [["ls"].as_slice(), &["run", "--", "true"], &["wait", "1"], &["logs", "-f", "1"]] {
        check(&home.run(arguments), 1, &["no server is running here", "hint: start one with `huisuan demo`"]);
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    check(&home.run(&["ls", "--server", &format!("http://{nobody}")]), 1, &["cannot connect"]);
    // A server that was killed leaves its announcement behind.
    let mut server = serve(&home, &home.path("server"));
    assert_eq!(home.run(&["ls"]).exit, 0);
    server.kill();
    check(&home.run(&["ls"]), 1, &["huisuan demo"]);
    let server = serve(&home, &home.path("server"));
    assert_eq!(home.run(&["ls"]).exit, 0, "the next one is found");
    ends_well(server);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let home = Home::new();
    let data = home.path("data");
    let server = serve(&home, &data);
    let serve = |data: &str, listen: &str| cannot_serve(&home, data, listen);
    check(&serve(&data, "127.0.0.1:0"), 1, &["in use by another huisuan process", &data]);
    let taken = server.url.trim_start_matches("http://");
    check(&serve(&home.path("other"), taken), 1, &[taken]);
    let file = home.path("file");
    fs::write(&file, "x").expect("a file");
    check(&serve(&file, "127.0.0.1:0"), 1, &[&file]);
    check(&serve(&format!("{file}/data"), "127.0.0.1:0"), 1, &[&file]);
    assert_eq!(server.client().jobs(&Default::default()).expect("the first server goes on").jobs.len(), 0);
    ends_well(server);
    // The write-ahead log would heal the database.
    _ = fs::remove_file(format!("{data}/huisuan.db-wal"));
    fs::write(format!("{data}/huisuan.db"), "no database at all, and long enough".repeat(200)).expect("damage");
    check(&serve(&data, "127.0.0.1:0"), 1, &["not a database"]);
}

#[test]
fn a_disk_that_cannot_be_written_is_said() {
    let home = Home::new();
    let Some(disk) = Disk::mount(&home, 256) else { return };
    let (old, new) = (disk.path("old"), disk.path("new"));
    ends_well(serve(&home, &old));
    disk.remount("ro");
    for data in [&old, &new] {
        check(&cannot_serve(&home, data, "127.0.0.1:0"), 1, &["cannot be", data, "ead-only file system"]);
    }
}

/// Acknowledged is what a client was told; nothing else counts.
#[test]
fn a_full_disk_refuses_work_and_loses_none() {
    let home = Home::new();
    let Some(disk) = Disk::mount(&home, 8) else { return };
    let data = disk.path("data");
    let mut server = serve(&home, &data);
    refuses(&server);
    let told = home.run(&["run", "--", "true"]);
    check(&told, 1, &["disk", "hint: free some space"]);
    disk.remount("size=256m");
    let client = server.client();
    let first = until("room", || submit(&client, "first").ok());
    let mut jobs = vec![first];
    jobs.extend(["second", "third", "fourth"].map(|key| submit(&client, key).expect("acknowledged")));
    disk.remount("size=8m");
    let mut tries = 0;
    until("no room", || {
        tries += 1;
        match submit(&client, &format!("try-{tries}")) {
            Ok(id) => {
                jobs.push(id);
                None
            }
            Err(_) => Some(()),
        }
    });
    refuses(&server);
    assert_eq!(submit(&client, "second").ok(), jobs.get(1).copied(), "a known key is answered all the same");

    // Not a page is left: the commit fails, and the server ends rather than promise what it cannot keep.
    disk.fill();
    let mut cancelled = Vec::new();
    for id in &jobs {
        match client.cancel(*id) {
            Ok(_) => cancelled.push(*id),
            Err(_) => break,
        }
    }
    let ended = wait_until(Instant::now() + PATIENCE, || server.ended()).expect("an end");
    assert_eq!(ended.code(), Some(1));
    let said = server.stderr();
    assert!(said.contains("error: ") && said.contains("hint: "), "{said}");

    disk.clear();
    disk.remount("size=256m");
    let server = serve(&home, &data);
    let client = server.client();
    for id in &jobs {
        let state = client.job(*id).expect("acknowledged jobs are there").summary.state;
        // The last cancellation may be on the disk although nobody was told so.
        assert!(state == "cancelled" || !cancelled.contains(id), "job {id} is {state}");
    }
    let next = submit(&client, "fifth").expect("there is room again");
    assert_eq!(next, jobs.len() as u64 + 1, "numbers go on without a gap");
    assert!(client.ledger().expect("the books").balanced);
    ends_well(server);
}

fn submit(client: &Client, key: &str) -> Result<u64, huisuan_api::ClientError> {
    let job = JobRequest(JobSpec::command("full", &["/bin/true"]));
    client.submit(&job, Some(key)).map(|created| created.job_id)
}

#[track_caller]
fn refuses(server: &Running) {
    let client = server.client();
    let error = submit(&client, "refused").expect_err("there is no room");
    let problem = error.problem().expect("a problem");
    assert_eq!((problem.code, problem.status), (ErrorCode::Unavailable, 503), "{problem:?}");
    assert!(problem.hint.contains("space"), "{problem:?}");
    assert!(client.health().is_err(), "it is not ready");
    client.jobs(&Default::default()).expect("reading goes on");
}
