//! What people get of a Kubernetes centre beyond plain jobs: state that is saved, data, sessions. The API server is a
//! real one; its node is a fake.

use std::{
    fs::{self, File},
    io::Write as _,
    process::Stdio,
};

use crate::{
    engines::{joined, run},
    node::real::Real,
    site::until,
    support::running::Home,
};

/// Its first attempt runs until its time to save; the second finds state and data, and leaves more.
const GOES_ON: &str = r#"script: |
  #!/bin/sh
  state=$HUISUAN_CHECKPOINT_DIR/state
  if [ -e $state ]; then cat $state; tr a-z A-Z < $HUISUAN_DATA_DIR/in > $HUISUAN_DATA_DIR/out; exit 0; fi
  trap 'echo saved > $state; exit 3' USR1
  while :; do sleep 0.1; done
class: general
memory: 64MiB
checkpoint: {signal: USR1, grace: 20s}
walltime: 23s
retries: 1
"#;

#[test]
fn pods_save_state_have_data_and_hold_sessions() {
    let node = Real::from_environment(1).expect("HUISUAN_KUBERNETES is set by `cargo xtask kubernetes`");
    let home = Home::new();
    let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
    let client = server.client();
    let (config, policy, data) = (home.path("kubernetes.toml"), home.path("policy.toml"), home.path("data"));
    fs::create_dir_all(&data).expect("a folder");
    fs::write(format!("{data}/in"), "what is brought").expect("a file");
    fs::write(&config, node.text()).expect("a file");
    fs::write(&policy, format!("[[data.folders]]\npath = \"{data}\"\nwrite = true\n")).expect("a file");
    let more = ["--engine-config", &config, "--policy", &policy];
    let _pods = joined(&home, "pods", "general", "kubernetes", &more);

    let text = format!(
        "{GOES_ON}inputs: [{{url: 'file://{data}/in', path: in}}]\noutputs: [{{url: 'file://{data}/out', path: out}}]\n"
    );
    let job = run(&home, &client, "goes-on.yaml", &text);
    assert_eq!(job.summary.state, "succeeded", "{job:?}");
    let codes: Vec<_> = job.attempts.iter().map(|attempt| attempt.exit_code).collect();
    assert_eq!(codes, [Some(3), Some(0)], "{job:?}");
    assert_eq!(home.run(&["logs", &job.summary.job_id.to_string()]).stdout, "saved\n");
    assert_eq!(fs::read_to_string(format!("{data}/out")).expect("it was taken"), "WHAT IS BROUGHT");

    let screen = home.path("screen");
    let mut command = home.command();
    command.args(["session", "--cores", "0.5", "--memory", "64MiB", "--time", "5m", "--", "/bin/sh"]);
    command.stdin(Stdio::piped()).stdout(File::create(&screen).expect("a file")).stderr(Stdio::null());
    let mut person = command.spawn().expect("the binary runs");
    let mut keys = person.stdin.take().expect("a pipe");
    keys.write_all(b"echo is-$((40 + 2)); exit 9\n").expect("typed");
    let exit = until("the end of the session", || person.try_wait().expect("a child can be looked at"));
    let seen = fs::read_to_string(&screen).expect("what was shown");
    assert!(seen.contains("is-42") && exit.code() == Some(9), "{exit:?}: {seen}");
}
