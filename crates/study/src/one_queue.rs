//! A network of one pool as one queue of equal processors, so that the policies of a queue can decide it.
//!
//! These policies know a job by its width and its limit, and nothing else. So a network is refused where anything else
//! would count: a second pool, a second resource that could run out first, faults, work that follows other work.

use std::collections::BTreeMap;

use huisuan_model::{AttemptId, Class, DurationMs, JobId, Pool, Shape, TimeMs, topology::Together};
use huisuan_schedule::{demand, queue::QueuePolicy};
use huisuan_twin::{
    machine::{self, LogJob, Outcome},
    setup::Setup,
    workload::{Arrival, Workload},
};
use thiserror::Error;

use crate::scenario::Scenario;

/// Why a network is more than one queue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a queue policy orders one pool of equal processors, and {found}\nhint: {hint}")]
pub struct NotOneQueue {
    /// What it has besides.
    pub found: String,
    /// What to do.
    pub hint: &'static str,
}

/// Take another policy, or another network.
const OTHER_POLICY: &str =
    "take a policy for networks (balanced, soonest, cheapest, tightest), or a scenario of one pool";

/// A network as one queue.
#[derive(Debug, Clone)]
pub struct OneQueue {
    /// The scenario's name and seed; empty and 0 for what is none.
    pub scenario: String,
    /// See `scenario`.
    pub seed: u64,
    /// The class of the pool.
    pub class: Class,
    /// What is queued, in order of submission. Widths and processors are whole cores or devices where all of them are,
    /// else thousandths.
    pub log: Vec<LogJob>,
    /// For each of these the job that it is of, by its place among all that came.
    pub of: Vec<usize>,
    /// The processors.
    pub processors: u64,
    /// How many jobs came, and of which family each was.
    pub families: Vec<usize>,
    /// Jobs that the pool can never run.
    pub refused: u64,
}

/// One queue as it came out.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The outcome of the replay.
    pub outcome: Outcome,
    /// How long each job that came waited for the first of its tasks, in milliseconds; `None` for what was refused.
    pub waits_ms: Vec<Option<u64>>,
}

impl OneQueue {
    /// The queue of a scenario. Tasks of a gang are one wide job, others a job each; orders and reports take no time.
    ///
    /// # Errors
    /// When the scenario is more than one queue.
    pub fn of(scenario: &Scenario) -> Result<OneQueue, NotOneQueue> {
        let Setup { start, end, seed, .. } = scenario.setup;
        let follows = scenario.families.iter().find(|family| family.after.is_some());
        if let Some(family) = follows {
            return refuse(format!("family `{}` comes after another", family.name));
        }
        let workload = Workload::new(scenario.families.clone(), scenario.trace.clone(), start, end, seed);
        OneQueue::from(&scenario.setup, workload).map(|queue| OneQueue {
            scenario: scenario.name.clone(),
            seed,
            ..queue
        })
    }

    /// The queue of a network and what comes to it.
    ///
    /// # Errors
    /// When it is more than one queue.
    pub fn from(setup: &Setup, mut arrivals: Workload) -> Result<OneQueue, NotOneQueue> {
        let pool = only_pool(setup)?;
        let mut queue = OneQueue {
            scenario: String::new(),
            seed: 0,
            class: pool.class,
            log: Vec::new(),
            of: Vec::new(),
            processors: 0,
            families: Vec::new(),
            refused: 0,
        };
        let mut owners = BTreeMap::new();
        while let Some(arrival) = arrivals.take() {
            let number = owners.len() as u64;
            let owner = *owners.entry((arrival.tenant.clone(), arrival.project.clone())).or_insert(number);
            queue.add(setup, pool, &arrival, owner)?;
        }
        queue.processors = if pool.devices.is_zero() { pool.cores.0 } else { pool.devices.0 };
        let whole = queue.log.iter().all(|job| job.width.is_multiple_of(1_000));
        if whole {
            queue.log.iter_mut().for_each(|job| job.width /= 1_000);
            queue.processors /= 1_000;
        }
        Ok(queue)
    }

