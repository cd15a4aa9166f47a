//! Every error is one line of error, one line of hint, and one exit code; standard output stays empty.

mod support;

use std::io::Write;

use support::{
    Ran, huisuan,
    server::{Fake, problem},
};

#[track_caller]
fn check(arguments: &[&str], exit: i32, error: &str, hint: &str) {
    expect(&huisuan(arguments), arguments, exit, error, hint);
}

#[track_caller]
fn expect(ran: &Ran, arguments: &[&str], exit: i32, error: &str, hint: &str) {
    assert_eq!(ran.stderr, format!("error: {error}\nhint: {hint}\n"), "{arguments:?}");
    assert_eq!((ran.exit, &*ran.stdout), (exit, ""), "{arguments:?}");
}

#[test]
fn command_lines_that_are_wrong() {
    check(&["explan"], 2, "unrecognized subcommand 'explan'", "some similar subcommands exist: 'plan', 'explain'");
    check(&["--srever", "x"], 2, "unexpected argument '--srever' found", "a similar argument exists: '--server'");
    check(&["show"], 2, "the following required arguments were not provided: <JOB>", "usage: huisuan show <JOB>");
    check(
        &["show", "0"],
        2,
        "invalid value '0' for '<JOB>': a job is a number such as 12, a task such as 12.3, or `last`",
        "see `huisuan show --help`",
    );
    check(
        &["run", "--memory", "5", "--", "true"],
        2,
        "invalid value '5' for '--memory <SIZE>': `5` is not a size with its unit, such as 512MiB, 4GiB or 1.5GB",
        "see `huisuan run --help`",
    );
    check(
        &["run", "--tasks", "4-2", "--", "true"],
        2,
        "invalid value '4-2' for '--tasks <LIST>': tasks are a count such as 4, or indices such as 0-99,105 or 1-10:2",
        "see `huisuan run --help`",
    );
    check(
        &["run", "--budget", "-1", "--", "true"],
        2,
        "invalid value '-1' for '--budget <AMOUNT>': `-1` is not an amount with at most six decimals, such as 12.5",
        "see `huisuan run --help`",
    );
    check(
        &["wait", "3.1"],
        2,
        "`3.1` names a task, not a whole job",
        "name the job without its task, such as 12 or `last`",
    );
    check(
        &["api", "GET", "v1"],
        2,
        "invalid value 'v1' for '<PATH>': a path begins with a slash, such as /v1/jobs",
        "see `huisuan api --help`",
    );
}

/// Amounts that do not fit are named, with what does; nothing is asked of a server.
#[test]
fn amounts_that_overflow() {
    const MOST: &str = "an amount of at most 9223372036854.775807";
    for amount in ["9223372036854.775808", "99999999999999999999999999"] {
        for (arguments, flag, value, help) in [
            (&["tenant", "set", "lab", "--fund"][..], "--fund <AMOUNT>", "", "tenant"),
            (&["tenant", "add", "lab", "--fund"], "--fund <AMOUNT>", "", "tenant"),
            (&["tenant", "set", "lab", "--credit"], "--credit <AMOUNT>", "", "tenant"),
            (&["tenant", "set", "lab", "--budget-month"], "--budget-month <AMOUNT>", ", or none", "tenant"),
            (&["tenant", "set", "lab", "--budget-hour"], "--budget-hour <AMOUNT>", ", or none", "tenant"),
            (&["tariff", "add", "hpc-1", "--price"], "--price <AMOUNT>", "", "tariff"),
            (&["contract", "add", "lab", "hpc-1", "--price"], "--price <AMOUNT>", "", "contract"),
            (&["centre", "add", "hpc-1", "--class", "hpc", "--price"], "--price <PRICE>", "", "centre"),
            (&["run", "--budget"], "--budget <AMOUNT>", "", "run"),
        ] {
            let arguments: Vec<&str> = arguments.iter().copied().chain([amount]).collect();
            let error = format!("invalid value '{amount}' for '{flag}': `{amount}` is not {MOST}{value}");
            check(&arguments, 2, &error, &format!("see `huisuan {help} --help`"));
        }
    }
    let project = "x=99999999999999999999";
    let error = format!(
        "invalid value '{project}' for '--budget-project <NAME=AMOUNT>': `99999999999999999999` is not {MOST}, or none"
    );
    check(&["tenant", "set", "lab", "--budget-project", project], 2, &error, "see `huisuan tenant --help`");
    let centre = "hpc-1:hpc:99999999999999999999";
    let error = format!(
        "invalid value '{centre}' for '--centre <NAME:CLASS[:PRICE[:ZONE]]>': `99999999999999999999` is not {MOST}"
    );
    check(&["serve", "--centre", centre], 2, &error, "see `huisuan serve --help`");
}

