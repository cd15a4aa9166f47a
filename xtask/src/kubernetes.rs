//! `cargo xtask kubernetes`: the contract of the Kubernetes engine on a real control plane, started for it and ended
//! with it. Nodes and containers are faked by the tests; everything else is Kubernetes.

mod build;

use crate::repository::Repository;
use crate::setup::{self, Use};
use crate::step::{Outcome, Steps, status};
use crate::test;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where it is built and run: below the folder of build outputs, for it is built once and may be removed with them.
const FOLDER: &str = "target/kubernetes";

/// Builds what is missing, starts a control plane and runs the tests on it; false when one failed.
///
/// # Errors
///
/// When a system package is missing and cannot be installed.
pub fn run(repository: &Repository) -> Result<bool> {
    setup::packages(&[Use::Tests])?;
    let mut steps = Steps::new(repository);
    add(&mut steps, repository, test::SEED);
    Ok(steps.finish())
}

/// Runs the steps on a real control plane as part of a longer list. That it cannot be built or started is a failure.
pub(crate) fn add(steps: &mut Steps<'_>, repository: &Repository, seed: u64) {
    let mut programs = None;
    steps.call("kubernetes, built", || keep(build::programs(&repository.join(FOLDER)), &mut programs));
    let Some(programs) = programs else { return };
    let mut plane = None;
    let run = repository.join(FOLDER).join("run");
    steps.call("kubernetes, started", || keep(Plane::start(repository, &programs, &run), &mut plane));
    let Some(plane) = plane else { return };
    let on_it = |arguments: &str| {
        let mut command = test::cargo(arguments, seed);
        command.env("HUISUAN_KUBERNETES", plane.folder.join("kubeconfig"));
        command
    };
    // Faults and objects look into the fake, or ask it for trouble.
    let suite =
        "test -p huisuan-drivers --test contract -- kubernetes:: --skip kubernetes::faults --skip kubernetes::objects";
    steps.command("kubernetes, contract", &mut on_it(suite));
    let mut killed = on_it("test -p huisuan-drivers --test contract -- kubernetes::a_server_that_dies");
    killed.envs(plane.variables.clone()).env("HUISUAN_KUBERNETES_RESTART", &plane.server);
    steps.command("kubernetes, killed", &mut killed);
    steps.command("all engines as one network", &mut on_it("test -p huisuan-cli --test federation"));
}

/// Keeps what a step made for the next one.
fn keep<T>(made: Result<T>, place: &mut Option<T>) -> Outcome {
    match made {
        Ok(made) => {
            *place = Some(made);
            Outcome::Passed
        }
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// A running control plane; it ends when this is dropped.
struct Plane {
    folder: PathBuf,
    /// Starts the API server anew.
    server: PathBuf,
    /// What that program needs.
    variables: Vec<(&'static str, String)>,
    children: Vec<Child>,
}

impl Plane {
    fn start(repository: &Repository, programs: &Path, folder: &Path) -> Result<Plane> {
        fs::remove_dir_all(folder).ok();
        fs::create_dir_all(folder)?;
        let ports = free_ports()?;
        let [etcd, peer, server, manager, scheduler] = ports;
        let text = |path: &Path| path.display().to_string();
        let mut plane = Plane {
            folder: folder.to_owned(),
            server: repository.join("xtask/kubernetes/apiserver.sh"),
            variables: vec![
                ("LAB_FOLDER", text(folder)),
                ("LAB_PROGRAMS", text(programs)),
                ("LAB_ETCD_PORT", etcd.to_string()),
                ("LAB_PORT", server.to_string()),
            ],
            children: Vec::new(),
        };
        plane.write_files(server)?;
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let arguments = [
            "--data-dir=etcd".to_owned(),
            // A test's cluster is gone with its test: nothing of it must be on disk.
            "--unsafe-no-fsync".to_owned(),
            format!("--listen-client-urls={}", at(etcd)),
            format!("--advertise-client-urls={}", at(etcd)),
            format!("--listen-peer-urls={}", at(peer)),
            format!("--initial-advertise-peer-urls={}", at(peer)),
            format!("--initial-cluster=default={}", at(peer)),
        ];
        plane.spawn("etcd", Path::new("etcd"), &arguments)?;
        let mut first = Command::new(&plane.server);
        match status(first.envs(plane.variables.clone())) {
            Outcome::Passed => {}
            Outcome::Failed(why) | Outcome::Skipped(why) => bail!("the API server was not started: {why}"),
        }
        let common = |port: u16| {
            ["--kubeconfig=kubeconfig", "--bind-address=127.0.0.1", "--port=0", "--cert-dir=certificates"]
                .map(str::to_owned)
                .into_iter()
                .chain(["--leader-elect=false".into(), "--kube-api-qps=500".into(), "--kube-api-burst=1000".into()])
                .chain([format!("--secure-port={port}")])
        };
        // Nodes of the tests send no heartbeats.
        let more = [
            "--controllers=*,-nodelifecycle,-bootstrapsigner,-tokencleaner",
            "--service-account-private-key-file=accounts.key",
            "--root-ca-file=certificates/apiserver.crt",
        ];
        let arguments: Vec<String> = common(manager).chain(more.map(str::to_owned)).collect();
        plane.spawn("controller-manager", &programs.join("kube-controller-manager"), &arguments)?;
        let arguments: Vec<String> = common(scheduler).collect();
        plane.spawn("scheduler", &programs.join("kube-scheduler"), &arguments)?;
        Ok(plane)
    }

    fn write_files(&self, port: u16) -> Result<()> {
        let openssl = |arguments: &[&str]| {
            let done = Command::new("openssl").args(arguments).current_dir(&self.folder).output();
            match done.context("openssl cannot be started; hint: apt-get install openssl")?.status.success() {
                true => Ok(()),
                false => bail!("openssl failed to make keys"),
            }
        };
        openssl(&["genrsa", "-out", "accounts.key", "2048"])?;
        openssl(&["rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pem"])?;
        fs::write(self.folder.join("tokens.csv"), "lab,admin,1,system:masters\n")?;
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\n\
             clusters: [{{name: lab, cluster: {{server: \"https://127.0.0.1:{port}\", insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: admin, user: {{token: lab}}}}]\n\
             contexts: [{{name: lab, context: {{cluster: lab, user: admin}}}}]\ncurrent-context: lab\n"
        );
        fs::write(self.folder.join("kubeconfig"), kubeconfig)?;
        Ok(())
    }

    fn spawn(&mut self, name: &str, program: &Path, arguments: &[String]) -> Result<()> {
        let log = File::create(self.folder.join(format!("{name}.log")))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        self.children.push(command.spawn().with_context(|| format!("{} cannot be started", program.display()))?);
        Ok(())
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.folder.join("apiserver.pid")) {
            let _ = status(Command::new("kill").args(["-9", pid.trim()]));
        }
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ports that nobody listens on now, from below those that Linux gives to clients: somebody who tries again and again
/// to reach a server that was killed would take its port himself one day.
fn free_ports() -> Result<[u16; 5]> {
    let from = 10_000 + u16::try_from(std::process::id() % 20_000)?;
    let mut free = (from..32_000).chain(10_000..from).filter(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let mut ports = [0; 5];
    for port in &mut ports {
        *port = free.next().context("no port is free")?;
    }
    Ok(ports)
}
