//! Flags of ours behind a script's name: `huisuan sbatch job.sh -o json` means what it seems to mean.
//!
//! As with Slurm, what stands behind the script belongs to the script. Only what stands last and is
//! unmistakably ours is taken; a `--` behind the script keeps everything for the script.

use std::ffi::OsString;

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
    words.splice(at + 1..at + 1, ours);
    words
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
        check("h -q sbatch job.sh -o csv", "h -q sbatch -o csv job.sh");
        check("h run -- sbatch job.sh -o json", "h run -- sbatch job.sh -o json");
        check("h ls -o json", "h ls -o json");
    }
}
