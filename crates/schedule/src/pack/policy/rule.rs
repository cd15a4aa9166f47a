//! The names of the policies, and how they are called.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

use crate::pack::{Ask, Mix, Room, weighed::Weighed};

use super::{best_fit, default, dot_product, fgd, random};

/// The packing policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Packing {
    /// Any node that fits, drawn from a seed.
    Random,
    /// Least room left.
    BestFit,
    /// Least alignment of what is free with what is asked.
    DotProduct,
    /// Least growth of fragmentation, as published.
    Fgd,
    /// Ours.
    Default,
}

impl Packing {
    /// All of them, by rising allocation.
    pub const ALL: [Packing; 5] =
        [Packing::Random, Packing::DotProduct, Packing::BestFit, Packing::Fgd, Packing::Default];

    /// Its name in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Packing::Random => "random",
            Packing::BestFit => "bestfit",
            Packing::DotProduct => "dotprod",
            Packing::Fgd => "fgd",
            Packing::Default => "default",
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that no packing policy has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("packing policy `{0}` is unknown\nhint: take one of random, dotprod, bestfit, fgd, default")]
pub struct UnknownPacking(pub String);

impl FromStr for Packing {
    type Err = UnknownPacking;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Packing::ALL.into_iter().find(|policy| policy.name() == name).ok_or_else(|| UnknownPacking(name.to_owned()))
    }
}

/// How good a room is for an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// More is better; only rates of one policy and ask compare.
    pub score: i64,
    /// Where a share goes; zero without one.
    pub device: u8,
}

/// A policy with what it knows.
#[derive(Debug, Clone)]
pub struct Rule {
    packing: Packing,
    mix: Arc<Mix>,
    seed: u64,
}

impl Rule {
    /// A policy for a mix of work. The seed matters to `random` alone.
    pub fn new(packing: Packing, mix: Mix, seed: u64) -> Self {
        Rule { packing, mix: Arc::new(mix), seed }
    }

    /// Which policy it is.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Cores that its mix wants with each device, in thousandths of a core.
    pub fn cores_per_device(&self) -> u32 {
        self.mix.cores_per_device()
    }

    /// Whether its rates depend on nothing but the ask and the room, so that they can be kept.
    pub fn repeatable(&self) -> bool {
        self.packing != Packing::Random
    }

    /// Whether nodes are kept in order for an ask: it comes often, and its rates can be
    /// kept.
    pub(crate) fn ranks(&self, ask: &Ask) -> bool {
        self.repeatable() && self.mix.is_frequent(ask)
    }

    /// The rate of a room that the ask fits. `draw` numbers the decision, `node` the room, for `random`.
    pub fn rate(&self, ask: &Ask, room: &Room, draw: u64, node: u32) -> Rate {
        match self.packing {
            Packing::Random => random::rate(ask, room, [self.seed, draw, u64::from(node)]),
            Packing::BestFit => best_fit::rate(ask, room),
            Packing::DotProduct => dot_product::rate(ask, room),
            Packing::Fgd => fgd::rate(&self.mix, ask, &self.weigh(room)),
            Packing::Default => default::rate(&self.mix, ask, &self.weigh(room)),
        }
    }

    /// Weighs a room that will be rated for several asks.
    pub(crate) fn weigh(&self, room: &Room) -> Weighed {
        Weighed::new(&self.mix, room)
    }

    /// The rate of a weighed room that the ask fits, by a policy whose rates can be kept.
    pub(crate) fn rate_weighed(&self, ask: &Ask, weighed: &Weighed) -> Rate {
        match self.packing {
            Packing::Fgd => fgd::rate(&self.mix, ask, weighed),
            Packing::Default => default::rate(&self.mix, ask, weighed),
            Packing::Random | Packing::BestFit | Packing::DotProduct => self.rate(ask, &weighed.room, 0, 0),
        }
    }
}
