//! What `sbatch` says, and what is known when it cannot be noted.

use std::{
    fs::File,
    os::{fd::AsRawFd as _, unix::fs::symlink},
    sync::Arc,
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::*;
use crate::slurm::{
    config::example,
    files::Files,
    journal::{Journal, order},
    request::Request,
    users::Users,
};

#[test]
fn an_answer_is_a_number_a_refusal_or_a_doubt() {
    let check = |success: bool, stdout: &str, stderr: &str, expected: Result<u64, bool>| {
        let answer = Answer { success, stdout: stdout.to_owned(), stderr: stderr.to_owned() };
        let read = match read_submission(&answer) {
            Submission::Held(job) => Ok(job),
            Submission::Refused(_) => Err(true),
            Submission::Doubtful(_) | Submission::TooLarge => Err(false),
        };
        assert_eq!(read, expected, "{answer:?}");
    };
    let failed = "sbatch: error: Batch job submission failed: ";
    check(true, "17\n", "", Ok(17));
    check(true, "17;alpha\n", "", Ok(17));
    check(true, "", "", Err(false));
    check(true, "Submitted batch job 17\n", "", Err(false));
    check(false, "", &format!("{failed}Invalid account or account/partition combination specified\n"), Err(true));
    check(false, "", &format!("sbatch: error: invalid partition specified: x\n{failed}Invalid partition"), Err(true));
    check(false, "", &format!("{failed}Socket timed out on send/recv operation\n"), Err(false));
    check(false, "", &format!("{failed}Unable to contact slurm controller (connect failure)\n"), Err(false));
    check(
        false,
        "",
        &format!("{failed}Job violates accounting/QOS policy (job submit limit, user's size)\n"),
        Err(false),
    );
    check(false, "", "did not answer in 120s", Err(false));
    check(false, "", "sudo: a password is required\n", Err(true));
    let denied = "Sorry, user hs is not allowed to execute '/usr/bin/sbatch --hold' as anna on login1.\n";
    check(false, "", denied, Err(true));
    check(false, "", "sudo: unable to resolve host login1: Name or service not known\n", Err(false));
    check(false, "", "sbatch: error: Unable to open file /shared/wrapper.sh\n", Err(true));
    check(false, "", "", Err(false));
}

/// A log that takes nothing more, of which a full disk is one, is no reason to forget what is in Slurm.
#[test]
fn what_cannot_be_noted_is_asked_for() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let config = example(folder.path());
    let files = Files::make(&folder.path().join("centre"), &Users::default()).expect("made");
    let log = memfd_create("log", MemfdFlags::ALLOW_SEALING).expect("a file in memory");
    // The log is made under this name.
    let new = files.journal().with_extension("log.new");
    symlink(format!("/proc/self/fd/{}", log.as_raw_fd()), new).expect("linked");
    let (journal, known) = Journal::open(&files).expect("a new log");
    fcntl_add_seals(&log, SealFlags::GROW).expect("sealed");
    let mut state = State::recover(journal, known);
    let orders: Vec<_> = (1..=4).map(|job| Arc::new(order(job))).collect();
    for order in &orders {
        state.enqueue(Arc::clone(order));
        state.note_submitting(order.attempt);
    }
    let request = Request::of(&orders[0], &state.inventory, &config, &Users::default()).expect("a request");
    let results = orders[..3].iter().zip([Submission::Held(7), Submission::Held(8), Submission::TooLarge]);
    let submitted = |(order, submission): (&Arc<StartOrder>, Submission)| {
        let orders = vec![Arc::clone(order)];
        let group = Group { request: request.clone(), orders, size_max: 1, gang: None };
        Submitted { group, shape: Shape::Single, submission, refused: Vec::new() }
    };
    let results: Vec<Submitted> = results.map(submitted).collect();
    let lock = File::create(folder.path().join("lock")).expect("made");
    let shared = Shared::new(config, files, Users::default(), state, lock);
    note_all(&shared, results, vec![(orders[3].attempt, "no".to_owned())]).expect_err("it cannot be noted");
    let state = shared.lock();
    let phases: Vec<Phase> = orders.iter().map(|order| state.open(order.attempt).expect("open").phase).collect();
    assert_eq!(phases, [Phase::Held, Phase::Doubtful(0), Phase::Doubtful(0), Phase::Doubtful(0)]);
    assert!(orders.iter().all(|order| state.in_slurm.contains(&order.attempt)));
}
