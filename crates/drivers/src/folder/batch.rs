//! Orders as they are stored and sent.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{
    AttemptId, CentreId, JobId, JobSpec, MilliDevices, Millicores, PoolId, ProjectId, StartOrder, TenantId,
};
use serde::{Deserialize, Serialize};

/// Start orders, each spec once: an array of 10,000 tasks is sent and stored with one copy of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// The different specs.
    pub(crate) specs: Vec<Arc<JobSpec>>,
    /// The orders.
    pub(crate) starts: Vec<BatchedStart>,
}

/// A start order that names its spec by its place in the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchedStart {
    pub(crate) attempt: AttemptId,
    pub(crate) spec: usize,
    pub(crate) centre: CentreId,
    pub(crate) tenant: TenantId,
    pub(crate) project: ProjectId,
    pub(crate) cores: Millicores,
    #[serde(default, skip_serializing_if = "MilliDevices::is_zero")]
    pub(crate) devices: MilliDevices,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<PoolId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
}

impl Batch {
    pub(crate) fn new<'a>(starts: impl IntoIterator<Item = &'a StartOrder>) -> Self {
        let mut batch = Batch::default();
        let mut places: BTreeMap<JobId, usize> = BTreeMap::new();
        for start in starts {
            // All tasks of a job have one spec; were it ever different, it gets a place of its own.
            let place = match places.get(&start.attempt.job) {
                Some(&place) if same(&batch.specs[place], &start.spec) => place,
                _ => {
                    batch.specs.push(Arc::clone(&start.spec));
                    batch.specs.len() - 1
                }
            };
            places.insert(start.attempt.job, place);
            batch.starts.push(BatchedStart {
                attempt: start.attempt,
                spec: place,
                centre: start.centre.clone(),
                tenant: start.tenant.clone(),
                project: start.project.clone(),
                cores: start.cores,
                devices: start.devices,
                pool: start.pool.clone(),
                account: start.account.clone(),
            });
        }
        batch
    }

    /// The orders again; `None` when one names a spec that is not there.
    pub(crate) fn orders(self) -> Option<Vec<StartOrder>> {
        let specs = self.specs;
        let order = |start: BatchedStart| {
            Some(StartOrder {
                attempt: start.attempt,
                centre: start.centre,
                tenant: start.tenant,
                project: start.project,
                spec: Arc::clone(specs.get(start.spec)?),
                cores: start.cores,
                devices: start.devices,
                pool: start.pool,
                account: start.account,
            })
        };
        self.starts.into_iter().map(order).collect()
    }
}

fn same(a: &Arc<JobSpec>, b: &Arc<JobSpec>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(job: u64, task: u32, spec: &Arc<JobSpec>) -> StartOrder {
        StartOrder {
            attempt: AttemptId { job: JobId(job), task, attempt: 1 },
            centre: CentreId::new("here").expect("a name"),
            tenant: TenantId::new("t").expect("a name"),
            project: ProjectId::new("p").expect("a name"),
            spec: Arc::clone(spec),
            cores: Millicores(1000),
            devices: MilliDevices::ZERO,
            pool: None,
            account: None,
        }
    }

    #[test]
    fn a_batch_holds_each_spec_once_and_gives_the_orders_back() {
        let (a, b) = (Arc::new(JobSpec::command("a", &["true"])), Arc::new(JobSpec::command("b", &["true"])));
        let copy = Arc::new(JobSpec::command("a", &["true"]));
        let mut orders = vec![order(1, 0, &a), order(1, 1, &copy), order(2, 0, &b), order(1, 2, &a), order(1, 3, &b)];
        orders[2].pool = Some(PoolId::new("cpu:x").expect("a name"));
        orders[3].account = Some("grp-1".to_owned());
        let batch = Batch::new(&orders);
        assert_eq!(batch.specs.len(), 3);
        let text = serde_json::to_string(&batch).expect("a batch is JSON");
        let back: Batch = serde_json::from_str(&text).expect("it reads what it wrote");
        assert_eq!(back.orders(), Some(orders));
    }

    #[test]
    fn a_batch_with_a_missing_spec_is_no_batch() {
        let spec = Arc::new(JobSpec::command("a", &["true"]));
        let mut batch = Batch::new(&[order(1, 0, &spec)]);
        batch.specs.clear();
        assert_eq!(batch.orders(), None);
    }
}
