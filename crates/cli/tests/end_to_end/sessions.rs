//! Terminals and ports inside placed allocations, typed into through a terminal of the test's own.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::fs::OpenOptionsExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use huisuan_api::{Client, ErrorCode, channels::ChannelRequest};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::json;

use crate::{
    site::{Site, until},
    support::running::{Home, PATIENCE, pause},
};

/// A small share, so that several sessions fit any machine.
const SMALL: [&str; 4] = ["--cores", "0.5", "--memory", "64MiB"];
/// A shell that says nothing by itself and has no history.
const SHELL: [&str; 5] = ["--", "/bin/bash", "--norc", "--noprofile", "-i"];

/// A terminal in which a person runs the binary.
pub(crate) struct Person {
    master: File,
    child: Child,
    seen: Arc<Mutex<String>>,
}

impl Person {
    /// Runs `huisuan` with a window of 40 lines of 100 characters.
    pub(crate) fn at(home: &Home, arguments: &[&str]) -> Person {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other end");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("text");
        let no_control = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).expect("a flag");
        let slave = OpenOptions::new().read(true).write(true).custom_flags(no_control).open(name).expect("a device");
        let person = |child| Person { master: File::from(master), child, seen: Arc::default() };
        // Its controlling terminal, so that it hears of window sizes.
        let mut command = Command::new("setsid");
        let plain = home.command();
        command.arg("-c").arg(plain.get_program()).args(arguments);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("TERM", "xterm-test");
        let again = || slave.try_clone().expect("a descriptor");
        let child = command.stdin(again()).stdout(again()).stderr(again()).spawn().expect("the binary runs");
        let person = person(child);
        person.resize(40, 100);
        let (seen, mut screen) = (Arc::clone(&person.seen), person.master.try_clone().expect("a descriptor"));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut piece) {
                let text = String::from_utf8_lossy(&piece[..read]);
                seen.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        person
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("a window");
    }

    pub(crate) fn types(&self, text: &str) {
        (&self.master).write_all(text.as_bytes()).expect("a terminal takes keys");
    }

    pub(crate) fn screen(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[track_caller]
    pub(crate) fn sees(&self, text: &str) {
        let look = || self.screen().contains(text).then_some(());
        if crate::support::running::wait_until(std::time::Instant::now() + Duration::from_secs(60), look).is_none() {
            panic!("`{text}` did not come:\n{}", self.screen());
        }
    }

    #[track_caller]
    pub(crate) fn leaves(&mut self) -> ExitStatus {
        until("the end of the command", || self.child.try_wait().expect("a child can be looked at"))
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Opens a shell in a session; its number and who sits at it.
fn shell(site: &Site, more: &[&str]) -> (u64, Person) {
    let person = Person::at(&site.home, &[&["session"], &SMALL[..], more, &SHELL].concat());
    person.sees("runs at hpc-1");
    let id = until("a session", || {
        site.client().jobs(&huisuan_api::routes::JobsQuery::default()).ok()?.jobs.first().map(|job| job.job_id)
    });
    (id, person)
}

#[test]
fn a_terminal_is_used_left_and_found_again() {
    let mut site = Site::open();
    let (id, mut person) = shell(&site, &["--time", "10m", "--name", "shell"]);
    person.types("stty size; echo $TERM.\r");
    person.sees("40 100\r\n");
    person.sees("xterm-test.\r\n");
    person.resize(50, 120);
    until("the new window", || {
        person.types("stty size\r");
        pause(Duration::from_millis(100));
        person.screen().contains("50 120\r\n").then_some(())
    });
    person.types("sh -c 'echo began; exec sleep 1000'\r");
    person.sees("began\r\n");
    person.types("\x03");
    person.sees("^C");
    person.types("echo code=$?\r");
    person.sees("code=130\r\n");
    let shown = site.json(&["show", &id.to_string()]);
    let attached = &shown["channels"][0];
    assert_eq!((&attached["target"], &attached["actor"]), (&json!("terminal"), &json!("user")), "{shown}");

    person.types("kept=seven\r");
    person.types("\r~.");
    assert_eq!(person.leaves().code(), Some(0), "{}", person.screen());
    person.sees(&format!("re-attach: huisuan session attach {id}"));

    let attach = ["session", "attach", &id.to_string()];
    let mut first = Person::at(&site.home, &attach);
    first.types("echo again=$kept\r");
    first.sees("again=seven\r\n");
    assert!(first.screen().contains("code=130"), "what was written before is shown:\n{}", first.screen());
    let mut second = Person::at(&site.home, &attach);
    assert_eq!(first.leaves().code(), Some(6), "there is one at a time");
    first.sees("somebody else");
    second.types("echo third=$kept\r");
    second.sees("third=seven\r\n");

    site.replace_agent();
    assert_eq!(second.leaves().code(), Some(1), "the way went through the agent:\n{}", second.screen());
    let mut third = Person::at(&site.home, &attach);
    third.types("echo still=$kept\r");
    third.sees("still=seven\r\n");
    third.types("exit 7\r");
    assert_eq!(third.leaves().code(), Some(7), "{}", third.screen());
    let ended = site.ended(id);
    assert_eq!((ended.attempts[0].exit_code, ended.channels.len()), (Some(7), 0));
    assert!(site.cli(&["logs", &id.to_string()]).stdout.contains("still=seven"));
    let gone = site.cli(&["session", "attach", &id.to_string()]);
    assert!(gone.exit == 10 && gone.stderr.contains("hint:"), "{gone:?}");
    let journal = site.client().get_json(&format!("/v1/jobs/{id}")).expect("a job");
    assert!(journal["cost"]["amount"].as_u64().is_some_and(|cost| cost > 0), "a session is paid for: {journal}");
}

#[test]
fn a_session_outlives_its_server() {
    let mut site = Site::open();
    let (id, mut person) = shell(&site, &[]);
    person.types("kept=nine; echo set=$kept\r");
    person.sees("set=nine\r\n");
    site.replace_server();
    assert_eq!(person.leaves().code(), Some(1), "{}", person.screen());
    person.sees(&format!("attach again: huisuan session attach {id}"));
    let mut again = Person::at(&site.home, &["session", "attach", &id.to_string()]);
    again.types("echo still=$kept\r");
    again.sees("still=nine\r\n");
    again.types("exit 3\r");
    assert_eq!(again.leaves().code(), Some(3), "{}", again.screen());
    assert_eq!(site.ended(id).attempts.len(), 1);
}

#[test]
fn a_session_is_its_tenants_alone() {
    let site = Site::open();
    let (id, mut person) = shell(&site, &[]);
    site.json(&["tenant", "add", "lab", "--fund", "1000"]);
    let token = site.json(&["tenant", "token", "lab"])["token"].as_str().expect("a token").to_owned();
    let as_lab = |arguments: &[&str]| {
        let mut command = site.home.command();
        crate::support::ran(command.env("HUISUAN_TOKEN", &token).args(arguments))
    };
    let refused = as_lab(&["session", "attach", &id.to_string()]);
    assert!(refused.exit == 5 && refused.stderr.contains("there is no job"), "{refused:?}");
    let lab = Client::new(&site.server.url, Some(&token)).expect("a client");
    let error = lab.open_channel(id, &ChannelRequest { port: None }).expect_err("another tenant's");
    assert_eq!(error.problem().map(|problem| problem.code), Some(ErrorCode::NotFound), "{error}");
    // The other way round: the operator sees a tenant's session, and is not let in.
    let file = site.home.path("session.yaml");
    fs::write(&file, "kind: session\ncommand: [sleep, '60']\ncores: 0.5\nmemory: 64MiB\n").expect("a file");
    let theirs = as_lab(&["run", "-q", &file]).stdout.trim().parse().expect("a number");
    site.running(theirs);
    let kept_out = site.cli(&["session", "attach", &theirs.to_string()]);
    assert!(kept_out.exit == 4 && kept_out.stderr.contains("lab"), "{kept_out:?}");
    assert_eq!(as_lab(&["cancel", &theirs.to_string()]).exit, 0);
    let batch = site.json(&["run", "--", "sleep", "20"])["job_id"].to_string();
    let none = site.cli(&["session", "attach", &batch]);
    assert!(none.exit == 6 && none.stderr.contains("no session"), "{none:?}");
    site.cli(&["cancel", &batch]);
    person.types("exit\r");
    assert_eq!(person.leaves().code(), Some(0));
}

#[test]
fn a_session_ends_when_it_is_cancelled_and_takes_what_it_began_with_it() {
    let site = Site::open();
    let (id, mut person) = shell(&site, &[]);
    let mark = site.home.path("left-behind");
    person.types(&format!("nohup setsid sleep 1234.5 >/dev/null 2>&1 & echo $! > {mark}; echo written\r"));
    person.sees("written\r\n");
    site.json(&["cancel", &id.to_string()]);
    assert_eq!(person.leaves().code(), Some(129), "a shell is told that its terminal is gone:\n{}", person.screen());
    site.ended(id);
    let pid = fs::read_to_string(mark).expect("a number");
    until("the end of what it left", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

#[test]
fn all_of_a_long_output_arrives_and_nothing_of_an_unread_one_piles_up() {
    let site = Site::open();
    let whole = [&["session"], &SMALL[..], &["--", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"]].concat();
    let ran = site.cli(&whole);
    assert_eq!((ran.exit, ran.stdout.matches('x').count()), (0, 3_000_000), "{}", ran.stderr);
    // Over before or after somebody attaches.
    let short = [&["session"], &SMALL[..], &["--", "sh", "-c", "echo quick; exit 5"]].concat();
    for _ in 0..3 {
        let ran = site.cli(&short);
        assert_eq!((ran.exit, ran.stdout.contains("quick")), (5, true), "{ran:?}");
    }

    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", site.server.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line").to_owned();
        line.split_ascii_whitespace().nth(1).expect("a number").parse::<u64>().expect("KiB")
    };
    let before = resident();
    // Half a gigabyte, and nobody reads what the client writes.
    let flood = [&["session"], &SMALL[..], &["--", "sh", "-c", "head -c 500000000 /dev/zero | tr '\\0' x"]].concat();
    let mut client =
        site.home.command().args(&flood).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let id = until("a second session", || {
        let newest = site.client().jobs(&huisuan_api::routes::JobsQuery::default()).ok()?.jobs.first()?.job_id;
        (newest > 4).then_some(newest)
    });
    let output = site.home.path(&format!("centre/attempts/{id}/0.1/stdout"));
    let size = || fs::metadata(&output).map_or(0, |file| file.len());
    until("a stand-still", || {
        let (was, _) = (size(), pause(Duration::from_millis(700)));
        (was > 100_000 && size() == was).then_some(())
    });
    let grown = resident().saturating_sub(before);
    eprintln!("stood still after {} bytes; the server's memory grew by {grown} KiB", size());
    assert!(size() < 100_000_000, "{} bytes of 500,000,000 were written", size());
    assert!(grown < 16 * 1024, "the server's memory grew by {grown} KiB");
    _ = client.kill();
    _ = client.wait();
    site.json(&["cancel", &id.to_string()]);
    site.ended(id);
}

/// A server that answers in capitals, until its connection is closed.
const CAPITALS: &str = "$s = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], \
     ReuseAddr => 1) or die; $| = 1; print \"listens\\n\"; while ($c = $s->accept) { \
     while (sysread($c, $b, 65536)) { syswrite($c, uc $b) } close $c }";

#[test]
fn a_port_of_a_session_is_reached_and_no_other() {
    let site = Site::open();
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a port").port();
    let (inside, foreign) = (free(), site.server.url.rsplit_once(':').expect("a port").1.to_owned());
    let (own, other) = (format!("{inside}:0"), format!("{foreign}:0"));
    let ports = ["--port", &own, "--port", &other];
    let program = inside.to_string();
    let program = ["--", "perl", "-MIO::Socket::INET", "-e", CAPITALS, &program];
    let arguments = [&["session"], &SMALL[..], &ports, &program].concat();
    let mut command = site.home.command();
    command.args(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().expect("it runs");
    let mut lines = BufReader::new(client.stdout.take().expect("a pipe")).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.trim() == "listens"), "it listens");
    let remarks = BufReader::new(client.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let local: Vec<String> =
        remarks.filter_map(|line| Some(line.split_once(" is port ")?.0.to_owned())).take(2).collect();
    let exchange = |address: &str, text: &[u8]| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut sender = stream.try_clone().expect("a descriptor");
        let text = text.to_vec();
        let sent = std::thread::spawn(move || sender.write_all(&text).and_then(|()| sender.shutdown(Shutdown::Write)));
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        _ = sent.join().expect("no panic");
        answer
    };
    assert_eq!(exchange(&local[0], b"hello"), b"HELLO");
    let long = vec![b'a'; 1_000_000];
    assert_eq!(exchange(&local[0], &long), vec![b'A'; 1_000_000]);
    let strange = exchange(&local[1], b"GET /v1/centres HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(String::from_utf8_lossy(&strange), "", "a port of the machine is not the session's");
    _ = client.kill();
    _ = client.wait();
    let id = site.client().jobs(&huisuan_api::routes::JobsQuery::default()).expect("jobs").jobs[0].job_id;
    site.json(&["cancel", &id.to_string()]);
    site.ended(id);
}
