//! How the tasks of a gang find each other: one headless Service for each gang's try, under which the cluster's name
//! server knows every task by a name that is known before any of them runs.
//!
//! It is made before the first pod and removed after the last end was acknowledged. An agent that died between is made
//! good by the look at all of them that each agent begins with. One whose pods the cluster refused is removed by the
//! second look that knows of none of them. A site whose role has no right to services has gangs without addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use huisuan_model::{AttemptId, CentreId, JobId, StartOrder};
use serde_json::{Value, json};
use tracing::{debug, warn};

use super::{
    client::{CallError, Method},
    objects::Service,
    pod::{CENTRE_LABEL, mark},
    shared::{Listed, Shared},
    volume::NoPod,
};
use crate::EngineError;

/// The label of the pods of a gang's try, and of its Service: `JOB-ATTEMPT`.
pub(super) const LABEL: &str = "huisuan.io/gang-try";
/// What is done, for errors.
const DOING: &str = "asking whether services may be made, which gangs wait for";
/// Gangs of more tasks are told the first one's name alone: every pod would hold the names of all.
const NAMED_MAX: u64 = 256;
/// Where a task finds itself, in place of a name.
const HERE: &str = "127.0.0.1";

/// One try of a gang.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Try {
    pub(super) job: JobId,
    pub(super) attempt: u32,
}

impl Try {
    /// That of an order; `None` for a task that needs no other.
    pub(super) fn of(order: &StartOrder) -> Option<Try> {
        let AttemptId { job, attempt, .. } = order.attempt;
        (order.spec.gang && order.spec.tasks.len() > 1).then_some(Try { job, attempt })
    }

    /// As its label says it.
    pub(super) fn label(self) -> String {
        format!("{}-{}", self.job, self.attempt)
    }

    fn read(label: &str) -> Option<Try> {
        let (job, attempt) = label.split_once('-')?;
        Some(Try { job: JobId(job.parse().ok()?), attempt: attempt.parse().ok()? })
    }

    /// The name of its Service, the second part of the names of its tasks.
    pub(super) fn domain(self, centre: &CentreId) -> String {
        format!("hs-{}-{}-g{}", mark(centre), self.job, self.attempt)
    }

    fn service(self, centre: &CentreId) -> Value {
        let labels = json!({ (CENTRE_LABEL): mark(centre), (LABEL): self.label() });
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": self.domain(centre), "labels": labels },
            // Names count from the moment at which a pod has an address: who comes first waits for the others.
            "spec": { "clusterIP": "None", "publishNotReadyAddresses": true, "selector": labels },
        })
    }
}

/// The host name of a task within its gang's domain.
pub(super) fn host(task: u32) -> String {
    format!("task-{task}")
}

/// Whether the tasks of these orders' gangs are given names: whether the cluster lets this agent make Services. Asked
/// of it until it answers, for whoever begins without names has none for ever; the error says why it did not.
pub(super) fn addresses<'a>(shared: &Shared, mut orders: impl Iterator<Item = &'a StartOrder>) -> Result<bool, String> {
    if orders.any(|order| Try::of(order).is_some()) { may_name(shared) } else { Ok(false) }
}

fn may_name(shared: &Shared) -> Result<bool, String> {
    if let Some(&may) = shared.addresses.get() {
        return Ok(may);
    }
    for verb in ["create", "list", "delete"] {
        let what = json!({ "namespace": shared.config.namespace, "verb": verb, "resource": "services" });
        match shared.client.allows(&what) {
            Ok(true) => {}
            // Who may not even ask is taken to have no right: nothing that runs needs names.
            Err(error) if !matches!(error.code(), 403 | 404) => {
                let why = error.during(DOING).to_string();
                // Another thread may have its answer by now.
                if shared.addresses.get().is_none() && shared.troubled(DOING, &why) {
                    warn!(error = why, "gangs wait");
                }
                return Err(why);
            }
            _ => {
                shared.well(DOING);
                return Ok(*shared.addresses.get_or_init(|| false));
            }
        }
    }
    shared.well(DOING);
    Ok(*shared.addresses.get_or_init(|| true))
}

/// The variables by which a task finds the others, as at other engines; `addresses` says whether they have names.
pub(super) fn variables(order: &StartOrder, addresses: bool) -> Vec<(String, String)> {
    let tasks = order.tasks();
    let domain = match Try::of(order) {
        Some(gang) if addresses => Some(gang.domain(&order.centre)),
        // All of it is here.
        None if order.spec.gang => None,
        _ => return Vec::new(),
    };
    let name = |task| domain.as_ref().map_or_else(|| HERE.to_owned(), |domain| format!("{}.{domain}", host(task)));
    let mut all = vec![("HUISUAN_GANG_FIRST".to_owned(), name(tasks.first().unwrap_or(0)))];
    if tasks.len() <= NAMED_MAX {
        let hosts: Vec<String> = tasks.iter().map(|task| format!("{}:1", name(task))).collect();
        all.push(("HUISUAN_GANG_HOSTS".to_owned(), hosts.join(",")));
    }
    all
}

