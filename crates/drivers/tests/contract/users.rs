//! Tenants' jobs as local users of the site, by the agent's own ordinary user and the rules of `sudo` that the page on
//! Slurm gives, on a real cluster. Users are made by root alone: for another user the tests say so and are over.
//!
//! The test makes users and rules and starts this program again as the agent's user, which does all the rest.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_drivers::{Engine as _, EngineError, SlurmConfig, SlurmEngine, SubmitResult};
use huisuan_model::{EndCause, JobSpec, ProjectId, StartOrder, Stream, TenantId};

use crate::{
    bench::{Bench, PATIENCE, end_of, expect_cause, id, order, script, task},
    checkpoint,
    sessions::{Viewer, begun},
    slurm::{WORKING, config},
    staging, suite,
};

/// Tells this test program that it is the agent of the site: a folder that its jobs' users can go through.
const SITE_VARIABLE: &str = "HUISUAN_TEST_SLURM_SITE";

/// The page with the rules of `sudo`, which are tested as they are printed.
const PAGE: &str = include_str!("../../../../docs/en/slurm.md");

/// The tenant of the orders that tests share, and another one.
const TENANTS: [&str; 2] = ["tenant", "other"];

/// A file that is removed in the end.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Users of the site: the agent's, and one for each tenant.
struct People([String; 3]);

impl People {
    /// `None` for who may not make users.
    fn make() -> Option<People> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("not tested: only root may make users");
            return None;
        }
        let people = People(["agent", "anna", "bert"].map(|name| format!("hs{}{name}", std::process::id())));
        for name in &people.0 {
            run("useradd", &["--no-create-home", "--home-dir", &home(name), "--user-group", name]);
        }
        let [agent, tenants @ ..] = &people.0;
        tenants.iter().for_each(|group| run("usermod", &["--append", "--groups", group, agent]));
        Some(people)
    }

    /// The page's rules for these users.
    fn rules(&self) -> Removed {
        let rules = PAGE.split("```sudoers\n").nth(1).and_then(|rest| rest.split("```").next()).expect("rules");
        let [agent, anna, bert] = &self.0;
        let own = format!("HS{}", std::process::id());
        let rules = rules.replace("huisuan", agent).replace("anna", anna).replace("bert", bert);
        let path = PathBuf::from(format!("/etc/sudoers.d/{agent}"));
        // A name with a dot is passed over, so that no half a file is ever read.
        let new = path.with_extension("new");
        fs::write(&new, rules.replace("HUISUAN_", &format!("{own}_"))).expect("written");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o440)).expect("set");
        run("visudo", &["--check", "--strict", "--file", new.to_str().expect("a path")]);
        fs::rename(&new, &path).expect("in its place");
        Removed(path)
    }
}

/// Of a user that is to have one and has none.
fn home(name: &str) -> String {
    format!("/nowhere/{name}")
}

impl Drop for People {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = Command::new("userdel").args(["--force", name]).output();
        }
        for name in &self.0 {
            let _ = Command::new("groupdel").arg(name).output();
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect(program);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn tenants_run_as_their_own_users() {
    let Some(people) = People::make() else { return };
    let [agent, tenants @ ..] = &people.0;
    let _rules = people.rules();
    let place = WORKING.node();
    let users = tenants.join(",");
    WORKING.take().call("sacctmgr", &["--immediate", "add", "user", &users, "Account=lab"]);
    let scratch = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().expect("a folder");
    // Where this program is built, others may have no way.
    let program = scratch.path().join("agent");
    fs::copy(std::env::current_exe().expect("the path of this test program"), &program).expect("copied");
    let site = scratch.path().join("site");
    fs::create_dir(&site).expect("made");
    run("chown", &[&format!("{agent}:"), site.to_str().expect("a path")]);
    let ids = [&format!("--reuid={agent}"), &format!("--regid={agent}"), "--init-groups"];
    let mut agent = Command::new("setpriv");
    agent.args(ids).arg("--").arg(program).args(["users::agent_of_the_site", "--exact", "--nocapture"]);
    agent.env(SITE_VARIABLE, &site).env("TMPDIR", &site).env("PLACE", &place.partition).env("SLURM_CONF", &place.conf);
    let mut agent = agent.env("ANNA", &tenants[0]).env("BERT", &tenants[1]).spawn().expect("setpriv");
    let until = Instant::now() + 2 * PATIENCE;
    let status = loop {
        match agent.try_wait().expect("a child") {
            Some(status) => break status,
            None if Instant::now() < until => std::thread::park_timeout(Duration::from_millis(50)),
            None => {
                agent.kill().expect("a child");
                panic!("the agent hangs");
            }
        }
    };
    assert!(status.success(), "see what the agent says above");
}

/// Not a test by itself: what the agent of the site does.
#[test]
fn agent_of_the_site() {
    if std::env::var_os(SITE_VARIABLE).is_none() {
        return;
    }
    for check in [suite::runs_and_reports, suite::start_failures, suite::arrays_know_who_they_are, suite::environment] {
        check(&mut bench());
    }
    for check in [suite::a_queued_attempt_is_cancelled, suite::a_running_attempt_is_cancelled_with_all_it_started] {
        check(&mut bench());
    }
    checkpoint::state_is_saved_when_room_is_taken_away(&mut bench());
    staging::data_is_where_the_variable_says(&mut bench());
    who_runs(&mut bench());
    nobody_reaches_another(&mut bench());
    what_a_user_plants_is_its_own_loss(&mut bench());
    a_session_and_a_restart(&mut bench());
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("set by the test")
}

fn site_config(folder: &Path) -> SlurmConfig {
    let mut config = config(folder, Path::new(&variable("SLURM_CONF")), &variable("PLACE"));
    let text = format!("{{\"tenant\": \"{}\", \"other/project\": \"{}\"}}", variable("ANNA"), variable("BERT"));
    config.users = Some(serde_json::from_str(&text).expect("users"));
    config
}

/// Its tasks may leave files beside the engine's folder, as all tests have them do.
fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a scratch folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).expect("opened");
    let engine = SlurmEngine::open(site_config(&folder.path().join("centre"))).expect("an engine");
    Bench::new(engine, folder)
}

