//! Whole scripts.

use proptest::prelude::*;

use super::*;
use crate::spec::{job_file::JobFile, read_job_file};

fn context() -> Context {
    Context {
        script_name: "/srv/me/train.sbatch".to_owned(),
        directory: "/srv/me".to_owned(),
        environment: BTreeMap::from([("LANG".into(), "C".into()), ("USER".into(), "me".into())]),
        centres: ["hpc-1", "ai-1", "ai-2"].map(|name| CentreId::new(name).expect("a name")).to_vec(),
    }
}

fn read(directives: &str, options: &[&str]) -> Sbatch {
    let lines: String = directives.lines().map(|line| format!("#SBATCH {}\n", line.trim())).collect();
    let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
    read_sbatch(&format!("#!/bin/sh\n{lines}\necho hello\n"), &options, &[], &context())
}

/// Reads directives and compares the job, as a job file without script and directory, with `expected`.
fn check(directives: &str, expected: serde_json::Value) {
    let job = read(directives, &[]).job.unwrap_or_else(|problem| panic!("{directives}: {problem}"));
    let mut file = serde_json::to_value(JobFile::from_spec(&job)).expect("JSON");
    let fields = file.as_object_mut().expect("an object");
    for common in ["script", "directory"] {
        assert!(fields.remove(common).is_some(), "{common}");
    }
    if let Some(environment) = fields.get_mut("environment").and_then(|value| value.as_object_mut()) {
        assert_eq!(environment.remove("SLURM_SUBMIT_DIR"), Some("/srv/me".into()));
        if environment.is_empty() {
            fields.remove("environment");
        }
    }
    let mut whole = serde_json::json!({
        "name": "train.sbatch", "cores": 1, "memory": "256MiB", "walltime": "1h", "output": "slurm-%j.out",
    });
    let whole_fields = whole.as_object_mut().expect("an object");
    for (name, value) in expected.as_object().expect("an object") {
        whole_fields.insert(name.clone(), value.clone());
    }
    assert_eq!(file, whole, "{directives}");
}

#[test]
fn directives_become_fields() {
    use serde_json::json;
    check("", json!({}));
    check(
        "-J two -c4 --mem=4G -t 1-2:03:04",
        json!({"name": "two", "cores": 4, "memory": "4GiB", "walltime": "1d2h3m4s"}),
    );
    check("--mem-per-cpu=512 -c 4", json!({"cores": 4, "memory": "2GiB"}));
    check("--mem=2G\n--mem-per-cpu=1G", json!({"memory": "1GiB"}));
    check(
        "-a 1-10:3%2",
        json!({
            "tasks": "1,4,7,10", "parallel": 2, "output": "slurm-%A_%a.out", "environment": {"SLURM_ARRAY_TASK_STEP": "3"},
        }),
    );
    check("--array=0-3 -n 1 -N 1", json!({"tasks": 4, "output": "slurm-%A_%a.out"}));
    check("--array=7", json!({"tasks": "7-7", "output": "slurm-%A_%a.out"}));
    check(
        "--array=0",
        json!({"output": "slurm-%A_%a.out", "environment": {
            "SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "0",
        }}),
    );
    check(
        "-n 4 -c 2 --mem=4G",
        json!({
            "tasks": 4, "gang": true, "cores": 2, "memory": "1GiB", "output": "slurm-%j_%a.out",
        }),
    );
    check(
        "-N 2 --ntasks-per-node=2 --mem=4G -o out/%x.%t",
        json!({
            "tasks": 4, "gang": true, "memory": "2GiB", "output": "out/%x.%a",
        }),
    );
    check("-n 4 -N 4 --mem=4G", json!({"tasks": 4, "gang": true, "memory": "4GiB", "output": "slurm-%j_%a.out"}));
    check(
        "-n 4 --switches=1",
        json!({"tasks": 4, "gang": true, "topology": {"required": "rack"}, "output": "slurm-%j_%a.out"}),
    );
    check("-o %u-%4a-%N.log -e /dev/null", json!({"output": "me-%4a-%%N.log", "error": "/dev/null"}));
    check(
        "--gres=gpu:A100:2 -n 4",
        json!({
            "tasks": 4, "gang": true, "devices": {"count": 0.5, "any_of": ["A100"]}, "output": "slurm-%j_%a.out",
        }),
    );
    check("-G 2 --cpus-per-gpu=8 --mem-per-gpu=16G", json!({"devices": {"count": 2}, "cores": 16, "memory": "32GiB"}));
    check("-p ai", json!({"class": "ai"}));
    check("-p hpc-1,ai-2", json!({"centres": ["ai-2", "hpc-1"]}));
    check("-p short", json!({}));
    check("--nice=50 --comment=\"a b\" --requeue", json!({"priority": -50}));
    check("--export=LANG,A=1,GONE", json!({"environment": {"LANG": "C", "A": "1"}}));
    check("--export=ALL", json!({}));
    check(
        "-d afterok:2:1,afterany:3,after:5",
        json!({"after": [{"job": 1}, {"job": 2}, {"job": 3, "when": "any"}, {"job": 5, "when": "start"}]}),
    );
    check("--signal=B:USR1@120", json!({"checkpoint": {"signal": "USR1", "grace": "2m"}}));
    check("--signal=12", json!({"checkpoint": {"signal": "USR2", "grace": "1m"}}));
    check("-t 0", json!({"walltime": "366d"}));
}

