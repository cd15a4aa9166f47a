//! Data that jobs name: brought before they start, taken after they succeeded, by the real binary.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    site::{ends_well, until},
    support::running::{Home, Running},
};

/// A web server with one file: its first answer stops half way and says no more, later ones give what is asked for.
struct Halves {
    address: SocketAddr,
    /// The ranges that were asked for; empty for all of it.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Halves {
    fn serve(body: &'static [u8]) -> Halves {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let halves = Halves { address: listener.local_addr().expect("an address"), asked: Arc::default() };
        let asked = Arc::clone(&halves.asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, asked) = (stream.expect("a connection"), Arc::clone(&asked));
                thread::spawn(move || {
                    let lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
                    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                    let range = head.iter().find_map(|line| line.strip_prefix("range: bytes=")).unwrap_or_default();
                    let first = {
                        let mut asked = asked.lock().expect("no panic");
                        asked.push(range.to_owned());
                        asked.len() == 1
                    };
                    let from = range.trim_end_matches('-').parse().unwrap_or(0);
                    let status = match from {
                        0 => "200 OK\r\n".to_owned(),
                        _ => format!("206 X\r\ncontent-range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len()),
                    };
                    let size = body.len() - from;
                    let head =
                        format!("HTTP/1.1 {status}etag: \"1\"\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n");
                    let until = if first { body.len() / 2 } else { body.len() };
                    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[from..until]));
                    if sent.is_ok() && first {
                        // Until the agent is gone.
                        let _ = stream.read(&mut [0]);
                    }
                });
            }
        });
        halves
    }
}

/// A server, and the agent of `hpc-1` with rules of its own.
struct Place {
    home: Home,
    server: Running,
    agent: Running,
}

fn agent(home: &Home) -> Running {
    let (join, data, policy) = (format!("@{}", home.path("join")), home.path("site"), home.path("policy.toml"));
    let agent = home.spawn(&["agent", "--join", &join, "--memory", "1GiB", "--data", &data, "--policy", &policy]);
    until("the agent's welcome", || agent.stderr().contains("has joined").then_some(()));
    agent
}

impl Place {
    fn open(rules: &str) -> Place {
        let home = Home::new();
        for folder in ["in", "out"] {
            fs::create_dir(home.path(folder)).expect("made");
        }
        let (in_folder, out_folder) = (home.path("in"), home.path("out"));
        let text = format!(
            "[data]\n{rules}\n[[data.folders]]\npath = '{in_folder}'\n[[data.folders]]\npath = '{out_folder}'\nwrite = true\n"
        );
        fs::write(home.path("policy.toml"), text).expect("written");
        let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
        let added = home.run(&["centre", "add", "hpc-2", "--class", "hpc", "--price", "24", "-o", "json"]).json();
        fs::write(home.path("join"), added["join"].as_str().expect("a join token")).expect("written");
        let agent = agent(&home);
        Place { home, server, agent }
    }

    /// Writes a job file and runs it.
    fn submit(&self, text: &str) {
        fs::write(self.home.path("job.yaml"), text).expect("written");
        let ran = self.home.run(&["run", &self.home.path("job.yaml")]);
        assert_eq!(ran.exit, 0, "{ran:?}");
    }

    fn show(&self) -> serde_json::Value {
        self.home.run(&["show", "last", "-o", "json"]).json()
    }

    fn close(self) {
        assert!(self.agent.stop().success());
        ends_well(self.server);
    }
}

