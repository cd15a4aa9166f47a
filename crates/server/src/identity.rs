//! Who asks: what a request or a loop may do, and the origin that goes with its commands.

use huisuan_api::ErrorCode;
use huisuan_control::DEFAULT_PROJECT;
use huisuan_model::{ActorId, CentreId, ProjectId, TenantId, command::Origin, ids::NAME_LENGTH_MAX};

use crate::http::Failure;

/// The tenant of a network with one user.
pub(crate) const LOCAL_TENANT: &str = "local";

/// Whoever stands behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The operator of this network: may do all that people do, for the local tenant where none is named.
    Operator(ActorId),
    /// Whoever has the token of a tenant: may do what concerns its own jobs.
    Tenant(TenantId),
    /// The agent of one centre: may speak for it alone.
    Agent(CentreId),
}

impl Identity {
    /// The origin of what people ask by a request.
    pub(crate) fn origin(&self, request: String) -> Result<Origin, Failure> {
        match self {
            Identity::Operator(actor) => Ok(origin(actor.as_str(), request)),
            Identity::Tenant(tenant) => {
                Ok(for_tenant(origin(&cut(format!("tenant:{tenant}")), request), tenant.clone()))
            }
            Identity::Agent(_) => Err(Failure::new(ErrorCode::Forbidden, "an agent cannot do this")),
        }
    }

    /// The tenant whose jobs alone it may see; `None` for all.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Identity::Operator(_) => Scope::All,
            Identity::Tenant(tenant) => Scope::Tenant(tenant.clone()),
            Identity::Agent(_) => Scope::Nothing,
        }
    }
}

/// Whose jobs somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everybody's.
    All,
    /// One tenant's.
    Tenant(TenantId),
    /// Nobody's.
    Nothing,
}

impl Scope {
    /// Whether a tenant's jobs may be seen.
    pub(crate) fn has(&self, tenant: &TenantId) -> bool {
        match self {
            Scope::All => true,
            Scope::Tenant(own) => own == tenant,
            Scope::Nothing => false,
        }
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new(LOCAL_TENANT).expect("the constant is a name")
}

/// The same origin for another tenant.
pub(crate) fn for_tenant(origin: Origin, tenant: TenantId) -> Origin {
    Origin { tenant, ..origin }
}

/// A prefixed name may be longer than a name; a cut name is still one.
fn cut(name: String) -> String {
    name.chars().take(NAME_LENGTH_MAX).collect()
}

fn origin(actor: &str, cause: String) -> Origin {
    Origin {
        actor: ActorId::new(actor).expect("actors are made of checked names"),
        tenant: tenant(),
        project: ProjectId::new(DEFAULT_PROJECT).expect("the constant is a name"),
        cause,
    }
}

/// The origin of what a centre's agent brings.
pub(crate) fn agent(centre: &CentreId) -> Origin {
    origin(&cut(format!("agent:{centre}")), String::new())
}

/// The origin of plans.
pub(crate) fn planner() -> Origin {
    origin("planner", String::new())
}

/// The origin of what the server does for itself.
pub(crate) fn server() -> Origin {
    origin("server", String::new())
}
