//! What can happen in a world, and what of one moment comes first.

use crate::kernel::Rank;

/// One event of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// The next job comes.
    Arrive,
    /// The planner makes a cycle.
    Plan,
    /// Orders reach a centre.
    Deliver(Place),
    /// A centre's reports reach the network.
    Report(Place),
    /// A transfer between centres ends, unless the lines have got another number of changes since.
    Moved(u32),
    /// Data of a task is there.
    Brought(Place, Ticket),
    /// A hidden queue lets a task through.
    Begin(Place, Ticket),
    /// A task ends.
    End(Place, Ticket),
    /// A fault begins, by its index.
    Fault(u32),
    /// The operator notices a fault.
    Notice(u32),
    /// A fault is over, or a failed node repaired.
    Mend(u32),
    /// A reservation in advance begins or ends.
    Turn,
    /// The observer looks.
    Sample,
}

/// The index of a centre.
pub(super) type Place = u16;

/// A task at a centre: its slot, and how often the slot was used before. A task that was ended early leaves its
/// event behind, which then finds another count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) slot: u32,
    pub(super) use_count: u32,
}

impl Happening {
    /// Within a moment the world moves first, then news travel, then plans are made of them.
    pub(super) fn rank(self) -> Rank {
        Rank::new(match self {
            Happening::Fault(_) | Happening::Mend(_) | Happening::Notice(_) | Happening::Turn => 0,
            Happening::Moved(_) | Happening::Brought(..) | Happening::Begin(..) | Happening::End(..) => 1,
            Happening::Report(_) => 2,
            Happening::Deliver(_) => 3,
            Happening::Arrive => 4,
            Happening::Plan => 5,
            Happening::Sample => 6,
        })
    }
}