#[test]
fn every_directive_is_reported() {
    use Treatment::{Approximated, Honoured, Ignored, Refused};
    let check = |directives: &str, treatment: Treatment, note: &str| {
        let found = read(directives, &[]).report;
        assert!(
            found.iter().any(|entry| entry.treatment == treatment && entry.note.contains(note) && entry.line == 2),
            "{directives}: {found:?}"
        );
    };
    check("--mem=4G", Honoured, "4GiB");
    check("--cpus-per-task 1", Honoured, "1 core for each task");
    check("--comment=x", Honoured, "changes nothing");
    check("-J \"a b\"", Approximated, "a-b");
    check("-n 4", Approximated, "SLURM_PROCID");
    check("-n 4\n--mem=4G", Approximated, "told apart");
    check("-N 1-4", Approximated, "left to the centre");
    check("-o %N", Approximated, "stays as it is");
    check("--export=ALL", Approximated, "stay here");
    check("--signal=SIGTERM@30", Approximated, "all of its processes get SIGTERM 30s before");
    check("--signal=B:TERM@30", Honoured, "SIGTERM");
    check("--switches=1\n-n 4", Honoured, "one rack");
    check("--switches=1@2:00\n-n 4", Approximated, "the time is not kept");
    check("--switches=2\n-n 4", Approximated, "as few racks");
    check("--switches=1", Ignored, "need not be together");
    check("-t UNLIMITED", Approximated, "366 days");
    check("--mem=0", Ignored, "256 MiB");
    check("-p short", Ignored, "short");
    check("--mail-type=END", Ignored, "no mail");
    check("--requeue", Ignored, "retries");
    check("--cpu-per-task=4", Ignored, "did you mean --cpus-per-task?");
    check("--frobnicate=4", Ignored, "is not known");
    check("hello", Ignored, "is no option");
    check("--begin=now", Honoured, "room");
    for (refused, note) in [
        ("hetjob", "heterogeneous"),
        ("--reservation=x", "not known here"),
        ("--licenses=x:2", "not counted"),
        ("--uid=0", "service user"),
        ("-d afterok:1?afterok:2", "any of them is not supported"),
        ("-d singleton", "singleton is not supported"),
        ("-d afterok", "afterok:12"),
        ("-d afterok:1,afternotok:1", "job 1 has two"),
        ("-d after:1+5", "without delays"),
        ("-d 12", "afterok:12"),
        ("--begin=16:00", "not supported yet"),
        ("--test-only", "--check"),
        ("--input=x", "redirect"),
        ("--gres=shm:1", "not known here"),
        ("--gpus=a:1,b:2", "one type"),
        ("--mem=lots", "megabytes"),
        ("--signal=KILL@30", "USR1"),
        ("--signal=TERM@soon", "SECONDS"),
        ("-c 0", "from 1"),
        ("--switches=0", "switches from 1"),
        ("--switches=1@soon", "@TIME"),
        ("--time=1h", "MM:SS"),
        ("--array=5-1", "indices"),
        ("--mem", "has no value"),
    ] {
        check(refused, Refused, note);
        assert!(read(refused, &[]).job.is_err(), "{refused}");
    }
}

#[test]
fn a_refusal_names_directive_value_and_expectation() {
    let problem = |directives: &str| read(directives, &[]).job.expect_err("refused");
    assert_eq!(
        problem("--mem=lots").to_string(),
        "job: `--mem` is `lots`, expected a whole number of megabytes, or with K, M, G or T"
    );
    let hold = problem("--reservation=x\n--mem=lots");
    assert_eq!(hold.code, ErrorCode::NotSupported);
    assert!(hold.to_string().starts_with("job: `--reservation` is `x`: reservations"), "{hold}");
    let array = read("-a 1-4\n-n 2", &[]);
    assert!(array.job.is_err_and(|problem| problem.hint().contains("--cpus-per-task")));
    assert!(array.report.iter().any(|entry| entry.line == 3 && entry.treatment == Treatment::Refused));
}

