//! Read connections for doors: each request borrows one on a thread that may block.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use huisuan_store::{Reader, StoreError};

/// A small stack of open readers.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    database: PathBuf,
    idle: Arc<Mutex<Vec<Reader>>>,
}

/// More than this many are closed after use.
const IDLE_MAX: usize = 8;

impl Readers {
    pub(crate) fn new(database: PathBuf) -> Self {
        Readers { database, idle: Arc::default() }
    }

    /// Runs a query. What it sees is committed.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let idle = readers.lock().pop();
            let reader = idle.map_or_else(|| Reader::open(&readers.database), Ok)?;
            let result = query(&reader);
            let mut idle = readers.lock();
            if idle.len() < IDLE_MAX {
                idle.push(reader);
            }
            result
        });
        task.await.expect("a query does not panic")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
