//! Specs that came lately and what follows from them alone: their hashes, and the shapes of their jobs. Who submits the
//! same spec over and over, as every workload does, has it checked and hashed once; what has a shape already is not
//! given another copy. Derived, never stored, and no decision depends on it.

use std::sync::Arc;

use huisuan_model::{Job, JobSpec, ProjectId, Shape, SpecHash, TenantId};

/// The most specs that are remembered, and the most shapes of each. They are looked through one by one.
const KNOWN_MAX: usize = 64;

/// Specs by where they lie in memory: a spec that is known is the very same one, and nobody can change it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Specs {
    known: Vec<Known>,
    /// Where the next one is put when all places are taken.
    oldest: usize,
}

#[derive(Debug, Clone)]
struct Known {
    spec: Arc<JobSpec>,
    hash: SpecHash,
    shapes: Vec<Arc<Shape>>,
}

impl Specs {
    /// The hash of a spec that was accepted before, and so is valid.
    pub(crate) fn hash(&self, spec: &Arc<JobSpec>) -> Option<SpecHash> {
        self.find(spec).map(|known| known.hash)
    }

    /// Remembers the spec of a job that was accepted, and its shape.
    pub(crate) fn learn(&mut self, job: &Job) {
        let at = self.known.iter().position(|known| Arc::ptr_eq(&known.spec, &job.spec)).unwrap_or_else(|| {
            let known = Known { spec: job.spec.clone(), hash: job.spec_hash, shapes: Vec::new() };
            if self.known.len() < KNOWN_MAX {
                self.known.push(known);
                return self.known.len() - 1;
            }
            let at = self.oldest;
            self.known[at] = known;
            self.oldest = (at + 1) % KNOWN_MAX;
            at
        });
        let shapes = &mut self.known[at].shapes;
        if shapes.len() < KNOWN_MAX && shapes.iter().all(|shape| !is_of(shape, &job.tenant, &job.project)) {
            shapes.push(Arc::new(Shape::of(&job.tenant, &job.project, &job.spec)));
        }
    }

    /// The shape of a job's tasks.
    pub(crate) fn shape(&self, job: &Job) -> Arc<Shape> {
        let alike = job.refused_by.is_empty() && job.spec.budget.is_none();
        let known = self.of(&job.tenant, &job.project, &job.spec).filter(|_| alike);
        known.cloned().unwrap_or_else(|| Arc::new(Shape::of_job(job)))
    }

    /// The shape of the tasks that a spec asks for.
    pub(crate) fn shape_of(&self, tenant: &TenantId, project: &ProjectId, spec: &Arc<JobSpec>) -> Arc<Shape> {
        let known = self.of(tenant, project, spec);
        known.cloned().unwrap_or_else(|| Arc::new(Shape::of(tenant, project, spec)))
    }

    fn of(&self, tenant: &TenantId, project: &ProjectId, spec: &Arc<JobSpec>) -> Option<&Arc<Shape>> {
        self.find(spec)?.shapes.iter().find(|shape| is_of(shape, tenant, project))
    }

    fn find(&self, spec: &Arc<JobSpec>) -> Option<&Known> {
        self.known.iter().find(|known| Arc::ptr_eq(&known.spec, spec))
    }
}

fn is_of(shape: &Shape, tenant: &TenantId, project: &ProjectId) -> bool {
    (&shape.tenant, &shape.project) == (tenant, project)
}
