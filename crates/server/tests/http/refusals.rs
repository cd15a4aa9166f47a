//! Bad input: one clear problem each time, and nothing changes.

use huisuan_api::ErrorCode;
use huisuan_model::Class;
use serde_json::{Value, json};

use crate::{
    network::{Network, problem, small_job},
    plain::{Answer, Request, exchange},
};

fn submission(body: impl Into<Vec<u8>>) -> Request {
    Request::post("/v1/jobs").json(body)
}

/// A small job with other fields.
fn job_with(fields: &Value) -> Request {
    let mut job = small_job();
    for (name, value) in fields.as_object().expect("fields") {
        job[name] = value.clone();
    }
    submission(job.to_string())
}

#[test]
fn unknown_fields_are_named() {
    let network = Network::paused();
    for (fields, name) in [
        (json!({"walltme": "1h"}), "walltme"),
        (json!({"Cores": 1}), "Cores"),
        (json!({"": 1}), "``"),
        (json!({"devices": {"count": 1, "kind": "x"}}), "devices.kind"),
        (json!({"demand": {"class": "hpc", "rate": "1 GFLOP/s", "rte": 1}, "cores": null}), "demand.rte"),
        (json!({"checkpoint": {"signal": "TERM", "grace": "1m", "x": {}}}), "checkpoint.x"),
        (json!({"inputs": [{"url": "file:///x", "path": "x", "hash": "y"}]}), "hash"),
    ] {
        let problem = network.refused(&job_with(&fields), ErrorCode::UnknownField);
        assert!(problem.detail.contains(name), "{fields}: {problem}");
    }
    let problem = network.refused(&job_with(&json!({"walltme": "1h"})), ErrorCode::UnknownField);
    assert!(problem.hint.contains("walltime"), "{problem:?}");
    for target in [
        "/v1/jobs?page_sise=3",
        "/v1/jobs/1/attempts?x=1",
        "/v1/jobs/1/logs?tail=1",
        "/v1/events?from=1",
        "/v1/jobs?state=waiting&state2=x",
    ] {
        network.refused(&Request::get(target), ErrorCode::UnknownField);
    }
}

#[test]
fn amounts_that_are_none() {
    let network = Network::paused();
    let huge = "99999999999999999999999999";
    for (name, values) in [
        (
            "cores",
            vec![json!(-1), json!(0), json!(1e300), json!("NaN"), json!("inf"), json!(""), json!([1]), json!(1e7)],
        ),
        (
            "memory",
            vec![json!("-1GiB"), json!("0B"), json!(5), json!(format!("{huge}GiB")), json!("1 GiB GiB"), json!("NaN")],
        ),
        ("walltime", vec![json!("0s"), json!("-1h"), json!("367d"), json!(huge), json!("1h-1m"), json!("99:99:99:99")]),
        (
            "tasks",
            vec![json!(0), json!(-3), json!("5-1"), json!("0-4294967296"), json!("1-99999999"), json!(1.5), json!("")],
        ),
        ("priority", vec![json!(1001), json!(-1001), json!("hi"), json!(1e9)]),
        ("deadline", vec![json!("2020-01-01T00:00:00Z"), json!("tomorrow"), json!(5)]),
        ("retries", vec![json!(-1), json!(101)]),
        ("parallel", vec![json!(0), json!(-1), json!(1e12)]),
        ("environment", vec![json!({"A=B": "x"}), json!({"": "x"}), json!({"A": "x\0y"}), json!(["A=b"])]),
        ("name", vec![json!("a b"), json!("../x"), json!("汇算"), json!("x".repeat(200)), json!("a\n")]),
        ("command", vec![json!([]), json!("true"), json!([""]), json!([{}]), json!(null)]),
        ("centres", vec![json!(["../x"]), json!("hpc-1"), json!([""])]),
        ("class", vec![json!("quantum"), json!(7)]),
    ] {
        for value in values {
            let request = job_with(&json!({name: value}));
            assert_eq!(network.send(&request).status, 422, "{name}: {value}");
            let problem = network.refused(&request, ErrorCode::InvalidSpec);
            assert!(problem.detail.contains(name), "{name} {value}: {problem}");
        }
    }
    for rate in ["-1 GFLOP/s", "NaN GFLOP/s", "1", "1e400 P", "0 P"] {
        let mut job = small_job();
        job["demand"] = json!({"class": "hpc", "rate": rate});
        let problem = network.refused(&submission(job.to_string()), ErrorCode::InvalidSpec);
        assert!(problem.detail.contains("demand.rate"), "{problem}");
    }
}