#[test]
fn no_server() {
    let hint = "start one with `huisuan demo`, or name one with --server URL";
    check(&["ls"], 1, "no server is running here", hint);
    check(&["run", "--", "true"], 1, "no server is running here", hint);
    let ran = huisuan(&["ls", "--server", "http://127.0.0.1:1"]);
    assert_eq!((ran.exit, &*ran.stdout), (1, ""));
    assert!(ran.stderr.starts_with("error: server `http://127.0.0.1:1`: cannot connect"), "{ran:?}");
    assert!(ran.stderr.contains("\nhint: is a server running?"), "{ran:?}");
    check(
        &["ls", "--server", "https://example.org"],
        2,
        "server address: `https://example.org` asks for TLS, which this client does not speak",
        "use --server http://HOST:PORT",
    );
}

#[test]
fn job_files_that_are_wrong() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let check = |text: &[u8], error: &str| {
        let path = folder.path().join("job.yaml");
        std::fs::File::create(&path).and_then(|mut file| file.write_all(text)).expect("a file");
        let ran = huisuan(&["run", path.to_str().expect("a path")]);
        assert_eq!((ran.exit, &*ran.stdout), (2, ""), "{ran:?}");
        let mut lines = ran.stderr.lines();
        assert!(lines.next().is_some_and(|line| line.contains(error)), "{ran:?}");
        assert!(lines.next().is_some_and(|line| line.starts_with("hint: ") && line.len() > 8), "{ran:?}");
        assert_eq!(lines.next(), None, "{ran:?}");
    };
    check(b"comand: [true]", "error: job: field `comand` is unknown");
    check(b"command: [echo]\nmemory: 5", "error: job: `memory` is `5`");
    check(b"\xff\xfe", "is not UTF-8 text");
    check(b"", "error: job: ");
    check(&vec![b'#'; 1 << 20 | 1], "is larger than 1 MiB");
}

#[test]
fn refusals_of_the_server_keep_their_words_and_codes() {
    for (status, code, exit) in [
        (422, "never-fits", 3),
        (401, "unauthenticated", 4),
        (404, "not-found", 5),
        (409, "key-reused", 6),
        (402, "budget", 7),
        (503, "unavailable", 1),
    ] {
        let fake = Fake::start(&[("GET /v1/jobs/7", problem(status, code, "what happened", "what to do"))]);
        let arguments = ["show", "7", "--server", &fake.url];
        let hint = if status == 503 { "what to do (request 1-1)" } else { "what to do" };
        expect(&huisuan(&arguments), &arguments, exit, "what happened", hint);
    }
}

#[test]
fn data_folders_that_are_none() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let ran = huisuan(&["doctor", "--data", folder.path().to_str().expect("a path"), "-o", "json"]);
    assert_eq!(ran.exit, 1, "{ran:?}");
    let checks = &ran.json()["checks"];
    assert_eq!((&checks[0]["name"], &checks[0]["ok"]), (&"journal".into(), &false.into()), "{ran:?}");
    assert!(checks[0]["detail"].as_str().is_some_and(|detail| detail.contains("is no data directory")), "{ran:?}");
    assert!(checks[0]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{ran:?}");
    assert!(ran.stderr.starts_with("error: 1 check failed\nhint: "), "{ran:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "looking leaves nothing behind");
}
