//! Who gives commands in a simulated network.

use huisuan_model::{ActorId, ProjectId, TenantId, command::Origin, ids::NAME_LENGTH_MAX};

use crate::setup::Setup;

/// Who acts.
pub(super) struct Origins {
    pub(super) user: ActorId,
    pub(super) planner: Origin,
    pub(super) operator: Origin,
    /// The agents of the centres.
    pub(super) agents: Vec<Origin>,
}

impl Origins {
    pub(super) fn new(setup: &Setup) -> Self {
        let origin = |actor: &str| Origin {
            // A centre's name may be as long as an actor's; a cut name is still a name.
            actor: ActorId::new(&actor.chars().take(NAME_LENGTH_MAX).collect::<String>()).expect("made of names"),
            tenant: TenantId::new("network").expect("the constant is a name"),
            project: ProjectId::new("network").expect("the constant is a name"),
            cause: String::new(),
        };
        Origins {
            user: origin("user").actor,
            planner: origin("planner"),
            operator: origin("operator"),
            agents: setup.sites.iter().map(|site| origin(&format!("agent:{}", site.centre.id))).collect(),
        }
    }
}