#[test]
fn the_command_line_goes_before_the_script() {
    let read = read("--mem=1G\n-c 2", &["--mem=2G", "-J", "mine"]);
    let job = read.job.expect("a job");
    assert_eq!((job.name.as_str(), job.memory.0), ("mine", 2 << 30));
    let notes: Vec<_> = read.report.iter().map(|entry| (entry.line, entry.note.as_str())).collect();
    assert_eq!(notes[0], (2, "replaced by a later one"));
    assert_eq!(notes[2], (0, "2GiB"));
    assert!(read.report.iter().all(|entry| entry.treatment == Treatment::Honoured));
}

#[test]
fn what_slurm_does_not_read_is_not_read_here() {
    let read = |script: &str| read_sbatch(script, &[], &["input.txt".to_owned()], &context());
    let late = read("#!/bin/bash\necho\n#SBATCH -c 4\n");
    assert!(late.lossy());
    assert!(late.report[0].note.contains("below the first command"), "{:?}", late.report);
    let job = late.job.expect("a job");
    assert_eq!(serde_json::to_value(&job.need).expect("JSON")["hardware"]["cores"], 1000);
    assert!(read("echo\n").job.is_err_and(|problem| problem.to_string().contains("#!/bin/sh")));
    assert!(read("").job.is_err());
    assert!(read("#!/bin/sh\r\necho\r\n").job.is_err_and(|problem| problem.hint().contains("sed")));
    let srun = read("#!/bin/sh\n#SBATCH -n 2\n  srun ./program\n");
    assert!(srun.report.iter().any(|entry| entry.line == 3 && entry.note.contains("srun")), "{:?}", srun.report);
}

#[test]
fn the_same_job_has_the_same_hash_through_both_doors() {
    let script = "#!/bin/sh\n#SBATCH --array=1-4%2 --cpus-per-task=2 --mem=1G --time=10:00 -J words -p hpc\necho\n";
    let slurm = read_sbatch(script, &[], &["data".to_owned()], &context()).job.expect("a job");
    let yaml = format!(
        "script: |\n{}\nname: words\narguments: [data]\ntasks: 1-4\nparallel: 2\ncores: 2\nmemory: 1GiB\n\
         walltime: 10m\nclass: hpc\ndirectory: /srv/me\noutput: slurm-%A_%a.out\n\
         environment: {{SLURM_SUBMIT_DIR: /srv/me}}\n",
        script.lines().map(|line| format!("  {line}\n")).collect::<String>().trim_end()
    );
    let yaml = read_job_file(&yaml).expect("a job");
    assert_eq!(yaml, slurm);
    assert_eq!(yaml.hash(), slurm.hash());
}

#[test]
fn the_example_array_is_honoured_as_it_is() {
    let script = include_str!("../../../../../examples/words.sbatch");
    let read = read_sbatch(script, &[], &[], &context());
    assert!(!read.lossy(), "{:?}", read.report);
    assert!(read.report.iter().all(|entry| entry.treatment == Treatment::Honoured), "{:?}", read.report);
    assert_eq!(read.job.expect("a job").tasks.len(), 4);
}

proptest! {
    #[test]
    fn arbitrary_scripts_never_panic(
        text in "(#!/bin/sh\n)?((#SBATCH )?[ -~\n\"'\\\\]{0,60}\n){0,6}",
        words in prop::collection::vec("-{0,2}[a-zA-Z-]{0,12}[ =]?[0-9a-zA-Z:,%./-]{0,8}", 0..6),
    ) {
        let _ = read_sbatch(&text, &words, &[], &context());
        let _ = split_command_line(&words);
    }

    #[test]
    fn directives_with_arbitrary_values_never_panic(
        choice in any::<prop::sample::Index>(),
        value in "[0-9]{0,20}[a-zA-Z:,%./=-]{0,6}[0-9]{0,11}",
        others in prop::sample::subsequence(vec!["-n 3", "-N 2", "-a 1-4", "--gpus=4000000000", "-c 4000000000", "--mem-per-cpu=9999T"], 0..4),
    ) {
        let known = choice.get(options::OPTIONS);
        let reading = read(&format!("{}\n--{}={value}", others.join("\n"), known.long), &[]);
        prop_assert!(!reading.report.is_empty());
        if let Ok(job) = reading.job {
            prop_assert!(job.validate().is_ok());
            let again = read_job_file(&serde_json::to_string(&JobFile::from_spec(&job)).expect("JSON"));
            prop_assert_eq!(again, Ok(job));
        }
    }
}
