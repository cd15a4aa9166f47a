//! What `sbatch` is called with, and which attempts share a call: those of which Slurm is told the same become one
//! array.

use std::sync::Arc;

use huisuan_model::{
    StartOrder, TenantId,
    spec::{Checkpoint, JobKind, checkpoint::SIGNALS},
};

use super::{
    config::{SlurmConfig, is_word},
    files::Files,
    gang::{self, Gang, Spread},
    inventory::Inventory,
    state::State,
    users::{User, Users},
};

/// What podman's client takes beside its container: 45 to 90 MiB of podman 4.3, most of it its own program.
const CLIENT_MIB: u64 = 128;

/// What Slurm is told of an attempt. Nothing of it comes from a user but numbers; what is run is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    tenant: TenantId,
    /// Who runs it, when not the agent's own user.
    pub(super) user: Option<Arc<User>>,
    account: Option<String>,
    gres: Option<String>,
    /// How a gang lies on nodes, where Slurm is not to choose that.
    spread: Option<Spread>,
    cores: u64,
    memory_mib: u64,
    walltime_ms: u64,
    /// Slurm's limit.
    minutes: u64,
    notice: Notice,
}

/// How a task is asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notice {
    signal: String,
    grace_ms: u64,
    /// How long before its walltime is over.
    ahead_ms: u64,
}

impl Notice {
    /// As the job wishes. One that saves its state gets its time within its walltime; to the others, SIGTERM comes when
    /// it is over.
    fn of(order: &StartOrder, config: &SlurmConfig) -> Result<Notice, String> {
        let Some(Checkpoint { signal, grace }) = &order.spec.checkpoint else {
            // What is told when a terminal is closed: shells at one ignore SIGTERM.
            let signal = if order.spec.kind == JobKind::Session { "HUP" } else { "TERM" };
            return Ok(Notice { signal: signal.to_owned(), grace_ms: config.grace_ms, ahead_ms: 0 });
        };
        if !SIGNALS.contains(&signal.as_str()) {
            return Err(format!("signal `{signal}` is none that a task may ask for"));
        }
        Ok(Notice { signal: signal.clone(), grace_ms: grace.0, ahead_ms: grace.0.min(order.walltime().0) })
    }
}

/// Attempts that are submitted by one call.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) request: Request,
    pub(super) orders: Vec<Arc<StartOrder>>,
    pub(super) size_max: usize,
    /// They are this one: one job.
    pub(super) gang: Option<Gang>,
}

/// What waits, sorted out.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) groups: Vec<Group>,
    /// Those that can never run here, with a sentence for people.
    pub(super) refused: Vec<(Arc<StartOrder>, String)>,
}

/// One submission: a job of its own, an array with the number of its list, or a gang.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Single,
    Array { list: u64, elements: usize },
    Gang(Gang),
}

/// Takes what waits, oldest first, into at most so many calls and attempts.
pub(super) fn take(
    state: &mut State,
    config: &SlurmConfig,
    users: &Users,
    calls_max: usize,
    attempts_max: usize,
) -> Taken {
    let mut taken = Taken::default();
    let mut count = 0;
    while count < attempts_max
        && let Some((order, refusals)) = state.next_waiting()
    {
        if order.spec.gang {
            if taken.groups.len() == calls_max {
                break;
            }
            count += gang::take(state, config, users, &order, &mut taken);
            continue;
        }
        let request = match Request::of(&order, &state.inventory, config, users) {
            Ok(request) => request,
            Err(why) => {
                state.note_submitting(order.attempt);
                taken.refused.push((order, why));
                continue;
            }
        };
        // A site may limit what a user has in Slurm: what was not taken together is tried in smaller parts.
        let size_max = (config.array_max.min(state.array_limit) >> refusals.min(31)).max(1);
        let full = taken.groups.len() == calls_max;
        let fits = |group: &&mut Group| {
            let len = group.orders.len();
            group.gang.is_none() && len < size_max && len < group.size_max && group.request == request
        };
        match taken.groups.iter_mut().find(fits) {
            Some(group) => {
                group.orders.push(Arc::clone(&order));
                group.size_max = group.size_max.min(size_max);
            }
            None if full => break,
            None => taken.groups.push(Group { request, orders: vec![Arc::clone(&order)], size_max, gang: None }),
        }
        state.note_submitting(order.attempt);
        count += 1;
    }
    taken
}

