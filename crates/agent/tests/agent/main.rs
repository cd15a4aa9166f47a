//! An agent between a pretended server and a pretended engine, both of which can fail at will.

mod engine;
mod server;
mod site;

use std::{
    fs,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use huisuan_agent::{Agent, AgentConfig, AgentError, SitePolicy, StopFlag};
use huisuan_api::{ErrorCode, agent::LogRequest, signature};
use huisuan_model::{
    AttemptId, CentreId, EndCause, JobId, JobSpec, Mark, MilliDevices, Millicores, Order, StartOrder, Stream,
};

use self::{
    engine::{Handle, PretendedEngine, ended, started},
    server::PretendedServer,
};

fn id(job: u64) -> AttemptId {
    AttemptId { job: JobId(job), task: 0, attempt: 1 }
}

fn start(job: u64, centre: &str) -> Order {
    let name = |text: &str| text.parse();
    Order::Start(Box::new(StartOrder {
        attempt: id(job),
        centre: CentreId::new(centre).expect("a name"),
        tenant: name("t").expect("a name"),
        project: "p".parse().expect("a name"),
        spec: Arc::new(JobSpec::command("true", &["true"])),
        cores: Millicores(1000),
        devices: MilliDevices::ZERO,
        pool: None,
        account: None,
    }))
}

fn join(server: &PretendedServer, engine: &Arc<PretendedEngine>, dir: &Path, rate: bool) -> Result<Agent, AgentError> {
    join_with(server, engine, dir, rate, SitePolicy::default())
}

fn join_with(
    server: &PretendedServer,
    engine: &Arc<PretendedEngine>,
    dir: &Path,
    rate: bool,
    policy: SitePolicy,
) -> Result<Agent, AgentError> {
    let config = AgentConfig {
        server: server.url(),
        token: "token".into(),
        centre: CentreId::new("here").expect("a name"),
        dir: dir.to_owned(),
        policy,
        poll_wait: Duration::from_millis(200),
    };
    Agent::join(config, Box::new(Handle(Arc::clone(engine))), rate)
}

/// An agent that runs in a thread until it is dropped.
struct Running {
    stop: StopFlag,
    thread: Option<JoinHandle<Result<(), AgentError>>>,
}

fn run(agent: Agent) -> Running {
    let stop = StopFlag::new();
    let flag = stop.clone();
    Running { stop, thread: Some(thread::spawn(move || agent.run(&flag))) }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            ended.expect("dropped once").expect("no panic").expect("it ran");
        }
    }
}

struct Bench {
    server: PretendedServer,
    engine: Arc<PretendedEngine>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        Bench { server: PretendedServer::new(1), engine: Arc::default(), folder }
    }

    fn join(&self) -> Result<Agent, AgentError> {
        join(&self.server, &self.engine, self.folder.path(), false)
    }

    /// An agent of a site with rules.
    fn run_with(&self, policy: &str) -> Running {
        let policy = SitePolicy::parse(policy).expect("a policy");
        run(join_with(&self.server, &self.engine, self.folder.path(), false, policy).expect("joined"))
    }

    fn run(&self) -> Running {
        run(self.join().expect("joined"))
    }
}

#[test]
fn orders_reach_the_engine_and_ends_reach_the_server() {
    let bench = Bench::new();
    let _agent = bench.run();
    bench.server.order(start(1, "here"));
    bench.server.order(Order::Stop(id(1)));
    bench.engine.until("a start and a stop", |seen| seen.submitted == [id(1)] && seen.cancelled == [id(1)]);
    bench.engine.happen([started(id(1)), ended(id(1), EndCause::Cancelled)]);
    bench.engine.until("an acknowledgement", |seen| seen.acknowledged == [id(1)]);
    let told: Vec<_> = bench.server.taken().into_iter().flat_map(|batch| batch.reports).collect();
    assert_eq!(told, [started(id(1)), ended(id(1), EndCause::Cancelled)]);
}

/// A cluster whose nodes were away when its agent said hello, as after a restart of the controller.
#[test]
fn a_centre_whose_nodes_come_back_says_so() {
    let bench = Bench::new();
    bench.engine.be_down(true);
    let _agent = bench.run();
    assert_eq!(bench.server.pools(), 0);
    bench.engine.be_down(false);
    bench.server.until_hellos(2);
    assert_eq!(bench.server.pools(), 1);
    bench.server.order(start(1, "here"));
    bench.engine.until("a start", |seen| seen.submitted == [id(1)]);
}

