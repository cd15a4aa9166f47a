//! Whole job files.

use std::collections::BTreeSet;

use huisuan_model::{
    ApplicationId, Bytes, CentreId, Class, DurationMs, GflopPerS, JobSpec, Level, MilliDevices, Millicores, Money,
    Place, PoolId, RangeSet, TimeMs, Together,
    spec::{Checkpoint, DataReference, DeviceNeed, JobKind, LatencyBound, Need, Objective, Reading, Work},
};
use proptest::prelude::*;
use utoipa::PartialSchema;

use super::{job_file::JobFile, read_job_file, reader};
use crate::problem::ErrorCode;

/// Reads `text` and compares it with the job that `change` makes of `true` with all defaults.
fn check(text: &str, change: impl Fn(&mut JobSpec)) {
    let mut expected = JobSpec::command("true", &["/bin/true"]);
    change(&mut expected);
    let text = format!("command: [/bin/true]\n{text}");
    assert_eq!(read_job_file(&text).as_ref(), Ok(&expected), "{text}");
}

fn hardware(cores: u64) -> Need {
    Need::Hardware { cores: Millicores(cores), devices: None }
}

#[test]
fn fields_become_the_spec() {
    let centre = |name: &str| CentreId::new(name).expect("a name");
    check("", |_| {});
    check("name: other\nmemory:\n", |job| job.name = "other".into());
    check("cores: 0.5", |job| job.need = hardware(500));
    check("cores: 2.0", |job| job.need = hardware(2000));
    check("cores: 250m", |job| job.need = hardware(250));
    check("memory: 4GiB\nwalltime: 1h30m", |job| {
        job.memory = Bytes(4 << 30);
        job.walltime = DurationMs(5_400_000);
    });
    check("walltime: 01:30:00", |job| job.walltime = DurationMs(5_400_000));
    check("tasks: 4\nparallel: 2", |job| {
        job.tasks = RangeSet::from_range(0, 3);
        job.parallel_max = Some(2);
    });
    check("tasks: '4'", |job| job.tasks = RangeSet::from_range(0, 3));
    check("tasks: 1-10:2", |job| job.tasks = [1, 3, 5, 7, 9].into_iter().collect());
    check("tasks: 5-5", |job| job.tasks = RangeSet::from_range(5, 5));
    check("tasks: 2\ngang: true", |job| {
        job.tasks = RangeSet::from_range(0, 1);
        job.gang = true;
    });
    check("environment: {A: x, B: 7}\ndirectory: /tmp\noutput: o\nerror: e", |job| {
        job.environment = [("A".into(), "x".into()), ("B".into(), "7".into())].into();
        (job.directory, job.output, job.error) = (Some("/tmp".into()), Some("o".into()), Some("e".into()));
    });
    check("class: hpc\ncentres: [b, a, b]\npriority: -3\nretries: 2", |job| {
        job.class = Some(Class::Hpc);
        job.centres = vec![centre("a"), centre("b")];
        (job.priority, job.retries) = (-3, 2);
    });
    check("priority: urgent", |job| job.priority = 1000);
    check("priority: low\npreemptible: true\ndeadline: 2026-03-01T08:30:00Z", |job| {
        (job.priority, job.preemptible) = (-500, true);
        job.deadline_at = Some(TimeMs(1_772_353_800_000));
    });
    check("demand: {class: hpc, rate: 20 GFLOP/s}", |job| {
        job.need = Need::Rate { class: Class::Hpc, rate: GflopPerS(20), device_memory_min: Bytes::ZERO };
    });
    check("devices: {count: 1, any_of: [B, A], memory_min: 40GiB}", |job| {
        let any_of = ["A", "B"].map(|name| PoolId::new(name).expect("a name")).to_vec();
        let devices = Some(DeviceNeed { count: MilliDevices(1000), any_of, memory_min: Bytes(40 << 30) });
        job.need = Need::Hardware { cores: Millicores(1000), devices };
    });
    for (text, budget) in [("0.000001", 1), ("1e-6", 1), ("0.00005", 50), ("3", 3_000_000), ("\"0.000001\"", 1)] {
        check(&format!("budget: {text}"), |job| job.budget = Some(Money(budget)));
    }
    check("budget: 12.5\ndeadline: 2026-03-01T16:30:00+08:00\nobjective: cheapest\nkind: service", |job| {
        job.budget = Some(Money(12_500_000));
        job.deadline_at = Some(TimeMs(1_772_353_800_000));
        job.objective = Objective::Cheapest;
        job.kind = JobKind::Service;
    });
    check("latency: {round_trip: 10ms, to: a}\ncheckpoint: {signal: TERM, grace: 2m}", |job| {
        job.latency = Some(LatencyBound { round_trip_max: DurationMs(10), to: Some(centre("a")), place: None });
        job.checkpoint = Some(Checkpoint { signal: "TERM".into(), grace: DurationMs(120_000) });
    });
    check(
        "latency: {round_trip: 5ms, place: '34.75, -113.62'}\nreads: [{at: b, size: 1GiB}, {at: a, size: 2GiB}]",
        |job| {
            let place = Some(Place { latitude_microdegrees: 34_750_000, longitude_microdegrees: -113_620_000 });
            job.latency = Some(LatencyBound { round_trip_max: DurationMs(5), to: None, place });
            job.reads =
                [("a", 2), ("b", 1)].map(|(at, gib)| Reading { at: centre(at), bytes: Bytes(gib << 30) }).to_vec();
        },
    );
}

