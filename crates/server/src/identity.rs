//! Who asks: what a request or a loop may do, and the origin that goes with its commands.

use huisuan_model::{ActorId, CentreId, ProjectId, TenantId, command::Origin};

/// The tenant of a network with one user.
pub(crate) const LOCAL_TENANT: &str = "local";
/// The project of work that names none.
pub(crate) const DEFAULT_PROJECT: &str = "default";

/// Whoever stands behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The user of this network: may do all that people do.
    User(ActorId),
    /// The agent of one centre: may speak for it alone.
    Agent(CentreId),
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new(LOCAL_TENANT).expect("the constant is a name")
}

fn origin(actor: &str, cause: String) -> Origin {
    Origin {
        actor: ActorId::new(actor).expect("actors are made of checked names"),
        tenant: tenant(),
        project: ProjectId::new(DEFAULT_PROJECT).expect("the constant is a name"),
        cause,
    }
}

/// The origin of what a user asks by a request.
pub(crate) fn user(actor: &ActorId, request: String) -> Origin {
    origin(actor.as_str(), request)
}

/// The origin of what a centre's agent brings.
pub(crate) fn agent(centre: &CentreId) -> Origin {
    // A centre's name may be as long as an actor's; a cut name is still a name.
    let name: String = format!("agent:{centre}").chars().take(huisuan_model::ids::NAME_LENGTH_MAX).collect();
    origin(&name, String::new())
}

/// The origin of plans.
pub(crate) fn planner() -> Origin {
    origin("planner", String::new())
}

/// The origin of what the server does for itself.
pub(crate) fn server() -> Origin {
    origin("server", String::new())
}
