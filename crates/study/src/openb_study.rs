//! Packing runs on openb lists: files in, outcomes out.

use std::path::Path;

use huisuan_schedule::pack::{Ask, Fleet, Mix, Packer, Packing, Rule, Scan};
use huisuan_twin::packing::{Arrivals, BoundBy, Outcome, hindsight_thousandths, run, upper_bound};

use crate::read::{OpenbNodes, ReadError, read_openb_nodes, read_openb_tasks, read_text};

/// Share of the tasks whose shapes a policy is told beforehand, in percent, as in the published runs.
const COVER_PERCENT: u64 = 95;
/// Most nodes that are all looked at for every task when nobody says otherwise.
const SCANNED_MAX: usize = 4096;

/// A fleet and a list of tasks for it.
#[derive(Debug, Clone)]
pub struct OpenbStudy {
    /// The nodes.
    pub nodes: OpenbNodes,
    /// The tasks, in the order of their names.
    pub tasks: Vec<Ask>,
}

impl OpenbStudy {
    /// Reads both lists.
    ///
    /// # Errors
    ///
    /// What is wrong with the first file that cannot be used.
    pub fn read(nodes: &Path, tasks: &Path) -> Result<Self, ReadError> {
        let nodes = read_openb_nodes(&read_text(nodes)?)?;
        let tasks = read_openb_tasks(&read_text(tasks)?, &nodes.models)?;
        Ok(OpenbStudy { nodes, tasks })
    }

    /// The arrivals of one seed at a load in thousandths of the capacity.
    pub fn arrivals(&self, load_permille: u64, seed: u64) -> Arrivals {
        Arrivals::new(&self.tasks, self.nodes.capacity_thousandths(), load_permille, seed)
    }

    /// Lets the arrivals meet an empty fleet under a policy.
    pub fn run(&self, packing: Packing, search: Search, arrivals: &Arrivals, seed: u64) -> Outcome {
        let fleet = self.fleet();
        let rule = Rule::new(packing, Mix::typical(&self.tasks, COVER_PERCENT).on(&fleet), seed);
        let capacity = self.nodes.capacity_thousandths();
        match search {
            Search::Scan => run(&mut Scan::new(fleet, rule), &self.tasks, arrivals, capacity),
            Search::Index => run(&mut Packer::new(fleet, rule), &self.tasks, arrivals, capacity),
        }
    }

    /// What no policy can allocate more of, in percent of the capacity, and what keeps it from doing so.
    pub fn upper_bound_percent(&self, arrivals: &Arrivals) -> (f64, BoundBy) {
        let bound = upper_bound(&self.fleet(), &self.tasks, arrivals);
        (bound.thousandths * 100.0 / self.nodes.capacity_thousandths().max(1) as f64, bound.by)
    }

    /// What a placement with hindsight allocates, in percent of the capacity; perfect lies between it and the bound.
    pub fn hindsight_percent(&self, arrivals: &Arrivals) -> f64 {
        let reached = hindsight_thousandths(&self.fleet(), &self.tasks, arrivals);
        reached as f64 * 100.0 / self.nodes.capacity_thousandths().max(1) as f64
    }

    fn fleet(&self) -> Fleet {
        Fleet::new(self.nodes.rooms.iter().copied())
    }
}

/// Which nodes a policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// All of them.
    Scan,
    /// The candidates of the index, as the live scheduler does.
    Index,
}

impl Search {
    /// All nodes of a small fleet, the index of a large one.
    pub fn of(nodes: usize) -> Self {
        if nodes <= SCANNED_MAX { Search::Scan } else { Search::Index }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Search::Scan => "scan",
            Search::Index => "index",
        }
    }
}
