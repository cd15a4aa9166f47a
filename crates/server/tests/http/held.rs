//! What an engine holds against what the books say.

use huisuan_api::{
    ErrorCode, Timestamp,
    agent::{ClosedSpan, EngineAlarm, Held, HeldAnswer, HeldTasks},
};
use huisuan_model::{AttemptId, Class, JobId, PoolId, RangeSet, SiteBook, SiteReservation, TimeMs};
use serde_json::json;

use crate::{
    agents::{alarms, owned},
    network::{Agent, Network, ended, small_job, started},
    plain::Request,
};

fn id(job: u64, task: u32) -> AttemptId {
    AttemptId { job: JobId(job), task, attempt: 1 }
}

fn held(agent: &Agent, attempts: &[AttemptId]) -> HeldAnswer {
    let one =
        |id: &AttemptId| HeldTasks { job: id.job, attempt: id.attempt, tasks: RangeSet::from_range(id.task, id.task) };
    let held = Held {
        epoch: agent.epoch,
        attempts: attempts.iter().map(one).collect(),
        ended: Vec::new(),
        closed: Vec::new(),
        alarms: Vec::new(),
        book: None,
    };
    agent.client.held(&held).expect("an answer")
}

/// `hpc-1` runs an array of two tasks.
fn running() -> (Network, Agent) {
    let network = Network::paused();
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    let mut job = small_job();
    job["tasks"] = json!(2);
    network.submit(&job);
    network.client().resume("hpc-1").expect("open");
    agent.starts(2);
    agent.report(vec![started(id(1, 0)), started(id(1, 1))]);
    (network, agent)
}

#[test]
fn what_agrees_raises_nothing() {
    let (network, agent) = running();
    let before = network.journal().len();
    for _ in 0..2 {
        assert_eq!(held(&agent, &[id(1, 0), id(1, 1)]), HeldAnswer::default());
    }
    assert_eq!((network.journal().len(), alarms(&network)), (before, vec![]));
}

#[test]
fn what_was_never_ordered_is_left_alone_and_alarmed_when_it_stays() {
    let (network, agent) = running();
    let all = [id(1, 0), id(1, 1), id(77, 3)];
    let first = held(&agent, &all);
    assert!(first.again && first.end.is_empty() && alarms(&network).is_empty(), "it may only be on its way: {first:?}");
    let second = held(&agent, &all);
    assert_eq!(second, HeldAnswer::default(), "it is not ended");
    assert_eq!(alarms(&network), [("hpc-1", "unknown-attempt", "77.3.1")].map(owned));
    assert_eq!(network.client().centre("hpc-1").expect("a centre").alarms.len(), 1);
    let page = network.send(&Request::get("/centres/hpc-1")).text();
    assert!(page.contains("unknown-attempt") && page.contains("77.3.1"), "{page}");
    held(&agent, &all[..2]);
    assert_eq!(alarms(&network), [], "it is gone, and so is the alarm");
}

#[test]
fn what_has_ended_in_the_books_is_ended_there() {
    let (network, mut agent) = running();
    agent.report(vec![ended(id(1, 0), 0)]);
    let all = [id(1, 0), id(1, 1)];
    assert_eq!((held(&agent, &all).end, alarms(&network)), (vec![], vec![]), "its end may have crossed the question");
    assert_eq!(held(&agent, &all).end, [id(1, 0)]);
    assert_eq!(alarms(&network), [("hpc-1", "ended-attempt", "1.0.1")].map(owned));
}

#[test]
fn what_is_missing_is_looked_for_and_not_called_lost() {
    let (network, agent) = running();
    assert_eq!(held(&agent, &[id(1, 0)]).missing, [id(1, 1)]);
    assert_eq!(alarms(&network), []);
    assert_eq!(held(&agent, &[id(1, 0)]).missing, [id(1, 1)]);
    assert_eq!(alarms(&network), [("hpc-1", "missing-attempt", "1.1.1")].map(owned));
    let one = |task| HeldTasks { job: JobId(1), attempt: 1, tasks: RangeSet::from_range(task, task) };
    let on_its_way = Held {
        epoch: agent.epoch,
        attempts: vec![one(0)],
        ended: vec![one(1)],
        closed: Vec::new(),
        alarms: vec![],
        book: None,
    };
    assert_eq!(agent.client.held(&on_its_way).expect("an answer"), HeldAnswer::default());
    assert_eq!(alarms(&network), [], "its end is on its way");
    let job = network.client().job(1).expect("a job");
    assert!(job.attempts.iter().all(|attempt| attempt.state == "running"), "nobody but the engine can say: {job:?}");
}

