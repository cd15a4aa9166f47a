//! A task's output, piece by piece, from the centre that has it.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use huisuan_api::{ErrorCode, routes::LogsQuery};
use huisuan_model::{Attempt, AttemptId, AttemptState, CentreId, JobId, Stream};

use super::{
    App, Failure,
    extract::{JobPath, Params},
};
use crate::{
    hub::LogPiece,
    identity::{Identity, Scope},
    server::Shared,
};

/// The most bytes of one piece.
const PIECE_BYTES_MAX: u64 = 256 * 1024;
/// How long a centre has to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// How often new output is asked for while a task writes none.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Where the output is read on.
struct Reading {
    shared: Arc<Shared>,
    centre: CentreId,
    attempt: AttemptId,
    stream: Stream,
    offset: u64,
    follow: bool,
    first: Option<LogPiece>,
    over: bool,
}

pub(crate) async fn logs(
    State(shared): App,
    Extension(identity): Extension<Identity>,
    JobPath(job): JobPath,
    Params(query): Params<LogsQuery>,
) -> Result<Response, Failure> {
    let (centre, attempt) = find(&shared, job, &identity.scope(), query.task, query.follow).await?;
    let mut reading = Reading {
        shared,
        centre,
        attempt,
        stream: query.stream,
        offset: query.offset,
        follow: query.follow,
        first: None,
        over: false,
    };
    // The first piece decides between an answer and an error; later errors can only break the stream off.
    let first = reading.ask().await?;
    if let Some(error) = &first.error {
        return Err(Failure::new(
            ErrorCode::Unavailable,
            format!("centre `{}` has no output: {error}", reading.centre),
        ));
    }
    reading.first = Some(first);
    let pieces = stream::unfold(reading, |mut reading| async move {
        let piece = reading.next().await?;
        Some((piece, reading))
    });
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((plain, Body::from_stream(pieces)).into_response())
}

/// The last attempt of the task; with `follow`, waits until there is one and its centre knows of it.
async fn find(
    shared: &Arc<Shared>,
    id: JobId,
    scope: &Scope,
    task: Option<u32>,
    follow: bool,
) -> Result<(CentreId, AttemptId), Failure> {
    loop {
        let job = super::jobs::find(shared, id, scope).await?;
        let task = task.or(job.spec.tasks.first()).unwrap_or(0);
        if !job.spec.tasks.contains(task) {
            let detail = format!("job {id} has no task {task}; its tasks are {}", job.spec.tasks);
            return Err(Failure::new(ErrorCode::NotFound, detail));
        }
        let attempt = shared.readers.read(move |reader| reader.last_attempt(id, task)).await?;
        let waits = |attempt: &Attempt| follow && attempt.state == AttemptState::Placed && !job.state.terminal();
        if let Some(attempt) = &attempt
            && !waits(attempt)
        {
            return Ok((attempt.centre.clone(), attempt.id));
        }
        if !follow || job.state.terminal() {
            let detail = format!("task {task} of job {id} has not run, so there is no output");
            return Err(Failure::new(ErrorCode::NotFound, detail).hint(format!("`huisuan explain {id}` says why")));
        }
        let mut commits = shared.feed.watch();
        tokio::select! {
            _ = commits.recv() => {}
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
        }
    }
}

impl Reading {
    async fn ask(&self) -> Result<LogPiece, Failure> {
        let busy = || Failure::new(ErrorCode::Unavailable, format!("centre `{}` is asked too much", self.centre));
        let answer = self
            .shared
            .hub
            .ask(&self.centre, self.attempt, self.stream, self.offset, PIECE_BYTES_MAX)
            .ok_or_else(busy)?;
        let silent = || {
            Failure::new(ErrorCode::Unavailable, format!("centre `{}` does not answer", self.centre))
                .hint("`huisuan centre ls` shows whether its agent is connected; output stays where it is")
        };
        tokio::select! {
            answer = tokio::time::timeout(ANSWER_WAIT, answer) => answer.ok().and_then(Result::ok).ok_or_else(silent),
            () = self.shared.stopping() => Err(Failure::new(ErrorCode::Unavailable, "the server is stopping")),
        }
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Option<Result<Vec<u8>, std::io::Error>> {
        while !self.over {
            let piece = match self.first.take() {
                Some(piece) => piece,
                None => match self.ask().await {
                    Ok(piece) => piece,
                    Err(_) => {
                        self.over = true;
                        return Some(Err(std::io::Error::other("the centre does not answer")));
                    }
                },
            };
            self.offset += piece.data.len() as u64;
            self.over = piece.end || piece.error.is_some() || (!self.follow && piece.data.is_empty());
            if !piece.data.is_empty() {
                return Some(Ok(piece.data));
            }
            if !self.over {
                tokio::time::sleep(FOLLOW_EVERY).await;
            }
        }
        None
    }
}
