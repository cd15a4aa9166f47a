//! This terminal while it belongs to the session: every key goes there, and nothing is done with it here.

use std::{
    io::{self, IsTerminal, stdin},
    sync::{Mutex, PoisonError},
};

use huisuan_model::channel::Frame;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// How the terminal was, while it is not so.
static ORIGINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// Gives every key to this program; nothing where standard input is no terminal.
pub(super) fn enter() -> io::Result<()> {
    if !stdin().is_terminal() {
        return Ok(());
    }
    let original = tcgetattr(stdin())?;
    let mut raw = original.clone();
    raw.make_raw();
    ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(original);
    Ok(tcsetattr(stdin(), OptionalActions::Now, &raw)?)
}

/// Makes the terminal what it was; it does no harm twice.
pub(super) fn restore() {
    if let Some(original) = ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &original);
    }
}

/// The window of this terminal; `None` where there is none.
pub(super) fn window() -> Option<Frame> {
    let size = tcgetwinsize(stdin()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0)?;
    Some(Frame::Resize { rows: size.ws_row, columns: size.ws_col })
}
