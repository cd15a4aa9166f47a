//! Checkpoints beside the writer.
//!
//! A checkpoint copies thousands of pages from the log into the database and syncs both: a commit that does it on the
//! way takes a hundred times as long as others, and everybody waits for it. So a thread with a connection of its own
//! copies while commits go on, and the commit after that copies only the few pages that came meanwhile, upon which
//! SQLite begins its log anew.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, hooks::Wal};

use crate::{StoreError, schema};

/// Pages in the log from which on a checkpoint is wanted. Fewer cost more of the rate, more make a restart longer
/// (measured: docs/decisions/0002).
const LOG_PAGES: i32 = 8000;

/// The thread that copies.
#[derive(Debug)]
pub(crate) struct Checkpointer(Option<JoinHandle<()>>);

impl Checkpointer {
    /// Has the commits of `writer` start checkpoints from now on.
    pub(crate) fn start(writer: &mut Connection, path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open_beside(path)?;
        let (wanted, waiting) = sync_channel(1);
        let copied = Arc::new(AtomicBool::new(false));
        let done = copied.clone();
        let copying = move || copy(&connection, &waiting, &done);
        let thread = thread::Builder::new().name("checkpoints".into()).spawn(copying).map_err(StoreError::NoThread)?;
        let mut turn = Turn { wanted, copied, under_way: false };
        writer.wal_hook(Some(move |log: &mut Wal, pages| {
            turn.after_commit(log, pages);
            Ok(())
        }))?;
        Ok(Checkpointer(Some(thread)))
    }

    /// Ends the thread.
    pub(crate) fn end(&mut self, writer: &mut Connection) {
        // The hook holds the other end of what the thread waits for. To take it away cannot fail.
        _ = writer.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>);
        // A thread that panicked has said so already.
        _ = self.0.take().map(JoinHandle::join);
    }
}

/// Whose turn it is: the thread's or a commit's.
struct Turn {
    wanted: SyncSender<()>,
    copied: Arc<AtomicBool>,
    under_way: bool,
}

impl Turn {
    fn after_commit(&mut self, log: &mut Wal, pages: i32) {
        if self.under_way && self.copied.swap(false, Ordering::Acquire) {
            self.under_way = false;
            // What could not be copied now, for a reader needs it or the disk is full, is safe in the log and its turn
            // comes again.
            _ = log.checkpoint();
        } else if !self.under_way && pages >= LOG_PAGES {
            self.under_way = self.wanted.try_send(()).is_ok();
        }
    }
}

fn copy(connection: &Connection, wanted: &Receiver<()>, copied: &AtomicBool) {
    while wanted.recv().is_ok() {
        // Says how much it copied, and the log keeps what it did not.
        _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        copied.store(true, Ordering::Release);
    }
}
