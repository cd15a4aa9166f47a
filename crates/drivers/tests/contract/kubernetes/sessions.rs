//! Sessions as pods at a terminal, through a real WebSocket.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
    time::Instant,
};

use huisuan_drivers::KubernetesEngine;
use huisuan_model::{
    ChannelTarget, Stream,
    channel::{Frame, Frames},
};
use serde_json::json;

use super::{Anywhere, Lab, config, server::Act};
use crate::{
    bench::{Bench, PATIENCE, id, script, task},
    sessions::{Viewer, begun},
};

/// A bench with the place that it is in.
macro_rules! contract {
    ($($name:ident)+) => {$(
        #[test]
        fn $name() {
            let mut anywhere = Anywhere::new();
            crate::sessions::$name(anywhere.take_bench());
        }
    )+};
}

contract! {
    a_terminal_controls_its_process_and_tells_its_end
    a_session_goes_on_unseen_and_shows_what_it_wrote
    who_is_told_to_end_is_told_as_terminals_tell_it
    what_is_no_frame_ends_the_channel_and_not_the_session
}

fn next(stream: &mut UnixStream, frames: &mut Frames) -> Frame {
    loop {
        if let Some(frame) = frames.take().expect("frames") {
            return frame;
        }
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).expect("a frame in time");
        assert!(read > 0, "the channel ended");
        frames.push(&piece[..read]);
    }
}

fn port(bench: &Bench, job: u64, port: u16) -> (UnixStream, Frames) {
    let mut stream = bench.engine.attach(id(job, 0), ChannelTarget::Port(port)).expect("a session that runs");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut frames = Frames::default();
    assert_eq!(next(&mut stream, &mut frames), Frame::Ready);
    (stream, frames)
}

/// The port is one of this machine, for the fake kubelet's processes have its network.
#[test]
fn a_port_of_a_session_is_reached() {
    let mut anywhere = Anywhere::new();
    let bench = &mut anywhere.bench;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let number = listener.local_addr().expect("an address").port();
    let echo = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut asked = [0; 5];
        stream.read_exact(&mut asked).expect("read");
        stream.write_all(&asked.map(|byte| byte.to_ascii_uppercase())).expect("answered");
    });
    let (attempt, _viewer) = begun(bench, 1, &["/bin/sh"]);
    let (mut stream, mut frames) = port(bench, 1, number);
    stream.write_all(&Frame::Data(b"hello".to_vec()).bytes()).expect("sent");
    assert_eq!(next(&mut stream, &mut frames), Frame::Data(b"HELLO".to_vec()));
    assert_eq!(next(&mut stream, &mut frames), Frame::End);
    echo.join().expect("it answered, and nobody listens any more");
    let (mut stream, mut frames) = port(bench, 1, number);
    let refused = next(&mut stream, &mut frames);
    assert!(matches!(&refused, Frame::Refused(why) if why.contains("takes no connection")), "{refused:?}");
    bench.engine.cancel(&[attempt]).expect("told");
    bench.end(attempt);
}

#[test]
fn a_session_outlives_its_agent() {
    let mut anywhere = Anywhere::new();
    let (attempt, mut viewer) = begun(&mut anywhere.bench, 1, &["/bin/sh"]);
    viewer.types("kept=seven; echo is-$((40 + 2))\n");
    viewer.sees("is-42\r\n");
    anywhere.reopen();
    assert_eq!(viewer.end(), None);
    let mut again = Viewer::of(&anywhere.bench, attempt);
    again.types("echo still-$kept; exit 3\n");
    again.sees("still-seven\r\n");
    assert_eq!(again.end(), Some(Frame::Exited(3)));
    assert_eq!(anywhere.bench.end(attempt).outcome.exit_code, Some(3));
}

/// What a program wrote and nobody has read yet keeps nobody from taking the terminal over.
#[test]
fn a_terminal_with_much_to_show_is_taken_over_at_once() {
    const WRITTEN: usize = 8 << 20;
    let mut anywhere = Anywhere::new();
    let text = format!("yes | head -c {WRITTEN}; echo; sleep 60");
    let (attempt, mut viewer) = begun(&mut anywhere.bench, 1, &["/bin/sh", "-c", &text]);
    let deadline = Instant::now() + PATIENCE;
    let logs = |at| anywhere.bench.engine.logs(attempt, Stream::Stdout, at, 1).expect("output").data;
    while logs(WRITTEN as u64).is_empty() {
        assert!(Instant::now() < deadline, "not all was written");
    }
    let _again = Viewer::of(&anywhere.bench, attempt);
    let (seen, end) = viewer.rest();
    assert!(matches!(&end, Some(Frame::Refused(why)) if why.contains("somebody else")), "{end:?}");
    assert!(seen < WRITTEN / 2, "{seen} bytes came first");
    anywhere.bench.engine.cancel(&[attempt]).expect("told");
    anywhere.bench.end(attempt);
}

#[test]
fn only_sessions_have_terminals() {
    let mut anywhere = Anywhere::new();
    let bench = &mut anywhere.bench;
    bench.submit(&[task(1, 0, &Arc::new(script("sleep 60")))]);
    bench.started(id(1, 0));
    for attempt in [id(1, 0), id(9, 0)] {
        let error = bench.engine.attach(attempt, ChannelTarget::Terminal).expect_err("none").to_string();
        assert!(error.contains("no session"), "{error}");
    }
    bench.engine.cancel(&[id(1, 0)]).expect("told");
    bench.end(id(1, 0));
}

/// Somebody waits for an answer, so a way that cannot be had is said at once, and the session goes on.
#[test]
fn a_way_that_cannot_be_had_leaves_the_session_as_it_is() {
    let mut lab = Lab::new();
    let (attempt, mut viewer) = begun(&mut lab.bench, 1, &["/bin/sh"]);
    let check = |act, words: &str| {
        lab.server.fail("WAY", act, 1);
        let error = lab.bench.engine.attach(attempt, ChannelTarget::Terminal).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    check(Act::Answer(403), "role lacks this right");
    check(Act::Answer(500), "500");
    check(Act::DropBefore, "broke");
    viewer.types("echo still-$((40 + 2)); exit 4\n");
    viewer.sees("still-42\r\n");
    assert_eq!(viewer.end(), Some(Frame::Exited(4)), "whoever was attached stays so");
    lab.bench.end(attempt);
}

/// What an agent may not do is said before a session is placed there.
#[test]
fn an_agent_that_may_not_attach_runs_no_sessions() {
    let mut lab = Lab::new();
    assert_eq!(lab.bench.engine.sessions(), Ok(()));
    lab.close();
    lab.server.cluster.with(|objects| objects.forbidden.insert("attach".to_owned()));
    lab.bench.engine = Box::new(KubernetesEngine::open(config(&lab)).expect("again"));
    let why = lab.bench.engine.sessions().expect_err("none");
    assert!(why.contains("role"), "{why}");
}

#[test]
fn a_session_is_a_pod_at_a_terminal() {
    let mut lab = Lab::new();
    let (attempt, mut viewer) = begun(&mut lab.bench, 1, &["/bin/sh"]);
    let container = lab.server.cluster.lock().pods[&lab.pod(1)]["spec"]["containers"][0].clone();
    assert_eq!((&container["tty"], &container["stdin"]), (&json!(true), &json!(true)));
    assert_eq!(container["lifecycle"]["preStop"]["exec"]["command"][4], "HUP");
    viewer.types("exit 0\n");
    assert_eq!(viewer.end(), Some(Frame::Exited(0)));
    lab.bench.end(attempt);
}
