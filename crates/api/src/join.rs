//! What an operator hands to a site so that its agent finds the network: one word with all that it needs.
//!
//! `hsj_` and the hexadecimal form of `URL CENTRE CLASS`, then `_` and the secret part of the centre's token. It is as
//! secret as the token in it.

use std::{fmt, str::FromStr};

use huisuan_model::{CentreId, Class, hex};

/// What a join token begins with.
const PREFIX: &str = "hsj_";
/// What the token of a centre's agent begins with.
const TOKEN_PREFIX: &str = "hsa_";

/// The parts of a join token.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Where the site reaches the server, `http://HOST:PORT`.
    pub server: String,
    /// The centre.
    pub centre: CentreId,
    /// The class that it is run as.
    pub class: Class,
    /// The token of its agent, with its `hsa_`.
    pub token: String,
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = format!("{} {} {}", self.server, self.centre, self.class);
        let secret = self.token.strip_prefix(TOKEN_PREFIX).unwrap_or(&self.token);
        write!(f, "{PREFIX}{}_{secret}", hex::encode(place.as_bytes()))
    }
}

/// Without the secret, so that no log has it.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("server", &self.server).field("centre", &self.centre).finish_non_exhaustive()
    }
}

impl FromStr for JoinToken {
    type Err = String;

    /// The error never repeats the text: it may be most of a good token.
    fn from_str(text: &str) -> Result<Self, String> {
        let broken =
            || "this is no whole join token: it begins with hsj_ and comes from `huisuan centre add`".to_owned();
        let (place, secret) =
            text.trim().strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or_else(broken)?;
        let whole = secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        let place = hex::decode_text(place).filter(|_| whole).ok_or_else(broken)?;
        let mut words = place.split(' ');
        let (Some(server), Some(centre), Some(class), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(broken());
        };
        Ok(JoinToken {
            server: server.to_owned(),
            centre: CentreId::new(centre).map_err(|_| broken())?,
            class: class.parse().map_err(|_| broken())?,
            token: format!("{TOKEN_PREFIX}{secret}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_token_says_where_and_who() {
        let join = JoinToken {
            server: "http://10.0.0.1:8700".to_owned(),
            centre: CentreId::new("hpc_1.x:y-z").expect("a name"),
            class: Class::Hpc,
            token: format!("hsa_{}", "0a".repeat(32)),
        };
        let text = join.to_string();
        assert_eq!(text.parse(), Ok(join.clone()));
        assert_eq!(format!(" {text}\n").parse(), Ok(join.clone()), "as it is copied");
        assert!(!format!("{join:?}").contains("0a0a"), "no secret in logs");
        let long = format!("{text}0");
        for wrong in ["", "hsj_", "hsj_00_11", &text[..text.len() - 1], &text[4..], &long, &text.replace('_', "-")] {
            let refused = wrong.parse::<JoinToken>().expect_err(wrong);
            assert!(!refused.contains("0a0a"), "{refused}");
        }
    }
}
