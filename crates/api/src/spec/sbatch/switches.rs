//! `--switches=COUNT[@TIME]`: how many leaf switches the nodes of a job may hang on.

use huisuan_model::{JobSpec, Level, Together};

use super::{
    Treatment,
    job::Amendments,
    options::Wish,
    wishes::{Taken, Wishes},
};
use crate::spec::quantity;

/// One switch is one rack; more of them are a wish that every gang has anyway.
pub(super) fn take(wishes: &mut Wishes, value: &str) -> Result<Taken, String> {
    let expected = || "a number of switches from 1, with @TIME for how long to wait for them".to_owned();
    let (count, wait) = match value.split_once('@') {
        Some((count, time)) => (count, Some(quantity::slurm_duration(time).map_err(|_| expected())?)),
        None => (value, None),
    };
    let count: u32 = count.parse().ok().filter(|&count| count > 0).ok_or_else(expected)?;
    wishes.one_switch = count == 1;
    Ok(match (count, wait) {
        (1, None) => (Treatment::Honoured, "all tasks in one rack".to_owned()),
        (1, Some(_)) => {
            let note = "all tasks in one rack, for which it waits as long as it takes: the time is not kept";
            (Treatment::Approximated, note.to_owned())
        }
        _ => {
            let note = "tasks lie in as few racks as there is room in; their number is not limited";
            (Treatment::Approximated, note.to_owned())
        }
    })
}

/// What it means for the job.
pub(super) fn settle(spec: &mut JobSpec, wishes: &Wishes, amendments: &mut Amendments) {
    if !wishes.one_switch {
        return;
    }
    if spec.gang {
        spec.topology = Together::Required(Level::Rack);
    } else {
        let note = "a task lies on one node; tasks of an array need not be together".to_owned();
        amendments.push((Wish::Switches, (Treatment::Ignored, note)));
    }
}
