//! One direction of a channel.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[cfg(test)]
use huisuan_api::channels::CHANNEL_BYTES_MAX;
use tokio::sync::mpsc;

/// The pieces that wait for a reader.
const PIECES_MAX: usize = 3;

/// The most bytes of one direction in memory, with the piece that waits to get in.
#[cfg(test)]
const PIPE_BYTES_MAX: usize = (PIECES_MAX + 1) * CHANNEL_BYTES_MAX;

/// Bytes on their way. One post at a time brings some, one stream takes them.
#[derive(Debug)]
pub(crate) struct Pipe {
    sender: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    receiver: Mutex<Option<mpsc::Receiver<Vec<u8>>>>,
    /// Held by the post that brings bytes.
    turn: tokio::sync::Mutex<()>,
    /// Bytes that were taken in all.
    taken: AtomicU64,
}

/// What became of bytes that were brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brought {
    /// So many of this direction are taken in all.
    Taken(u64),
    /// They come after bytes that never came; so many did.
    Gap(u64),
    /// This direction is closed.
    Closed,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        Pipe {
            sender: Mutex::new(Some(sender)),
            receiver: Mutex::new(Some(receiver)),
            turn: tokio::sync::Mutex::new(()),
            taken: AtomicU64::new(0),
        }
    }

    /// Takes bytes that begin at `offset`; what is known already counts once. Waits for room, for at most `wait`: then
    /// nothing of them is taken, and the same may be brought again.
    pub(crate) async fn bring(&self, offset: u64, mut bytes: Vec<u8>, wait: Duration) -> Brought {
        let _turn = self.turn.lock().await;
        let taken = self.taken();
        let Some(known) = taken.checked_sub(offset) else { return Brought::Gap(taken) };
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(bytes.len());
        bytes.drain(..known);
        let Some(sender) = self.sender() else { return Brought::Closed };
        if bytes.is_empty() {
            return Brought::Taken(taken);
        }
        match tokio::time::timeout(wait, sender.reserve()).await {
            Err(_) => Brought::Taken(taken),
            Ok(Err(_)) => Brought::Closed,
            Ok(Ok(room)) => {
                let taken = taken + bytes.len() as u64;
                room.send(bytes);
                self.taken.store(taken, Ordering::SeqCst);
                Brought::Taken(taken)
            }
        }
    }

    /// Puts a piece in that nobody brought, where there is room.
    pub(crate) fn put(&self, bytes: Vec<u8>) {
        if let Some(sender) = self.sender() {
            let _ = sender.try_send(bytes);
        }
    }

    /// The way out; there is one.
    pub(crate) fn receiver(&self) -> Option<mpsc::Receiver<Vec<u8>>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Nothing more comes in; what is in it can still be read.
    pub(crate) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Bytes that were taken in all.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    fn sender(&self) -> Option<mpsc::Sender<Vec<u8>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for what happens at once, short enough for what does not.
    const WAIT: Duration = Duration::from_millis(20);

    fn run<T>(story: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(story)
    }

    #[test]
    fn bytes_count_once_however_often_they_come() {
        run(async {
            let pipe = Pipe::new();
            let mut out = pipe.receiver().expect("the way out");
            assert!(pipe.receiver().is_none(), "there is one");
            assert_eq!(pipe.bring(0, b"abc".to_vec(), WAIT).await, Brought::Taken(3));
            assert_eq!(pipe.bring(0, b"abc".to_vec(), WAIT).await, Brought::Taken(3));
            assert_eq!(pipe.bring(1, b"bcd".to_vec(), WAIT).await, Brought::Taken(4));
            assert_eq!(pipe.bring(9, b"x".to_vec(), WAIT).await, Brought::Gap(4));
            pipe.close();
            assert_eq!(pipe.bring(4, b"x".to_vec(), WAIT).await, Brought::Closed);
            let mut read = Vec::new();
            while let Some(piece) = out.recv().await {
                read.extend(piece);
            }
            assert_eq!(read, b"abcd");
        });
    }

    #[test]
    fn who_does_not_read_is_given_no_more() {
        run(async {
            let pipe = Pipe::new();
            let (mut offset, mut refused) = (0, false);
            for _ in 0..10 {
                let Brought::Taken(taken) = pipe.bring(offset, vec![0; CHANNEL_BYTES_MAX], WAIT).await else {
                    panic!("it is open")
                };
                refused |= taken == offset;
                offset = taken;
            }
            assert!(refused && offset as usize <= PIPE_BYTES_MAX, "{offset}");
            let mut out = pipe.receiver().expect("the way out");
            out.recv().await.expect("a piece");
            assert_eq!(pipe.bring(offset, vec![1], WAIT).await, Brought::Taken(offset + 1));
            drop(out);
            assert_eq!(pipe.bring(offset + 1, vec![1], WAIT).await, Brought::Closed);
        });
    }
}
