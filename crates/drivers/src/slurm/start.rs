//! What an attempt runs, as its wrapper reads it on the node: words that no shell reads.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use huisuan_model::StartOrder;

use crate::{
    container::{self, Containers, arguments, name, prepare},
    folder::{
        paths::AttemptPaths,
        program::{CHECKPOINT_VARIABLE, DIR_VARIABLE, Outputs, program, variables},
    },
    staging::DATA_VARIABLE,
};

/// Why an image is refused where none runs.
pub(super) const NO_IMAGES: &str = "it asks for a container image, this centre runs processes only";

/// A container lives so many seconds longer than its walltime at most, whoever was killed that should have ended it:
/// pulling, making and the grace are within it.
const BEYOND_WALLTIME_S: u64 = 600;

/// What is written into `start`.
#[derive(Debug)]
pub(super) struct Start {
    directory: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
    /// Beyond those that Slurm sets, in the order in which they count.
    variables: Vec<OsString>,
    words: Vec<String>,
    pub(super) container: Option<InContainer>,
}

/// What is written into `container`: the words of `start` follow `podman run` then, and what only the node can say.
#[derive(Debug)]
pub(super) struct InContainer {
    name: String,
    /// Accelerators that the attempt was given.
    devices: u64,
    device_root: PathBuf,
    /// The program, and options that are for each of its commands.
    podman: Vec<OsString>,
}

impl Start {
    /// A process of the node. The error is a sentence for people.
    pub(super) fn of_process(order: &StartOrder, paths: &AttemptPaths) -> Result<Start, String> {
        let directory = order.spec.directory.as_deref().map_or(paths.dir.as_path(), Path::new);
        if !directory.is_absolute() {
            return Err(format!("directory `{}` is not absolute", directory.display()));
        }
        let (program, arguments) = program(order, paths)?;
        let outputs = Outputs::of(order, &paths.dir);
        Ok(Start {
            directory: directory.to_owned(),
            stdout: outputs.stdout.map_or_else(|| paths.stdout(), PathBuf::from),
            stderr: outputs.stderr.map_or_else(|| paths.stderr(), PathBuf::from),
            variables: environment(order, paths),
            words: std::iter::once(program).chain(arguments).collect(),
            container: None,
        })
    }

    /// A container of the job's image; makes what it finds of the node. The error is a sentence for people.
    pub(super) fn of_container(
        order: &StartOrder,
        paths: &AttemptPaths,
        containers: &Containers,
    ) -> Result<Start, String> {
        prepare(containers, order, paths)?;
        let seconds = order.walltime().0.div_ceil(1_000).saturating_add(BEYOND_WALLTIME_S);
        let mut words = vec![format!("--timeout={seconds}")];
        words.extend(arguments(containers, order, paths)?);
        let runtime = containers.runtime.iter().map(|runtime| format!("--runtime={runtime}").into());
        let container = InContainer {
            name: name(paths, order.attempt),
            devices: order.devices.0.div_ceil(1_000),
            device_root: containers.device_root.clone().unwrap_or_else(|| "/dev".into()),
            podman: std::iter::once(containers.podman.clone().into_os_string()).chain(runtime).collect(),
        };
        Ok(Start {
            directory: paths.dir.clone(),
            stdout: paths.stdout(),
            stderr: paths.stderr(),
            variables: vec![pair(DIR_VARIABLE, paths.dir.as_os_str())],
            words,
            container: Some(container),
        })
    }

    /// Directory, stdout, stderr, number of variables, variables, words, each with a NUL behind it.
    pub(super) fn text(&self) -> Vec<u8> {
        let count = self.variables.len().to_string();
        let head = [self.directory.as_os_str(), self.stdout.as_os_str(), self.stderr.as_os_str(), count.as_ref()];
        let variables = self.variables.iter().map(OsString::as_os_str);
        joined(head.into_iter().chain(variables).chain(self.words.iter().map(OsStr::new)))
    }
}

impl InContainer {
    /// Name, number of devices, where their nodes are, podman's words, each with a NUL behind it.
    pub(super) fn text(&self) -> Vec<u8> {
        let devices = self.devices.to_string();
        let head = [self.name.as_ref(), devices.as_ref(), self.device_root.as_os_str()];
        joined(head.into_iter().chain(self.podman.iter().map(OsString::as_os_str)))
    }
}

/// Why no node can run what an order names as its image; `None` when one can, and for a process.
pub(super) fn refusal(order: &StartOrder, containers: Option<&Containers>) -> Option<String> {
    order.spec.image.as_ref()?;
    match containers {
        Some(_) => container::refusal(order),
        None => Some(NO_IMAGES.to_owned()),
    }
}