impl Request {
    /// The error is a sentence for people: the attempt can never run here.
    pub(super) fn of(
        order: &StartOrder,
        inventory: &Inventory,
        config: &SlurmConfig,
        users: &Users,
    ) -> Result<Request, String> {
        if let Some(account) = order.account.as_ref().filter(|account| !is_word(account)) {
            return Err(format!("account `{account}` is not a name that may reach Slurm"));
        }
        // The wrapper keeps the walltime to the millisecond; Slurm's limit is the second belt, in whole minutes.
        let notice = Notice::of(order, config)?;
        let slack_ms = notice.grace_ms.saturating_add(30_000);
        let minutes = order.walltime().0.saturating_add(slack_ms).div_ceil(60_000);
        let qos = inventory.limits.of(order, config, users);
        let (account, minutes_max) = (config.account_for(order), inventory.minutes_max(qos));
        Ok(Request {
            tenant: order.tenant.clone(),
            user: users.of(order)?,
            account: account.map(str::to_owned),
            gres: inventory.gres(order, qos)?,
            spread: inventory.spread(order)?,
            cores: order.cores.cores_up().max(1),
            memory_mib: memory_mib(order, inventory),
            walltime_ms: order.walltime().0,
            minutes: minutes.min(minutes_max),
            notice,
        })
    }

    /// The arguments of `sbatch` for these attempts.
    pub(super) fn arguments(
        &self,
        config: &SlurmConfig,
        files: &Files,
        orders: &[Arc<StartOrder>],
        shape: Shape,
    ) -> Vec<String> {
        let folder = &files.paths.dir;
        let mut arguments: Vec<String> =
            ["--parsable", "--hold", "--no-requeue", "--export=ALL", "--open-mode=append", "--input=/dev/null"]
                .map(str::to_owned)
                .into();
        let (mut script, order) = (files.wrapper(), &orders[0]);
        let (name, chdir, messages, which) = match shape {
            Shape::Gang(gang) => {
                script = files.gang_script();
                let own = files.gang_own(gang);
                let messages = own.join("out");
                (files.gang_name(gang), own, messages, Files::gang_word(gang))
            }
            Shape::Single => {
                arguments.push(format!("--comment={}", order.spec.hash()));
                let dir = files.attempt(order.attempt).dir;
                let messages = dir.join("slurm.out");
                (files.job_name(order.attempt), dir, messages, order.attempt.to_string())
            }
            Shape::Array { list, elements } => {
                // The last element is in no list and stays held, until a look at the queue finds it and cancels it. It
                // keeps the array's own number: a node that refuses a launch has the number of the job cancelled that
                // it was given (seen in 22.05), and where that is the array's, all of its elements would end.
                arguments.push(format!("--array=0-{elements}"));
                (files.array_name(list), folder.clone(), files.lists.messages(list), Files::array_word(list))
            }
        };
        arguments.extend([
            format!("--job-name={name}"),
            format!("--cpus-per-task={}", self.cores),
            format!("--time={}", self.minutes),
            format!("--chdir={}", chdir.display()),
            format!("--output={}", messages.display()),
            format!("--partition={}", config.partitions.join(",")),
        ]);
        let mut add =
            |name: &str, value: Option<&str>| arguments.extend(value.map(|value| format!("--{name}={value}")));
        add("account", self.account.as_deref());
        add("qos", config.qos.as_deref());
        add("reservation", config.reservation.as_deref());
        let gres = self.gres.as_deref();
        if matches!(shape, Shape::Gang(_)) {
            arguments.extend(gang::layout(orders.len(), self.cores, self.memory_mib, gres, self.spread));
        } else {
            add("gres", gres);
            arguments.extend(["--nodes=1".to_owned(), "--ntasks=1".to_owned(), format!("--mem={}M", self.memory_mib)]);
        }
        arguments.extend([script, folder.clone()].map(|path| path.display().to_string()));
        let Notice { signal, grace_ms, ahead_ms } = &self.notice;
        let numbers = [self.walltime_ms, *grace_ms, config.beat_ms].map(|number| number.to_string());
        arguments.push(which);
        arguments.extend(numbers);
        arguments.extend([signal.clone(), ahead_ms.to_string()]);
        arguments
    }
}

