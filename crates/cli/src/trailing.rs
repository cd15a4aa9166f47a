//! Flags of ours behind a script's name: `huisuan sbatch job.sh -o json` means what it seems to mean.
//!
//! As with Slurm, what stands behind the script belongs to the script. Only what stands last and is
//! unmistakably ours is taken; a `--` behind the script keeps everything for the script.
//!
//! `-o` and `--output` in front of the script are ours with the name of a format, and Slurm's output file with
//! anything else.

use std::ffi::OsString;

use huisuan_api::spec::sbatch::split_command_line;

/// What marks Slurm's output file on its way through our own flags.
pub(crate) const SLURM_OUTPUT: &str = "--slurm-output=";
/// Flags with a value that are ours wherever they stand.
const WITH_VALUE: [&str; 3] = ["--server", "--token", "--idempotency-key"];
const FORMATS: [&str; 4] = ["table", "json", "ndjson", "csv"];

/// The command line with such flags moved in front of the script.
pub(crate) fn arrange(mut words: Vec<OsString>) -> Vec<OsString> {
    let Some(at) = words.iter().position(|word| word == "sbatch") else { return words };
    // Anything but flags before it would be another command that has `sbatch` as an argument.
    let before = words.get(1..at).unwrap_or_default();
    if before.iter().any(|word| is(word, &["run", "api"])) || words[at..].iter().any(|word| word == "--") {
        return words;
    }
    let mut ours = Vec::new();
    while words.len() > at + 3 && ours_at_end(&words) {
        let pair = words.split_off(words.len() - 2);
        ours.splice(0..0, pair);
    }
    rename_outputs(&mut words[at + 1..]);
    words.splice(at + 1..at + 1, ours);
    // What was renamed as a pair leaves an empty place.
    words.retain(|word| !word.is_empty());
    words
}

/// Marks Slurm's output files in front of the script, so that they are not taken for our format.
fn rename_outputs(words: &mut [OsString]) {
    let mut at = 0;
    while at < words.len() {
        let Some(word) = words[at].to_str().filter(|word| word.len() > 1 && word.starts_with('-')) else { return };
        let next = words.get(at + 1).and_then(|next| next.to_str()).map(str::to_owned);
        let joined = word
            .strip_prefix("--output=")
            .or_else(|| word.strip_prefix("-o="))
            .or_else(|| word.strip_prefix("-o").filter(|value| !value.is_empty()));
        let file = |value: &str| !FORMATS.contains(&value);
        if let Some(value) = joined.filter(|value| file(value)) {
            words[at] = format!("{SLURM_OUTPUT}{value}").into();
        } else if matches!(word, "-o" | "--output") {
            if let Some(value) = next.filter(|value| file(value)) {
                words[at] = format!("{SLURM_OUTPUT}{value}").into();
                words[at + 1] = OsString::new();
            }
            at += 1;
        } else if WITH_VALUE.contains(&word) {
            at += 1;
        } else if let Some(next) = next {
            // How many words Slurm's option takes is for its reader to say.
            at += split_command_line(&[word.to_owned(), next]).0.len().saturating_sub(1);
        }
        at += 1;
    }
}

fn ours_at_end(words: &[OsString]) -> bool {
    let [.., flag, value] = words else { return false };
    (is(flag, &["-o", "--output-format"]) && is(value, &FORMATS)) || is(flag, &WITH_VALUE)
}

fn is(word: &OsString, known: &[&str]) -> bool {
    known.iter().any(|known| word == known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_goes_before_the_script() {
        let check = |line: &str, arranged: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            let text: Vec<_> = arrange(words).into_iter().map(|word| word.into_string().expect("text")).collect();
            assert_eq!(text.join(" "), arranged, "{line}");
        };
        check("h sbatch job.sh -o json", "h sbatch -o json job.sh");
        check("h sbatch job.sh a -o json --server u", "h sbatch -o json --server u job.sh a");
        check("h sbatch job.sh -o file", "h sbatch job.sh -o file");
        check("h sbatch job.sh -o json b", "h sbatch job.sh -o json b");
        check("h sbatch job.sh -- -o json", "h sbatch job.sh -- -o json");
        check("h sbatch -o json job.sh", "h sbatch -o json job.sh");
        check("h sbatch -o out.txt job.sh", "h sbatch --slurm-output=out.txt job.sh");
        check("h sbatch --output=o.txt -c 4 job.sh -o json", "h sbatch -o json --slurm-output=o.txt -c 4 job.sh");
        check("h sbatch -c 4 -o%j.out job.sh -o x", "h sbatch -c 4 --slurm-output=%j.out job.sh -o x");
        check("h sbatch -o json -o x job.sh", "h sbatch -o json --slurm-output=x job.sh");
        check("h sbatch --server u -o x job.sh", "h sbatch --server u --slurm-output=x job.sh");
        check("h -q sbatch job.sh -o csv", "h -q sbatch -o csv job.sh");
        check("h run -- sbatch job.sh -o json", "h run -- sbatch job.sh -o json");
        check("h ls -o json", "h ls -o json");
    }
}
