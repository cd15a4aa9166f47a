//! Ratings: how fast a pool is, who found that out and how, and why somebody may doubt it.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    centre::Mark,
    ids::{CentreId, PoolId},
    precision::Precision,
    quantity::{Bytes, GflopPerS, TimeMs},
};

/// A versioned record of how fast a pool is. A record is never rewritten: a new measurement is a new version, and
/// what was placed under an old one keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// Counts from 1 for a pool; a new measurement is a new version.
    pub version: u32,
    /// Sustained rate of the whole pool in the precision of its class.
    pub sustained: GflopPerS,
    /// Computed or declared peak of the whole pool; 0 where nobody knows it.
    pub nameplate: GflopPerS,
    /// How it was measured, such as `gemm-gemmkit/2`: the unit is pinned to a method and its version, and rates of
    /// different ones are not compared.
    pub method: String,
    /// Whether `sustained` was measured, modelled or declared.
    pub mark: Mark,
    /// When.
    pub rated_at: TimeMs,
    /// The signed rest of the record; ratings made before there were any, or by a twin, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Arc<Certificate>>,
    /// Why the network does not believe it. While there is a doubt, nothing new is placed on the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// What an agent signs beside the rate of the pool's class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The rates by precision, the one of the pool's class among them.
    pub rates: Vec<PrecisionRate>,
    /// Memory of one device, or of the pool where it has no devices.
    pub memory: Bytes,
    /// Measured memory bandwidth of the whole pool in MB/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_mb_per_s: Option<u64>,
    /// Declared power cap of the whole pool in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<u32>,
    /// SHA-256 of what the machine says of itself, in hexadecimal digits.
    pub host_hash: String,
    /// SHA-256 of the record with all raw timings, which stays at the centre.
    pub data_hash: String,
    /// From when on the rating does not count any more.
    pub expires_at: TimeMs,
    /// The ed25519 key of the agent that measured, in hexadecimal digits.
    pub key: String,
    /// Its signature of [`Rating::signed_text`].
    pub signature: String,
}

/// The rates of a pool in one precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrecisionRate {
    /// Which.
    pub precision: Precision,
    /// Sustained rate of the whole pool; `None` where only the nameplate is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sustained: Option<GflopPerS>,
    /// Computed or declared peak of the whole pool; `None` where nobody knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nameplate: Option<GflopPerS>,
}

/// Why a rating is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Doubt {
    /// It is above its own peak.
    AboveNameplate {
        /// What it says.
        sustained: GflopPerS,
        /// What the hardware can do at most.
        nameplate: GflopPerS,
    },
    /// It is above what the maker of the part declares.
    AbovePart {
        /// What it says.
        sustained: GflopPerS,
        /// What so many of the part can do at most.
        ceiling: GflopPerS,
        /// Who declares that.
        source: String,
    },
    /// It is far above what other centres measured on the same part by the same method.
    AbovePeers {
        /// What it says of one core or device, in MFLOP/s.
        each_mflops: u64,
        /// The median of the others, in MFLOP/s.
        median_mflops: u64,
        /// How many others.
        peers: u32,
    },
    /// Its signature is not good: it was changed on its way, or made up.
    Signature,
    /// It is too old: the pool has to be measured again.
    Expired {
        /// Until when it counted.
        at: TimeMs,
    },
    /// It is signed by another key than the one that this centre's ratings are signed with.
    OtherKey {
        /// The key that is known.
        known: String,
    },
}

impl Doubt {
    /// The word in JSON and in tables.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Doubt::AboveNameplate { .. } => "above-nameplate",
            Doubt::AbovePart { .. } => "above-part",
            Doubt::AbovePeers { .. } => "above-peers",
            Doubt::Signature => "signature",
            Doubt::Expired { .. } => "expired",
            Doubt::OtherKey { .. } => "other-key",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::AboveNameplate { sustained, nameplate } => {
                write!(f, "{} GFLOP/s sustained is above its own peak of {}", sustained.0, nameplate.0)
            }
            Doubt::AbovePart { sustained, ceiling, source } => {
                write!(
                    f,
                    "{} GFLOP/s sustained is above the {} that the part can do ({source})",
                    sustained.0, ceiling.0
                )
            }
            Doubt::AbovePeers { each_mflops, median_mflops, peers } => write!(
                f,
                "{each_mflops} MFLOP/s each is far above the {median_mflops} that {peers} other pools of the part reach"
            ),
            Doubt::Signature => f.write_str("its signature does not fit what it says"),
            Doubt::Expired { .. } => f.write_str("it is too old and has to be measured again"),
            Doubt::OtherKey { known } => {
                let known: String = known.chars().take(16).collect();
                write!(f, "it is signed by another key than the centre's, which begins with {known}")
            }
        }
    }
}