/// An order of the second tenant.
fn of_other(order: StartOrder) -> StartOrder {
    StartOrder { tenant: TenantId::new(TENANTS[1]).expect("a name"), ..order }
}

fn who_runs(bench: &mut Bench) {
    let text = "id -un; echo $USER $HOME; env | grep -c SUDO_; exit 3";
    let array = Arc::new(JobSpec { tasks: "1-3".parse().expect("ranges"), ..script(text) });
    let mut orders: Vec<StartOrder> = array.tasks.iter().map(|index| task(1, index, &array)).collect();
    orders.push(of_other(order(2, script(text))));
    bench.submit(&orders);
    for order in &orders {
        assert_eq!(bench.end(order.attempt).outcome.exit_code, Some(3));
        let name = variable(if order.attempt.job.0 == 1 { "ANNA" } else { "BERT" });
        assert_eq!(bench.stdout(order.attempt), format!("{name}\n{name} {}\n0\n", home(&name)));
        bench.engine.acknowledge(&[order.attempt]).expect("acknowledged");
        // Its end is the agent's own record, out of the user's reach.
        bench.engine.look_for(&[order.attempt]).expect("looked");
    }
    // What `agent --check` tries says so: these may, and none may for the account of nobody.
    let said = |bench: &Bench| bench.engine.local_users();
    let [other, tenant] = &said(bench)[..] else { panic!("two entries: {:?}", said(bench)) };
    assert_eq!(*tenant, (format!("tenant as {}", variable("ANNA")), Ok(())));
    assert_eq!(*other, (format!("other/project as {}", variable("BERT")), Ok(())));
    let folder = bench.folder.path().join("another");
    let engine = SlurmEngine::open(SlurmConfig { account: Some("nobody-s".into()), ..site_config(&folder) });
    for (who, tried) in engine.expect("an engine").local_users() {
        assert!(tried.is_err_and(|why| why.contains("account")), "{who}");
    }
    let stranger = TenantId::new("stranger").expect("a name");
    let project = ProjectId::new("elsewhere").expect("a name");
    for refused in [
        StartOrder { tenant: stranger, ..order(3, script("true")) },
        StartOrder { project, ..of_other(order(4, script("true"))) },
    ] {
        let whose = format!("tenant `{}`, project `{}`", refused.tenant, refused.project);
        let results = bench.engine.submit(&[refused]).expect("submitted");
        let said = matches!(&results[..], [SubmitResult::Refused { why }] if why.contains(&whose));
        assert!(said, "{results:?}");
    }
}

