//! What agent and supervisor say to each other: one JSON value a line, a reply for each request.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read as _, Write},
    sync::Arc,
};

use huisuan_model::{
    AttemptId, AttemptReport, CentreId, ChannelTarget, JobId, JobSpec, MilliDevices, Millicores, PoolId, ProjectId,
    StartOrder, TenantId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::config::SupervisorConfig;
use crate::engine::{Held, SubmitResult};

/// The longest line either side reads: 10,000 orders of a job with the largest spec are far below it.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// What the agent asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// The first line of a connection.
    Hello {
        /// [`super::config::VERSION`] of the agent.
        version: u32,
        /// What the supervisor should be using.
        config: SupervisorConfig,
        /// True for the connection that reads reports: everything not acknowledged is given anew.
        observer: bool,
    },
    /// Take orders.
    Submit(Batch),
    /// Give reports.
    Observe {
        /// How long to wait for the first.
        wait_ms: u64,
    },
    /// Forget ends.
    Acknowledge(Vec<AttemptId>),
    /// End attempts.
    Cancel(Vec<AttemptId>),
    /// Tell whether an attempt is known.
    Known(AttemptId),
    /// Tell what there is.
    Held,
    /// Make this connection a channel into a session: after the answer it speaks frames.
    Attach {
        /// Which attempt runs it.
        attempt: AttemptId,
        /// What it leads to.
        target: ChannelTarget,
    },
    /// Tell again what became of attempts, as far as anything is known of them.
    Find(Vec<AttemptId>),
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Reply {
    /// To a hello.
    Welcome {
        /// [`super::config::VERSION`] of the supervisor.
        version: u32,
        /// How memory limits are kept.
        memory_mode: String,
    },
    /// To a submit, one for each order.
    Submitted(Vec<SubmitResult>),
    /// To an observe.
    Reports(Vec<AttemptReport>),
    /// To a held.
    Held(Held),
    /// To an acknowledge, cancel, find or attach.
    Done,
    /// To a known.
    Known(bool),
    /// The request was not done.
    Refused(String),
}

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

/// Writes one value as a line, in one call.
pub(crate) fn write_line<T: Serialize>(writer: &mut impl Write, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line)
}

/// Reads one line as a value; `None` at the end of the stream.
pub(crate) fn read_line<T: DeserializeOwned>(reader: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last line is cut off")),
    }
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

    #[test]
    fn lines_are_whole_or_an_error() {
        let read = |mut text: &[u8]| read_line::<Vec<u32>>(&mut text);
        assert_eq!(read(b"").expect("the end"), None);
        assert_eq!(read(b"[1]\n[2]\n").expect("a line"), Some(vec![1]));
        assert!(read(b"[1]").is_err());
        assert!(read(b"{}\n").is_err());
    }
}
