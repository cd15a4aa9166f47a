//! Jobs that the scheduler cannot tell apart share a shape: it is decided once for all of them.

use serde::{Deserialize, Serialize};

use crate::{
    centre::Class,
    ids::{CentreId, ProjectId, TenantId},
    job::Job,
    quantity::{Bytes, DurationMs},
    spec::{JobSpec, Need},
};

/// All that decides where a task may go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// Who pays.
    pub tenant: TenantId,
    /// What for.
    pub project: ProjectId,
    /// Only centres of this class.
    pub class: Option<Class>,
    /// Only these centres; any when empty.
    pub centres: Vec<CentreId>,
    /// Not these centres, whose own rules refused it. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_by: Vec<CentreId>,
    /// What each task needs.
    pub need: Need,
    /// Memory of each task.
    pub memory: Bytes,
    /// How long a task may take.
    pub walltime: DurationMs,
    /// The number of tasks that must start together.
    pub gang: Option<u32>,
}

impl Shape {
    /// The shape of a job's tasks, without the centres that refused it.
    pub fn of_job(job: &Job) -> Self {
        let refused_by = job.refused_by.keys().cloned().collect();
        Shape { refused_by, ..Shape::of(&job.tenant, &job.project, &job.spec) }
    }

    /// The shape of the tasks that a spec asks for.
    pub fn of(tenant: &TenantId, project: &ProjectId, spec: &JobSpec) -> Self {
        Shape {
            tenant: tenant.clone(),
            project: project.clone(),
            class: spec.class,
            centres: spec.centres.clone(),
            refused_by: Vec::new(),
            need: spec.need.clone(),
            memory: spec.memory,
            walltime: spec.walltime,
            gang: spec.gang.then(|| u32::try_from(spec.tasks.len()).unwrap_or(u32::MAX)),
        }
    }
}