#[test]
fn topology_is_preferred_or_required() {
    for (text, topology) in [
        ("preferred", Together::Preferred),
        ("{required: rack}", Together::Required(Level::Rack)),
        ("{required: pod}", Together::Required(Level::Pod)),
    ] {
        check(&format!("tasks: 2\ngang: true\ntopology: {text}"), |job| {
            (job.tasks, job.gang, job.topology) = (RangeSet::from_range(0, 1), true, topology);
        });
    }
}

#[test]
fn data_becomes_references() {
    check("inputs: [{url: 'https://h/f', path: f, size: 2GiB}]", |job| {
        let (url, path) = ("https://h/f".into(), "f".into());
        job.inputs = vec![DataReference { url, path, bytes: Some(Bytes(2 << 30)), sha256: None, at: None }];
    });
    let digest = "0a".repeat(32);
    check(&format!("inputs: [{{url: 's3://set/f', path: f, sha256: '{}', at: b}}]", digest.to_uppercase()), |job| {
        let (url, path) = ("s3://set/f".into(), "f".into());
        job.inputs = vec![DataReference {
            url,
            path,
            bytes: None,
            sha256: Some(digest.clone()),
            at: Some(CentreId::new("b").expect("a name")),
        }];
    });
    check("outputs: [{url: 'file:///out/{job}', path: f}]", |job| {
        let (url, path) = ("file:///out/{job}".into(), "f".into());
        job.outputs = vec![DataReference { url, path, bytes: None, sha256: None, at: None }];
    });
}

