//! Jobs that the scheduler cannot tell apart share a shape: it is decided once for all of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    advance::ReservationId,
    centre::Class,
    ids::{CentreId, JobId, ProjectId, TenantId},
    job::Job,
    quantity::{Bytes, DurationMs},
    spec::{JobSpec, LatencyBound, Need, Objective, Reading},
    topology::Level,
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
    /// Only pools whose engine runs container images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub image: bool,
    /// What it minds of the network; nothing for most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Arc<Reach>>,
    /// Only out of what this reservation in advance keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationId>,
    /// The job, where it has a budget of its own: what may be held for it is no other's, and it shares its shape with
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_budget: Option<JobId>,
    /// Within one domain of this level: a gang that requires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Level>,
}

/// What a job minds of the network between centres.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Reach {
    /// How near it must be to its users.
    pub latency: Option<LatencyBound>,
    /// What each task reads or is brought, by centre.
    pub reads: Vec<Reading>,
    /// What it prefers.
    pub objective: Objective,
}

impl Reach {
    /// Of a job; `None` where it minds nothing.
    fn of(spec: &JobSpec) -> Option<Arc<Reach>> {
        let (latency, reads) = (spec.latency.clone(), spec.readings());
        if latency.is_none() && reads.is_empty() && spec.objective == Objective::default() {
            return None;
        }
        Some(Arc::new(Reach { latency, reads, objective: spec.objective }))
    }

    /// Whether it minds how far centres are from each other.
    pub fn minds_ways(&self) -> bool {
        self.latency.is_some() || !self.reads.is_empty()
    }
}

impl Shape {
    /// The shape of a job's tasks, without the centres that refused it.
    pub fn of_job(job: &Job) -> Self {
        let refused_by = job.refused_by.keys().cloned().collect();
        let own_budget = job.spec.budget.map(|_| job.id);
        Shape { refused_by, own_budget, ..Shape::of(&job.tenant, &job.project, &job.spec) }
    }

    /// The shape of the tasks that a spec asks for, whatever it may cost.
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
            image: spec.image.is_some(),
            reach: Reach::of(spec),
            reservation: spec.reservation,
            own_budget: None,
            topology: spec.topology.required(),
        }
    }

    /// What it prefers.
    pub fn objective(&self) -> Objective {
        self.reach.as_ref().map_or_else(Objective::default, |reach| reach.objective)
    }

    /// A number for all of it but who asks: the same on every machine, and told apart from others by 64 bits.
    pub fn kind(&self) -> u64 {
        let asked = (&self.class, &self.centres, &self.need, self.memory, self.walltime, self.gang, &self.reach);
        let mut text = serde_json::to_vec(&asked).expect("a shape has string keys and whole numbers");
        // After what was hashed before there were images, so that the numbers of all other shapes stay.
        text.extend_from_slice(if self.image { b"image" } else { b"" });
        if let Some(ReservationId(number)) = self.reservation {
            text.extend_from_slice(format!("reservation {number}").as_bytes());
        }
        if let Some(level) = self.topology {
            text.extend_from_slice(format!("topology {level}").as_bytes());
        }
        let digest = Sha256::digest(text);
        u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    }
}
