//! From the task's folder, whatever the task left there.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use huisuan_model::{Bytes, EndCause, ReportKind};

use super::{Bench, Came, ended_well, noise, order, reference, server::Page, why};

/// Brings nothing, lets the task leave what it wants, and takes `path` to `url`.
fn take(bench: &Bench, url: &str, task: impl FnOnce(PathBuf)) -> Option<String> {
    bench.stager.bring(order(vec![], vec![reference(url, "out/f")])).expect("a centre with files");
    let (Came::Ready, _) = bench.came() else { panic!("there was nothing to bring") };
    fs::create_dir(bench.data().join("out")).expect("made");
    task(bench.data());
    assert!(bench.stager.hold_back(vec![ended_well()]).is_empty(), "not before its outputs are safe");
    let (Came::Ended(report), _) = bench.came() else { panic!("it ended") };
    let ReportKind::Ended { outcome, .. } = &report.what else { panic!("an end") };
    (!outcome.success()).then(|| why(&report, EndCause::Staging))
}

#[test]
fn outputs_are_taken_whole_and_counted() {
    let mut bench = Bench::new("");
    let body = noise(600_000);
    let write = |data: PathBuf| fs::write(data.join("out/f"), &body).expect("written");
    assert_eq!(take(&bench, &bench.server.url("/put"), write), None);
    assert_eq!(bench.server.written("/put"), Some(body.clone()));
    // An end that is given again after a kill is told at once: its outputs are safe.
    bench.restart();
    let [told] = bench.stager.hold_back(vec![ended_well()]).try_into().expect("nothing to do");
    let ReportKind::Ended { usage, .. } = told.what else { panic!("an end") };
    assert_eq!((usage.staged.taken, usage.staged.to_take), (Bytes(600_000), Bytes(600_000)));

    let bench = Bench::new("");
    assert_eq!(take(&bench, &bench.file("out", "deep/{job}-{task}"), write), None);
    let out = bench.scratch.path().join("out/deep");
    assert_eq!(fs::read(out.join("7-3")).expect("there"), body);
    assert_eq!(fs::read_dir(out).expect("a folder").count(), 1, "nothing is left beside it");
}

#[test]
fn a_put_is_repeated_and_follows_a_redirect() {
    let bench = Bench::new("");
    bench.server.page("/put", Page { statuses: vec![500], location: Some("/there".into()), ..Page::of(b"") });
    let write = |data: PathBuf| fs::write(data.join("out/f"), "result").expect("written");
    assert_eq!(take(&bench, &bench.server.url("/put"), write), None);
    assert_eq!(bench.server.written("/there"), Some(b"result".to_vec()));
}

#[test]
fn nothing_that_a_task_plants_is_taken() {
    let secret = tempfile::tempdir().expect("a scratch folder");
    fs::write(secret.path().join("f"), "secret").expect("written");
    let check = |said: &str, task: &dyn Fn(PathBuf)| {
        let bench = Bench::new("largest = '100B'");
        let why = take(&bench, &bench.file("out", "f"), task);
        assert!(why.as_ref().is_some_and(|why| why.contains(said)), "{said}: {why:?}");
        assert_eq!(fs::read_dir(bench.scratch.path().join("out")).expect("a folder").count(), 0);
    };
    check("is a link", &|data| symlink(secret.path().join("f"), data.join("out/f")).expect("linked"));
    check("is a link", &|data| {
        fs::remove_dir(data.join("out")).expect("removed");
        symlink(secret.path(), data.join("out")).expect("linked");
    });
    check("more than one name", &|data| {
        fs::hard_link(secret.path().join("f"), data.join("out/f")).expect("linked");
    });
    check("no plain file", &|data| fs::create_dir(data.join("out/f")).expect("made"));
    check("no plain file", &|data| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, data.join("out/f"), mode).expect("a pipe");
    });
    check("HUISUAN_DATA_DIR", &|_| {});
    check("`data.largest`", &|data| fs::write(data.join("out/f"), [0; 101]).expect("written"));
}

#[test]
fn a_task_that_failed_leaves_nothing_to_take() {
    let bench = Bench::new("");
    bench.stager.bring(order(vec![], vec![reference(&bench.server.url("/put"), "f")])).expect("a centre with files");
    let (Came::Ready, _) = bench.came() else { panic!("there was nothing to bring") };
    fs::write(bench.data().join("f"), "half").expect("written");
    let mut report = ended_well();
    if let ReportKind::Ended { outcome, .. } = &mut report.what {
        outcome.exit_code = Some(1);
    }
    assert_eq!(bench.stager.hold_back(vec![report.clone()]), [report]);
    assert_eq!(bench.server.written("/put"), None);
}
