//! Which node each pod goes to, where the site leaves that to us (`placement = "huisuan"`): pods then name a scheduler
//! that the cluster does not have, and this one binds them.
//!
//! The network chooses centre and pool; which node it is depends on what others of the cluster run there, which only the
//! cluster knows. So it is chosen here, from nodes and pods that are watched, with nothing learnt and nothing stored: what
//! an unbound pod needs is in the pod itself, and a successor binds what is left.
//!
//! Pure: `amounts` (quantities of pods and nodes), `taken` (who holds what of which node), `line` (whose turn it is, and
//! where to). Around them: `look` (nodes and pods, watched), `bind`.

mod amounts;
mod bind;
mod line;
mod look;
mod taken;

pub(super) use amounts::Amounts;
pub(super) use bind::{Binding, bind, may_bind};
pub(super) use line::{Group, Waits};
pub(super) use look::{Nodes, Others};
