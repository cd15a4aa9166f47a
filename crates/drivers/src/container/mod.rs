//! Container images by podman, at local and Slurm centres; and what a task finds in any container.
//!
//! The process of such an attempt is `podman run`: it passes signals on to the container and ends with its exit code,
//! so that the supervisor watches it as it watches any process. The container is another process tree, kept by
//! `conmon`: it is found by its name, which is made of the attempt's folder, and is told to be gone by podman itself
//! before an end is reported. It is not removed by `--rm`, so that its exit code is still known when the client was
//! killed.
//!
//! A container has no network, no capability and no way to more rights, runs as a user that owns nothing, and sees of
//! this machine its script, an empty folder of its own and, where it saves its state, the folder for that. Images are
//! never pulled unless the site names their registry.
//!
//! `inside` (what a task finds in one, with Kubernetes too), `config` (what a site says, and whether podman works), `podman` (calls of bounded length), `run` (order to command
//! line), `end` (what became of one).

mod config;
mod end;
mod inside;
mod podman;
mod run;

pub use config::{ContainerRules, Containers};
pub(crate) use end::{Client, Container, name};
pub(crate) use inside::{ATTEMPT_FOLDER, SCRIPT_FOLDER, code_and_signal, refusal, variables, words};
pub(crate) use podman::{Images, State};
pub(crate) use run::{arguments, prepare, start};