#[test]
fn json_and_scripts_are_read_too() {
    let json = read_job_file(r#" {"command": ["/usr/bin/env", "A=1"], "cores": 2}"#).expect("a job");
    assert_eq!((json.name.as_str(), &json.need), ("env", &hardware(2000)));
    let script = read_job_file("script: |\n  #!/bin/sh\n  echo \"$1\"\narguments: [a, 7]\n").expect("a job");
    let text = "#!/bin/sh\necho \"$1\"\n".to_owned();
    assert_eq!(script.work, Work::Script { text, arguments: vec!["a".into(), "7".into()] });
    assert_eq!(script.name, "job");
    assert!(read_job_file("{command: [/bin/true], cores: 2}").is_ok(), "flow style is YAML, too");
}

/// Reads a text that is refused and compares what is said about it.
fn refused(text: &str, code: ErrorCode, message: &str, hint: &str) {
    let problem = read_job_file(text).expect_err(text);
    assert_eq!((problem.code, problem.to_string().as_str()), (code, message), "{text}");
    assert!(problem.hint().contains(hint), "{text}: {}", problem.hint());
}

#[test]
fn errors_name_field_value_and_expectation() {
    let invalid = |text: &str, message: &str, hint: &str| {
        refused(&format!("command: [/bin/true]\n{text}"), ErrorCode::InvalidSpec, message, hint);
    };
    let unknown = |text: &str, message: &str, hint: &str| {
        refused(&format!("command: [/bin/true]\n{text}"), ErrorCode::UnknownField, message, hint);
    };
    unknown("memroy: 4GiB", "job: field `memroy` is unknown", "did you mean `memory`?");
    unknown("frobnicate: 4", "job: field `frobnicate` is unknown", "known here: name, kind");
    unknown("devices: {cout: 1}", "job: field `devices.cout` is unknown", "did you mean `count`?");
    invalid(
        "memory: 4 potatoes",
        "job: `memory` is `4 potatoes`, expected a size with its unit, such as 512MiB, 4GiB or 1.5GB",
        "",
    );
    invalid("memory: 512", "job: `memory` is `512`, expected a size with its unit, such as 512MiB, 4GiB or 1.5GB", "");
    invalid(
        "walltime: 90",
        "job: `walltime` is `90`, expected a time with its units, such as 90s, 1h30m or 2d, or D-HH:MM:SS",
        "",
    );
    invalid("memory: 0MiB", "job: `memory` is `0 bytes`, expected 1 byte to 1 PiB", "");
    invalid("cores: 0", "job: `cores` is `0 millicores`, expected 0.001 to 1,000,000 cores", "");
    invalid("cores: [1]", "job: `cores` is `[1]`, expected a number of cores, such as 2, 0.5 or 250m", "");
    invalid("tasks: 0", "job: `tasks` is `0`, expected a number of tasks, or indices such as 1-10:2", "");
    invalid("tasks: 9-1", "job: `tasks` is `9-1`, expected a number of tasks, or indices such as 1-10:2", "");
    invalid("parallel: 0", "job: `parallel` is `0`, expected at least 1", "");
    invalid("gang: yes", "job: `gang` is `yes`, expected true or false", "");
    let topology = "`preferred`, or `{required: rack}` or `{required: pod}`";
    invalid("topology: rack", &format!("job: `topology` is `rack`, expected {topology}"), "{required: rack}`");
    invalid("topology: row", &format!("job: `topology` is `row`, expected {topology}"), "");
    invalid("topology: {required: row}", "job: `topology.required` is `row`, expected rack or pod", "");
    unknown("topology: {require: rack}", "job: field `topology.require` is unknown", "did you mean `required`?");
    invalid(
        "topology: {required: rack}",
        "job: `topology` is `rack`, expected `gang: true` with it: other tasks start one by one",
        "",
    );
    invalid("class: gpu", "job: `class` is `gpu`, expected ai, hpc or general", "");
    invalid("kind: services", "job: `kind` is `services`, expected one of batch, service, session", "`service`");
    invalid(
        "priority: hi",
        "job: `priority` is `hi`, expected a whole number, or one of low, normal, high, urgent",
        "",
    );
    invalid("environment: {V: 1.10}", "job: `environment.V` is `1.1`, expected a text", "in quotes");
    invalid(
        "demand: {class: hpc}",
        "job: `demand.rate` has no value, expected a rate with its unit, such as 20 GFLOP/s, 2 TFLOP/s or 0.002 P",
        "",
    );
    invalid(
        "demand: {class: hpc, rate: 1 P}\ncores: 1",
        "job: `demand` is `{\"class\":\"hpc\",\"rate\":\"1 P\"}`, expected either `demand` or `cores`, not both",
        "rating",
    );
    invalid("inputs: [{url: x}]", "job: `inputs[0].path` has no value, expected a path inside the task's folder", "");
    invalid("script: x", "job: `script` is `x`, expected either `command` or `script`, not both", "");
    invalid("arguments: [x]", "job: `arguments` is `[\"x\"]`, expected nothing beside `command`", "goes with `script`");
}

#[test]
fn what_is_no_job_at_all_is_refused_with_advice() {
    refused(
        "command: echo hi",
        ErrorCode::InvalidSpec,
        "job: `command` is `echo hi`, expected a list: a program and its arguments",
        r#"`command: ["echo","hi"]`"#,
    );
    refused(
        "name: x",
        ErrorCode::InvalidSpec,
        "job: `command` has no value, expected a list: a program and its arguments",
        "script",
    );
    refused(
        "script: echo",
        ErrorCode::InvalidSpec,
        "job: `script` is `echo`, expected a first line such as #!/bin/sh",
        "",
    );
    refused("- 1", ErrorCode::InvalidSpec, "job: `job file` is `[1]`, expected fields with values", "");
    refused("", ErrorCode::InvalidSpec, "job: `job file` is `null`, expected fields with values", "");
    refused(
        "command: [a]\ncommand: [b]",
        ErrorCode::BadRequest,
        "job: the YAML text is malformed: line 2 column 1: duplicate mapping key: command",
        "",
    );
    refused(
        r#"{"command": ["a"],}"x"#,
        ErrorCode::BadRequest,
        "job: the JSON text is malformed: trailing comma at line 1 column 19",
        "",
    );
}

#[test]
fn very_many_indices_are_read_at_once() {
    let odd: Vec<String> = (0..90_000).map(|index| (2 * index + 1).to_string()).collect();
    let job = read_job_file(&format!("{{\"command\": [\"a\"], \"tasks\": \"{}\"}}", odd.join(","))).expect("a job");
    assert_eq!(job.tasks.len(), 90_000);
}

#[test]
fn the_document_describes_every_field() {
    let schema = serde_json::to_value(JobFile::schema()).expect("JSON");
    let described: BTreeSet<&str> =
        schema["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
    let read: BTreeSet<&str> = reader::FIELDS.into_iter().collect();
    assert_eq!(described, read);
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema.get("required").is_none(), "{}", schema["required"]);
}

fn names() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9][a-zA-Z0-9._:-]{0,10}"
}