/// An engine that hangs says nothing of its pools; who has ends to tell tells them to a server that was restarted.
#[test]
fn an_engine_that_hangs_keeps_no_end_from_the_server() {
    let bench = Bench::new();
    let _agent = bench.run();
    bench.server.order(start(1, "here"));
    bench.engine.until("a start", |seen| seen.submitted == [id(1)]);
    bench.engine.be_silent();
    bench.server.restart(2);
    bench.server.until_hellos(2);
    bench.engine.happen([ended(id(1), EndCause::Exited)]);
    bench.engine.until("an acknowledgement", |seen| seen.acknowledged == [id(1)]);
}

/// Who never joined is told what is wrong with the engine.
#[test]
fn an_engine_that_hangs_is_an_error_of_the_first_join() {
    let bench = Bench::new();
    bench.engine.be_silent();
    assert!(matches!(bench.join(), Err(AgentError::Engine(_))));
}

#[test]
fn an_order_for_another_centre_is_not_carried_out() {
    let bench = Bench::new();
    let _agent = bench.run();
    bench.server.order(start(1, "elsewhere"));
    bench.server.order(start(2, "here"));
    bench.engine.until("a start", |seen| !seen.submitted.is_empty());
    assert_eq!(bench.engine.submitted(), [id(2)]);
}

#[test]
fn a_refused_order_is_reported_as_not_started() {
    let bench = Bench::new();
    bench.engine.refuse(id(1));
    let _agent = bench.run();
    bench.server.order(start(1, "here"));
    let batch = bench.server.until_taken("the refusal");
    let text = format!("{:?}", batch.reports);
    assert!(text.contains("Refused") && text.contains("too large"), "{text}");
}

#[test]
fn a_repeated_batch_keeps_its_number() {
    let bench = Bench::new();
    bench.server.fail_reports(3);
    let _agent = bench.run();
    bench.engine.happen([ended(id(1), EndCause::Exited)]);
    bench.server.until_taken("the batch");
    let tried = bench.server.tried();
    assert_eq!(tried.len(), 4);
    assert!(tried.iter().all(|batch| *batch == tried[0]), "the same number, the same reports: {tried:#?}");
    bench.engine.happen([ended(id(2), EndCause::Exited)]);
    bench.engine.until("both", |seen| seen.acknowledged == [id(1), id(2)]);
    assert_eq!(bench.server.tried()[4].seq, tried[0].seq + 1);
}

#[test]
fn nothing_is_acknowledged_before_the_server_has_it() {
    let bench = Bench::new();
    bench.server.fail_reports(2);
    let _agent = bench.run();
    bench.engine.happen([ended(id(1), EndCause::Exited)]);
    bench.server.until_tried(2);
    assert!(bench.engine.acknowledged().is_empty());
    bench.engine.until("an acknowledgement", |seen| seen.acknowledged == [id(1)]);
    assert_eq!(bench.server.taken().len(), 1);
}

#[test]
fn a_batch_whose_answer_was_lost_is_not_sent_again_after_a_hello() {
    let bench = Bench::new();
    bench.server.lose_answers(1);
    let _agent = bench.run();
    bench.engine.happen([ended(id(1), EndCause::Exited)]);
    bench.server.until_tried(1);
    bench.engine.until("an acknowledgement", |seen| seen.acknowledged == [id(1)]);
    let distinct: std::collections::BTreeSet<u64> = bench.server.tried().iter().map(|batch| batch.seq).collect();
    assert_eq!(distinct.len(), 1, "one batch, one number");
}

#[test]
fn a_report_that_is_refused_for_good_does_not_block_the_others() {
    let bench = Bench::new();
    bench.server.refuse_reports_of(id(3));
    let _agent = bench.run();
    bench.engine.happen((1..=5).map(|job| ended(id(job), EndCause::Exited)));
    bench.engine.until("all acknowledgements", |seen| seen.acknowledged.len() == 5);
    let mut taken: Vec<_> =
        bench.server.taken().iter().flat_map(|batch| batch.reports.iter().map(|report| report.attempt)).collect();
    taken.sort();
    assert_eq!(taken, [1, 2, 4, 5].map(id), "each once");
    let numbers: Vec<u64> = bench.server.taken().iter().map(|batch| batch.seq).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(bench.server.hellos() >= 2, "it made sure that the server means the batch, not the agent");
    bench.engine.happen([ended(id(6), EndCause::Exited)]);
    bench.engine.until("a later one", |seen| seen.acknowledged.contains(&id(6)));
}

