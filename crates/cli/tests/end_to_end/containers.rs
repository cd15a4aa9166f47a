//! Jobs in container images, by a real podman at a local centre.

use crate::{
    engines::{joined, run},
    lab::image::image,
    support::running::Home,
};

#[test]
fn a_job_in_an_image_runs_where_podman_is() {
    let home = Home::new();
    let server = home.start(&["serve", "--data", &home.path("server"), "--listen", "127.0.0.1:0"], &[]);
    let client = server.client();
    let off = home.path("off.toml");
    std::fs::write(&off, "[containers]\ndisabled = true\n").expect("a file");
    let _plain = joined(&home, "plain", "hpc", "local", &["--engine-config", &off]);
    let image = image();
    let job = |script: &str| {
        format!(
            "script: |\n  #!/bin/sh\n  {script}\nimage: {image}\nclass: hpc\ncores: 1\nmemory: 64MiB\nwalltime: 2m\n"
        )
    };
    let file = home.path("image.yaml");
    std::fs::write(&file, job("true")).expect("a file");
    let refused = home.run(&["run", &file]);
    assert_eq!(refused.exit, 3, "{refused:?}");
    assert!(refused.stderr.contains("no centre runs container images"), "{refused:?}");

    let _boxes = joined(&home, "boxes", "hpc", "local", &[]);
    let ended = run(&home, &client, "image.yaml", &job("echo in $HUISUAN_CENTRE: $(ls /huisuan); exit 3"));
    let attempt = &ended.attempts[0];
    assert_eq!((&*attempt.centre, attempt.exit_code), ("boxes", Some(3)), "{ended:?}");
    let said = home.run(&["logs", &ended.summary.job_id.to_string()]);
    assert_eq!(said.stdout.split_whitespace().collect::<Vec<_>>(), ["in", "boxes:", "attempt", "script"], "{said:?}");
    // The plain one takes what has no image, as before.
    let plain = run(&home, &client, "plain.yaml", "command: [\"true\"]\ncentres: [plain]\nwalltime: 1m\n");
    assert_eq!(plain.summary.state, "succeeded", "{plain:?}");

    let doctor = home.run(&["doctor", "-o", "json"]);
    let json = doctor.json();
    let checks = json["checks"].as_array().expect("checks");
    let says = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {doctor:?}"));
        check["detail"].as_str().expect("text").to_owned()
    };
    assert_eq!(says("boxes container images"), "run here");
    assert_eq!(says("plain container images"), "jobs with an image go elsewhere");
    let by_flag = home.run(&["run", "--wait", "--image", image, "--memory", "64MiB", "--", "echo", "flag"]);
    assert_eq!(by_flag.exit, 0, "{by_flag:?}");
    let tag = home.run(&["run", "--image", "docker.io/library/debian:12", "--", "true"]);
    assert!(tag.exit == 2 && tag.stderr.contains("tag"), "{tag:?}");
}