#[test]
fn bodies_that_cannot_be_read() {
    let network = Network::paused();
    let job = small_job().to_string();
    let cut = &job[..job.len() - 1];
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        b"".to_vec(),
        b"{".to_vec(),
        cut.into(),
        b"{\"command\": [\"/bin/true\"]".to_vec(),
        [b"{\"command\": [\"", [0xff, 0xfe].as_slice(), b"\"]}"].concat(),
        vec![0; 100],
        deep.into_bytes(),
        format!("{job}{job}").into_bytes(),
        b"a: &a [*a, *a]".to_vec(),
        b"{\"command\": [\"/bin/true\"], \"command\": [\"/bin/false\"]}".to_vec(),
        b"{\"command\": [\"/bin/true\"], \"environment\": {\"A\": \"1\", \"A\": \"2\"}}".to_vec(),
    ] {
        let answer = network.send(&submission(body.clone()));
        let problem = problem(&answer);
        let code = [ErrorCode::BadRequest, ErrorCode::InvalidSpec];
        assert!(code.contains(&problem.code), "{:?}: {problem}", String::from_utf8_lossy(&body[..body.len().min(80)]));
        network.refused(&submission(body), problem.code);
    }
    for media in ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"] {
        let request = submission(job.clone()).header("content-type", media);
        assert!(network.refused(&request, ErrorCode::BadRequest).detail.contains("content type"));
    }
    network.refused(&Request::post("/v1/jobs").body(job), ErrorCode::BadRequest);
}

