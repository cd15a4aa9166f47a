//! Data that is brought to a task before it starts and taken from it after it succeeded: where it lies outside, where
//! the task sees it. What is checked here holds everywhere; what a site lets in is its own choice.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{JobSpec, Reading, SpecError, check, limits};
use crate::{
    ids::{AttemptId, CentreId},
    quantity::Bytes,
};

/// Data outside a task: where it is and where the task sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataReference {
    /// Where it is: `https://HOST/...`, `s3://STORE/KEY`, `file:///...`, and `http://` where a site names the host.
    /// `{job}` and `{task}` in it stand for the numbers of the attempt's job and task.
    pub url: String,
    /// A path inside the task's data folder.
    pub path: String,
    /// Its size, when known: then it is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
    /// SHA-256 of it, 64 hexadecimal digits: what has another is not given to the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The centre next to it: places count the way of `bytes` from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<CentreId>,
}

/// How a URL begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP, for hosts that a site names.
    Http,
    /// An object of a store that the site has named.
    S3,
    /// A file of the site.
    File,
}

const URL: &str = "https://HOST/..., s3://STORE/KEY or file:///..., of letters, digits and - . _ ~ / : % ? = & + ,";
const PATH: &str = "a path inside the task's data folder: at most 16 names of letters, digits and . _ -, none of them \
                    `.` or `..`, none beginning with -";
const PLACEHOLDERS: [&str; 2] = ["{job}", "{task}"];

impl DataReference {
    /// The URL of one attempt, its placeholders filled in.
    pub fn url_of(&self, attempt: AttemptId) -> String {
        let [job, task] = PLACEHOLDERS;
        self.url.replace(job, &attempt.job.to_string()).replace(task, &attempt.task.to_string())
    }

    /// How its URL begins; `None` when it is none of the known.
    pub fn scheme(&self) -> Option<Scheme> {
        Scheme::of(&self.url).map(|(scheme, _)| scheme)
    }
}

impl Scheme {
    /// Parts a URL into its scheme and what follows: host or store and path; of a file its absolute path.
    pub fn of(url: &str) -> Option<(Scheme, &str)> {
        let (word, rest) = url.split_once("://")?;
        let scheme = match word {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "s3" => Scheme::S3,
            "file" => Scheme::File,
            _ => return None,
        };
        Some((scheme, rest))
    }
}

impl JobSpec {
    /// What each task reads, by centre: what it reads by itself and what is brought to it from somewhere known.
    pub fn readings(&self) -> Vec<Reading> {
        let mut all = self.reads.clone();
        for (at, bytes) in self.inputs.iter().filter_map(|input| input.at.clone().zip(input.bytes)) {
            match all.binary_search_by(|reading| reading.at.cmp(&at)) {
                Ok(found) => all[found].bytes = Bytes(all[found].bytes.0.saturating_add(bytes.0)),
                Err(place) => all.insert(place, Reading { at, bytes }),
            }
        }
        all
    }

    /// Whether anything is brought to its tasks or taken from them.
    pub fn staged(&self) -> bool {
        !self.inputs.is_empty() || !self.outputs.is_empty()
    }
}

pub(super) fn validate(spec: &JobSpec) -> Result<(), SpecError> {
    let together = spec.gang && spec.staged();
    check(!together, "inputs", "data of a gang", "no gang: its tasks start together, their data comes one by one")?;
    for (field, references) in [("inputs", &spec.inputs), ("outputs", &spec.outputs)] {
        let count = references.len();
        check(count <= limits::DATA_MAX, field, format_args!("{count} entries"), "at most 64 entries")?;
        for reference in references {
            url(field, &reference.url)?;
            path(field, &reference.path)?;
            let bytes = reference.bytes.map_or(0, |bytes| bytes.0);
            check(bytes <= limits::DATA_BYTES_MAX, field, format_args!("size of {bytes} bytes"), "at most 1 PiB")?;
            let digest = reference.sha256.as_deref().unwrap_or(DIGEST);
            check(is_digest(digest), field, digest, "a `sha256` of 64 hexadecimal digits in lower case")?;
        }
        apart(field, references)?;
    }
    for output in &spec.outputs {
        let plain = output.sha256.is_none() && output.bytes.is_none() && output.at.is_none();
        check(plain, "outputs", &output.path, "url and path alone: size and sha256 are not known before")?;
        let one_each = spec.tasks.len() <= 1 || output.url.contains(PLACEHOLDERS[1]);
        check(one_each, "outputs", &output.url, "a url with {task} in it, for each task has its own")?;
    }
    let urls: BTreeSet<&str> = spec.outputs.iter().map(|output| &*output.url).collect();
    check(urls.len() == spec.outputs.len(), "outputs", "the same url twice", "each url once")?;
    let readings = spec.readings().len();
    check(readings <= limits::READS_MAX, "inputs", format_args!("data at {readings} centres"), "at most 16 centres")
}

