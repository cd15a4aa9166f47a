//! `twin replay`: the plans of a journal made again.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use huisuan_study::replay::{ReplayReport, read_journal_file, replay as again};

use super::policies::of_network;
use crate::{
    failure::{Exit, Failure},
    machine,
    output::fields,
    session::Session,
    table::{Cell, Listing},
};

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The data folder of a server or demo that does not run, or a file with one journal entry a line.
    #[arg(value_name = "JOURNAL", value_hint = ValueHint::AnyPath)]
    pub(crate) journal: PathBuf,
    /// Another policy than the journal's: balanced, soonest, cheapest, tightest, or a file with a table [policy.NAME].
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
}

/// Replays and compares. A plan that differs under the very policy that it names is an error.
pub(crate) fn replay(session: &Session, args: &ReplayArgs) -> Result<(), Failure> {
    let other = args.policy.as_deref().map(of_network).transpose()?;
    // A journal that cannot be folded panics inside; that is told as an error.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(|| again(other, |each| read(&args.journal, each))));
    std::panic::set_hook(hook);
    let report = outcome.unwrap_or_else(|_| {
        Err(Failure::new(Exit::Error, "the journal contradicts itself").hint("`huisuan doctor --data` says where"))
    })?;
    session.output.one(
        &report,
        || listing(&report),
        |output| format!("{}\n\n{}", head(&report), output.table(&listing(&report))),
    )?;
    if report.broken > 0 {
        let first = report.differing.first().copied().unwrap_or_default();
        let message = format!("{} of {} plans came out otherwise", report.broken, report.plans);
        return Err(Failure::new(Exit::Error, message).hint(format!(
            "the first is entry {first}; was the journal written by another version of this program, or under other rules \
             of the same name?"
        )));
    }
    Ok(())
}

fn read(path: &Path, each: &mut dyn FnMut(&huisuan_model::Entry)) -> Result<(), Failure> {
    if path.is_file() {
        return read_journal_file(path, each).map_err(super::run::refused);
    }
    huisuan_server::read_journal(&machine::server_data(path), |entry| each(entry))?;
    Ok(())
}

fn head(report: &ReplayReport) -> String {
    fields(&[
        ("entries", report.entries.to_string()),
        ("plans", format!("{}, {} identical", report.plans, report.identical)),
        ("policy", report.policy.clone().unwrap_or_else(|| "that of the journal".to_owned())),
        (
            "not stored",
            match report.without_basis {
                0 => String::new(),
                plans => format!("what {plans} plans were made with; the moment of their entry stood in"),
            },
        ),
        (
            "not known",
            match report.without_policy {
                0 => String::new(),
                plans => format!("the policy of {plans} plans; the default one stood in"),
            },
        ),
    ])
}

fn listing(report: &ReplayReport) -> Listing {
    let mut listing = Listing::new(&["centre", "tasks_then", "tasks_now"]);
    let centres: std::collections::BTreeSet<&String> =
        report.before.tasks.keys().chain(report.after.tasks.keys()).collect();
    for centre in centres {
        let tasks = |side: &std::collections::BTreeMap<String, u64>| {
            let tasks = side.get(centre).copied().unwrap_or(0);
            Cell::figure(tasks, tasks)
        };
        listing.row(vec![Cell::text(centre), tasks(&report.before.tasks), tasks(&report.after.tasks)]);
    }
    listing
}
