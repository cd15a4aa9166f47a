//! Lists in pages: every entry once, whatever arrives meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use huisuan_api::{
    Client, ErrorCode,
    routes::{JobsQuery, PageQuery},
};
use huisuan_model::Class;
use serde_json::json;

use crate::{
    network::{Network, small_job},
    plain::Request,
};

#[test]
fn tokens_and_sizes_that_are_none() {
    let network = Network::paused();
    network.submit(&small_job());
    for query in [
        "page_size=0",
        "page_size=1001",
        "page_size=-1",
        "page_size=x",
        "page_size=4294967296",
        "page_size=",
        "page_size=1&page_size=2",
        "page_token=",
        "page_token=x",
        "page_token=-1",
        "page_token=0",
        "page_token=99999999999999999999",
        "page_token=1.2.3",
    ] {
        network.refused(&Request::get(&format!("/v1/jobs?{query}")), ErrorCode::BadRequest);
        network.refused(&Request::get(&format!("/v1/jobs/1/attempts?{query}")), ErrorCode::BadRequest);
    }
    for query in ["state=", "state=lost", "state=Waiting", "tenant=", "tenant=a%20b", "tenant=%FF"] {
        network.refused(&Request::get(&format!("/v1/jobs?{query}")), ErrorCode::BadRequest);
    }
    assert_eq!(network.send(&Request::get("/v1/jobs?page_size=1000&page_token=18446744073709551615")).status, 200);
}

/// All job numbers of a list, page by page.
fn walk(client: &Client, query: &JobsQuery) -> Vec<u64> {
    let (mut query, mut found) = (query.clone(), Vec::new());
    loop {
        let page = client.jobs(&query).expect("a page");
        assert!(page.jobs.len() <= 7 && !page.jobs.is_empty());
        found.extend(page.jobs.iter().map(|job| job.job_id));
        query.page_token = page.next_page_token;
        if query.page_token.is_none() {
            return found;
        }
    }
}

#[test]
fn every_job_is_seen_once_while_new_ones_arrive() {
    const KNOWN: u64 = 60;
    let network = Network::paused();
    (0..KNOWN).for_each(|_| _ = network.submit(&small_job()));
    let (more, walked) = (AtomicBool::new(true), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while more.load(Ordering::Relaxed) {
                network.submit(&small_job());
                walked.store(true, Ordering::Release);
            }
        });
        // The walks begin once new jobs arrive.
        while !walked.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        for state in [None, Some("waiting".to_owned())] {
            let query = JobsQuery { page_size: Some(7), state, ..JobsQuery::default() };
            let found = walk(&network.client(), &query);
            assert!(found.is_sorted_by(|a, b| a > b), "newest first, none twice: {found:?}");
            let old: Vec<u64> = found.into_iter().filter(|id| *id <= KNOWN).collect();
            assert_eq!(old, (1..=KNOWN).rev().collect::<Vec<_>>());
        }
        more.store(false, Ordering::Relaxed);
    });
}

#[test]
fn attempts_come_in_pages_too() {
    let network = Network::paused();
    let mut job = small_job();
    job["tasks"] = json!("1-40:2");
    job["retries"] = json!(1);
    network.submit(&job);
    let mut agent = network.agent("hpc-1");
    agent.join(Class::Hpc, 32);
    network.client().resume("hpc-1").expect("resumed");
    let first = agent.starts(20);
    agent.report(vec![crate::network::ended(first[3].attempt, 1)]);
    agent.starts(1);
    let mut found = Vec::new();
    let mut query = PageQuery { page_size: Some(6), page_token: None };
    loop {
        let page = network.client().attempts(1, &query).expect("a page");
        found.extend(page.attempts.into_iter().map(|attempt| attempt.attempt));
        query.page_token = page.next_page_token;
        if query.page_token.is_none() {
            break;
        }
    }
    let mut expected: Vec<String> = (1..40).step_by(2).map(|task| format!("1.{task}.1")).collect();
    expected.insert(4, "1.7.2".into());
    assert_eq!(found, expected);
    let shown = network.client().job(1).expect("the job");
    assert_eq!((shown.attempts.len(), shown.attempts_total), (21, 21));
}