    fn add(&mut self, setup: &Setup, pool: &Pool, arrival: &Arrival, owner: u64) -> Result<(), NotOneQueue> {
        let (spec, place) = (&arrival.spec, self.families.len());
        self.families.push(arrival.truth.family);
        let job = JobId(place as u64 + 1);
        plain(job, arrival)?;
        let site = &setup.sites[0].centre;
        let elsewhere = spec.class.is_some_and(|class| class != site.class)
            || !(spec.centres.is_empty() || spec.centres.contains(&site.id));
        let shape = Shape::of(&arrival.tenant, &arrival.project, spec);
        let Some(demand) = demand(pool, &shape).filter(|_| !elsewhere) else {
            self.refused += 1;
            return Ok(());
        };
        let held = [demand.cores.0, demand.devices.0, demand.memory.0];
        let has = [pool.cores.0, pool.devices.0, pool.memory.0];
        let counted = usize::from(!pool.devices.is_zero());
        let width = held[counted];
        // A resource of which a job takes a larger part than of the counted one could run out first.
        let larger =
            |at: &usize| u128::from(held[*at]) * u128::from(has[counted]) > u128::from(width) * u128::from(has[*at]);
        if let Some(at) = (0..3).find(larger) {
            let names = ["cores", "devices", "memory"];
            return refuse(format!(
                "job {job} takes a larger part of its {} than of its {}",
                names[at], names[counted]
            ));
        }
        let tasks = spec.tasks.len();
        let mut queued = |task: u32, width: u64| {
            let share = pool.share(demand.cores, demand.devices);
            let (run_ms, _) = arrival.truth.of_task(AttemptId { job, task, attempt: 1 }, spec.gang, share);
            self.log.push(LogJob {
                id: job,
                submitted_at: arrival.at,
                run: DurationMs(run_ms.min(spec.walltime.0)),
                limit: spec.walltime,
                width,
                owner: Some(owner),
            });
            self.of.push(place);
        };
        if spec.gang {
            queued(spec.tasks.first().unwrap_or(0), width * tasks);
        } else {
            spec.tasks.iter().for_each(|task| queued(task, width));
        }
        Ok(())
    }

    /// Runs it under a policy.
    pub fn run(&self, policy: QueuePolicy) -> Queued {
        let outcome = machine::replay(&self.log, self.processors, policy.open(self.processors), &mut |_| {});
        let outcome = outcome.expect("jobs come in order, and those that never fit are refused");
        let mut waits_ms: Vec<Option<u64>> = vec![None; self.families.len()];
        for ((job, start), &place) in self.log.iter().zip(&outcome.starts).zip(&self.of) {
            let wait_ms = start.since(job.submitted_at).0;
            waits_ms[place] = Some(waits_ms[place].map_or(wait_ms, |before| before.min(wait_ms)));
        }
        Queued { outcome, waits_ms }
    }

    /// From the first submission to the last end, in seconds.
    pub fn lasted_s(&self, outcome: &Outcome) -> f64 {
        let first = self.log.first().map_or(TimeMs(0), |job| job.submitted_at);
        let ends = self.log.iter().zip(&outcome.starts).map(|(job, start)| start.after(job.run));
        ends.max().map_or(0.0, |last| last.since(first).0 as f64 / 1e3)
    }
}

fn refuse<T>(found: String) -> Result<T, NotOneQueue> {
    Err(NotOneQueue { found, hint: OTHER_POLICY })
}

/// The one pool, where nothing but its size counts.
fn only_pool(setup: &Setup) -> Result<&Pool, NotOneQueue> {
    let pools: Vec<&Pool> = setup.sites.iter().flat_map(|site| &site.pools).collect();
    let [pool] = pools[..] else {
        return refuse(format!("there are {} in {} centres", pools.len(), setup.sites.len()));
    };
    let besides = [
        (pool.topology.is_some(), "its nodes are shown"),
        (!setup.faults.is_empty(), "there are faults"),
        (!setup.reservations.is_empty(), "there are reservations in advance"),
        (setup.sites[0].hidden.is_some(), "others fill its queue, too"),
    ];
    match besides.into_iter().find(|(is, _)| *is) {
        Some((_, what)) => refuse(what.to_owned()),
        None => Ok(pool),
    }
}