#[test]
fn only_a_centre_that_knows_nothing_says_that_it_is_new() {
    let bench = Bench::new();
    let agent = bench.run();
    assert_eq!(bench.server.fresh(), [true]);
    bench.server.order(start(1, "here"));
    bench.engine.until("a start", |seen| seen.submitted == [id(1)]);
    bench.server.restart(2);
    bench.server.until_hellos(2);
    drop(agent);
    // Its note is gone, as after a restored backup, and the engine still knows what runs.
    std::fs::remove_file(bench.folder.path().join("agent.json")).expect("the note");
    let _agent = bench.run();
    bench.server.until_hellos(3);
    assert_eq!(bench.server.fresh(), [true, false, false]);
}

#[test]
fn a_restarted_server_is_greeted_and_told_the_same_batch() {
    let bench = Bench::new();
    let _agent = bench.run();
    bench.server.order(start(1, "here"));
    bench.engine.until("a start", |seen| seen.submitted == [id(1)]);
    bench.server.restart(2);
    bench.server.order(start(2, "here"));
    bench.engine.happen([ended(id(1), EndCause::Exited)]);
    bench.engine.until("the next start", |seen| seen.submitted.contains(&id(2)));
    bench.engine.until("an acknowledgement", |seen| seen.acknowledged == [id(1)]);
    assert!(bench.server.hellos() >= 2);
    assert_eq!(bench.server.taken()[0].epoch, 2);
}

#[test]
fn orders_of_an_earlier_server_are_refused() {
    let bench = Bench::new();
    bench.server.restart(5);
    let agent = bench.run();
    bench.server.restart(4);
    bench.server.order(start(1, "here"));
    // Refused hellos are counted; two of them show that the agent keeps asking and nothing else.
    let hellos = bench.server.hellos();
    bench.server.until_hellos(hellos + 2);
    assert!(bench.engine.submitted().is_empty());
    bench.server.restart(6);
    bench.server.order(start(2, "here"));
    bench.engine.until("an order of the present server", |seen| seen.submitted == [id(2)]);
    drop(agent);
    bench.server.restart(5);
    let refused = bench.join().map(|_| ());
    assert!(matches!(refused, Err(AgentError::OldServer { epoch: 5, epoch_max: 6 })), "{refused:?}");
}

#[test]
fn a_restarted_agent_goes_on_with_higher_numbers() {
    let bench = Bench::new();
    let agent = bench.run();
    bench.engine.happen([ended(id(1), EndCause::Exited)]);
    bench.engine.until("an acknowledgement", |seen| seen.acknowledged == [id(1)]);
    let twin = bench.join().map(|_| ());
    assert!(matches!(twin, Err(AgentError::Taken(_))), "{twin:?}");
    drop(agent);
    let _agent = bench.run();
    bench.engine.happen([ended(id(2), EndCause::Exited)]);
    bench.engine.until("another", |seen| seen.acknowledged == [id(1), id(2)]);
    let numbers: Vec<u64> = bench.server.taken().iter().map(|batch| batch.seq).collect();
    assert!(
        numbers[1] > numbers[0] + 1,
        "a batch of the former run that is under way cannot have the number: {numbers:?}"
    );
}

#[test]
fn an_engine_that_fails_gets_the_orders_again() {
    let bench = Bench::new();
    bench.engine.fail_submits(2);
    let _agent = bench.run();
    bench.server.order(start(1, "here"));
    bench.engine.until("a start", |seen| seen.submitted == [id(1)]);
}

/// An engine that takes nothing new, as one whose disk is full, still ends what it has.
#[test]
fn a_stop_does_not_wait_for_starts_that_fail() {
    let bench = Bench::new();
    let _agent = bench.run();
    bench.server.order(start(1, "here"));
    bench.engine.until("a start", |seen| seen.submitted == [id(1)]);
    bench.engine.fail_submits(u32::MAX);
    bench.server.order(start(2, "here"));
    bench.server.order(Order::Stop(id(2)));
    bench.server.order(Order::Stop(id(1)));
    bench.engine.until("its stop", |seen| seen.cancelled.contains(&id(1)));
    bench.engine.until("nothing that did not start", |seen| !seen.cancelled.contains(&id(2)));
}

