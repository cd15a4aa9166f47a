//! Ctrl-C never ends a job: it ends this program, which says how to come back.

use std::{
    io::Write,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a program that was interrupted, as shells count it.
const EXIT_INTERRUPTED: i32 = 130;

/// From now on Ctrl-C prints `text` on standard error and ends the program.
pub(crate) fn on_interrupt(text: String) {
    on_interrupt_with(text, || {});
}

/// The same, after `tidy` has put right what this program changed.
pub(crate) fn on_interrupt_with(text: String, tidy: fn()) {
    on_each(move |_| {
        tidy();
        let _ = writeln!(std::io::stderr(), "\n{text}");
        process::exit(EXIT_INTERRUPTED);
    });
}

/// What to say about a job that goes on.
pub(crate) fn still_running(again: &str, job_id: u64) -> String {
    format!("still running; re-attach: {again}; cancel: huisuan cancel {job_id}")
}

/// Ctrl-C and SIGTERM as a wish to end in good order; the second one ends the program at once.
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    bell: Receiver<()>,
    /// Keeps the bell from breaking should signals not be heard at all.
    _kept: Sender<()>,
}

impl Interrupt {
    /// Listens from now on.
    pub(crate) fn listen() -> Interrupt {
        let (ring, bell) = channel();
        let (asked, kept) = (Arc::new(AtomicBool::new(false)), ring.clone());
        let flag = Arc::clone(&asked);
        on_each(move |count| {
            if count > 1 {
                process::exit(EXIT_INTERRUPTED);
            }
            flag.store(true, Ordering::SeqCst);
            // Whoever does not listen any more is ending already.
            let _ = ring.send(());
        });
        Interrupt { asked, bell, _kept: kept }
    }

    /// Waits for it, but not longer than `time`; true once it was asked for.
    pub(crate) fn asked_within(&self, time: Duration) -> bool {
        // A timeout is no answer; the flag is.
        let _ = self.bell.recv_timeout(time);
        self.asked()
    }

    /// True once it was asked for.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until it is asked for.
    pub(crate) fn wait(&self) {
        if !self.asked() {
            // It cannot fail: one sender is kept here.
            let _ = self.bell.recv();
        }
    }
}

/// Calls `action` for every Ctrl-C and SIGTERM with their count. Without the thread or the handlers the
/// program still ends, only without a word. On return the handlers are there.
fn on_each(mut action: impl FnMut(u32) + Send + 'static) {
    let (installed, ready) = channel();
    let listener = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
            return;
        };
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            // Whoever started this thread waits for it.
            let _ = installed.send(());
            for count in 1.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                action(count);
            }
        });
    };
    if std::thread::Builder::new().name("signals".to_owned()).spawn(listener).is_ok() {
        // An error means that there are no handlers and will be none.
        let _ = ready.recv();
    }
}