#[test]
fn what_an_engine_alarms_of_is_raised_once_and_cleared_when_it_is_gone() {
    let (network, agent) = running();
    let attempts = [0, 1].map(|task| HeldTasks { job: JobId(1), attempt: 1, tasks: RangeSet::from_range(task, task) });
    let tell = |alarms: &[(&str, &str)]| {
        let alarms = alarms.iter().map(|&(subject, what)| EngineAlarm { subject: subject.into(), what: what.into() });
        let held = Held {
            epoch: agent.epoch,
            attempts: attempts.to_vec(),
            ended: vec![],
            closed: vec![],
            alarms: alarms.collect(),
            book: None,
        };
        agent.client.held(&held).expect("an answer");
        alarms_of(&network)
    };
    let node = ("node n1", "is drained: bad fan");
    assert_eq!(tell(&[node]), [("engine", "node n1", "is drained: bad fan")].map(owned));
    let before = network.journal().len();
    assert_eq!(tell(&[("node n1", "is drained*")]).len(), 1, "it is known");
    assert_eq!(network.journal().len(), before);
    let two = tell(&[node, ("slurm", "does not answer"), ("two\nlines", "x"), (&"x".repeat(300), "x")]);
    assert_eq!(two.iter().map(|alarm| &*alarm.1).collect::<Vec<_>>(), ["node n1", "slurm"]);
    assert_eq!(tell(&[("slurm", "does not answer")]).len(), 1);
    held(&agent, &[id(1, 0), id(1, 1), id(77, 3)]);
    assert_eq!(tell(&[]), [], "an older agent, or nothing more to say");
}

fn alarms_of(network: &Network) -> Vec<(String, String, String)> {
    let alarms = network.client().alarms().expect("alarms").alarms;
    alarms.into_iter().map(|alarm| (alarm.kind, alarm.subject, alarm.detail)).collect()
}

#[test]
fn closed_hours_of_a_site_are_planned_around() {
    let (network, agent) = running();
    let now = network.client().health().expect("health").now.0.0;
    let span = |from: i64, until: i64| ClosedSpan {
        from: TimeMs(now + from),
        until: TimeMs(now + until),
        pool: None,
        why: String::new(),
    };
    let tell = |closed: &[ClosedSpan]| {
        let attempts =
            [0, 1].map(|task| HeldTasks { job: JobId(1), attempt: 1, tasks: RangeSet::from_range(task, task) });
        let held = Held {
            epoch: agent.epoch,
            attempts: attempts.to_vec(),
            ended: Vec::new(),
            closed: closed.to_vec(),
            alarms: vec![],
            book: None,
        };
        agent.client.held(&held).expect("an answer");
        let windows = network.client().centre("hpc-1").expect("a centre").windows;
        windows.into_iter().map(|window| (window.from.0.0 - now, window.until.0.0 - now)).collect::<Vec<_>>()
    };
    let (hour, minute) = (3_600_000, 60_000);
    assert_eq!(tell(&[span(minute / 2, hour)]), [(minute / 2, hour)]);
    let before = network.journal().len();
    assert_eq!(tell(&[span(minute / 2, hour)]), [(minute / 2, hour)], "it is known");
    assert_eq!(network.journal().len(), before);
    let waits = network.submit(&small_job());
    let reason = || network.client().explain(waits).expect("an answer").reason.map(|reason| reason.code);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while reason().as_deref() != Some("centre-closed") {
        assert!(std::time::Instant::now() < deadline, "a task of a minute would run into it: {:?}", reason());
    }
    assert_eq!(tell(&[span(2 * hour, 3 * hour)]), [(2 * hour, 3 * hour)], "the rules changed");
    assert_eq!(tell(&[span(3 * hour, hour), span(0, 100 * 24 * hour)]), [], "what is no span of hours is no rule");
}

