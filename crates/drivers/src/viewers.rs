//! Who is attached to the terminals of an engine's sessions: one at a time to each, whoever came last.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use huisuan_model::{
    AttemptId,
    channel::{Frame, Frames, PAYLOAD_BYTES_MAX},
};

/// The terminals that somebody is attached to.
#[derive(Debug)]
pub(crate) struct Terminals<V>(Arc<Mutex<BTreeMap<AttemptId, Seat<V>>>>);

/// A place at a terminal.
#[derive(Debug)]
pub(crate) struct Seat<V> {
    pub(crate) viewer: Arc<V>,
    /// Serves it.
    pub(crate) thread: JoinHandle<()>,
}

impl<V> Default for Terminals<V> {
    fn default() -> Self {
        Terminals(Arc::default())
    }
}

impl<V: Send + Sync + 'static> Terminals<V> {
    /// Serves a viewer in a thread of its own, in place of whoever has this terminal: that one is given back, to be told.
    ///
    /// # Errors
    /// When no thread can be had: nobody's place has changed.
    pub(crate) fn seat(
        &self,
        id: AttemptId,
        viewer: Arc<V>,
        serve: impl FnOnce(&V) + Send + 'static,
    ) -> io::Result<Option<Arc<V>>> {
        let (seats, served) = (Arc::clone(&self.0), Arc::clone(&viewer));
        let work = move || {
            serve(&served);
            let mut seats = lock(&seats);
            if seats.get(&id).is_some_and(|now| Arc::ptr_eq(&now.viewer, &served)) {
                seats.remove(&id);
            }
        };
        // Locked until it is there: a thread that ends at once finds itself.
        let mut seats = lock(&self.0);
        let thread = thread::Builder::new().name("session".into()).spawn(work)?;
        Ok(seats.insert(id, Seat { viewer, thread }).map(|former| former.viewer))
    }

    /// Takes all of them off, to be ended.
    pub(crate) fn clear(&self) -> Vec<Seat<V>> {
        std::mem::take(&mut *lock(&self.0)).into_values().collect()
    }
}

/// Calls `take` for every frame until the stream ends, breaks or says what is no frame.
pub(crate) fn each_frame(mut stream: &UnixStream, mut take: impl FnMut(Frame) -> io::Result<()>) -> io::Result<()> {
    let (mut frames, mut piece) = (Frames::default(), vec![0; PAYLOAD_BYTES_MAX]);
    loop {
        let read = match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        frames.push(&piece[..read]);
        while let Some(frame) = frames.take().map_err(io::Error::other)? {
            take(frame)?;
        }
    }
}

/// A lock whose holders leave it whole wherever they stop.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use huisuan_model::JobId;

    use super::*;

    type Told = (Sender<()>, Mutex<Receiver<()>>);

    fn viewer() -> Arc<Told> {
        let (end, ended) = channel();
        Arc::new((end, Mutex::new(ended)))
    }

    /// Until it is told to end.
    fn serve(viewer: &Told) {
        lock(&viewer.1).recv().expect("told");
    }

    #[test]
    fn the_last_one_has_the_terminal_and_one_that_ends_leaves_its_place() {
        let id = |task| AttemptId { job: JobId(1), task, attempt: 1 };
        let terminals = Terminals::default();
        let [first, second, other] = [viewer(), viewer(), viewer()];
        let seat = |task, viewer: &Arc<Told>| terminals.seat(id(task), Arc::clone(viewer), serve).expect("a thread");
        assert!(seat(0, &first).is_none());
        assert!(seat(1, &other).is_none(), "another terminal is another's");
        let former = seat(0, &second).expect("somebody was there");
        assert!(Arc::ptr_eq(&former, &first));
        // The end of who lost its place takes nobody else's.
        first.0.send(()).expect("it listens");
        other.0.send(()).expect("it listens");
        let seats = terminals.clear();
        second.0.send(()).expect("it listens");
        assert!(seats.iter().any(|seat| Arc::ptr_eq(&seat.viewer, &second)));
        assert!(!seats.iter().any(|seat| Arc::ptr_eq(&seat.viewer, &first)));
        seats.into_iter().for_each(|seat| seat.thread.join().expect("it ended well"));
        assert!(terminals.clear().is_empty());
    }
}
