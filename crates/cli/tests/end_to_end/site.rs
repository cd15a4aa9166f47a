//! A server and one centre, `hpc-1`, of this machine's processors.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use huisuan_api::{Client, jobs::JobView, routes::JobsQuery};
use serde_json::Value;

use crate::support::{
    Ran,
    running::{Home, PATIENCE, Running, wait_until},
};

/// Dropped in this order: tasks are ended, then the agent, the server, the folder.
pub(crate) struct Site {
    agent: Agent,
    pub(crate) server: Running,
    pub(crate) home: Home,
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Looks until there is something to find; says what was missed otherwise.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_until(Instant::now() + PATIENCE, look).unwrap_or_else(|| panic!("{what} did not come"))
}

/// A server without an agent in `home`.
pub(crate) fn serve(home: &Home, data: &str) -> Running {
    home.start(&["serve", "--data", data, "--listen", "127.0.0.1:0", "--centre", "hpc-1:hpc:2400"], &[])
}

/// Asks it to end, which it does in good order.
#[track_caller]
pub(crate) fn ends_well(server: Running) {
    let status = server.stop();
    assert!(status.success(), "it was asked to end: {status}");
}

impl Site {
    pub(crate) fn open() -> Site {
        let home = Home::new();
        let server = serve(&home, &home.path("server"));
        let mut site = Site { agent: Agent(join(&home, &server)), server, home };
        site.agent.0.stdin.take();
        let client = site.client();
        until("a rated centre", || {
            let centre = client.centre("hpc-1").expect("a centre");
            (centre.connected && !centre.pools.is_empty() && centre.pools.iter().all(|pool| pool.rating.is_some()))
                .then_some(())
        });
        site
    }

    /// Kills the agent as `kill -9` does and starts another one in its place.
    pub(crate) fn replace_agent(&mut self) {
        // It may have ended by itself.
        _ = self.agent.0.kill();
        _ = self.agent.0.wait();
        self.agent = Agent(join(&self.home, &self.server));
        self.agent.0.stdin.take();
    }

    /// Kills the server as `kill -9` does and starts another one on its data, where clients and agents knew it.
    pub(crate) fn replace_server(&mut self) {
        self.server.kill();
        let listen = self.server.url.trim_start_matches("http://").to_owned();
        let data = self.home.path("server");
        self.server = self.home.start(&["serve", "--data", &data, "--listen", &listen], &[]);
    }

    /// Runs a client command, which finds the server by itself.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Ran {
        self.home.run(arguments)
    }

    /// The answer of a client command that ends well.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.cli(&[&["-o", "json"], arguments].concat());
        assert_eq!(ran.exit, 0, "{arguments:?}: {ran:?}");
        ran.json()
    }

    /// Submits and gives the number.
    #[track_caller]
    pub(crate) fn submit(&self, arguments: &[&str]) -> u64 {
        self.json(arguments)["job_id"].as_u64().expect("a number")
    }

    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    pub(crate) fn job(&self, id: u64) -> JobView {
        self.client().job(id).expect("a job")
    }

    /// The job once its first attempt runs.
    pub(crate) fn running(&self, id: u64) -> JobView {
        until("a running attempt", || {
            let job = self.job(id);
            job.attempts.iter().any(|attempt| attempt.state == "running").then_some(job)
        })
    }

    /// The job once it has ended.
    pub(crate) fn ended(&self, id: u64) -> JobView {
        until("the end of the job", || {
            let job = self.job(id);
            matches!(&*job.summary.state, "succeeded" | "failed" | "cancelled").then_some(job)
        })
    }

    /// Writes a script that runs until the file `release` is there, beside it; gives both paths.
    pub(crate) fn blocker(&self, name: &str) -> (String, PathBuf) {
        let (file, release) = (self.home.path(name), self.home.path(&format!("{name}.release")));
        let script = format!("#!/bin/sh\nuntil [ -e '{release}' ]; do sleep 0.02; done\necho released\n");
        fs::write(&file, script).expect("a script");
        (file, release.into())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // No task outlives a test, however it ends.
        let client = self.client();
        _ = client.pause("hpc-1");
        let query = JobsQuery { state: Some("running".into()), ..JobsQuery::default() };
        let running = || client.jobs(&query).map(|list| list.jobs).unwrap_or_default();
        for job in running() {
            _ = client.cancel(job.job_id);
        }
        wait_until(Instant::now() + Duration::from_secs(10), || running().is_empty().then_some(()));
    }
}

/// Starts the agent with the command that the server printed for it.
#[expect(clippy::zombie_processes, reason = "the site that gets it ends it and waits; a panic ends the test process")]
fn join(home: &Home, server: &Running) -> Child {
    let line = until("the line for the agent", || {
        server.stderr().lines().find(|line| line.contains("join it with")).map(str::to_owned)
    });
    let words = line.split('`').nth(1).expect("a command in backticks");
    let mut command = home.command();
    command.args(words.split(' ').skip(1)).args(["--memory", "1GiB", "--data", &home.path("centre")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("an agent");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut said = String::new();
    loop {
        let line = lines.next().unwrap_or_else(|| panic!("the agent ended:\n{said}")).expect("text");
        said.push_str(&line);
        if line.contains("has joined") {
            // What it says later must find a reader.
            std::thread::spawn(move || lines.for_each(drop));
            return child;
        }
    }
}