#[test]
fn output_is_given_to_who_asks() {
    let bench = Bench::new();
    let request =
        |number, job| LogRequest { id: number, attempt: id(job), stream: Stream::Stderr, offset: 2, limit: 3 };
    // Asked for before the engine knows of it: order and question come together.
    bench.server.order(start(1, "here"));
    bench.server.ask(request(7, 1));
    bench.server.ask(request(8, 404));
    let _agent = bench.run();
    let answers = bench.server.until_answers(2);
    assert_eq!(answers[0], ("/v1/agent/here/logs/7?end=true&offset=2".to_owned(), b"cde".to_vec()));
    assert!(answers[1].0.contains("/logs/8?") && answers[1].0.contains("error=attempt"), "{answers:?}");
}

#[test]
fn a_server_that_refuses_or_is_away_is_an_error_of_the_join() {
    let bench = Bench::new();
    bench.server.refuse_hello(ErrorCode::Unauthenticated);
    let refused = bench.join().map(|_| ());
    let Err(AgentError::Server { source }) = refused else { panic!("refused: {refused:?}") };
    assert_eq!(source.exit_code(), 4);
    let gone = PretendedServer::new(1);
    let url = gone.url();
    drop(gone);
    let mut other = bench.server.clone();
    other.set_url(url);
    let away = join(&other, &bench.engine, bench.folder.path(), false).map(|_| ());
    assert!(matches!(away, Err(AgentError::Server { .. })), "{away:?}");
}

/// A CPU that this process may use.
fn a_cpu() -> usize {
    let allowed = rustix::thread::sched_getaffinity(None).expect("the CPUs of this process");
    (0..rustix::thread::CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu)).expect("a CPU")
}

/// A pool without a rating gets no work: one that was lost on its way is made again.
#[test]
fn a_new_pool_whose_rating_did_not_arrive_is_rated_again() {
    let bench = Bench::new();
    bench.engine.be_made_of(vec![a_cpu()]);
    bench.engine.be_down(true);
    let _agent = run(join(&bench.server, &bench.engine, bench.folder.path(), true).expect("joined"));
    bench.server.fail_ratings(1);
    bench.engine.be_down(false);
    let [rated] = bench.server.until_ratings(1).try_into().expect("one pool");
    assert_eq!(rated.pool.as_str(), "cpu:test");
}

#[test]
fn a_pool_in_this_machine_is_rated_by_measuring_it() {
    let bench = Bench::new();
    drop(join(&bench.server, &bench.engine, bench.folder.path(), true).expect("joined"));
    assert!(bench.server.ratings().is_empty(), "a pool elsewhere cannot be measured from here");
    bench.engine.be_made_of(vec![a_cpu()]);
    drop(join(&bench.server, &bench.engine, bench.folder.path(), true).expect("joined"));
    let [rated] = bench.server.ratings().try_into().expect("one pool");
    assert_eq!((rated.pool.as_str(), rated.rating.mark), ("cpu:test", Mark::Measured));
    assert_eq!(rated.rating.method, "gemm-gemmkit/2");
    assert!(signature::verifies(&CentreId::new("here").expect("a name"), &rated.pool, &rated.rating), "{rated:?}");
    let certificate = rated.rating.certificate.as_ref().expect("a certificate");
    let record = bench.folder.path().join("ratings").join(format!("{}.json", certificate.data_hash));
    let record: serde_json::Value = serde_json::from_slice(&fs::read(record).expect("kept")).expect("JSON");
    assert_eq!(record["rates"][0]["sustained_gflops"], rated.rating.sustained.0);
    assert!(rated.rating.sustained.0 >= 1 && rated.rating.rated_at.0 > 0, "{rated:?}");

    // Asked again, it measures more: every precision and memory, signed by the same key.
    let running = run(join(&bench.server, &bench.engine, bench.folder.path(), false).expect("joined"));
    bench.server.measure(rated.pool.clone());
    let again = bench.server.until_ratings(2).pop().expect("a second rating");
    drop(running);
    let more = again.rating.certificate.as_ref().expect("a certificate");
    assert_eq!(more.key, certificate.key);
    assert!(more.rates.len() > certificate.rates.len() && more.bandwidth_mb_per_s.is_some(), "{more:?}");
}
