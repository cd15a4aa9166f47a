//! Typed ids. Jobs are numbered from 1 in a network; everything else has a name in a narrow alphabet,
//! so that a name can reach an engine, a path or a metric label without being quoted.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty, too long or has a character outside the alphabet.
    #[error(
        "{kind} `{value}` is not a name: 1 to 64 characters of A-Z a-z 0-9 . _ : - beginning with a letter or digit"
    )]
    Name {
        /// What the name was to stand for.
        kind: &'static str,
        /// The offending text, cut to 80 characters.
        value: String,
    },
    /// The text is not a positive number.
    #[error("job id `{0}` is not a number from 1")]
    Job(String),
    /// The text is not `job.task.attempt`.
    #[error("attempt id `{0}` is not job.task.attempt, such as 12.0.1")]
    Attempt(String),
}

/// The longest name accepted, in bytes.
pub const NAME_LENGTH_MAX: usize = 64;

fn valid_name(text: &str) -> bool {
    text.len() <= NAME_LENGTH_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Eq)]
        pub struct $name(Arc<str>);

        // Written out because a comparison of `Arc<str>` always reads the text. Most names that are compared are copies
        // of one another, and share it.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl $name {
            /// Checks the alphabet and length and makes the id.
            pub fn new(text: &str) -> Result<Self, IdError> {
                if valid_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError::Name { kind: $kind, value: text.chars().take(80).collect() })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(de::Error::custom)
            }
        }
    )*};
}

names! {
    /// A centre of the network, such as `hpc-1`.
    CentreId = "centre";
    /// A pool of one centre: the part number of its devices, such as `cpu:EPYC-7742`.
    PoolId = "pool";
    /// Who pays.
    TenantId = "tenant";
    /// What for, within a tenant.
    ProjectId = "project";
    /// A kind of work whose speed was measured against ratings, such as `llm-train`.
    ApplicationId = "application";
    /// Who acted: a person, an agent or a loop of the server.
    ActorId = "actor";
}

/// A job's number in its network, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(IdError::Job(text.chars().take(80).collect())),
        }
    }
}

/// One try to run one task of a job at one centre. Written `job.task.attempt`; attempts count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The job.
    pub job: JobId,
    /// The index of the task in its job, as the user numbered it.
    pub task: u32,
    /// The number of the try, from 1.
    pub attempt: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.job, self.task, self.attempt)
    }
}

impl FromStr for AttemptId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::Attempt(text.chars().take(80).collect());
        let mut parts = text.split('.');
        let mut next = || parts.next().filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
        let job = next().and_then(|p| p.parse().ok()).ok_or_else(error)?;
        let task = next().and_then(|p| p.parse().ok()).ok_or_else(error)?;
        let attempt = next().and_then(|p| p.parse().ok()).ok_or_else(error)?;
        if parts.next().is_some() {
            return Err(error());
        }
        Ok(Self { job, task, attempt })
    }
}

impl Serialize for AttemptId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AttemptId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_narrow_alphabet() {
        for good in ["a", "hpc-1", "cpu:EPYC-7742", "user.name_2", &"x".repeat(64)] {
            assert!(CentreId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", ".x", "a b", "a/b", "a\n", "é", "汇算", "a;rm", &"x".repeat(65)] {
            assert!(CentreId::new(bad).is_err(), "{bad}");
        }
    }

    /// What is hashed, as it is.
    #[derive(Default)]
    struct Written(Vec<u8>);

    impl std::hash::Hasher for Written {
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    #[test]
    fn names_compare_as_their_texts_whether_or_not_they_share_them() {
        let name = |text: &str| TenantId::new(text).expect("a name");
        for (one, other) in [("a", "a"), ("a", "b"), ("b", "a"), ("ab", "a"), ("a", "ab"), ("B", "a")] {
            assert_eq!(name(one).cmp(&name(other)), one.cmp(other), "{one} {other}");
            assert_eq!(name(one) == name(other), one == other, "{one} {other}");
        }
        let first = name("a");
        let (shared, apart) = (first.clone(), name("a"));
        let hash = |name: &TenantId| {
            let mut written = Written::default();
            name.hash(&mut written);
            written.0
        };
        for other in [shared, apart] {
            assert_eq!(first, other);
            assert_eq!(first.cmp(&other), Ordering::Equal);
            assert_eq!(hash(&first), hash(&other));
        }
    }

    #[test]
    fn attempt_ids_round_trip() {
        let id = AttemptId { job: JobId(12), task: 0, attempt: 1 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "1", "1.2", "1.2.3.4", "0.1.1", "1.-2.3", "1.+2.3", "a.b.c", "1.2.99999999999"] {
            assert!(bad.parse::<AttemptId>().is_err(), "{bad}");
        }
    }
}