/// Refuses what a queue cannot see of a job.
fn plain(job: JobId, arrival: &Arrival) -> Result<(), NotOneQueue> {
    let spec = &arrival.spec;
    let besides = [
        (spec.priority != 0, "has a priority"),
        (spec.parallel_max.is_some(), "limits its tasks at once"),
        (spec.reservation.is_some(), "has a reservation"),
        (spec.topology != Together::Preferred, "must lie in one rack"),
        (spec.retries > 0 && arrival.truth.failing_ppm > 0, "is tried again"),
    ];
    match besides.into_iter().find(|(is, _)| *is) {
        Some((_, what)) => refuse(format!("job {job} {what}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::read::Text;

    const POOL: &str = "[[centre.pool]]\npart = \"cpu\"\nnodes = 1\nnode_tflops = 5\nnode_cores = 8\nnode_memory_gib = 8\n\
        sustained_percent = 80\n";

    fn queue(more: &str, rows: &str) -> Result<OneQueue, String> {
        let head = "name = \"q\"\nstart = 2025-07-01T00:00:00Z\nhours = 9\nseed = 3\n[[tenant]]\nid = \"t\"\nfunds_cny = 5\n\
            [[centre]]\nid = \"c\"\nclass = \"hpc\"\nprice_cny_per_p_h = 1\n";
        let columns = crate::scenario::COLUMNS.join(",");
        let text = Text::new("q.toml", format!("{head}{POOL}{more}[[trace]]\nname = \"t\"\nfile = \"t.csv\"\n"));
        let trace = |name: &str| Ok(Text::new(name, format!("{columns}\n{rows}")));
        let scenario = Scenario::parse_with(&text, &trace).expect("well formed");
        OneQueue::of(&scenario).map_err(|error| error.to_string())
    }

    /// Submitted at, run time, tasks, gang, cores, memory.
    fn row(submit_s: u64, run_s: u64, tasks: u64, gang: u64, cores: u64, memory_mib: u64) -> String {
        format!("{submit_s}000,{run_s}000,{run_s}000,{tasks},{gang},{cores}000,0,{memory_mib},,,,t,,0\n")
    }

    #[test]
    fn a_scenario_of_one_pool_is_one_queue() {
        // The second waits for the whole machine; the third may go ahead of it under `easy` and not under `fifo`.
        let rows =
            [row(0, 60, 1, 0, 6, 1), row(1, 60, 2, 1, 4, 1), row(2, 30, 2, 0, 1, 1), row(3, 9, 1, 0, 9, 1)].concat();
        let queue = queue("", &rows).expect("one queue");
        assert_eq!((queue.processors, queue.refused), (8, 1));
        let widths: Vec<(u64, usize)> = queue.log.iter().map(|job| job.width).zip(queue.of.iter().copied()).collect();
        assert_eq!(widths, [(6, 0), (8, 1), (1, 2), (1, 2)]);
        let waits_s = |policy: QueuePolicy| {
            queue.run(policy).waits_ms.iter().map(|wait_ms| wait_ms.map(|wait_ms| wait_ms / 1000)).collect::<Vec<_>>()
        };
        assert_eq!(waits_s(QueuePolicy::Easy), [Some(0), Some(59), Some(0), None]);
        assert_eq!(waits_s(QueuePolicy::Fifo), [Some(0), Some(59), Some(118), None]);
    }

    #[test]
    fn what_is_more_than_one_queue_is_refused() {
        fn check(more: &str, row: &str, expected: &str) {
            let error = queue(more, row).expect_err("more than one queue");
            assert!(error.contains(expected) && error.contains("hint: take a policy for networks"), "{error}");
        }
        check(&POOL.replace("cpu", "other"), "", "there are 2 in 1 centres");
        check("", &row(0, 60, 1, 0, 1, 4096), "job 1 takes a larger part of its memory than of its cores");
        check("[[maintenance]]\ncentre = \"c\"\nfrom_h = 1\nuntil_h = 2\n", "", "there are faults");
    }

    #[test]
    fn a_scenario_of_the_repository_is_refused_with_its_reason() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/trace.toml"));
        let error = OneQueue::of(&crate::scenario::read_scenario(path).expect("a scenario")).expect_err("two pools");
        assert_eq!(error.found, "there are 2 in 2 centres");
    }
}
