//! Finds the directive lines of a script and cuts them into words, as Slurm does.

use crate::spec::problem::SpecProblem;

const MAGIC: &str = "#SBATCH";

/// One line of directives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Its words.
    pub(super) words: Vec<String>,
    /// False when it stands below the first command, where Slurm does not look.
    pub(super) in_effect: bool,
}

/// All lines that begin with `#SBATCH`. A line counts as a command when it is neither blank nor a
/// comment, whatever it is.
pub(super) fn lines(script: &str) -> Result<Vec<Line>, SpecProblem> {
    let mut found = Vec::new();
    let mut in_effect = true;
    for (number, line) in (1..).zip(script.split('\n')) {
        if line.ends_with('\r') {
            let problem =
                SpecProblem::invalid("script", format!("line {number} ending in CR LF"), "lines ending in LF");
            return Err(problem.with_hint("convert it: sed -i 's/\\r$//' SCRIPT"));
        }
        match line.strip_prefix(MAGIC).filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '-'])) {
            Some(rest) if in_effect => found.push(Line { number, words: words(rest, number)?, in_effect }),
            Some(rest) => found.push(Line { number, words: vec![rest.trim().to_owned()], in_effect }),
            None => {
                let text = line.trim_start();
                in_effect &= text.is_empty() || text.starts_with('#');
            }
        }
    }
    Ok(found)
}

/// Words with quotes and backslashes taken as a shell would, up to a word that begins with `#`.
fn words(text: &str, number: u32) -> Result<Vec<String>, SpecProblem> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        let line = format!("{MAGIC}{text}");
        return Err(SpecProblem::invalid(format!("line {number}"), line, "a closing quote"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_a_shell_does() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(words(text, 1).expect("words"), expected, "{text}");
        };
        check("", &[]);
        check("  --mem=4G -c 2", &["--mem=4G", "-c", "2"]);
        check("--mem=4G # a remark --time=1", &["--mem=4G"]);
        check("--comment=a#b", &["--comment=a#b"]);
        check(
            r#"--job-name="two words" 'x y'z "" \# a\ b "c\"d""#,
            &["--job-name=two words", "x yz", "", "#", "a b", "c\"d"],
        );
        assert!(words("--comment=\"open", 3).is_err());
    }

    #[test]
    fn directives_end_at_the_first_command() {
        let script = "#!/bin/sh\n\n# remark\n#SBATCH -c 2\n ##SBATCH -c 3\n#SBATCH--mem=1G\n#SBATCHER -c 4\necho\n#SBATCH -c 5\n";
        let found = lines(script).expect("lines");
        let found: Vec<_> = found.iter().map(|line| (line.number, line.words.join(" "), line.in_effect)).collect();
        let line = |number, text: &str, in_effect| (number, text.to_owned(), in_effect);
        assert_eq!(found, [line(4, "-c 2", true), line(6, "--mem=1G", true), line(9, "-c 5", false)]);
    }

    #[test]
    fn carriage_returns_are_named() {
        let problem = lines("#!/bin/sh\r\n").expect_err("refused");
        assert!(problem.to_string().contains("line 1"), "{problem}");
    }
}
