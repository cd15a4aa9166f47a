//! Submissions that wait for other jobs: the live state knows those that go on, the store those that have ended.

use std::sync::Arc;

use huisuan_control::Refusal;
use huisuan_model::{Command, EndedJob, JobId, JobSpec, TenantId, command::Origin};

use super::Failure;
use crate::{
    server::Shared,
    writer::{Done, WriterError},
};

/// Has a job submitted. A job that it waits for and that the state has forgotten is looked up in the store and told
/// with the command; that what ended before a refusal is stored by then is sure, because answers come after commits.
pub(super) async fn submit(
    shared: &Shared,
    origin: Origin,
    spec: Arc<JobSpec>,
    key: Option<Arc<str>>,
) -> Result<Done, Failure> {
    let mut ended: Vec<EndedJob> = Vec::new();
    loop {
        let command = Command::Submit { spec: spec.clone(), key: key.clone(), ended: ended.clone() };
        let unknown = match shared.writer.execute(origin.clone(), command).await {
            Err(WriterError::Refused(Refusal::UnknownDependency(job))) => job,
            other => return Ok(other?),
        };
        // Each round learns of one more, so there are no more rounds than jobs waited for.
        match find(shared, &origin.tenant, unknown).await? {
            Some(found) if !ended.contains(&found) => ended.push(found),
            _ => return Err(Refusal::UnknownDependency(unknown).into()),
        }
    }
}

/// A job of this tenant that has ended.
async fn find(shared: &Shared, tenant: &TenantId, id: JobId) -> Result<Option<EndedJob>, Failure> {
    let row = shared.readers.read(move |reader| reader.job(id)).await?;
    let ended = row.filter(|job| job.tenant == *tenant && job.state.terminal());
    Ok(ended.map(|job| EndedJob { job: id, state: job.state }))
}