/// Memory that Slurm keeps for a job, as far as a node has it. What it counts of a container is podman's client.
fn memory_mib(order: &StartOrder, inventory: &Inventory) -> u64 {
    let own = order.memory().0.div_ceil(1 << 20).max(1);
    match order.spec.image {
        None => own,
        Some(_) => own.saturating_add(CLIENT_MIB).min(inventory.memory_max(order).0 >> 20).max(own),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use huisuan_model::{Bytes, JobSpec};
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::slurm::{
        config::example,
        journal::{Journal, order},
    };

    /// Kinds differ in what Slurm is told; 4 can never run.
    fn order_of(job: u64, kind: u64) -> Arc<StartOrder> {
        let order = order(job);
        let spec = Arc::new(JobSpec { memory: Bytes((1 + kind) << 20), ..JobSpec::clone(&order.spec) });
        Arc::new(StartOrder { spec, account: (kind == 4).then(|| "--uid=0".to_owned()), ..order })
    }

    proptest! {
        /// Each attempt is taken once, within the limits, beside none that Slurm is told otherwise of.
        #[test]
        fn what_waits_is_taken_once_and_with_its_like(
            waiting in vec((0u64..5, 0u32..4), 0..40),
            calls in 1usize..6,
            room in 1usize..50,
            array_max in 1usize..9,
        ) {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let files = Files::make(&folder.path().join("centre"), &Users::default()).expect("made");
            let (journal, known) = Journal::open(&files).expect("a new log");
            let mut state = State::recover(journal, known);
            let config = SlurmConfig { array_max, ..example(folder.path()) };
            let users = Users::default();
            for (job, &(kind, refusals)) in (0..).zip(&waiting) {
                let order = order_of(job, kind);
                let id = order.attempt;
                state.enqueue(order);
                state.open_mut(id).expect("it is open").refusals = refusals;
            }
            let mut seen = BTreeSet::new();
            while !state.waiting.is_empty() {
                let taken = take(&mut state, &config, &users, calls, room);
                prop_assert!(taken.groups.len() <= calls);
                let count: usize = taken.groups.iter().map(|group| group.orders.len()).sum();
                prop_assert!(count <= room && count + taken.refused.len() > 0);
                for group in &taken.groups {
                    let of = |order: &Arc<StartOrder>| waiting[usize::try_from(order.attempt.job.0).expect("few")];
                    let first = of(&group.orders[0]).0;
                    for order in &group.orders {
                        let (kind, refusals) = of(order);
                        prop_assert!(kind == first && kind != 4);
                        prop_assert!(group.orders.len() <= (array_max >> refusals).max(1));
                        prop_assert!(seen.insert(order.attempt));
                    }
                }
                for (order, _) in &taken.refused {
                    prop_assert!(seen.insert(order.attempt));
                }
            }
            prop_assert_eq!(seen.len(), waiting.len());
        }
    }

    /// Nothing of a user's text reaches `sbatch`, and an array names its list.
    #[test]
    fn an_array_is_called_after_its_list() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let files = Files::make(&folder.path().join("centre"), &Users::default()).expect("made");
        let config = example(folder.path());
        let order = order_of(7, 1);
        let request = Request::of(&order, &Inventory::default(), &config, &Users::default()).expect("it may run");
        let array = request.arguments(&config, &files, &[Arc::clone(&order)], Shape::Array { list: 12, elements: 30 });
        for word in ["--hold", "--array=0-30", "--mem=2M", &format!("--job-name={}", files.array_name(12)), "array.12"]
        {
            assert!(array.iter().any(|argument| argument == word), "{word}: {array:?}");
        }
        let single = request.arguments(&config, &files, &[Arc::clone(&order)], Shape::Single);
        assert!(single.contains(&"7.0.1".to_owned()) && !single.iter().any(|word| word.starts_with("--array")));
        assert!(single.contains(&format!("--job-name={}", files.job_name(order.attempt))), "{single:?}");
    }
}