/// Of no file in particular.
const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// No path is another one's, or a folder on the way to another.
fn apart(field: &'static str, references: &[DataReference]) -> Result<(), SpecError> {
    let paths: BTreeSet<&str> = references.iter().map(|reference| &*reference.path).collect();
    check(paths.len() == references.len(), field, "the same path twice", "each path once")?;
    let above = |path: &&str| {
        let mut ends = path.match_indices('/').map(|(at, _)| at);
        ends.any(|at| paths.contains(&path[..at]))
    };
    let under = paths.iter().copied().find(|path| above(path));
    check(under.is_none(), field, under.unwrap_or(""), "no path below the path of another entry")
}

fn url(field: &'static str, text: &str) -> Result<(), SpecError> {
    let plain = PLACEHOLDERS.iter().fold(text.to_owned(), |text, word| text.replace(word, "0"));
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:%?=&+,".contains(&b);
    let legal = plain.len() <= limits::URL_LENGTH_MAX && plain.bytes().all(good);
    let parts = Scheme::of(&plain).filter(|_| legal);
    let reachable = parts.is_some_and(|(scheme, rest)| match scheme {
        Scheme::Https | Scheme::Http => is_web(rest),
        Scheme::S3 => rest.split_once('/').is_some_and(|(store, key)| is_store(store) && is_key(key)),
        Scheme::File => rest.strip_prefix('/').is_some_and(is_key),
    });
    // A host is no place for numbers of jobs: it is what sites allow.
    let host = text.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(""));
    check(reachable && !host.contains('{'), field, text, URL)
}

/// `HOST[:PORT]/PATH[?QUERY]`: no user, no fragment, no step upwards, escaped or not.
fn is_web(rest: &str) -> bool {
    let Some((authority, path)) = rest.split_once('/') else { return false };
    let (host, port) = authority.split_once(':').map_or((authority, "443"), |(host, port)| (host, port));
    let named = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        && !host.starts_with(['-', '.']);
    let numbered = port.parse::<u16>().is_ok_and(|number| number > 0 && !port.starts_with(['+', '0']));
    let path = path.split('?').next().unwrap_or("");
    let lower = path.to_ascii_lowercase();
    let hidden = ["%2e", "%2f", "%5c", "%00"].iter().any(|escape| lower.contains(escape));
    named && numbered && !hidden && escapes_well(rest) && path.split('/').all(|step| step != "." && step != "..")
}

/// Each `%` is followed by two hexadecimal digits.
fn escapes_well(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

/// The name of a store in a site's settings.
pub fn is_store(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
        && !name.starts_with(['-', '.'])
}

/// Steps between single slashes, none of which leads upwards; nothing that another layer would read as more.
fn is_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(['%', '?', '&', ':']) && key.split('/').all(is_step)
}

fn is_step(step: &str) -> bool {
    !step.is_empty() && step != "." && step != ".." && step.len() <= 255
}

