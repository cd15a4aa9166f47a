//! What attempts print, as the agent may read it.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

use huisuan_model::{AttemptId, Stream};

use super::{files::Files, share};
use crate::{engine::EngineError, folder::output::read_part};

/// One output of an attempt.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) path: PathBuf,
    /// Another user than the agent's may have put anything there.
    guarded: bool,
}

impl Output {
    /// Where an output is. Of an attempt that another user runs only what is in its own folder: elsewhere the agent may
    /// read what that user may not, and a job names any file that it likes.
    pub(super) fn of(files: &Files, id: AttemptId, stream: Stream) -> Result<Output, EngineError> {
        let own = files.attempt(id);
        let outputs = files.outputs(id).map_err(EngineError::file("order", &own.dir))?;
        let [stdout, stderr] = outputs.unwrap_or_else(|| [own.stdout(), own.stderr()]);
        let path = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        let guarded = share::opened_to(&own.dir).is_some();
        if guarded && ![own.stdout(), own.stderr()].contains(&path) {
            let path = path.display();
            let why = format!("the output of attempt {id} is in `{path}`, which its local user alone reads");
            return Err(EngineError::Refused(format!("{why}; hint: leave out `output` and `error`")));
        }
        Ok(Output { path, guarded })
    }

    /// Opened to be read; `None` when there is nothing to read.
    pub(super) fn open(&self) -> io::Result<Option<File>> {
        match self.guarded {
            true => Ok(share::open_plain(&self.path)?.flatten()),
            false => File::open(&self.path).map(Some),
        }
    }

    /// At most so many bytes from an offset on, and whether it ends there.
    pub(super) fn part(&self, offset: u64, limit: usize) -> io::Result<(Vec<u8>, bool)> {
        if !self.guarded {
            return read_part(&self.path, offset, limit);
        }
        let mut data = Vec::new();
        if let Some(mut file) = self.open()? {
            file.seek(SeekFrom::Start(offset))?;
            file.take(limit as u64).read_to_end(&mut data)?;
        }
        let all = data.len() < limit;
        Ok((data, all))
    }
}
