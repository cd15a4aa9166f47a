//! Stored formats: what version 1 wrote is read for ever, and this version still writes it so.
//!
//! `golden/v1` is what was first written; `golden/v1-more` has all that was added since, always optional. Together
//! they hold one entry of every command and event. A new version gets a folder of its own; the files of the old ones
//! never change. `crates/control/tests/corpus.rs` tells the story that made them and folds the journals to the rows.

use std::{fs, path::PathBuf};

use huisuan_model::{Attempt, Centre, Entry, Job, Tenant};
use serde::{Serialize, de::DeserializeOwned};

const FOLDERS: [&str; 2] = ["v1", "v1-more"];

fn corpus(folder: &str, file: &str) -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder).join(file);
    let text = fs::read_to_string(&path).expect("the corpus is in the repository");
    (path, text)
}

/// The file of every folder.
fn all(file: &str) -> String {
    FOLDERS.map(|folder| corpus(folder, file).1).concat()
}

/// Every line is read as a `T` and written back byte for byte.
fn check<T: Serialize + DeserializeOwned>(file: &str, lines_min: usize) {
    FOLDERS.into_iter().for_each(|folder| check_one::<T>(folder, file, lines_min));
}

fn check_one<T: Serialize + DeserializeOwned>(folder: &str, file: &str, lines_min: usize) {
    let (path, text) = corpus(folder, file);
    assert!(text.lines().count() >= lines_min, "{} lost lines", path.display());
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.display(), number + 1);
        let value: T = serde_json::from_str(line).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(serde_json::to_string(&value).expect("JSON"), line, "{place}");
    }
}

#[test]
fn the_journal_of_version_1_is_read_and_written() {
    check::<Entry>("journal.jsonl", 20);
}

#[test]
fn the_rows_of_version_1_are_read_and_written() {
    check::<Job>("job.jsonl", 2);
    check::<Attempt>("attempt.jsonl", 2);
    check::<Centre>("centre.jsonl", 1);
    check::<Tenant>("tenant.jsonl", 1);
}

#[test]
fn the_journal_corpus_names_every_command_and_event() {
    let text = all("journal.jsonl");
    for word in [
        "set-tenant",
        "fund",
        "set-centre",
        "set-centre-state",
        "inventory",
        "rate",
        "submit",
        "cancel",
        "plan",
        "report",
        "forget-keys",
        "lose-running",
        "add-centre",
        "set-centre-token",
        "centre-token-set",
        "set-alarms",
        "alarm-raised",
        "alarm-cleared",
        "give-up",
        "job-refused",
        "tenant-set",
        "add-tenant",
        "change-tenant",
        "close-tenant",
        "set-tenant-token",
        "funded",
        "centre-set",
        "centre-state-set",
        "set-presence",
        "presence-set",
        "add-window",
        "remove-window",
        "window-added",
        "window-removed",
        "inventory-set",
        "rated",
        "job-submitted",
        "dependency-met",
        "dependency-unmet",
        "tasks-placed",
        "attempt-started",
        "attempt-used",
        "attempt-ended",
        "gang-retried",
        "stop-ordered",
        "job-cancel-requested",
        "job-ended",
        "report-taken",
        "keys-forgotten",
        "set-tariff-rule",
        "end-tariff-rule",
        "rerate",
        "credit-changed",
        "tariff-rule-set",
        "tariff-rule-ended",
        "rerated",
        "oddity-found",
        "make-contract",
        "end-contract",
        "contract-made",
        "contract-ended",
        "note-oddity",
        "late-used",
    ] {
        assert!(text.contains(&format!("{{\"{word}\":")), "`{word}` is not in the corpus");
    }
}

/// Words inside of entries and rows that a reader must go on to know.
#[test]
fn the_corpus_has_every_word_of_every_list() {
    let texts = ["journal.jsonl", "job.jsonl", "attempt.jsonl", "centre.jsonl", "tenant.jsonl"].map(all).concat();
    for (field, words) in [
        ("cause", ["exited", "walltime", "memory", "cancelled", "preempted", "start-failed", "lost"].as_slice()),
        ("state", &["waiting", "running", "succeeded", "failed", "cancelled", "placed", "active", "paused"]),
        ("class", &["ai", "hpc"]),
        ("engine", &["local", "kubernetes"]),
        ("mark", &["measured", "declared", "modelled"]),
        ("what", &["started"]),
        ("objective", &["cheapest"]),
        ("when", &["ok", "any", "not-ok", "start"]),
        ("code", &["dependency-unmet", "budget-spent"]),
        ("presence", &["present", "absent"]),
    ] {
        for word in words {
            assert!(texts.contains(&format!("\"{field}\":\"{word}\"")), "{field} `{word}` is not in the corpus");
        }
    }
    let optional = [
        "key",
        "retried",
        "stop_seq",
        "preempted_by",
        "preempted",
        "parallel_max",
        "environment",
        "devices",
        "signal",
        "place",
        "gang",
        "after",
        "waits_for",
        "ended",
        "deadline_at",
        "preemptible",
        "absent_since",
        "windows",
        "window_last",
        "weight",
        "quota_cores",
        "quota_devices",
        "projects",
        "token",
        "note",
        "readings",
        "adjusts",
        "metered",
        "oddities",
        "industry",
        "budget",
        "credit",
        "priority_min",
        "until",
        "energy",
        "carbon_g_per_kwh",
        "factors",
        "closed",
        "joules",
        "metered_joules",
        "rating_versions",
        "past",
        "odd",
    ];
    for field in optional {
        assert!(texts.contains(&format!("\"{field}\":")), "field `{field}` is not in the corpus");
    }
}