#[test]
fn a_job_gets_its_inputs_and_leaves_its_outputs() {
    let place = Place::open("");
    let home = &place.home;
    fs::write(home.path("in/words"), "one two three").expect("written");
    place.submit(&format!(
        "script: |\n  #!/bin/sh\n  tr ' ' '\\n' < $HUISUAN_DATA_DIR/text/words | sort > $HUISUAN_DATA_DIR/sorted-$HUISUAN_TASK\n  \
         cp $HUISUAN_DATA_DIR/sorted-$HUISUAN_TASK $HUISUAN_DATA_DIR/sorted\ntasks: 2\nmemory: 64MiB\n\
         inputs: [{{url: 'file://{}', path: text/words, size: 13B}}]\n\
         outputs: [{{url: 'file://{}/{{job}}/{{task}}', path: sorted}}]\n",
        home.path("in/words"),
        home.path("out"),
    ));
    let ran = home.run(&["wait", "last"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    for task in 0..2 {
        let text = fs::read_to_string(home.path(&format!("out/1/{task}"))).expect("taken");
        assert_eq!(text, "one\nthree\ntwo\n");
    }
    let job = place.show();
    for attempt in job["attempts"].as_array().expect("attempts") {
        let data = &attempt["data"];
        assert_eq!((&data["bytes_in"], &data["bytes_out"]), (&13.into(), &14.into()), "{attempt}");
        assert_eq!((&data["mark"], data.get("staging")), (&"measured".into(), None), "{attempt}");
    }
    let usage = home.run(&["usage", "-o", "json"]).json();
    assert_eq!((&usage["data"]["bytes_in"], &usage["data"]["bytes_out"]), (&26.into(), &28.into()), "{usage}");
    place.close();
}

#[test]
fn what_the_site_does_not_name_is_refused_and_what_is_not_there_fails() {
    let place = Place::open("");
    let home = &place.home;
    let run = |more: &str| {
        place.submit(&format!("command: ['true']\nmemory: 64MiB\n{more}"));
        assert_eq!(home.run(&["wait", "last"]).exit, 10);
        place.show()
    };
    let job = run("inputs: [{url: 'file:///etc/passwd', path: x}]");
    assert!(job["refused_by"]["hpc-2"].as_str().expect("a rule").contains("`data.folders`"), "{job}");
    let job = run(&format!("retries: 1\ninputs: [{{url: 'file://{}/none', path: x}}]", home.path("in")));
    let attempts = job["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 2, "the job's retries apply: {job}");
    assert!(attempts.iter().all(|attempt| attempt["cause"] == "staging"), "{job}");
    let job = run(&format!("outputs: [{{url: 'file://{}/x', path: x}}]", home.path("out")));
    assert_eq!(
        (&job["attempts"][0]["cause"], &job["attempts"][0]["exit_code"]),
        (&"staging".into(), &0.into()),
        "{job}"
    );
    place.close();
}

#[test]
fn an_agent_that_is_killed_while_data_comes_goes_on_and_the_job_runs_once() {
    static BODY: [u8; 1 << 20] = [b'x'; 1 << 20];
    let halves = Halves::serve(&BODY);
    let mut place = Place::open(&format!("private = ['{}']", halves.address));
    place.submit(&format!(
        "script: |\n  #!/bin/sh\n  echo once >> {}\n  wc -c < $HUISUAN_DATA_DIR/f\nmemory: 64MiB\n\
         inputs: [{{url: 'http://{}/f', path: f, size: 1MiB}}]\n",
        place.home.path("started"),
        halves.address,
    ));
    until("half of the data", || {
        let data = place.show()["attempts"][0]["data"].clone();
        (data["staging"] == "in" && data["percent"] == 50).then_some(())
    });
    let shown = place.home.run(&["show", "last"]);
    assert!(shown.stdout.contains("staging 50 %"), "{shown:?}");
    place.agent.kill();
    place.agent = agent(&place.home);
    let ran = place.home.run(&["wait", "last"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(place.home.path("started")).expect("it ran"), "once\n");
    assert_eq!(place.home.run(&["logs", "last"]).stdout.trim(), "1048576");
    assert_eq!(*halves.asked.lock().expect("no panic"), ["", "524288-"]);
    let job = place.show();
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(1), "{job}");
    place.close();
}

#[test]
fn a_cancel_while_data_comes_ends_the_job_at_once() {
    static BODY: [u8; 1 << 20] = [b'x'; 1 << 20];
    let halves = Halves::serve(&BODY);
    let place = Place::open(&format!("private = ['{}']", halves.address));
    place.submit(&format!(
        "command: ['true']\nmemory: 64MiB\ninputs: [{{url: 'http://{}/f', path: f}}]\n",
        halves.address,
    ));
    until("half of the data", || (place.show()["attempts"][0]["data"]["percent"] == 50).then_some(()));
    assert_eq!(place.home.run(&["cancel", "last"]).exit, 0);
    assert_eq!(place.home.run(&["wait", "last"]).exit, 10);
    let job = place.show();
    assert_eq!(
        (&job["state"], &job["attempts"][0]["started_at"]),
        (&"cancelled".into(), &serde_json::Value::Null),
        "{job}"
    );
    place.close();
}
