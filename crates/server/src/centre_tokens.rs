//! Tokens of centres' agents: random ones that operators give, known only by their hashes; until a centre has one, the
//! one that the server's secret makes for it is good.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use huisuan_control::State;
use huisuan_model::{CentreId, hex, tenant::TokenHash};

use crate::{secrets, tenant_tokens::hash};

/// The hashes of all centres that were given a token, as the state has them.
#[derive(Debug, Default)]
pub(crate) struct CentreTokens {
    hashes: RwLock<BTreeMap<CentreId, TokenHash>>,
    /// Held by whoever gives a token until it is known.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl CentreTokens {
    pub(crate) fn of(state: &State) -> Self {
        let hashes = state.centres().values().filter_map(|centre| Some((centre.id.clone(), centre.token?)));
        CentreTokens { hashes: RwLock::new(hashes.collect()), ..CentreTokens::default() }
    }

    /// Knows a token from now on, in place of the one before. Called once its hash is durable.
    pub(crate) fn set(&self, centre: CentreId, hash: TokenHash) {
        self.hashes.write().unwrap_or_else(PoisonError::into_inner).insert(centre, hash);
    }

    /// Whether a centre has a token of its own.
    pub(crate) fn has(&self, centre: &CentreId) -> bool {
        self.hashes.read().unwrap_or_else(PoisonError::into_inner).contains_key(centre)
    }

    /// Whether a token is the centre's, in a time that does not depend on it; `derived` is that of a centre without
    /// one of its own.
    pub(crate) fn good(&self, centre: &CentreId, token: &str, derived: impl FnOnce() -> String) -> bool {
        let known = self.hashes.read().unwrap_or_else(PoisonError::into_inner).get(centre).copied();
        match known {
            Some(known) => secrets::equal(&hash(token).to_string(), &known.to_string()),
            None => secrets::equal(token, &derived()),
        }
    }
}

/// A new token.
pub(crate) fn make() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(format!("hsa_{}", hex::encode(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_token_takes_the_place_of_the_derived_one() {
        let centre = |name| CentreId::new(name).expect("a name");
        let tokens = CentreTokens::default();
        let derived = || "hsa_derived".to_owned();
        assert!(tokens.good(&centre("a"), "hsa_derived", derived) && !tokens.has(&centre("a")));
        let first = make().expect("random bytes");
        tokens.set(centre("a"), hash(&first));
        assert!(tokens.good(&centre("a"), &first, derived) && tokens.has(&centre("a")));
        let second = make().expect("random bytes");
        tokens.set(centre("a"), hash(&second));
        assert!(tokens.good(&centre("a"), &second, derived));
        for wrong in [&*first, "hsa_derived", "", &second[..second.len() - 1]] {
            assert!(!tokens.good(&centre("a"), wrong, derived), "{wrong}");
        }
        assert!(!tokens.good(&centre("b"), &second, derived), "it speaks for its own centre alone");
    }
}
