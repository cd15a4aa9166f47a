//! Submissions that may be repeated: one key, one job.

use std::sync::Barrier;

use huisuan_api::ErrorCode;
use huisuan_model::Event;
use serde_json::{Value, json};

use crate::{
    network::{Network, small_job},
    plain::Request,
};

fn keyed(job: &Value, key: impl Into<Vec<u8>>) -> Request {
    Request::post("/v1/jobs").json(job.to_string()).header("idempotency-key", key)
}

fn submitted(network: &Network) -> Vec<u64> {
    let entries = network.journal();
    let events = entries.iter().flat_map(|entry| &entry.events);
    events.filter_map(|event| if let Event::JobSubmitted { job, .. } = event { Some(job.0) } else { None }).collect()
}

#[test]
fn a_key_answers_with_its_job() {
    let network = Network::paused();
    let request = keyed(&small_job(), "a key of mine");
    let first = network.send(&request);
    assert_eq!((first.status, &first.value()["state"]), (201, &json!("waiting")));
    let again = network.send(&request);
    assert_eq!((again.status, again.value()["job_id"].as_u64()), (200, first.value()["job_id"].as_u64()));
    // The same job in other words: fields in another order, a default written out.
    let same = json!({"cores": 1, "walltime": "60s", "memory": "1024KiB", "command": ["/bin/true"]});
    assert_eq!(network.send(&keyed(&same, "a key of mine")).status, 200);
    let mut other = small_job();
    other["priority"] = json!(1);
    let problem = network.refused(&keyed(&other, "a key of mine"), ErrorCode::KeyReused);
    assert!(problem.detail.contains("a key of mine") && problem.detail.contains("job 1"), "{problem}");
    assert_eq!(network.send(&keyed(&other, "A key of mine")).status, 201, "keys are compared exactly");
    // A cancelled job is still the answer.
    network.client().cancel(1).expect("cancelled");
    let late = network.send(&request);
    assert_eq!((late.status, &late.value()["state"]), (200, &json!("cancelled")));
    assert_eq!(submitted(&network), [1, 2]);
}

#[test]
fn keys_that_are_none() {
    let network = Network::paused();
    for key in
        [b"".to_vec(), b" ".to_vec(), vec![b'k'; 256], vec![b'k'; 300], b"a\tb".to_vec(), "键".into(), vec![0xff]]
    {
        network.refused(&keyed(&small_job(), key), ErrorCode::KeyMalformed);
    }
    let two = keyed(&small_job(), "one").also("idempotency-key", "two");
    network.refused(&two, ErrorCode::KeyMalformed);
    assert_eq!(network.send(&keyed(&small_job(), vec![b'k'; 255])).status, 201);
}

#[test]
fn many_with_one_key_get_one_job() {
    const CLIENTS: usize = 64;
    let network = Network::paused();
    let together = Barrier::new(CLIENTS);
    let answers: Vec<(u16, u64)> = std::thread::scope(|scope| {
        let submit = || {
            together.wait();
            let answer = network.send(&keyed(&small_job(), "one"));
            (answer.status, answer.value()["job_id"].as_u64().expect("a number"))
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(submit)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(answers.iter().filter(|answer| **answer == (201, 1)).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == (200, 1)).count(), CLIENTS - 1, "{answers:?}");
    assert_eq!(submitted(&network), [1]);
}
