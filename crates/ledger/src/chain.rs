//! The chain over all transfers: each has a hash over itself and the hash before it, so that none can be changed,
//! dropped, added or moved without another end. Anybody can compute it from an export, with nothing but SHA-256.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use huisuan_model::{AttemptId, JobId, TimeMs, hex};
use sha2::{Digest as _, Sha256};

use crate::text::TextError;

/// A hash of the chain; 64 characters of 0-9 a-f as text.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        hex::decode(text).map(Self).ok_or_else(|| TextError::new("hash", text, "64 characters of 0-9 a-f"))
    }
}

/// A transfer as the chain sees it: the texts and numbers of its row, whatever program wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The journal entry that made it.
    pub seq: u64,
    /// When that was decided.
    pub at: TimeMs,
    /// Why it moved.
    pub kind: &'a str,
    /// What moved.
    pub asset: &'a str,
    /// From where.
    pub debit: &'a str,
    /// To where.
    pub credit: &'a str,
    /// How much.
    pub amount: i64,
    /// For which job.
    pub job: Option<JobId>,
    /// For which attempt.
    pub attempt: Option<AttemptId>,
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chain {
    count: u64,
    head: Digest,
    /// Memory that is used again for each text.
    text: String,
}

impl Chain {
    /// The end after `count` transfers, with the hash of the last; zeros before the first.
    pub fn at(count: u64, head: Digest) -> Self {
        Self { count, head, text: String::new() }
    }

    /// How many transfers are before the end. The next has this number and one more.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The hash of the last one; zeros before the first.
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Adds a transfer and gives its hash: SHA-256 of one line of text,
    /// `before|number|seq|at_ms|kind|asset|debit|credit|amount|job|attempt`, where `before` is the hash before it as
    /// text, and an absent job or attempt is empty. No part can hold a `|`.
    pub fn append(&mut self, line: &Line<'_>) -> Digest {
        self.count += 1;
        self.text.clear();
        self.write(line).expect("a text takes what is written");
        self.head = Digest(Sha256::digest(self.text.as_bytes()).into());
        self.head
    }

    fn write(&mut self, line: &Line<'_>) -> fmt::Result {
        let Line { seq, at, kind, asset, debit, credit, amount, job, attempt } = line;
        let (text, number) = (&mut self.text, self.count);
        text.push_str(&hex::encode(&self.head.0));
        write!(text, "|{number}|{seq}|{}", at.0)?;
        for part in [kind, asset, debit, credit] {
            text.push('|');
            text.push_str(part);
        }
        write!(text, "|{amount}|")?;
        if let Some(job) = job {
            write!(text, "{job}")?;
        }
        text.push('|');
        if let Some(attempt) = attempt {
            write!(text, "{attempt}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line<'_> = Line {
        seq: 7,
        at: TimeMs(1_000),
        kind: "fund",
        asset: "CNY",
        debit: "funding",
        credit: "tenant:lab",
        amount: 100,
        job: None,
        attempt: None,
    };

    #[test]
    fn the_text_is_as_documented() {
        let mut chain = Chain::default();
        let first = chain.append(&LINE);
        let text = format!("{}|1|7|1000|fund|CNY|funding|tenant:lab|100||", "0".repeat(64));
        assert_eq!(chain.text, text);
        // printf '%s' TEXT | sha256sum
        assert_eq!(first.to_string(), "4ff3a87e24b9eab784dd8d0b948ddfa054a259c24f1377d16749ef7ea07fafb9");
        let attempt = AttemptId { job: JobId(3), task: 0, attempt: 1 };
        let second = chain.append(&Line { job: Some(JobId(3)), attempt: Some(attempt), ..LINE });
        assert_eq!(chain.text, format!("{first}|2|7|1000|fund|CNY|funding|tenant:lab|100|3|3.0.1"));
        assert_eq!((chain.count(), chain.head()), (2, second));
        assert_eq!(second.to_string().parse(), Ok(second));
        assert!("0".repeat(63).parse::<Digest>().is_err());
    }

    #[test]
    fn every_part_counts() {
        let attempt = AttemptId { job: JobId(3), task: 0, attempt: 1 };
        let others = [
            Line { seq: 8, ..LINE },
            Line { at: TimeMs(1_001), ..LINE },
            Line { kind: "void", ..LINE },
            Line { asset: "EUR", ..LINE },
            Line { debit: "tenant:lab", ..LINE },
            Line { credit: "tenant:lab2", ..LINE },
            Line { amount: 101, ..LINE },
            Line { job: Some(JobId(3)), ..LINE },
            Line { attempt: Some(attempt), ..LINE },
        ];
        let plain = Chain::default().append(&LINE);
        for other in others {
            assert_ne!(Chain::default().append(&other), plain, "{other:?}");
        }
        assert_ne!(Chain::at(1, Digest::default()).append(&LINE), plain);
        assert_ne!(Chain::at(0, plain).append(&LINE), plain);
    }
}
