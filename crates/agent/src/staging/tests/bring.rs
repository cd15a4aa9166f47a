//! Into the task's folder, whatever the other side does.

use std::{fs, os::unix::fs::symlink, time::Instant};

use huisuan_model::{Bytes, ReportKind, spec::DataReference};

use super::{
    Bench, Came, PATIENCE, ended_well, id, noise, order, reference,
    server::{Page, Server},
    sha256, stager, tls,
};

#[test]
fn inputs_are_brought_whole_and_counted() {
    let bench = Bench::new("");
    let (a, b) = (noise(700_000), noise(10));
    bench.server.page("/a", Page::of(&a));
    fs::write(bench.scratch.path().join("in/b"), &b).expect("written");
    let first =
        DataReference { bytes: Some(Bytes(700_000)), sha256: sha256(&a), ..reference(&bench.server.url("/a"), "x/a") };
    bench
        .stager
        .bring(order(vec![first, reference(&bench.file("in", "b"), "b")], vec![]))
        .expect("a centre with files");
    assert_eq!(bench.stager.bringing(), [id()]);
    let (Came::Ready, _) = bench.came() else { panic!("it failed") };
    assert_eq!(fs::read(bench.data().join("x/a")).expect("there"), a);
    assert_eq!(fs::read(bench.data().join("b")).expect("there"), b);
    // The end of it says how much that was.
    let [told] = bench.stager.hold_back(vec![ended_well()]).try_into().expect("nothing to take");
    let ReportKind::Ended { usage, .. } = told.what else { panic!("an end") };
    assert_eq!((usage.staged.brought, usage.staged.to_bring), (Bytes(700_010), Bytes(700_010)));
    bench.stager.forget(&[id()]);
    let begun = Instant::now();
    while bench.data().exists() {
        assert!(begun.elapsed() < PATIENCE, "its data is not removed");
        std::thread::yield_now();
    }
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_was() {
    let bench = Bench::new("");
    let body = noise(900_000);
    bench.server.page("/f", Page { breaks: vec![300_000, 300_001], statuses: vec![503], ..Page::of(&body) });
    let input = DataReference { sha256: sha256(&body), ..reference(&bench.server.url("/f"), "f") };
    assert_eq!(bench.bring(vec![input]), None);
    assert_eq!(fs::read(bench.data().join("f")).expect("there"), body);
    assert_eq!(bench.server.ranges("/f"), ["", "", "bytes=300000-", "bytes=600001-"]);
}

#[test]
fn a_killed_agent_goes_on_where_it_was() {
    let mut bench = Bench::new("");
    let body = noise(600_000);
    bench.server.page("/f", Page { stalls: Some(400_000), ..Page::of(&body) });
    let input = DataReference { sha256: sha256(&body), ..reference(&bench.server.url("/f"), "f") };
    let other = DataReference { sha256: sha256(b"small"), ..reference(&bench.server.url("/g"), "g") };
    bench.server.page("/g", Page::of(b"small"));
    bench.stager.bring(order(vec![other.clone(), input.clone()], vec![])).expect("a centre with files");
    let part = bench.scratch.path().join("centre/staging/7/3.2/parts/1");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < 400_000 || !bench.data().join("g").exists() {
        assert!(begun.elapsed() < PATIENCE, "it does not come so far");
        std::thread::yield_now();
    }
    assert!(!bench.data().join("f").exists(), "half of it is not the task's");
    bench.restart();
    bench.server.page("/f", Page::of(&body));
    assert_eq!(bench.bring(vec![other, input]), None);
    assert_eq!(fs::read(bench.data().join("f")).expect("there"), body);
    assert_eq!(bench.server.ranges("/f"), ["", "bytes=400000-"]);
    assert_eq!(bench.server.ranges("/g"), [""], "what is whole is not asked for again");
    // What is there is there: a second restart asks nobody.
    bench.restart();
    assert_eq!(bench.bring(vec![]), None);
    assert_eq!(bench.server.ranges("/f").len(), 2);
}

#[test]
fn two_halves_are_of_one_version() {
    let mut bench = Bench::new("");
    let (old, new) = (noise(500_000), vec![7; 500_000]);
    bench.server.page("/f", Page { stalls: Some(100_000), ..Page::of(&old) });
    let input = reference(&bench.server.url("/f"), "f");
    bench.stager.bring(order(vec![input.clone()], vec![])).expect("a centre with files");
    let part = bench.scratch.path().join("centre/staging/7/3.2/parts/0");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < 100_000 {
        assert!(begun.elapsed() < PATIENCE, "it does not come so far");
        std::thread::yield_now();
    }
    bench.restart();
    bench.server.page("/f", Page { tag: "\"v2\"".into(), ..Page::of(&new) });
    assert_eq!(bench.bring(vec![input]), None);
    assert_eq!(fs::read(bench.data().join("f")).expect("there"), new);
}

#[test]
fn a_server_without_parts_or_sizes_is_read_from_the_beginning() {
    let bench = Bench::new("");
    let body = noise(200_000);
    bench.server.page("/f", Page { ranges: false, breaks: vec![150_000, 20_000], ..Page::of(&body) });
    bench.server.page("/g", Page { sized: false, tag: String::new(), ..Page::of(&body) });
    let inputs = ["f", "g"].map(|name| reference(&bench.server.url(&format!("/{name}")), name));
    assert_eq!(bench.bring(inputs.to_vec()), None);
    assert_eq!(fs::read(bench.data().join("f")).expect("there"), body);
    assert_eq!(fs::read(bench.data().join("g")).expect("there"), body);
}

/// Fails for a reason that names `said`, and leaves nothing for a task to see.
#[track_caller]
fn check_refused(bench: &Bench, input: DataReference, said: &str) {
    let path = bench.data().join(&input.path);
    let why = bench.bring(vec![input.clone()]).unwrap_or_else(|| panic!("{} was brought", input.url));
    assert!(why.contains(said), "{}: {why}", input.url);
    assert!(!path.exists(), "{}", path.display());
}

#[test]
fn what_is_not_what_was_wanted_is_not_given() {
    let page = Page::of(b"twelve bytes");
    let check = |page: &Page, change: &dyn Fn(&mut DataReference), rules: &str, said: &str| {
        let bench = Bench::new(rules);
        bench.server.page("/f", page.clone());
        let mut input = reference(&bench.server.url("/f"), "f");
        change(&mut input);
        check_refused(&bench, input, said);
    };
    check(&page, &|input| input.sha256 = sha256(b"other bytes"), "", "SHA-256");
    check(&page, &|input| input.bytes = Some(Bytes(11)), "", "the job declares 11");
    check(&page, &|input| input.bytes = Some(Bytes(13)), "", "12 bytes, the job declares 13");
    check(&page, &|_| {}, "largest = '11B'", "`data.largest`");
    let unsized_page = Page { sized: false, ..page.clone() };
    check(&unsized_page, &|_| {}, "largest = '11B'", "`data.largest`");
    check(&unsized_page, &|input| input.bytes = Some(Bytes(11)), "", "the job declares 11");
    check(&page, &|input| input.url += "x", "", "answered 404");
    check(&Page { statuses: vec![403], ..page.clone() }, &|_| {}, "", "answered 403");
    check(&Page { location: Some("/f".into()), ..page.clone() }, &|_| {}, "", "leads elsewhere");
}

#[test]
fn no_redirect_and_no_name_leads_to_an_address_that_is_not_public() {
    let inner = Server::new();
    inner.page("/secret", Page::of(b"secret"));
    for (location, said) in [
        (inner.url("/secret"), "`data.hosts`"),
        (format!("https://{}/secret", inner.address), "no public address"),
        (format!("https://localhost:{}/secret", inner.address.port()), "no public address"),
        ("https://169.254.169.254/latest/meta-data".to_owned(), "no public address"),
        ("https://2130706433/f".to_owned(), "no public address"),
        ("https://0x7f.1/f".to_owned(), "no public address"),
        ("file:///etc/passwd".to_owned(), "`data.hosts`"),
    ] {
        let bench = Bench::new("");
        bench.server.page("/f", Page { location: Some(location.clone()), ..Page::of(b"") });
        check_refused(&bench, reference(&bench.server.url("/f"), "f"), said);
        if location.starts_with("https") {
            let bench = Bench::new("");
            check_refused(&bench, reference(&location, "f"), said);
        }
    }
    assert!(inner.ranges("/secret").is_empty(), "nobody was asked");
}

#[test]
fn a_server_is_who_the_sites_authorities_say() {
    let keys = tempfile::tempdir().expect("a scratch folder");
    let authority = tls::certificate(keys.path());
    let known = format!("authorities = '{}'", authority.display());
    for (rules, good) in [(&*known, true), ("", false)] {
        let bench = Bench::new(rules);
        bench.server.page("/f", Page::of(b"over TLS"));
        let front = tls::before(bench.server.address, keys.path());
        // The server's own address is private to the site, and so is the one before it.
        let rules = bench.rules.replace("private = [", &format!("private = ['{front}', "));
        let bench = Bench { stager: stager(&rules, &bench.scratch), ..bench };
        let why = bench.bring(vec![reference(&format!("https://{front}/f"), "f")]);
        match good {
            true => assert_eq!((why, fs::read(bench.data().join("f")).ok()), (None, Some(b"over TLS".to_vec()))),
            false => assert!(why.as_ref().is_some_and(|why| why.contains("ertificate")), "{why:?}"),
        }
    }
}

#[test]
fn files_of_the_site_are_those_below_its_folders() {
    for (name, said) in [("link", "is a link"), ("up/secret", "is a link"), ("none", "cannot be read")] {
        let bench = Bench::new("");
        let scratch = bench.scratch.path();
        fs::write(scratch.join("secret"), "secret").expect("written");
        symlink(scratch.join("secret"), scratch.join("in/link")).expect("linked");
        symlink(scratch, scratch.join("in/up")).expect("linked");
        check_refused(&bench, reference(&bench.file("in", name), "f"), said);
    }
}
