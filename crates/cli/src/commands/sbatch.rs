//! `sbatch`: an unchanged Slurm script, and what becomes of its directives.

use std::{collections::BTreeMap, env, path::Path};

use huisuan_api::spec::sbatch::{Context, DirectiveReport, Sbatch, Treatment, read_sbatch, split_command_line};
use huisuan_model::{CentreId, JobSpec};
use serde::Serialize;

use crate::{
    args::SbatchArgs,
    commands::submit,
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
    text,
    trailing::SLURM_OUTPUT,
};

/// The answer of `sbatch --check -o json`.
#[derive(Debug, Serialize)]
struct Check<'a> {
    /// True when the script would be submitted.
    ok: bool,
    report: &'a [DirectiveReport],
}

/// What stands on the command line after our own flags.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    options: Vec<String>,
    script: &'a str,
    arguments: &'a [String],
    check: bool,
    strict: bool,
    wait: bool,
}

/// Reads a script, reports, and submits it.
pub(crate) fn sbatch(session: &Session, args: &SbatchArgs) -> Result<(), Failure> {
    let line = split(&args.words)?;
    let script = submit::read(Path::new(line.script))
        .map_err(|failure| failure.hint("write Slurm's options before the script as --name=value, such as --mem=4G"))?;
    let check = args.check || line.check;
    let context = context(line.script, &submit::current_directory()?, centres(session, check)?)?;
    let read = read_sbatch(&script, &line.options, line.arguments, &context);
    if check {
        return report(session, &read, args.strict || line.strict);
    }
    strict(&read, args.strict || line.strict)?;
    for directive in read.report.iter().filter(|directive| directive.treatment != Treatment::Honoured) {
        session.output.remark(&remark(directive));
    }
    let submit = crate::args::SubmitArgs { wait: args.submit.wait || line.wait, ..args.submit.clone() };
    submit::send(session, read.job?, &submit)
}

/// The job of a script with no options and no network to ask.
pub(super) fn spec_of(script: &str, file: &Path, here: &Path) -> Result<JobSpec, Failure> {
    let context = context(&file.to_string_lossy(), here, Vec::new())?;
    Ok(read_sbatch(script, &[], &[], &context).job?)
}

/// Options and their values up to the first word that is neither, which is the script. Our own switches are recognised
/// among them, because Slurm's users mix the order.
fn split(words: &[String]) -> Result<Line<'_>, Failure> {
    let (options, rest) = split_command_line(words);
    let [script, arguments @ ..] = rest else {
        return Err(Failure::new(Exit::Usage, "no script is named")
            .hint("usage: huisuan sbatch [OPTIONS] SCRIPT [ARGUMENT]..."));
    };
    let has = |name: &str| options.iter().any(|option| option == name);
    let ours = ["--check", "--strict", "--wait", "-W"];
    Ok(Line {
        check: has("--check"),
        strict: has("--strict"),
        wait: has("--wait") || has("-W"),
        options: options.iter().filter(|option| !ours.contains(&&***option)).map(|option| slurms(option)).collect(),
        script,
        arguments,
    })
}

/// An option as Slurm writes it.
fn slurms(option: &str) -> String {
    option.strip_prefix(SLURM_OUTPUT).map_or_else(|| option.to_owned(), |file| format!("--output={file}"))
}

fn context(script: &str, here: &Path, centres: Vec<CentreId>) -> Result<Context, Failure> {
    // A variable that is not UTF-8 cannot be given to a job anyway.
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let environment: BTreeMap<String, String> = env::vars_os().filter_map(text).collect();
    Ok(Context { script_name: script.to_owned(), directory: submit::text_of(here)?, environment, centres })
}

/// The network's centres, for `--partition`. A check works without a network, too.
fn centres(session: &Session, check: bool) -> Result<Vec<CentreId>, Failure> {
    let list = session.client().and_then(|client| Ok(client.centres()?));
    match list {
        Ok(list) => Ok(list.centres.iter().filter_map(|centre| CentreId::new(&centre.centre).ok()).collect()),
        Err(_) if check => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

fn report(session: &Session, read: &Sbatch, refuse_lossy: bool) -> Result<(), Failure> {
    let verdict = strict(read, refuse_lossy).and_then(|()| Ok(read.job.clone().map(drop)?));
    let check = Check { ok: verdict.is_ok(), report: &read.report };
    session.output.list(&check, &read.report, "the script has no directives", || listing(&read.report))?;
    verdict?;
    session.output.remark("the script can be submitted");
    Ok(())
}

fn strict(read: &Sbatch, refuse_lossy: bool) -> Result<(), Failure> {
    let lost: Vec<&DirectiveReport> =
        read.report.iter().filter(|directive| directive.treatment >= Treatment::Ignored).collect();
    match lost.first() {
        Some(first) if refuse_lossy && read.lossy() => Err(Failure::new(
            Exit::Usage,
            format!("{} not honoured: {}", text::count(lost.len() as u64, "directive"), remark(first)),
        )
        .hint("take them out, or submit without --strict")),
        _ => Ok(()),
    }
}

fn remark(directive: &DirectiveReport) -> String {
    let place = match directive.line {
        0 => "command line".to_owned(),
        line => format!("line {line}"),
    };
    format!("{place}: {} {}: {}", directive.directive, directive.treatment.as_str(), directive.note)
}

fn listing(report: &[DirectiveReport]) -> Listing {
    let mut listing = Listing::new(&["line", "directive", "treatment", "note"]);
    for directive in report {
        listing.row(vec![
            Cell::text(directive.line),
            Cell::text(&directive.directive),
            Cell::text(directive.treatment.as_str()),
            Cell::text(&directive.note),
        ]);
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_first_word_that_is_no_option() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let all = words("--mem=1G --check -c 4 job.sh --mem=2G x");
        let line = split(&all).expect("a script");
        assert_eq!((line.script, line.check, line.wait), ("job.sh", true, false));
        assert_eq!(line.options, words("--mem=1G -c 4"));
        assert_eq!(line.arguments, words("--mem=2G x"));
        assert_eq!(split(&words("-")).expect("standard input").script, "-");
        assert!(split(&words("--mem=1G -W")).is_err());
    }
}
