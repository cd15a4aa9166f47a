//! Data from and to an object store that is not ours: moto, from the Python package index. It is a fake: it speaks S3
//! and keeps objects in memory, and looks at no signature, so that keys and regions are not tested here.
//!
//! Run by `cargo xtask test`, which makes the environment and names its interpreter in `HUISUAN_MOTO`.

mod support;

use std::{
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    time::Instant,
};

use support::running::{Home, PATIENCE, Running, wait_until};

/// The store, with one bucket; ended when it is dropped.
struct Moto {
    child: Child,
    url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    fn start() -> Moto {
        let mut command = Command::new(python());
        command.args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("moto starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it was asked for")).lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.split_once("Running on ").map(|(_, url)| url.trim().to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        let moto = Moto { child, url: url.expect("it says where it listens") };
        ureq::put(format!("{}/objects", moto.url)).send_empty().expect("a bucket");
        moto
    }

    /// An object as the library of the store's makers reads it.
    fn object(&self, key: &str) -> String {
        let output = Command::new(python()).args(["-c", READ, &self.url, key]).output().expect("python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}

/// Reads an object and compares the checksum that was stored with it.
const READ: &str = "
import base64, boto3, hashlib, sys
keys = {'aws_access_key_id': 'AK', 'aws_secret_access_key': 'secret', 'region_name': 'us-east-1'}
client = boto3.client('s3', endpoint_url=sys.argv[1], **keys)
answer = client.get_object(Bucket='objects', Key=sys.argv[2], ChecksumMode='ENABLED')
body = answer['Body'].read()
assert answer['ChecksumSHA256'] == base64.b64encode(hashlib.sha256(body).digest()).decode(), answer
sys.stdout.write(body.decode())
";

fn python() -> OsString {
    std::env::var_os("HUISUAN_MOTO").expect("HUISUAN_MOTO: run `cargo xtask test`")
}

fn agent(home: &Home) -> Running {
    let (join, data, policy) = (format!("@{}", home.path("join")), home.path("site"), home.path("policy.toml"));
    let agent = home.spawn(&["agent", "--join", &join, "--memory", "1GiB", "--data", &data, "--policy", &policy]);
    wait_until(Instant::now() + PATIENCE, || agent.stderr().contains("has joined").then_some(())).expect("a welcome");
    agent
}

#[test]
fn objects_are_brought_and_written_back_with_their_checksums() {
    let (moto, home) = (Moto::start(), Home::new());
    ureq::put(format!("{}/objects/in/words", moto.url)).send("one two three").expect("an object");
    let stores = home.path("stores.toml");
    let store = format!("endpoint = '{}'\nregion = 'us-east-1'\naccess_key = 'AK'\nsecret_key = 'secret'\n", moto.url);
    let text = format!(
        "[set]\nbucket = 'objects'\nwrite = true\ntenants = ['local']\n{store}\n[other]\ntenants = []\n{store}"
    );
    fs::write(&stores, text).expect("written");
    fs::set_permissions(&stores, fs::Permissions::from_mode(0o600)).expect("set");
    fs::write(home.path("policy.toml"), format!("[data]\nstores = '{stores}'\n")).expect("written");
    let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
    let added = home.run(&["centre", "add", "hpc-1", "--class", "hpc", "-o", "json"]).json();
    fs::write(home.path("join"), added["join"].as_str().expect("a join token")).expect("written");
    let site = agent(&home);
    let run = |name: &str, inputs: &str| {
        let file = home.path(name);
        let text = format!(
            "script: |\n  #!/bin/sh\n  wc -w < $HUISUAN_DATA_DIR/words | tr -d ' ' > $HUISUAN_DATA_DIR/count\nmemory: 64MiB\n\
             inputs: [{inputs}]\noutputs: [{{url: 's3://set/out/{{job}}', path: count}}]\n"
        );
        fs::write(&file, text).expect("written");
        let ran = home.run(&["run", "--wait", &file]);
        (ran.exit, home.run(&["show", "last", "-o", "json"]).json())
    };
    let digest = "a9d4f15af1ed5ccd1a4d0a7f3fbe0ac5ac48f3f9c0c0d0d0d0d0d0d0d0d0d0d0";
    let (exit, job) = run("good.yaml", "{url: 's3://set/in/words', path: words, size: 13B}");
    assert_eq!(exit, 0, "{job}");
    assert_eq!(moto.object("out/1"), "3\n");
    let data = &job["attempts"][0]["data"];
    assert_eq!((&data["bytes_in"], &data["bytes_out"]), (&13.into(), &2.into()), "{job}");

    for (name, inputs, said) in [
        ("gone.yaml", "{url: 's3://set/in/none', path: words}".to_owned(), "404 (NoSuchKey)"),
        ("wrong.yaml", format!("{{url: 's3://set/in/words', path: words, sha256: '{digest}'}}"), "SHA-256"),
    ] {
        let (exit, job) = run(name, &inputs);
        let detail = job["attempts"][0]["detail"].as_str().unwrap_or_default();
        assert!(exit == 10 && detail.contains(said), "{name}: {job}");
        assert!(!job.to_string().contains("AK") && !job.to_string().contains("Signature"), "{job}");
    }
    let (exit, job) = run("other.yaml", "{url: 's3://other/in/words', path: words}");
    assert!(exit == 10 && job["refused_by"]["hpc-1"].to_string().contains("data.stores"), "{job}");
    assert!(site.stop().success() && server.stop().success());
}
