//! How far shapes and jobs are while a cycle goes on, and what stops them.

/// How far a shape is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShapeState {
    /// The job whose tasks are being placed; `None` before its first turn.
    pub(crate) current: Option<Progress>,
    /// Whether something waits of a job that was passed over.
    pub(crate) passed: bool,
    /// Why its first job that still waits does so; `None` when no job was looked at that does.
    pub(crate) block: Option<Block>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// How many tasks wait at the beginning of the cycle.
    pub(crate) tasks: u64,
    /// How many tasks of all jobs were placed before its first one.
    pub(crate) ahead: u64,
    /// How many of its own were placed in this cycle.
    pub(crate) own: u64,
    /// The last of them.
    pub(crate) last: Option<u32>,
}

/// Why a job that was looked at still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// Its own limit of parallel tasks.
    ParallelMax(u32),
    /// No place has room, or none that its tenant can pay.
    Places {
        /// How many layers it may fill ahead.
        factor: u64,
        /// How many of its tasks go together: 1, or the size of the gang.
        unit: u64,
        /// How many tasks were placed before its first one.
        ahead: u64,
        /// How many of its own were placed in this cycle.
        own: u64,
    },
}

/// A shape whose first waiting job found no room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocked {
    pub(crate) shape: usize,
    /// How many of its tasks go together.
    pub(crate) unit: u64,
    /// How many of the job's tasks were placed in this cycle, and the last of them.
    pub(crate) own: u64,
    pub(crate) last: Option<u32>,
}

/// What to look at next.
pub(crate) enum Next {
    /// The turn is over; more of the job may be placed when its tenant has the next one.
    Turn,
    /// The shape's next job takes part.
    Job,
    /// The shape is out: nothing of it can be placed in this cycle.
    Shape,
    /// The cycle's budget is spent.
    Cycle,
}