/// Tries that have a Service and no attempt that is known: they are about to begin, or were refused by the cluster.
#[derive(Debug, Default)]
pub(super) struct Strange(BTreeSet<Try>);

impl Strange {
    /// Takes in all of them; gives back those that were so the last time, and that nobody began since.
    fn still(&mut self, strange: BTreeSet<Try>) -> BTreeSet<Try> {
        let still = strange.intersection(&self.0).copied().collect();
        self.0 = strange;
        still
    }

    /// One of them begins now.
    fn begins(&mut self, gang: Try) {
        self.0.remove(&gang);
    }
}

/// Tries that have no Service because none could be made; whether it never can be, and why.
#[derive(Debug, Default)]
pub(super) struct Unnamed(BTreeMap<Try, (bool, String)>);

impl Unnamed {
    /// Makes the Services of these orders' gangs; one that is there already is as good.
    pub(super) fn after<'a>(shared: &Shared, orders: impl Iterator<Item = &'a StartOrder>) -> Unnamed {
        let mut unnamed = Unnamed::default();
        let tries: BTreeSet<Try> =
            orders.filter_map(Try::of).filter(|_| shared.addresses.get() == Some(&true)).collect();
        for gang in tries {
            shared.strange.lock().unwrap_or_else(PoisonError::into_inner).begins(gang);
            let service = gang.service(&shared.centre);
            match shared.client.call::<Value>(Method::Post, &shared.services_path(), Some(&service)) {
                Err(error) if error.code() != 409 => {
                    let for_good = matches!(error.code(), 400 | 403 | 422);
                    unnamed.0.insert(gang, (for_good, error.during("making the service of a gang").to_string()));
                }
                _ => {}
            }
        }
        unnamed
    }

    /// An order's gang is not one of them.
    pub(super) fn none_of(&self, order: &StartOrder) -> Result<(), NoPod> {
        match Try::of(order).and_then(|gang| self.0.get(&gang)) {
            None => Ok(()),
            Some((true, why)) => Err(NoPod::Refused(why.clone())),
            Some((false, why)) => Err(NoPod::Later(EngineError::Refused(why.clone()))),
        }
    }
}

/// Removes the Service of a try of which nothing is left.
pub(super) fn remove_if_over(shared: &Shared, gang: Try) {
    if shared.state().is_over(gang) == Some(true) {
        remove(shared, gang);
    }
}

fn remove(shared: &Shared, gang: Try) {
    let path = format!("{}/{}", shared.services_path(), gang.domain(&shared.centre));
    match shared.client.call::<Value>(Method::Delete, &path, None) {
        Err(error) if error.code() != 404 => {
            debug!(error = %error.during("removing a service"), "a gang's service stays for now");
        }
        _ => {}
    }
}

/// Removes all Services of tries of which nothing is left, and of those of which nothing ever came.
pub(super) fn clean(shared: &Shared) -> Result<(), CallError> {
    // Whoever does not answer is asked again at the next look.
    if may_name(shared) != Ok(true) {
        return Ok(());
    }
    let services: Listed<Service> = shared.list(&shared.services_path(), &shared.selector())?;
    let tries = || services.items.iter().filter_map(|service| Try::read(service.metadata.labels.get(LABEL)?));
    tries().for_each(|gang| remove_if_over(shared, gang));
    // Held until they are removed: who begins one of them makes its Service after that.
    let mut strange = shared.strange.lock().unwrap_or_else(PoisonError::into_inner);
    let unknown = tries().filter(|&gang| shared.state().is_over(gang).is_none()).collect();
    strange.still(unknown).into_iter().for_each(|gang| remove(shared, gang));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_began_is_removed_at_the_second_look() {
        let of = |jobs: &[u64]| jobs.iter().map(|&job| Try { job: JobId(job), attempt: 1 }).collect::<BTreeSet<_>>();
        let mut strange = Strange::default();
        let mut check = |now: &[u64], removed: &[u64]| assert_eq!(strange.still(of(now)), of(removed), "{now:?}");
        check(&[1, 2, 3], &[]);
        check(&[2, 3, 4], &[2, 3]);
        check(&[3, 4], &[3, 4]);
        check(&[5], &[]);
        strange.begins(Try { job: JobId(5), attempt: 1 });
        assert_eq!(strange.still(of(&[5])), of(&[]), "somebody began it");
        assert_eq!(strange.still(of(&[5])), of(&[5]));
    }
}
