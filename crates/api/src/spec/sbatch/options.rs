//! Slurm's options: their names, whether they take a value, and what becomes of those that need no
//! thought. The list follows sbatch of Slurm 25.05.

use super::Treatment;

/// What an option stands for where it shapes the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    JobName,
    Array,
    CpusPerTask,
    CpusPerGpu,
    Ntasks,
    NtasksPerNode,
    Nodes,
    Mem,
    MemPerCpu,
    MemPerGpu,
    Time,
    Output,
    Error,
    Chdir,
    Export,
    Gres,
    Gpus,
    GpusPerNode,
    GpusPerTask,
    Partition,
    Nice,
    Signal,
    Switches,
    Input,
    Begin,
    Dependency,
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
    /// Only as `--name=value`.
    Maybe,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It shapes the job.
    Shapes(Wish),
    /// Always the same, with this note.
    Always(Treatment, &'static str),
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) takes: Takes,
    pub(super) fate: Fate,
}

const fn shapes(long: &'static str, short: char, wish: Wish) -> Known {
    let short = if short == ' ' { None } else { Some(short) };
    Known { long, short, takes: Takes::Value, fate: Fate::Shapes(wish) }
}

const fn known(long: &'static str, short: char, takes: Takes, treatment: Treatment, note: &'static str) -> Known {
    let short = if short == ' ' { None } else { Some(short) };
    Known { long, short, takes, fate: Fate::Always(treatment, note) }
}

const fn refused(long: &'static str, short: char, takes: Takes, note: &'static str) -> Known {
    known(long, short, takes, Treatment::Refused, note)
}

const fn ignored(long: &'static str, short: char, takes: Takes, note: &'static str) -> Known {
    known(long, short, takes, Treatment::Ignored, note)
}

const NODES_NOTE: &str = "which machines are used is left to the centre";
const LAYOUT_NOTE: &str = "how tasks lie on cores is left to the centre";
const SITE_NOTE: &str = "a setting of one Slurm site; it has no meaning in a network";
const RUNS_ALIKE: &str = "changes nothing about how the job runs";

