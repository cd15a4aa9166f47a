//! `logs`: what a task wrote, byte by byte.

use std::io::{self, Read, Write};

use huisuan_api::routes::LogsQuery;
use huisuan_model::Stream;

use crate::{
    args::{LogsArgs, StreamArg},
    failure::{Exit, Failure},
    interrupt,
    session::Session,
};

/// Copies a task's output to standard output; with `--follow` until the task has ended.
pub(crate) fn logs(session: &Session, args: &LogsArgs) -> Result<(), Failure> {
    let job_id = session.job_id(&args.job)?;
    let stream = match args.stream {
        StreamArg::Stdout => Stream::Stdout,
        StreamArg::Stderr => Stream::Stderr,
    };
    let query = LogsQuery { task: args.job.task, stream, follow: args.follow, offset: args.offset };
    if args.follow {
        let task = args.job.task.map(|task| format!(".{task}")).unwrap_or_default();
        interrupt::on_interrupt(interrupt::still_running(&format!("huisuan logs -f {job_id}{task}"), job_id));
    }
    let copied = copy(session.client()?.logs(job_id, &query)?)?;
    match copied {
        0 if !args.follow => session.output.remark(&format!("job {job_id} wrote nothing to {stream} yet")),
        _ => {}
    }
    Ok(())
}

/// Copies and flushes every piece at once, so that a follower sees a line when it is written.
pub(crate) fn copy(mut from: impl Read) -> Result<u64, Failure> {
    let mut out = io::stdout().lock();
    let mut piece = vec![0; 64 * 1024];
    let mut copied = 0;
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(copied),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Failure::new(Exit::Error, format!("the output broke off after {copied} bytes: {error}"))
                    .hint(format!("go on with --offset {copied}")));
            }
        };
        out.write_all(&piece[..read])?;
        out.flush()?;
        copied += read as u64;
    }
}