/// A plain client sends all of its body before it reads: it must find the answer and not a reset.
#[test]
fn a_body_that_is_too_large_is_answered() {
    let network = Network::paused();
    let large = vec![b' '; 10 * 1024 * 1024];
    for _ in 0..3 {
        let problem = network.refused(&submission(large.clone()), ErrorCode::TooLarge);
        assert!(problem.detail.contains("2097152 bytes"), "{problem}");
    }
    let mut chunked = format!("POST /v1/jobs HTTP/1.1\r\nhost: {}\r\n", network.address).into_bytes();
    chunked.extend(b"connection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..10 {
        chunked.extend(b"100000\r\n");
        chunked.extend(&large[..0x10_0000]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(problem(&exchange(network.address, &chunked)).code, ErrorCode::TooLarge);
    // Just below the limit is read: the spaces before the job are no fault.
    let mut most = vec![b' '; 2 * 1024 * 1024 - small_job().to_string().len()];
    most.extend(small_job().to_string().into_bytes());
    assert_eq!(network.send(&submission(most)).status, 201);
}

#[test]
fn what_cannot_run_yet_is_refused_by_name() {
    let network = Network::paused();
    for (fields, name) in [
        (json!({"kind": "service"}), "kind"),
        (json!({"kind": "session", "image": format!("registry.local/x@sha256:{}", "0a".repeat(32))}), "image"),
    ] {
        let problem = network.refused(&job_with(&fields), ErrorCode::NotSupported);
        assert!(problem.detail.contains(&format!("`{name}`")), "{fields}: {problem}");
    }
}

#[test]
fn a_job_whose_budget_pays_for_nothing_is_refused_with_the_amount() {
    let network = Network::paused();
    let problem = network.refused(&job_with(&json!({"budget": "0"})), ErrorCode::Budget);
    assert!(problem.detail.contains("`budget` is CNY 0.000000"), "{problem}");
    assert!(problem.hint.contains("shorter walltime"), "{problem}");
    assert_eq!(network.send(&job_with(&json!({"budget": "1000000"}))).status, 201);
}

#[test]
fn what_can_never_run_is_refused_with_what_each_centre_lacks() {
    let network = Network::paused();
    network.declare("ai-1", Class::Ai);
    network.agent("ai-1").join(Class::Ai, 4);
    let image = format!("registry.local/x@sha256:{}", "0a".repeat(32));
    for (fields, words) in [
        (json!({"cores": 64}), ["ai-1: needs 64 cores", "has 4", "hpc-1: needs 64 cores", "has 32"].as_slice()),
        (json!({"memory": "1TiB"}), &["ai-1: ", "hpc-1: ", "1 TiB"]),
        (json!({"cores": 5, "centres": ["ai-1"]}), &["ai-1: needs 5 cores"]),
        (json!({"tasks": 64, "gang": true}), &["hpc-1: needs 64 x 1 core"]),
        (json!({"devices": {"count": 1}}), &["ai-1: ", "hpc-1: "]),
        (json!({"centres": ["hpc-2"]}), &["hpc-2: is not known"]),
        (json!({"centres": ["hpc-1"], "class": "ai"}), &["hpc-1: is of class hpc"]),
        (json!({"demand": {"class": "hpc", "rate": "1 P"}}), &["hpc-1: "]),
        (json!({"image": image}), &["ai-1: runs no container images; hpc-1: runs no container images"]),
    ] {
        let mut job = small_job();
        job.as_object_mut().expect("fields").extend(fields.as_object().expect("fields").clone());
        let problem = network.refused(&submission(job.to_string()), ErrorCode::NeverFits);
        for word in words {
            assert!(problem.detail.contains(word), "{fields}: no {word:?} in {problem}");
        }
    }
    let image = network.refused(&job_with(&json!({"image": image})), ErrorCode::NeverFits);
    assert!(image.hint.starts_with("no centre runs container images"), "{image:?}");
    let stranger = network.refused(&job_with(&json!({"centres": ["hpc-2"]})), ErrorCode::NeverFits);
    assert!(stranger.hint.contains("hpc-1"), "{stranger:?}");
}

#[test]
fn what_is_not_there() {
    let network = Network::paused();
    let deep = format!("/v1/centres/{}", "x".repeat(500));
    for target in [
        "/v1/jobs/1",
        "/v1/jobs/0",
        "/v1/jobs/-1",
        "/v1/jobs/99999999999999999999",
        "/v1/jobs/18446744073709551615",
        "/v1/jobs/x",
        "/v1/jobs/1%2F2",
        "/v1/jobs/%FF",
        "/v1/jobs/1/explain",
        "/v1/jobs/1/attempts",
        "/v1/jobs/1/logs",
        "/v1/centres/nowhere",
        "/v1/centres/..%2f..%2fetc",
        "/v1/centres/%FF",
        "/v1/centres/%E6%B1%87",
        deep.as_str(),
        "/v1/",
        "/v1",
        "/v2/jobs",
        "/v1/jobs/1/x",
        "/v1/jobs//1",
        "//",
        "/../etc/passwd",
    ] {
        network.refused(&Request::get(target), ErrorCode::NotFound);
    }
    for target in ["/v1/jobs/1/cancel", "/v1/jobs/%FF/cancel", "/v1/centres/nowhere/pause", "/v1/centres/%FF/resume"] {
        network.refused(&Request::post(target), ErrorCode::NotFound);
    }
}

#[test]
fn methods_that_a_route_has_not() {
    let network = Network::paused();
    for (method, target) in [
        ("DELETE", "/v1/jobs/1"),
        ("PUT", "/v1/jobs"),
        ("PATCH", "/v1/centres/hpc-1"),
        ("GET", "/v1/jobs/1/cancel"),
        ("POST", "/v1/ledger"),
        ("OPTIONS", "/v1/jobs"),
        ("BREW", "/healthz"),
    ] {
        let request = Request { method: method.to_owned(), ..Request::get(target) };
        let problem = network.refused(&request, ErrorCode::MethodNotAllowed);
        assert!(problem.detail.contains(method), "{problem}");
    }
}

#[test]
fn what_is_no_http_is_answered_and_closed() {
    let network = Network::paused();
    let before = network.journal().len();
    for bytes in [
        b"\0\0\0\0\r\n\r\n".as_slice(),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nhost: 127.0.0.1\r\nIdempotency-Key: a\x01b\r\ncontent-length: 0\r\n\r\n",
    ] {
        let answer: Answer = exchange(network.address, bytes);
        assert!((400..600).contains(&answer.status), "{bytes:?}: {answer:?}");
    }
    assert_eq!(network.journal().len(), before);
    assert_eq!(network.submit(&small_job()), 1, "the server goes on");
}