/// One user's job tries to read what another one runs, to end it, and to hear the agent's secrets.
fn nobody_reaches_another(bench: &mut Bench) {
    let centre = bench.folder.path().join("centre").display().to_string();
    let go = bench.file("go");
    let waits = script(&format!("echo secret; until [ -e {go} ]; do sleep 0.05; done; exit 5"));
    let waits = Arc::new(JobSpec { tasks: "0-1".parse().expect("ranges"), ..waits });
    bench.submit(&[task(1, 0, &waits), task(1, 1, &waits)]);
    bench.started(id(1, 0));
    let own = format!("{centre}/attempts/1/0.1");
    let anna = fs::metadata(format!("{own}/claim")).map(|claim| std::os::unix::fs::MetadataExt::uid(&claim));
    let news = format!("{centre}/news/{}", anna.expect("a claim"));
    let text = format!(
        "tries() {{ \"$@\" 2>/dev/null && echo \"succeeded: $*\"; }}\n\
         for path in {own} {centre} {centre}/attempts {centre}/attempts/1 {news} {centre}/arrays; do tries ls $path; done\n\
         for name in stdout start script claim exit; do tries cat {own}/$name; done\n\
         for path in {centre}/slurm.log {centre}/instance {centre}/arrays/1; do tries cat $path; done\n\
         for path in {own}/exit {own}/x {news}/1.0.1.end {centre}/attempts/1/x {centre}/attempts/x {centre}/wrapper.sh \
             {centre}/news/1.0.1.end {centre}/arrays/9 {centre}/checkpoints/1; do tries touch $path; done\n\
         tries ln -s {own}/stdout mine\n\
         : > {centre}/news/$(id -u)/1.0.1.end; : > {centre}/news/$(id -u)/1.0.1.start\n\
         printf 'version=1\\nat=9\\ncause=exited\\nstarted_at=4\\nstatus=0\\nsignal=\\noutside=0\\nwalltime=0\\n0m0.0s \
         0m0.0s\\ncomplete\\n' > exit.forged\n\
         scancel --name=hs-$(echo forged) ; scancel -u {} 2>/dev/null; echo done",
        variable("ANNA")
    );
    let spec = Arc::new(JobSpec { tasks: "0-1".parse().expect("ranges"), ..script(&text) });
    bench.submit(&[of_other(task(2, 0, &spec)), of_other(task(2, 1, &spec))]);
    for index in 0..2 {
        expect_cause(&bench.end(id(2, index)), EndCause::Exited);
        let said = bench.stdout(id(2, index));
        // A link to what is closed can be made, and gives nothing.
        let link = format!("succeeded: ln -s {own}/stdout mine\n");
        assert_eq!(said, format!("{link}done\n"));
    }
    assert!(!bench.reports.iter().any(|report| end_of(report, id(1, 0)).is_some()), "{:?}", bench.reports);
    assert_eq!(bench.engine.logs(id(1, 0), Stream::Stdout, 0, 100).expect("logs").data, b"secret\n");
    fs::write(go, "").expect("a file");
    for index in 0..2 {
        assert_eq!(bench.end(id(1, index)).outcome.exit_code, Some(5));
    }
}

/// Links to what the agent may read, pipes where records are, an end of somebody else's: none is followed, waited for or
/// believed.
fn what_a_user_plants_is_its_own_loss(bench: &mut Bench) {
    let secret = bench.file("secret");
    fs::write(&secret, "of the agent").expect("written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("closed");
    let links = format!("rm stdout; ln -s {secret} stdout; rm -f claim; ln -s {secret} claim");
    assert_eq!(bench.run(order(1, script(&format!("{links}; exit 4")))).outcome.exit_code, Some(4));
    assert_eq!(bench.stdout(id(1, 0)), "");
    let forged = "echo '{\"attempt\":\"9.0.1\",\"at\":1,\"what\":\"started\"}' > done.json; mkfifo used alive";
    assert!(bench.run(order(2, script(&format!("{forged}; sleep 2")))).outcome.success());
    bench.engine.acknowledge(&[id(2, 0)]).expect("acknowledged");
    bench.engine.look_for(&[id(2, 0)]).expect("looked");
    // Elsewhere than in its folder the agent reads nothing for it.
    let elsewhere = JobSpec { output: Some("/etc/hostname".to_owned()), ..script("true") };
    let end = bench.run(order(3, elsewhere));
    expect_cause(&end, EndCause::StartFailed);
    let refused = bench.engine.logs(id(3, 0), Stream::Stdout, 0, 10);
    assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
    // Who keeps the wrapper from writing its record is cancelled all the same, and keeps nobody else waiting.
    bench.submit(&[order(4, script("mkfifo exit; chmod 0 claim; exec sleep 1000"))]);
    bench.started(id(4, 0));
    assert!(bench.run(of_other(order(5, script("true")))).outcome.success());
    bench.engine.cancel(&[id(4, 0)]).expect("cancelled");
    expect_cause(&bench.end(id(4, 0)), EndCause::Cancelled);
}

fn a_session_and_a_restart(bench: &mut Bench) {
    let (attempt, mut viewer) = begun(bench, 1, &["/bin/sh"]);
    viewer.types("kept=seven; echo is-$(id -un)-$((40 + 2))\n");
    viewer.sees(&format!("is-{}-42\r\n", variable("ANNA")));
    let elsewhere = bench.folder.path().join("elsewhere");
    bench.engine = Box::new(crate::bench::open_local(&elsewhere, ""));
    let folder = bench.folder.path().join("centre");
    bench.engine = Box::new(SlurmEngine::open(site_config(&folder)).expect("an engine"));
    let mut again = Viewer::of(bench, attempt);
    again.types("echo still-$kept; exit 3\n");
    again.sees("still-seven\r\n");
    assert_eq!(bench.end(attempt).outcome.exit_code, Some(3));
}
