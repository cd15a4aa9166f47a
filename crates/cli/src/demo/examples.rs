//! The files of `examples/`, carried in the binary, so that the demo runs wherever the binary is.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use huisuan_model::JobSpec;

use crate::{commands::submit, failure::Failure};

/// Path below the demo's folder, and the file.
const FILES: [(&str, &[u8]); 8] = [
    ("examples/hello.yaml", include_bytes!("../../../../examples/hello.yaml")),
    ("examples/words.sbatch", include_bytes!("../../../../examples/words.sbatch")),
    ("examples/gang.yaml", include_bytes!("../../../../examples/gang.yaml")),
    ("examples/demand.yaml", include_bytes!("../../../../examples/demand.yaml")),
    ("examples/montecarlo.yaml", include_bytes!("../../../../examples/montecarlo.yaml")),
    ("examples/fails.yaml", include_bytes!("../../../../examples/fails.yaml")),
    ("examples/cancelled.yaml", include_bytes!("../../../../examples/cancelled.yaml")),
    ("examples/data/station-log.txt", include_bytes!("../../../../examples/data/station-log.txt")),
];

/// The jobs in the order of submission: what takes long first, so that the rest fills the gaps.
const JOBS: [(&str, Wish); 7] = [
    ("examples/cancelled.yaml", Wish::Cancel),
    ("examples/montecarlo.yaml", Wish::Succeed),
    ("examples/demand.yaml", Wish::Succeed),
    ("examples/hello.yaml", Wish::Succeed),
    ("examples/words.sbatch", Wish::Succeed),
    ("examples/gang.yaml", Wish::Succeed),
    ("examples/fails.yaml", Wish::Fail),
];

/// How an example is meant to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Well.
    Succeed,
    /// Badly, on purpose.
    Fail,
    /// Cancelled by the demo once it runs.
    Cancel,
}

impl Wish {
    /// The state that fulfils it.
    pub(crate) fn state(self) -> &'static str {
        match self {
            Wish::Succeed => "succeeded",
            Wish::Fail => "failed",
            Wish::Cancel => "cancelled",
        }
    }
}

/// Writes the files below `folder`.
pub(crate) fn unpack(folder: &Path) -> io::Result<()> {
    for (path, bytes) in FILES {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, bytes)?;
    }
    Ok(())
}

/// The jobs of the files below `folder`, as a user in `folder` would submit them.
pub(crate) fn jobs(folder: &Path) -> Result<Vec<(JobSpec, Wish)>, Failure> {
    JOBS.iter().map(|&(path, wish)| Ok((submit::spec_of_file(&folder.join(path), folder)?, wish))).collect()
}

/// One submission of all examples. It lasts until they have all ended: a demo that was killed in between
/// goes on with the jobs that are there when it is started again, instead of running them twice.
pub(crate) struct Round {
    file: PathBuf,
    name: String,
}

impl Round {
    /// The round that was not closed, or a new one.
    pub(crate) fn open(folder: &Path) -> io::Result<Round> {
        let file = folder.join("round");
        let known = fs::read_to_string(&file).ok().filter(|name| !name.is_empty());
        let name = match known {
            Some(name) => name,
            None => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let name = since.as_millis().to_string();
                fs::write(&file, &name)?;
                name
            }
        };
        Ok(Round { file, name })
    }

    /// The idempotency key of an example in this round. Another version of it is another job.
    pub(crate) fn key(&self, spec: &JobSpec) -> String {
        format!("demo-{}-{}-{}", self.name, spec.name, &spec.hash().to_string()[..16])
    }

    /// All have ended: the next demo runs them anew.
    pub(crate) fn close(self) {
        // A round that cannot be closed only makes the next demo show these jobs once more.
        let _ = fs::remove_file(self.file);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_round_lasts_until_it_is_closed() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let spec = JobSpec::command("x", &["true"]);
        let open = || Round::open(folder.path()).expect("opened");
        let first = open().key(&spec);
        assert_eq!(open().key(&spec), first);
        assert_ne!(open().key(&JobSpec::command("x", &["false"])), first);
        open().close();
        // Rounds are told apart by the millisecond of their opening.
        while open().key(&spec) == first {
            open().close();
        }
        fs::write(folder.path().join("round"), "").expect("cut off by a crash");
        assert!(!open().name.is_empty());
    }

    #[test]
    fn every_example_is_carried_and_is_a_job() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        unpack(folder.path()).expect("unpacked");
        let jobs = jobs(folder.path()).expect("every example is a legal job");
        let names: BTreeSet<&str> = jobs.iter().map(|(spec, _)| &*spec.name).collect();
        assert_eq!(names.len(), JOBS.len(), "names tell the jobs apart: {names:?}");
        for (spec, _) in &jobs {
            let inside = spec.directory.as_ref().is_none_or(|path| Path::new(path).starts_with(folder.path()));
            assert!(inside, "{} would run in {:?}", spec.name, spec.directory);
        }
        let carried: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        let kept = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"));
        for file in fs::read_dir(kept).expect("the folder of examples").flatten() {
            let name = format!("examples/{}", file.file_name().to_string_lossy());
            let job = name.ends_with(".yaml") || name.ends_with(".sbatch");
            assert!(!job || carried.contains(&name), "{name} is not carried");
        }
    }
}