/// Every option, by long name.
pub(super) const OPTIONS: &[Known] = &[
    ignored("account", 'A', Takes::Value, "who pays follows from the token"),
    ignored("acctg-freq", ' ', Takes::Value, SITE_NOTE),
    shapes("array", 'a', Wish::Array),
    refused("batch", ' ', Takes::Value, "needs node features, which a network does not have"),
    refused("bb", ' ', Takes::Value, "burst buffers are not supported; stage data in the script"),
    refused("bbf", ' ', Takes::Value, "burst buffers are not supported; stage data in the script"),
    shapes("begin", 'b', Wish::Begin),
    shapes("chdir", 'D', Wish::Chdir),
    ignored("cluster-constraint", ' ', Takes::Value, "name a centre or class with --partition"),
    refused("clusters", 'M', Takes::Value, "name a centre or class with --partition"),
    known("comment", ' ', Takes::Value, Treatment::Honoured, RUNS_ALIKE),
    ignored("constraint", 'C', Takes::Value, "node features are not known; name devices with --gres=gpu:TYPE:N"),
    refused("container", ' ', Takes::Value, "names a bundle of one site; name an image with `image` of a job file"),
    refused("container-id", ' ', Takes::Value, "names a bundle of one site; name an image with `image` of a job file"),
    ignored("contiguous", ' ', Takes::Nothing, NODES_NOTE),
    ignored("core-spec", 'S', Takes::Value, LAYOUT_NOTE),
    ignored("cores-per-socket", ' ', Takes::Value, LAYOUT_NOTE),
    ignored("cpu-freq", ' ', Takes::Value, SITE_NOTE),
    shapes("cpus-per-gpu", ' ', Wish::CpusPerGpu),
    shapes("cpus-per-task", 'c', Wish::CpusPerTask),
    refused("deadline", ' ', Takes::Value, "use `deadline` of a job file"),
    ignored("delay-boot", ' ', Takes::Value, SITE_NOTE),
    shapes("dependency", 'd', Wish::Dependency),
    ignored("distribution", 'm', Takes::Value, LAYOUT_NOTE),
    shapes("error", 'e', Wish::Error),
    ignored("exclude", 'x', Takes::Value, NODES_NOTE),
    Known {
        takes: Takes::Maybe,
        ..ignored("exclusive", ' ', Takes::Maybe, "the job gets what it asks for and may share a machine with others")
    },
    shapes("export", ' ', Wish::Export),
    refused("export-file", ' ', Takes::Value, "name the variables with --export=NAME,NAME=VALUE"),
    ignored("extra", ' ', Takes::Value, SITE_NOTE),
    ignored("extra-node-info", 'B', Takes::Value, LAYOUT_NOTE),
    ignored("get-user-env", ' ', Takes::Maybe, "a task gets the centre's environment and what --export names"),
    refused("gid", ' ', Takes::Value, "a job runs as its centre's service user"),
    ignored("gpu-bind", ' ', Takes::Value, LAYOUT_NOTE),
    ignored("gpu-freq", ' ', Takes::Value, SITE_NOTE),
    shapes("gpus", 'G', Wish::Gpus),
    shapes("gpus-per-node", ' ', Wish::GpusPerNode),
    refused("gpus-per-socket", ' ', Takes::Value, "use --gpus-per-task"),
    shapes("gpus-per-task", ' ', Wish::GpusPerTask),
    shapes("gres", ' ', Wish::Gres),
    ignored("gres-flags", ' ', Takes::Value, LAYOUT_NOTE),
    ignored("hint", ' ', Takes::Value, LAYOUT_NOTE),
    refused("hold", 'H', Takes::Nothing, "held jobs are not supported; submit it when it may run"),
    known("ignore-pbs", ' ', Takes::Nothing, Treatment::Honoured, "#PBS lines are never read"),
    shapes("input", 'i', Wish::Input),
    shapes("job-name", 'J', Wish::JobName),
    ignored("kill-on-invalid-dep", ' ', Takes::Value, "a job whose dependency cannot be met any more always ends"),
    refused("licenses", 'L', Takes::Value, "licences are not counted in this network"),
    ignored("mail-type", ' ', Takes::Value, "no mail is sent; `huisuan wait JOB` tells when it has ended"),
    ignored("mail-user", ' ', Takes::Value, "no mail is sent; `huisuan wait JOB` tells when it has ended"),
    ignored("mcs-label", ' ', Takes::Value, SITE_NOTE),
    shapes("mem", ' ', Wish::Mem),
    ignored("mem-bind", ' ', Takes::Value, LAYOUT_NOTE),
    shapes("mem-per-cpu", ' ', Wish::MemPerCpu),
    shapes("mem-per-gpu", ' ', Wish::MemPerGpu),
    ignored("mincpus", ' ', Takes::Value, NODES_NOTE),
    ignored("network", ' ', Takes::Value, SITE_NOTE),
    Known { takes: Takes::Maybe, ..shapes("nice", ' ', Wish::Nice) },
    ignored("no-kill", 'k', Takes::Maybe, "a gang ends when one of its tasks fails"),
    known(
        "no-requeue",
        ' ',
        Takes::Nothing,
        Treatment::Honoured,
        "a task is tried again only where `retries` asks for it",
    ),
    ignored("nodefile", 'F', Takes::Value, NODES_NOTE),
    ignored("nodelist", 'w', Takes::Value, NODES_NOTE),
    shapes("nodes", 'N', Wish::Nodes),
    shapes("ntasks", 'n', Wish::Ntasks),
    ignored("ntasks-per-core", ' ', Takes::Value, LAYOUT_NOTE),
    refused("ntasks-per-gpu", ' ', Takes::Value, "use --ntasks and --gpus-per-task"),
    shapes("ntasks-per-node", ' ', Wish::NtasksPerNode),
    ignored("ntasks-per-socket", ' ', Takes::Value, LAYOUT_NOTE),
    ignored("open-mode", ' ', Takes::Value, "output files are written anew"),
    shapes("output", 'o', Wish::Output),
    ignored("overcommit", 'O', Takes::Nothing, "a task gets the cores that it asks for"),
    ignored("oversubscribe", 's', Takes::Nothing, "a task gets the cores that it asks for"),
    known("parsable", ' ', Takes::Nothing, Treatment::Honoured, RUNS_ALIKE),
    shapes("partition", 'p', Wish::Partition),
    ignored("power", ' ', Takes::Value, SITE_NOTE),
    ignored("prefer", ' ', Takes::Value, "node features are not known"),
    ignored("priority", ' ', Takes::Value, "use --nice, or `priority` of a job file"),
    ignored("profile", ' ', Takes::Value, "usage is always metered"),
    ignored("propagate", ' ', Takes::Maybe, "resource limits are the centre's"),
    ignored("qos", 'q', Takes::Value, SITE_NOTE),
    known("quiet", 'Q', Takes::Nothing, Treatment::Honoured, RUNS_ALIKE),
    ignored("reboot", ' ', Takes::Nothing, NODES_NOTE),
    ignored("requeue", ' ', Takes::Nothing, "a task is tried again only where `retries` of a job file asks for it"),
    refused("reservation", ' ', Takes::Value, "reservations of a Slurm site are not known here"),
    ignored("resv-ports", ' ', Takes::Maybe, SITE_NOTE),
    refused("root", ' ', Takes::Value, "names a bundle of one site; name an image with `image` of a job file"),
    ignored("segment", ' ', Takes::Value, NODES_NOTE),
    shapes("signal", ' ', Wish::Signal),
    ignored("sockets-per-node", ' ', Takes::Value, LAYOUT_NOTE),
    ignored("spread-job", ' ', Takes::Nothing, NODES_NOTE),
    ignored("stepmgr", ' ', Takes::Nothing, SITE_NOTE),
    shapes("switches", ' ', Wish::Switches),
    refused("test-only", ' ', Takes::Nothing, "nothing is submitted with --check"),
    ignored("thread-spec", ' ', Takes::Value, LAYOUT_NOTE),
    ignored("threads-per-core", ' ', Takes::Value, LAYOUT_NOTE),
    shapes("time", 't', Wish::Time),
    ignored("time-min", ' ', Takes::Value, "the walltime is not shortened"),
    ignored("tmp", ' ', Takes::Value, NODES_NOTE),
    refused("tres-per-task", ' ', Takes::Value, "use --cpus-per-task and --gpus-per-task"),
    ignored("tres-bind", ' ', Takes::Value, LAYOUT_NOTE),
    refused("uid", ' ', Takes::Value, "a job runs as its centre's service user"),
    ignored("use-min-nodes", ' ', Takes::Nothing, NODES_NOTE),
    known("verbose", 'v', Takes::Nothing, Treatment::Honoured, RUNS_ALIKE),
    ignored("wait", 'W', Takes::Nothing, "use --wait of the command line"),
    ignored("wait-all-nodes", ' ', Takes::Value, NODES_NOTE),
    ignored("wckey", ' ', Takes::Value, SITE_NOTE),
    refused("wrap", ' ', Takes::Value, "put the command into a script, or use `huisuan run -- COMMAND`"),
];