/// What a site's scheduler announces: of pools too, months ahead, and beside an operator's own windows.
#[test]
fn what_a_sites_scheduler_announces_is_planned_around() {
    let (network, agent) = running();
    let now = network.client().health().expect("health").now.0.0;
    let hour = 3_600_000;
    let moment = |hours: i64| TimeMs(now + hours * hour);
    let told = |from: i64, until: i64, pool: Option<&str>, why: &str| ClosedSpan {
        from: moment(from),
        until: moment(until),
        pool: pool.map(|name| PoolId::new(name).expect("a name")),
        why: why.to_owned(),
    };
    let tell = |closed: &[ClosedSpan], book: SiteBook| {
        let attempts =
            [0, 1].map(|task| HeldTasks { job: JobId(1), attempt: 1, tasks: RangeSet::from_range(task, task) });
        let (epoch, attempts, closed, book) = (agent.epoch, attempts.to_vec(), closed.to_vec(), Some(book));
        let held = Held { epoch, attempts, ended: vec![], closed, alarms: vec![], book };
        agent.client.held(&held).expect("an answer");
        let centre = network.client().centre("hpc-1").expect("a centre");
        let windows = centre.windows.into_iter().map(|window| {
            let hours = |at: i64| (at - now) / hour;
            let pool = window.pool.unwrap_or_else(|| "all".to_owned());
            format!("{pool} {}-{} {}", hours(window.from.0.0), hours(window.until.0.0), window.note)
        });
        (windows.collect::<Vec<_>>(), centre.site.map(|site| site.reservations))
    };
    let pool = network.client().centre("hpc-1").expect("a centre").pools[0].pool.clone();
    let asked = |note: &str| {
        let (from, until) = (Timestamp(moment(48)), Timestamp(moment(49)));
        Request::post("/v1/centres/hpc-1/windows").json(json!({"from": from, "until": until, "note": note}).to_string())
    };
    assert_eq!(network.send(&asked("new cooling")).status, 201);
    network.refused(&asked("closed by the site's own scheduler: x"), ErrorCode::InvalidSpec);
    let announced = [
        told(1000, 1001, None, "maintenance m1"),
        told(2, 3, Some(&pool), "reservation r1"),
        told(2, 3, Some("gone"), "reservation r1"),
        told(2, 3, None, "two\nlines"),
        told(2, 9_000, None, "longer than a year"),
        told(5, 6, None, ""),
    ];
    let by = "closed by the site's own scheduler:";
    let (reservation, maintenance) =
        (format!("{pool} 2-3 {by} reservation r1"), format!("all 1000-1001 {by} maintenance m1"));
    let (hours, own) = ("all 5-6 closed by the site's own rules".to_owned(), "all 48-49 new cooling".to_owned());
    let expected = [own.clone(), reservation.clone(), hours, maintenance];
    let sorted = |mut windows: Vec<String>| {
        windows.sort();
        windows
    };
    let book = SiteBook {
        reservations: vec![SiteReservation { name: "r1".to_owned(), nodes: 7, ..site_reservation(moment(2)) }],
        ..SiteBook::default()
    };
    let (windows, site) = tell(&announced, book.clone());
    assert_eq!(sorted(windows), sorted(expected.to_vec()));
    let site = site.expect("it is told");
    assert_eq!((site[0].name.as_str(), site[0].nodes), ("r1", 7));
    let before = network.journal().len();
    tell(&announced, book);
    assert_eq!(network.journal().len(), before, "it is known");
    let mut forged = SiteBook::default();
    forged.reservations.resize(101, SiteReservation { name: "x".into(), ..site_reservation(moment(1)) });
    let (windows, site) = tell(&announced[1..2], forged);
    assert_eq!((sorted(windows), site), (sorted(vec![own.clone(), reservation]), None));
    assert_eq!(tell(&[], SiteBook::default()).0, [own]);
}

fn site_reservation(from: TimeMs) -> SiteReservation {
    let (until, pools) = (TimeMs(from.0 + 1), vec![]);
    SiteReservation { name: String::new(), maintenance: false, ours: false, from, until, nodes: 1, pools }
}

#[test]
fn what_is_another_centres_is_not_believed() {
    let (network, _) = running();
    network.declare("ai-1", Class::Ai);
    let mut other = network.agent("ai-1");
    other.join(Class::Ai, 2);
    for _ in 0..2 {
        assert_eq!(held(&other, &[id(1, 0)]).end, []);
    }
    assert_eq!(alarms(&network), [("ai-1", "foreign-attempt", "1.0.1")].map(owned));
    assert_eq!(network.client().job(1).expect("a job").attempts[0].centre, "hpc-1");
}
