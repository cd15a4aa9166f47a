//! The `kubernetes` engine: one bare pod for each attempt, made through the API server and watched there.
//!
//! - **Once.** A pod's name comes from its centre and attempt, and `restartPolicy` is `Never`. The API server gives a
//!   name to one pod only, so that a start that is repeated, by whomever, finds it taken. No Job is between: its
//!   controller makes another pod when one is deleted (docs/decisions/0010-bare-pods-and-a-client-of-our-own.md).
//! - **No end is lost.** A pod has our finalizer until its end was acknowledged and its output kept; until then it
//!   stays in the cluster, whoever deletes it.
//! - **Data, not text.** Command, variables and script are values of the object. A script is an annotation that the
//!   node writes into a file. No shell reads anything of it, and nothing of a pod's rights is a tenant's to say.
//! - **Small state.** `kubernetes.log` in the centre's folder holds what the cluster cannot: what was acknowledged,
//!   what was cancelled before it was heard of, what was made (so that a pod that vanished is missed).
//!
//! Pure: `objects` (what is read), `quantity`, `hardware` (nodes to pools), `pod` (order to pod), `ending` (how it is
//! told that it ends), `outcome` (pod to end), `state` (what is known and not yet told). Around them: `client` and
//! `kubeconfig` (HTTP), `journal`, `create`, `watch` (list and watch), `errands` (deletions, pods let go, usage), `output` (logs),
//! `volume` (what agent and pods share), `gang` (how its tasks find each other), `session` and `socket` (ways into pods), `placing` (nodes for pods, where the
//! site leaves that to us), `engine`.

mod client;
mod config;
mod create;
mod ending;
mod engine;
mod errands;
mod gang;
mod hardware;
mod journal;
mod kubeconfig;
mod objects;
mod outcome;
mod output;
mod placing;
mod pod;
mod quantity;
mod session;
mod shared;
mod socket;
mod state;
mod unverified;
mod volume;
mod watch;

pub use config::{KubernetesConfig, PlacedBy, PoolRule, SharedVolume, Toleration};
pub use engine::KubernetesEngine;
