//! One pod is made, once.

use huisuan_model::StartOrder;
use serde_json::Value;

use super::{
    client::{CallError, Method},
    objects::Pod,
    pod::identity,
    shared::Shared,
};

/// What became of one creation.
pub(super) enum Created {
    New(Box<Pod>),
    Known(Box<Pod>),
    Refused(String),
}

/// Makes the pod of an order, or refuses it where none can be made. A pod's name is free for one only, whoever asks
/// and however often.
pub(super) fn create(
    shared: &Shared,
    order: &StartOrder,
    manifest: &Result<Value, String>,
) -> Result<Created, CallError> {
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(why) => return refuse(shared, order, why.clone()),
    };
    match shared.client.call::<Pod>(Method::Post, &shared.pods_path(), Some(manifest)) {
        Ok(pod) => Ok(Created::New(Box::new(pod))),
        Err(CallError::Answer(status)) if status.code == 409 && status.reason == "AlreadyExists" => {
            made(shared, order)?.ok_or(CallError::Answer(status))
        }
        // Quotas, admission and impossible values are about this pod; missing rights are about the agent.
        Err(CallError::Answer(status))
            if matches!(status.code, 400 | 403 | 422) && !status.message.contains("cannot create resource") =>
        {
            refuse(shared, order, format!("the cluster refused its pod: {}", status.message))
        }
        Err(error) => Err(error),
    }
}

/// Refuses an order for good, unless its pod is there: a request that nobody answered may have made it.
fn refuse(shared: &Shared, order: &StartOrder, why: String) -> Result<Created, CallError> {
    Ok(made(shared, order)?.unwrap_or(Created::Refused(why)))
}

/// What has the name of an order's pod already; `None` where it is free.
fn made(shared: &Shared, order: &StartOrder) -> Result<Option<Created>, CallError> {
    let Some(pod) = shared.find(order.attempt)? else { return Ok(None) };
    let hash = order.spec.hash().to_string();
    Ok(Some(match identity(&pod.metadata) {
        Some((id, same)) if id == order.attempt && same == hash => Created::Known(Box::new(pod)),
        _ => Created::Refused(format!(
            "pod `{}` is there and is of another job; hint: two networks use one namespace, or a backup was restored",
            pod.metadata.name
        )),
    }))
}