fn joined<'a>(words: impl Iterator<Item = &'a OsStr>) -> Vec<u8> {
    words.flat_map(|word| word.as_bytes().iter().copied().chain([0])).collect()
}

fn pair(name: &str, value: &OsStr) -> OsString {
    let mut text = OsString::from(name);
    text.push("=");
    text.push(value);
    text
}

/// The variables of an attempt beyond those that Slurm sets: as text, in the order in which they count.
fn environment(order: &StartOrder, paths: &AttemptPaths) -> Vec<OsString> {
    let own = order.spec.environment.iter().map(|(name, value)| pair(name, value.as_ref()));
    // Slurm's own number of the job stays: `srun` inside of it needs that one.
    let ours = variables(order, &paths.dir).into_iter().filter(|(name, _)| *name != "SLURM_JOB_ID");
    let ours = ours.map(|(name, value)| pair(name, &value));
    let none = order.devices.is_zero().then(|| OsString::from("CUDA_VISIBLE_DEVICES="));
    let data = order.spec.staged().then(|| pair(DATA_VARIABLE, paths.data.as_os_str()));
    let saves = order.spec.checkpoint.as_ref().map(|_| pair(CHECKPOINT_VARIABLE, paths.checkpoint.as_os_str()));
    own.chain(ours).chain(data).chain(none).chain(saves).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use huisuan_model::{
        AttemptId, CentreId, JobId, JobSpec, MilliDevices, Millicores, ProjectId, TenantId, spec::Work,
    };
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::folder::paths::Paths;

    fn order(words: Vec<String>, environment: BTreeMap<String, String>, devices: u64) -> StartOrder {
        let spec = JobSpec { work: Work::Command(words), environment, ..JobSpec::command("x", &["true"]) };
        StartOrder {
            attempt: AttemptId { job: JobId(7), task: 3, attempt: 2 },
            centre: CentreId::new("c").expect("a name"),
            tenant: TenantId::new("t").expect("a name"),
            project: ProjectId::new("p").expect("a name"),
            spec: Arc::new(spec),
            cores: Millicores(1000),
            devices: MilliDevices(devices),
            pool: None,
            account: None,
        }
    }

    fn split(text: &[u8]) -> Vec<String> {
        let words = text.strip_suffix(&[0]).expect("each ends with a NUL").split(|&byte| byte == 0);
        words.map(|word| String::from_utf8(word.to_vec()).expect("text")).collect()
    }

    proptest! {
        /// The wrapper finds the words and variables of a process as they were written, whatever is in them.
        #[test]
        fn what_a_process_runs_is_read_as_it_is(
            words in vec("[^\\x00]{0,20}", 1..5),
            value in "[^\\x00]{0,20}",
        ) {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let order = order(words.clone(), [("A".to_owned(), value.clone())].into(), 1_000);
            let paths = Paths::make(folder.path()).expect("made").attempt(order.attempt);
            let read = split(&Start::of_process(&order, &paths).expect("it may run").text());
            let count: usize = read[3].parse().expect("a number");
            prop_assert_eq!(&read[4], &format!("A={value}"));
            prop_assert_eq!(&read[4 + count..], &words[..]);
        }
    }

    #[test]
    fn a_container_is_named_with_what_the_node_must_add() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut order = order(vec!["true".to_owned()], BTreeMap::new(), 2_000);
        let image = format!("localhost/x@sha256:{}", "0a".repeat(32));
        Arc::make_mut(&mut order.spec).image = Some(image.clone());
        let paths = Paths::make(folder.path()).expect("made").attempt(order.attempt);
        paths.make().expect("made");
        let containers = toml::from_str::<crate::container::ContainerRules>("runtime = \"runc\"\nuser = 1\n");
        let containers = containers.expect("rules").declared().expect("not disabled");
        let start = Start::of_container(&order, &paths, &containers).expect("it may run");
        let name = name(&paths, order.attempt);
        let container = split(&start.container.as_ref().expect("it is in one").text());
        assert_eq!(container, [&name, "2", "/dev", "/usr/bin/podman", "--runtime=runc"]);
        let read = split(&start.text());
        assert_eq!(read[3..5], ["1".to_owned(), format!("HUISUAN_ATTEMPT_DIR={}", paths.dir.display())]);
        assert_eq!(read.last(), Some(&image));
        assert!(read[5].starts_with("--timeout=") && read.contains(&format!("--name={name}")), "{read:?}");
        assert_eq!(refusal(&order, Some(&containers)), None);
        assert_eq!(refusal(&order, None).as_deref(), Some(NO_IMAGES));
        let text = include_str!("../container/devices.txt");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            assert!(fields.len() >= 3 && fields[1].contains('%'), "{line}");
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-/%+,".contains(&b);
            assert!(fields.iter().all(|field| field.bytes().all(plain)), "{line}");
        }
    }
}