/// One option as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// The line, from 1; 0 for the command line.
    pub(super) line: u32,
    /// As it was written, in one piece.
    pub(super) text: String,
    /// What it is.
    pub(super) option: Meaning,
}

/// What a word is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An option and its value; `None` where it takes none, or was given none.
    Option(&'static Known, Option<String>),
    /// An option that needs a value and has none.
    NoValue(&'static Known),
    /// An option that nobody knows, by its long name where it has one.
    Unknown(String),
    /// A word that is no option.
    Word,
}

/// Takes words apart. Long names may be cut as long as they stay unique, as in Slurm.
pub(super) fn parse(line: u32, words: &[String]) -> Vec<Written> {
    let mut found = Vec::new();
    let mut rest = words;
    while let [word, after @ ..] = rest {
        let next = after.first().map(String::as_str);
        let taken = if let Some(long) = word.strip_prefix("--") {
            parse_long(line, word, long, next, &mut found)
        } else if word.len() > 1 && word.starts_with('-') {
            parse_short(line, word, next, &mut found)
        } else {
            found.push(Written { line, text: word.clone(), option: Meaning::Word });
            0
        };
        rest = &after[taken.min(after.len())..];
    }
    found
}

/// How many of `words` are options and their values, up to the first word that is neither.
pub(super) fn options_length(words: &[String]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).map(String::as_str);
        let mut found = Vec::new();
        at += match word.strip_prefix("--") {
            Some("") => return at,
            Some(long) => 1 + parse_long(0, word, long, next, &mut found),
            None if word.len() > 1 && word.starts_with('-') => 1 + parse_short(0, word, next, &mut found),
            None => return at,
        };
    }
    at.min(words.len())
}

/// Reads `long` (without dashes); answers how many of the following words belong to it.
fn parse_long(line: u32, word: &str, long: &str, next: Option<&str>, found: &mut Vec<Written>) -> usize {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let Some(known) = by_long(name) else {
        found.push(Written { line, text: word.to_owned(), option: Meaning::Unknown(name.to_owned()) });
        return 0;
    };
    match (known.takes, value) {
        (Takes::Value, None) => with_next(line, word, known, next, found),
        (_, value) => {
            found.push(Written { line, text: word.to_owned(), option: Meaning::Option(known, value) });
            0
        }
    }
}

