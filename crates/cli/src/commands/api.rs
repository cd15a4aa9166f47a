//! `api GET PATH`: any answer of the server as it is.

use std::io;

use crate::{args::ApiArgs, failure::Failure, session::Session};

/// Copies the answer to standard output as it comes.
pub(crate) fn api(session: &Session, args: &ApiArgs) -> Result<(), Failure> {
    let mut body = session.client()?.get_raw(&args.path)?;
    let mut out = io::stdout().lock();
    io::copy(&mut body, &mut out)?;
    Ok(io::Write::flush(&mut out)?)
}