impl Rating {
    /// A rating without a certificate, of version 1: the network counts versions.
    #[must_use]
    pub fn plain(sustained: GflopPerS, nameplate: GflopPerS, method: &str, mark: Mark, rated_at: TimeMs) -> Self {
        Rating {
            version: 1,
            sustained,
            nameplate,
            method: method.to_owned(),
            mark,
            rated_at,
            certificate: None,
            doubt: None,
        }
    }

    /// Whether work may be placed by it: nobody doubts it.
    #[must_use]
    pub fn trusted(&self) -> bool {
        self.doubt.is_none()
    }

    /// Whether its units may be sold: it was measured, or modelled in a twin, and nobody doubts it. What is only
    /// declared is no certified capacity: it is shown apart, and a demand in units is not served by it.
    #[must_use]
    pub fn certified(&self) -> bool {
        self.trusted() && self.mark != Mark::Declared
    }

    /// Whether it is too old to count.
    #[must_use]
    pub fn expired(&self, now: TimeMs) -> bool {
        self.certificate.as_ref().is_some_and(|certificate| certificate.expires_at <= now)
    }

    /// What the agent of a centre signs for a pool: everything that it says, in one fixed form. Version and doubt
    /// are the network's and are not part of it.
    #[must_use]
    pub fn signed_text(&self, centre: &CentreId, pool: &PoolId) -> String {
        let unsigned = |certificate: &Arc<Certificate>| {
            Arc::new(Certificate { signature: String::new(), ..certificate.as_ref().clone() })
        };
        let certificate = self.certificate.as_ref().map(unsigned);
        let said = Rating { version: 0, doubt: None, certificate, ..self.clone() };
        let text = serde_json::to_string(&said).expect("a rating has string keys");
        format!("huisuan rating 1\n{centre}\n{pool}\n{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rating() -> Rating {
        let certificate = Certificate { key: "00".into(), signature: "11".into(), ..Certificate::default() };
        Rating {
            certificate: Some(Arc::new(Certificate { expires_at: TimeMs(100), ..certificate })),
            ..Rating::plain(GflopPerS(60), GflopPerS(90), "test/1", Mark::Measured, TimeMs(0))
        }
    }

    #[test]
    fn ratings_of_earlier_versions_are_read_and_written_as_they_were() {
        let old = r#"{"version":2,"sustained":60,"nameplate":90,"method":"gemm/1","mark":"measured","rated_at":5}"#;
        let read: Rating = serde_json::from_str(old).expect("an old rating");
        assert_eq!((read.certificate.as_ref(), read.doubt.as_ref()), (None, None));
        assert_eq!(serde_json::to_string(&read).expect("written"), old);
    }

    #[test]
    fn the_signature_covers_all_that_the_agent_says() {
        let (centre, pool) = (CentreId::new("hpc-1").expect("a name"), PoolId::new("cpu:test").expect("a name"));
        let text = |rating: &Rating| rating.signed_text(&centre, &pool);
        let said = text(&rating());
        assert_eq!(said, text(&Rating { version: 9, doubt: Some(Doubt::Signature), ..rating() }));
        let other_pool = PoolId::new("cpu:other").expect("a name");
        assert_ne!(said, rating().signed_text(&centre, &other_pool));
        for changed in [
            Rating { sustained: GflopPerS(61), ..rating() },
            Rating { mark: Mark::Declared, ..rating() },
            Rating { rated_at: TimeMs(1), ..rating() },
            Rating { certificate: None, ..rating() },
        ] {
            assert_ne!(said, text(&changed));
        }
    }

    #[test]
    fn what_is_doubted_declared_or_old_is_not_sold() {
        assert!(rating().trusted() && rating().certified());
        let declared = Rating { mark: Mark::Declared, ..rating() };
        assert!(declared.trusted() && !declared.certified());
        let doubted = Rating { doubt: Some(Doubt::Signature), ..rating() };
        assert!(!doubted.trusted() && !doubted.certified());
        assert!(!rating().expired(TimeMs(99)) && rating().expired(TimeMs(100)));
        let plain = Rating { certificate: None, ..rating() };
        assert!(!plain.expired(TimeMs(i64::MAX)), "records from before certificates keep theirs");
    }
}
