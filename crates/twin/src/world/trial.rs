//! What a network refuses at its beginning: a scenario that asks for it is not run.

use huisuan_control::Refusal;
use huisuan_model::{Command, command::Origin};

use super::{Observer, World};
use crate::{
    setup::Setup,
    workload::{Family, Workload},
};

impl<O: Observer> World<O> {
    /// The first reservation of a setup that its network refuses, by its place in the list, and why.
    ///
    /// # Panics
    ///
    /// As [`World::new`], but for reservations.
    pub fn refused_reservation(setup: &Setup, observer: O) -> Option<(usize, Refusal)> {
        let empty = Setup { reservations: Vec::new(), ..setup.clone() };
        let mut world = World::new(empty, nothing(setup), observer);
        let operator = world.origins.operator.clone();
        setup.reservations.iter().enumerate().find_map(|(number, asked)| {
            let command = Command::Reserve(Box::new(asked.clone()));
            world.execute(&operator, &command, setup.start).err().map(|refusal| (number, refusal))
        })
    }

    /// The first family none of whose jobs could ever run, by its place in the list, and why its last one could not.
    ///
    /// # Panics
    ///
    /// As [`World::new`].
    pub fn refused_family(setup: &Setup, families: &[Family], observer: O) -> Option<(usize, Refusal)> {
        let projects = Workload::new(families.to_vec(), Vec::new(), setup.start, setup.end, setup.seed);
        let mut world = World::new(setup.clone(), projects, observer);
        families.iter().enumerate().find_map(|(number, family)| {
            let ((tenant, project), _) = family.owners.first()?;
            let (tenant, project) = (tenant.clone(), project.clone());
            let origin = Origin { actor: world.origins.user.clone(), tenant, project, cause: String::new() };
            let mut refusals = family.specs.iter().map(|(spec, _)| {
                let command = Command::Submit { spec: spec.clone(), key: None, ended: Vec::new() };
                let refusal = world.execute(&origin, &command, setup.start).err();
                refusal.filter(|refusal| matches!(refusal, Refusal::NeverFits { .. }))
            });
            let last = refusals.next()??;
            refusals.try_fold(last, |_, next| next).map(|refusal| (number, refusal))
        })
    }
}

fn nothing(setup: &Setup) -> Workload {
    Workload::new(Vec::new(), Vec::new(), setup.start, setup.end, setup.seed)
}
