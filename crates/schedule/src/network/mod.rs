//! The network level: which centre, pool and slot of time for each class of work.
//!
//! The input is a [`NetworkModel`]: what the centres can give in the slots of a horizon, and what classes of equal
//! tasks ask. The answer is a [`NetworkPlan`]: how many tasks of each class start where and in which slot, what that is
//! worth, and a bound that no plan can pass. All of it is integers; floats live inside the solvers only, and whatever
//! they answer is rounded, repaired and valued again in integers.
//!
//! Start reading at `model`, then `choice` (what one task is worth at one place), then `problem` (the packing
//! problem that is left, and its bound).
//!
//! - `model`: the input; `network`: the same, checked and indexed; `route`: the way between two centres;
//! - `choice`: one task at one place: its `terms`, what it uses there, or why it may not be there;
//! - `problem`: rows, columns, and the Lagrangian bound of any prices;
//! - `form`: the same problem in floats, scaled, for the solvers;
//! - `fill`: integer filling in order of regret; `prices`, `market`: prices by descent on the dual;
//! - `greedy`: both together, always at hand; `linear`: the linear program on top, through `simplex`;
//! - `plan`: the answer, the trait of planners, hints and budgets;
//! - [`Level`]: plans beside the live cycle, and what they want of it;
//! - `explain`: the choices of one class for people;
//! - `check`: an independent judge of plans and of their bounds.

mod check;
mod choice;
mod explain;
mod fill;
mod form;
mod greedy;
mod level;
mod linear;
mod market;
mod model;
#[expect(clippy::module_inception, reason = "the indexed network is what the module is about")]
mod network;
mod plan;
mod prices;
mod problem;
mod route;
mod simplex;
mod terms;
#[cfg(test)]
mod tests;

pub use check::{NetworkViolation, check_network};

pub use explain::{Answer, Considered, explain};
pub use greedy::Greedy;
pub use level::{Figures, Lengths, Level};
pub use linear::Linear;
pub use model::{
    AgreedPrice, CentreSupply, Curve, Data, Hardware, Link, NetworkModel, Part, PoolSupply, Quota, StartDelay,
    TenantDue, Users, Wishes, WorkClass, WorkClassId,
};
pub use network::{ModelError, Network};
pub use plan::{Amount, Basis, Budget, Held, NetworkPlan, NetworkPlanner, Price, Scarce};
pub use terms::{Terms, WhyNot};