/// Reads `-c4`, `-c 4`, `-HW`; answers how many of the following words belong to it.
fn parse_short(line: u32, word: &str, next: Option<&str>, found: &mut Vec<Written>) -> usize {
    let letters = &word[1..];
    for (at, letter) in letters.char_indices() {
        let after = &letters[at + letter.len_utf8()..];
        let Some(known) = OPTIONS.iter().find(|known| known.short == Some(letter)) else {
            found.push(Written { line, text: word.to_owned(), option: Meaning::Unknown(String::new()) });
            return 0;
        };
        if known.takes == Takes::Value {
            if after.is_empty() {
                return with_next(line, &format!("-{letter}"), known, next, found);
            }
            let value = after.strip_prefix('=').unwrap_or(after).to_owned();
            let text = format!("-{letter}{after}");
            found.push(Written { line, text, option: Meaning::Option(known, Some(value)) });
            return 0;
        }
        found.push(Written { line, text: format!("-{letter}"), option: Meaning::Option(known, None) });
    }
    0
}

fn with_next(line: u32, word: &str, known: &'static Known, next: Option<&str>, found: &mut Vec<Written>) -> usize {
    match next {
        Some(value) => {
            let option = Meaning::Option(known, Some(value.to_owned()));
            found.push(Written { line, text: format!("{word} {value}"), option });
            1
        }
        None => {
            found.push(Written { line, text: word.to_owned(), option: Meaning::NoValue(known) });
            0
        }
    }
}

/// The option of that name, or the only one that begins so.
fn by_long(name: &str) -> Option<&'static Known> {
    if let Some(known) = OPTIONS.iter().find(|known| known.long == name) {
        return Some(known);
    }
    let mut beginning = OPTIONS.iter().filter(|known| !name.is_empty() && known.long.starts_with(name));
    match (beginning.next(), beginning.next()) {
        (Some(known), None) => Some(known),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn read(text: &str) -> Vec<String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let name = |written: &Written| match &written.option {
            Meaning::Option(known, Some(value)) => format!("{}={value}", known.long),
            Meaning::Option(known, None) => known.long.to_owned(),
            Meaning::NoValue(known) => format!("{} without value", known.long),
            Meaning::Unknown(name) => format!("unknown {name}"),
            Meaning::Word => format!("word {}", written.text),
        };
        parse(1, &words).iter().map(name).collect()
    }

    #[test]
    fn options_are_read_in_every_form() {
        let check = |text: &str, expected: &[&str]| assert_eq!(read(text), expected, "{text}");
        check("--cpus-per-task=4 --cpus-per-task 4 -c4 -c 4 -c=4", &["cpus-per-task=4"; 5]);
        check("--exclusive --exclusive=user --nice -v", &["exclusive", "exclusive=user", "nice", "verbose"]);
        check("-HQ -Jx", &["hold", "quiet", "job-name=x"]);
        check("--cpus-per-t 2 --cpus 2", &["cpus-per-task=2", "unknown cpus", "word 2"]);
        check("--mem", &["mem without value"]);
        check("-c", &["cpus-per-task without value"]);
        check("--fancy=1 -Z hetjob", &["unknown fancy", "unknown ", "word hetjob"]);
        check("--job-name= -", &["job-name=", "word -"]);
    }

    #[test]
    fn the_script_follows_the_options() {
        let check = |text: &str, expected: usize| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            assert_eq!(options_length(&words), expected, "{text}");
        };
        check("job.sh -c 4", 0);
        check("-c 4 --mem=1G --hold job.sh arg", 4);
        check("--array 1-4 job.sh", 2);
        check("--fancy job.sh", 1);
        check("-c", 1);
        check("-- job.sh", 0);
        check("- arg", 0);
    }

    #[test]
    fn names_are_unique() {
        let shorts: Vec<char> = OPTIONS.iter().filter_map(|known| known.short).collect();
        assert_eq!(shorts.iter().collect::<BTreeSet<_>>().len(), shorts.len());
        assert!(OPTIONS.iter().all(|known| known.long.len() > 1));
        let names: BTreeSet<_> = OPTIONS.iter().map(|known| known.long).collect();
        assert_eq!(names.len(), OPTIONS.len());
    }
}
