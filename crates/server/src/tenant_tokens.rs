//! Tokens of tenants: random, shown once, known only by their hashes.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use huisuan_control::State;
use huisuan_model::{TenantId, hex, tenant::TokenHash};
use sha2::{Digest, Sha256};

use crate::secrets;

/// What a tenant's token begins with. Its name comes last, so that the token itself says whose hash to look at.
const PREFIX: &str = "hst_";

/// The hashes of all tenants that have a token, as the state has them.
#[derive(Debug, Default)]
pub(crate) struct TenantTokens {
    hashes: RwLock<BTreeMap<TenantId, TokenHash>>,
    /// Held by whoever gives a token until it is known.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl TenantTokens {
    pub(crate) fn of(state: &State) -> Self {
        let hashes = state.tenants().values().filter_map(|tenant| Some((tenant.id.clone(), tenant.token?)));
        TenantTokens { hashes: RwLock::new(hashes.collect()), ..TenantTokens::default() }
    }

    /// Knows a token from now on, in place of the one before. Called once its hash is durable.
    pub(crate) fn set(&self, tenant: TenantId, hash: TokenHash) {
        self.hashes.write().unwrap_or_else(PoisonError::into_inner).insert(tenant, hash);
    }

    /// Whose token this is. The hashes are compared in a time that does not depend on them.
    pub(crate) fn tenant_of(&self, token: &str) -> Option<TenantId> {
        let (_, name) = token.strip_prefix(PREFIX)?.split_once('_')?;
        let tenant = TenantId::new(name).ok()?;
        let known = *self.hashes.read().unwrap_or_else(PoisonError::into_inner).get(&tenant)?;
        secrets::equal(&hash(token).to_string(), &known.to_string()).then_some(tenant)
    }
}

/// A new token of a tenant.
pub(crate) fn make(tenant: &TenantId) -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(format!("{PREFIX}{}_{tenant}", hex::encode(&bytes)))
}

/// What a token is recognised by. It has 256 random bits, so that one round is enough.
pub(crate) fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_until_the_next_one() {
        let tenant = |name| TenantId::new(name).expect("a name");
        // Names may hold what separates the parts of a token.
        let names = ["lab", "a_b", "x.y:z-1"];
        let tokens = TenantTokens::default();
        for name in names {
            let token = make(&tenant(name)).expect("random bytes");
            assert_eq!(tokens.tenant_of(&token), None, "{name}");
            tokens.set(tenant(name), hash(&token));
            assert_eq!(tokens.tenant_of(&token), Some(tenant(name)));
            let next = make(&tenant(name)).expect("random bytes");
            assert_ne!(next, token);
            tokens.set(tenant(name), hash(&next));
            assert_eq!((tokens.tenant_of(&token), tokens.tenant_of(&next)), (None, Some(tenant(name))));
            let bent = next.replace(&format!("_{name}"), "_other");
            for wrong in [&bent, &next[..next.len() - 1], &next[4..], "hst_", "hst__lab", ""] {
                assert_eq!(tokens.tenant_of(wrong), None, "{wrong}");
            }
        }
    }
}