fn works() -> impl Strategy<Value = Work> {
    let words = prop::collection::vec(any::<String>(), 0..4);
    prop_oneof![
        ("[^\0]{1,9}", words.clone()).prop_map(|(program, words)| Work::Command([vec![program], words].concat())),
        (any::<String>(), words).prop_map(|(text, arguments)| Work::Script { text: format!("#!{text}"), arguments }),
    ]
}

fn needs() -> impl Strategy<Value = Need> {
    let class = prop::sample::select(Class::ALL.to_vec());
    let devices = (1u64..1_000_000_000, prop::collection::btree_set(names(), 0..3), 0u64..1 << 50).prop_map(
        |(count, any_of, memory_min)| DeviceNeed {
            count: MilliDevices(count),
            any_of: any_of.iter().map(|name| PoolId::new(name).expect("a name")).collect(),
            memory_min: Bytes(memory_min),
        },
    );
    prop_oneof![
        (1u64..=1_000_000_000, prop::option::of(devices))
            .prop_map(|(cores, devices)| Need::Hardware { cores: Millicores(cores), devices }),
        (class, 1u64..1_000_000_000_000, 0u64..1 << 50).prop_map(|(class, rate, memory)| Need::Rate {
            class,
            rate: GflopPerS(rate),
            device_memory_min: Bytes(memory),
        }),
    ]
}

prop_compose! {
    fn specs()(
        name in names(),
        work in works(),
        need in needs(),
        environment in prop::collection::btree_map("[A-Z_][A-Z0-9_]{0,5}", any::<String>(), 0..3),
        tasks in prop::collection::vec(0u32..50, 1..6),
        (memory, walltime) in (1u64..=1 << 50, 1u64..=366 * 86_400_000),
        (priority, retries) in (-1000i32..=1000, 0u32..=100),
        (class, centres) in (prop::option::of(prop::sample::select(Class::ALL.to_vec())), prop::collection::btree_set(names(), 0..3)),
        budget in prop::option::of(0..i64::MAX),
        deadline in prop::option::of(0i64..253_402_300_799_999),
        objective in prop::sample::select(vec![Objective::Balanced, Objective::Soonest, Objective::Cheapest, Objective::Greenest]),
        kind in prop::sample::select(vec![JobKind::Batch, JobKind::Service, JobKind::Session]),
        (grace, signal) in (any::<u64>(), any::<String>()),
    ) -> JobSpec {
        let mut spec = JobSpec::command(&name, &[]);
        (spec.work, spec.need, spec.environment, spec.kind, spec.objective) = (work, need, environment, kind, objective);
        spec.tasks = tasks.into_iter().collect();
        (spec.memory, spec.walltime) = (Bytes(memory), DurationMs(walltime));
        (spec.priority, spec.retries, spec.class) = (priority, retries, class);
        spec.centres = centres.iter().map(|name| CentreId::new(name).expect("a name")).collect();
        spec.budget = budget.map(Money);
        spec.deadline_at = deadline.map(TimeMs);
        if grace % 2 == 0 {
            spec.checkpoint = Some(Checkpoint { signal, grace: DurationMs(grace % 1_000_000_000_000) });
            spec.image = Some(format!("registry.local/image@sha256:{}", "0a".repeat(32)));
            spec.directory = Some("/data".into());
            spec.parallel_max = Some(50);
            spec.application = Some(ApplicationId::new("llm-train").expect("a name"));
        }
        if spec.kind == JobKind::Session {
            (spec.tasks, spec.retries, spec.checkpoint) = (RangeSet::from_range(priority.unsigned_abs(), priority.unsigned_abs()), 0, None);
        }
        spec
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same_job(spec in specs()) {
        prop_assume!(spec.validate().is_ok());
        let json = serde_json::to_string(&JobFile::from_spec(&spec)).expect("JSON");
        prop_assert_eq!(read_job_file(&json).map_err(|problem| problem.to_string()), Ok(spec), "{}", json);
    }

    #[test]
    fn arbitrary_files_never_panic(
        text in "\\PC{0,80}",
        fields in prop::collection::vec((prop::sample::select(reader::FIELDS.to_vec()), "[ -~]{0,16}"), 0..6),
    ) {
        let _ = read_job_file(&text);
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let _ = read_job_file(&lines.join("\n"));
    }
}
