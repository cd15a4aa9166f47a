//! `demo`: a small network on this machine that runs the examples.

use crate::{args::DemoArgs, failure::Failure, session::Session};

/// Runs the demo.
pub(crate) fn demo(session: &Session, args: &DemoArgs) -> Result<(), Failure> {
    crate::demo::run(session, args)
}