fn path(field: &'static str, text: &str) -> Result<(), SpecError> {
    let plain = |step: &str| {
        is_step(step)
            && !step.starts_with('-')
            && step.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let good = text.len() <= limits::DATA_PATH_MAX && text.split('/').count() <= 16 && text.split('/').all(plain);
    check(good, field, text, PATH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ids::JobId, ranges::RangeSet};

    fn reference(url: &str, path: &str) -> DataReference {
        DataReference { url: url.to_owned(), path: path.to_owned(), bytes: None, sha256: None, at: None }
    }

    fn spec(inputs: Vec<DataReference>, outputs: Vec<DataReference>) -> JobSpec {
        JobSpec { inputs, outputs, ..JobSpec::command("job", &["/bin/true"]) }
    }

    #[track_caller]
    fn check_url(url: &str, good: bool) {
        assert_eq!(spec(vec![reference(url, "f")], vec![]).validate().is_ok(), good, "{url}");
    }

    #[track_caller]
    fn check_path(path: &str, good: bool) {
        assert_eq!(spec(vec![reference("https://h/f", path)], vec![]).validate().is_ok(), good, "{path}");
    }

    #[test]
    fn urls_are_of_a_narrow_alphabet_and_lead_nowhere_else() {
        for good in [
            "https://data.example.org/set/a%20b.csv?version=2&x=1",
            "http://store.lan:8080/f",
            "s3://results/2026/{job}/{task}.bin",
            "file:///data/public/a.csv",
            "https://h/{job}-{task}",
        ] {
            check_url(good, true);
        }
        for bad in [
            "",
            "ftp://h/f",
            "HTTPS://h/f",
            "https:///f",
            "https://h",
            "https://user:secret@h/f",
            "https://h:0/f",
            "https://h:99999/f",
            "https://h:+80/f",
            "https://[::1]/f",
            "https://h/../f",
            "https://h/%2e%2E/f",
            "https://h/a%2f..%2fb",
            "https://h/%zz",
            "https://h/f#part",
            "https://h/a b",
            "https://h/\u{9a}",
            "https://{job}.example/f",
            "https://h/{user}",
            "https://h/\r\nHost: x",
            "s3://results",
            "s3://results/",
            "s3://Results/f",
            "s3://results/a//b",
            "s3://results/../other/f",
            "file://host/f",
            "file:///",
            "file:///etc/../root",
            "file:///data/%2e%2e/f",
            "/etc/passwd",
        ] {
            check_url(bad, false);
        }
    }

    #[test]
    fn paths_stay_below_the_data_folder() {
        for good in ["f", "a/b/c.csv", ".hidden", "a..b", "A_1-2.tar"] {
            check_path(good, true);
        }
        for bad in ["", "/f", "../f", "a/../f", "a/./f", "a//f", "a/", "-rf", "a/-x", "a b", "a\\b", "a\nb", "\u{6570}"]
        {
            check_path(bad, false);
        }
        check_path(&"a/".repeat(16), false);
        check_path(&"a".repeat(300), false);
    }

    #[test]
    fn entries_do_not_overlap() {
        let two = |a: &str, b: &str| spec(vec![reference("https://h/1", a), reference("https://h/2", b)], vec![]);
        assert!(
            two("a", "b").validate().is_ok()
                && two("a/x", "a/y").validate().is_ok()
                && two("a", "ab/c").validate().is_ok()
        );
        assert!(two("a", "a").validate().is_err() && two("a", "a/b").validate().is_err());
        let out = |a: &str, b: &str| spec(vec![], vec![reference(a, "1"), reference(b, "2")]);
        assert!(out("https://h/1", "https://h/2").validate().is_ok());
        assert!(out("https://h/1", "https://h/1").validate().is_err());
    }

    #[test]
    fn each_task_of_an_array_has_its_own_output() {
        let mut job = spec(vec![], vec![reference("file:///out/{job}", "f")]);
        assert!(job.validate().is_ok());
        job.tasks = RangeSet::from_range(0, 1);
        assert!(job.validate().is_err());
        job.outputs[0].url = "file:///out/{job}/{task}".to_owned();
        assert!(job.validate().is_ok());
        job.gang = true;
        assert!(job.validate().is_err());
        let attempt = AttemptId { job: JobId(7), task: 1, attempt: 2 };
        assert_eq!(job.outputs[0].url_of(attempt), "file:///out/7/1");
    }

    #[test]
    fn what_is_known_of_an_input_is_checked_and_counts_as_read() {
        let mut input = reference("https://h/f", "f");
        input.sha256 = Some("a".repeat(64));
        input.bytes = Some(Bytes(5));
        let at: CentreId = "b".parse().expect("a name");
        input.at = Some(at.clone());
        let mut job = spec(vec![input.clone(), DataReference { path: "g".into(), ..input.clone() }], vec![]);
        assert!(job.validate().is_ok());
        assert_eq!(job.readings(), [Reading { at: at.clone(), bytes: Bytes(10) }]);
        job.reads = vec![Reading { at: at.clone(), bytes: Bytes(1) }];
        assert_eq!(job.readings(), [Reading { at, bytes: Bytes(11) }]);
        job.outputs = vec![DataReference { bytes: None, at: None, ..input.clone() }];
        assert!(job.validate().is_err(), "an output has no digest before it is there");
        job.outputs.clear();
        job.inputs[0].sha256 = Some("A".repeat(64));
        assert!(job.validate().is_err());
    }

    proptest! {
        /// Whatever is let in names no step upwards and no absolute path.
        #[test]
        fn no_legal_path_leads_out(path in "[a./-]{0,12}") {
            if spec(vec![reference("https://h/f", &path)], vec![]).validate().is_ok() {
                let folder = std::path::Path::new("/data");
                let steps = folder.join(&path);
                prop_assert!(steps.starts_with(folder));
                prop_assert!(steps.components().all(|step| step != std::path::Component::ParentDir));
            }
        }
    }
}
