//! The last word of the fake kubelet, as a real one has it: a pod for which its node has no room fails before anything of
//! it runs. Its scheduler may have seen less than the node, or have been none.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

use super::cluster::{amount, text};

/// Where what a container asks for is in a pod.
const REQUESTS: &str = "/spec/containers/0/resources/requests";

/// The pods that a node let in, and what each asks for, by uid.
#[derive(Debug, Default)]
pub(crate) struct Admission(Mutex<BTreeMap<String, Value>>);

impl Admission {
    /// Lets a pod in, or says why not: Kubernetes' word, and a sentence.
    pub(crate) fn admit(&self, pod: &Value, node: &Value) -> Result<(), (String, String)> {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = pod.pointer(REQUESTS).cloned().unwrap_or_default();
        for (resource, wanted) in requests.as_object().into_iter().flatten() {
            let used: u64 = inside.values().map(|other| amount(other.get(resource))).sum();
            let (wanted, all) = (amount(Some(wanted)), amount(node["status"]["allocatable"].get(resource)));
            if used + wanted > all {
                let why = format!("Node didn't have enough resource: {resource}, requested: {wanted}, used: {used}");
                return Err((format!("OutOf{resource}"), format!("{why}, capacity: {all}")));
            }
        }
        inside.insert(text(pod, "/metadata/uid").to_owned(), requests);
        Ok(())
    }

    /// Nothing of a pod runs any more.
    pub(crate) fn leave(&self, pod: &Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(text(pod, "/metadata/uid"));
    }
}
