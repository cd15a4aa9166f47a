//! Gives answers on the threads that serve requests: one wake-up for a whole batch instead of one for each
//! of its requests, and the committer is back at the disk at once.

use tokio::{runtime::Handle, sync::mpsc};

use crate::writer::{Done, Reply, WriterError};

/// The answers of one batch.
pub(crate) type Replies = Vec<(Reply, Result<Done, WriterError>)>;
/// The way of answers to requests. There are never more on it than commands may wait for the writer.
pub(crate) type Answers = mpsc::UnboundedSender<Replies>;

/// Starts giving answers until the committer is gone.
pub(crate) fn start(runtime: &Handle) -> Answers {
    let (answers, mut waiting) = mpsc::unbounded_channel::<Replies>();
    runtime.spawn(async move {
        while let Some(batch) = waiting.recv().await {
            for (reply, result) in batch {
                // A client that went away does not need its answer.
                _ = reply.send(result);
            }
        }
    });
    answers
}
