//! A Kubernetes control plane from Debian's own source package, whose dependencies are all in it. It is of 1.20.2, the
//! newest that comes in source with a distribution; no binaries are downloaded.

use crate::step::{Outcome, status};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is built.
const PROGRAMS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// The version that the programs say they are of.
const VERSION: &str = "v1.20.2";
/// What building and running needs of the distribution.
const PACKAGES: [&str; 5] = ["curl", "dpkg-dev", "etcd-server", "golang-1.19-go", "openssl"];
/// Where the types are that the API server describes. Their descriptions are the only code that is not in the source
/// package; `make generated_files` would make all the rest anew, for four minutes of processor time.
const DESCRIBED: [&str; 4] =
    ["api", "apimachinery/pkg", "apiextensions-apiserver/pkg/apis", "kube-aggregator/pkg/apis"];
/// Marks a type or package that is described.
const MARK: &str = "+k8s:openapi-gen=true";
/// Variables of the Go linker in which the version is kept.
const VERSIONED: [&str; 3] = [
    "k8s.io/kubernetes/pkg/version",
    "k8s.io/kubernetes/vendor/k8s.io/client-go/pkg/version",
    "k8s.io/kubernetes/vendor/k8s.io/component-base/version",
];

/// The folder of the programs, built there when they are not. Takes four minutes of processor time, on two cores about
/// two of the clock: without the clients of public clouds (`providerless`), and without what the source package has.
pub(super) fn programs(folder: &Path) -> Result<PathBuf> {
    let bin = folder.join("bin");
    if PROGRAMS.iter().all(|program| bin.join(program).is_file()) {
        return Ok(bin);
    }
    eprintln!("building Kubernetes {VERSION} in {}", folder.display());
    fs::create_dir_all(&bin)?;
    install()?;
    let source = folder.join("go/src/k8s.io/kubernetes");
    if !source.is_dir() {
        fetch(folder, &source)?;
    }
    let go = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(&source).env("GO111MODULE", "off").env("CGO_ENABLED", "0").env("GOFLAGS", "");
        // A compiler that ends after a second need not collect its garbage often.
        command
            .env("GOGC", "400")
            .env("GOPATH", folder.join("go"))
            .env("GOCACHE", folder.join("cache"))
            .env("HOME", folder);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("/usr/lib/go-1.19/bin:{path}"));
        command
    };
    if !source.join("pkg/generated/openapi/zz_generated.openapi.go").is_file() {
        describe(&source, &go)?;
    }
    let mut flags = String::from("-s -w");
    for package in VERSIONED {
        flags += &format!(" -X {package}.gitVersion={VERSION} -X {package}.gitMajor=1 -X {package}.gitMinor=20");
    }
    let packages = PROGRAMS.map(|program| format!("./cmd/{program}"));
    let tags = ["build", "-tags", "providerless", "-ldflags", &flags, "-o"];
    run(go("go").args(tags).arg(format!("{}/", bin.display())).args(packages))?;
    // Both are a gigabyte and of no use once the programs are there.
    fs::remove_dir_all(folder.join("cache")).ok();
    fs::remove_dir_all(folder.join("go")).ok();
    Ok(bin)
}

/// Makes the descriptions of the API's types.
fn describe(source: &Path, go: &dyn Fn(&str) -> Command) -> Result<()> {
    let generator = source.join("openapi-gen").display().to_string();
    run(go("go").args(["build", "-o", &generator, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen"]))?;
    let mut packages = Vec::new();
    for part in DESCRIBED {
        marked(source, &Path::new("vendor/k8s.io").join(part), &mut packages)?;
    }
    packages.sort();
    let report = source.join("openapi.report").display().to_string();
    let words = ["-p", "k8s.io/kubernetes/pkg/generated/openapi", "-O", "zz_generated.openapi", "-r", &report];
    let header = ["-h", "hack/boilerplate/boilerplate.generatego.txt"];
    run(go(&generator).args(words).args(header).args(["-i", &packages.join(",")]))
}

/// The packages in and below a folder of the source that have something marked.
fn marked(source: &Path, folder: &Path, packages: &mut Vec<String>) -> Result<()> {
    let mut found = false;
    for entry in fs::read_dir(source.join(folder))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            marked(source, &folder.join(name), packages)?;
        } else if path.extension().is_some_and(|ending| ending == "go") {
            found = found || fs::read_to_string(path)?.contains(MARK);
        }
    }
    if found {
        packages.push(format!("k8s.io/kubernetes/{}", folder.display()));
    }
    Ok(())
}

fn install() -> Result<()> {
    let there = |package: &&&str| {
        let asked = Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]).output();
        asked.is_ok_and(|answer| answer.stdout == b"installed")
    };
    let missing: Vec<&str> = PACKAGES.iter().filter(|package| !there(package)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", missing.join(" "));
    let mut command = Command::new("apt-get");
    command
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command).with_context(|| format!("hint: as root, apt-get install {}", missing.join(" ")))
}

/// Fetches the source package with package lists of our own, so that the system's are left alone.
fn fetch(folder: &Path, source: &Path) -> Result<()> {
    let (lists, parts, main) = (folder.join("lists"), folder.join("sources.d"), folder.join("sources.list"));
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(&parts)?;
    let mut lines = sources_of(&fs::read_to_string("/etc/apt/sources.list").unwrap_or_default());
    for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
        let (path, text) = (entry.path(), fs::read_to_string(entry.path())?);
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("list") => lines += &sources_of(&text),
            Some("sources") => fs::write(parts.join(entry.file_name()), deb822_sources_of(&text))?,
            _ => {}
        }
    }
    fs::write(&main, lines)?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command.current_dir(folder).arg("-o").arg(format!("Dir::Etc::sourcelist={}", main.display()));
        command.arg("-o").arg(format!("Dir::Etc::sourceparts={}", parts.display()));
        command.arg("-o").arg(format!("Dir::State::lists={}", lists.display()));
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["source", "--download-only", "kubernetes"]))?;
    let mut archive = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        archive = archive.or((name.starts_with("kubernetes_") && name.ends_with(".orig.tar.gz")).then_some(path));
    }
    let archive = archive.context("the source package has no archive")?;
    // Unpacked beside its place and moved there, so that half of it is never taken for all.
    let fresh = folder.join("fresh");
    fs::remove_dir_all(&fresh).ok();
    fs::create_dir_all(&fresh)?;
    run(Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(&fresh).arg("--strip-components=1"))?;
    fs::create_dir_all(source.parent().context("a folder above")?)?;
    fs::rename(fresh, source)?;
    Ok(())
}

/// Lines for source packages out of lines for binary ones.
fn sources_of(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("deb "));
    lines.map(|rest| format!("deb-src {rest}\n")).collect()
}

/// The same of the newer format.
fn deb822_sources_of(text: &str) -> String {
    let line =
        |line: &str| if line.starts_with("Types:") { "Types: deb-src\n".to_owned() } else { format!("{line}\n") };
    text.lines().map(line).collect()
}

fn run(command: &mut Command) -> Result<()> {
    match status(command) {
        Outcome::Passed => Ok(()),
        Outcome::Failed(why) | Outcome::Skipped(why) => bail!("{:?}: {why}", command.get_program()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_made_of_both_formats() {
        assert_eq!(sources_of("# a\ndeb http://d bookworm main\ndeb-src x\n"), "deb-src http://d bookworm main\n");
        let text = "Types: deb\nURIs: http://d\nSuites: bookworm\n";
        assert_eq!(deb822_sources_of(text), "Types: deb-src\nURIs: http://d\nSuites: bookworm\n");
    }
}
