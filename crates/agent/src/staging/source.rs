//! Where a file comes from: opened from any byte on, if the place can do that.

use std::{
    io::{Read, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
};

use ureq::http::header;

use super::{
    beneath::Folder,
    fault::Fault,
    rules::Place,
    store::Store,
    web::{Line, Web, plain},
};

/// A file from some byte on.
pub(super) struct Opened {
    /// The number of its first byte: what was asked for, or 0.
    pub(super) from: u64,
    /// The size of the whole file, if it is told.
    pub(super) total: Option<u64>,
    /// What names this version of the file, so that two halves are of one; none when nothing does.
    pub(super) version: Option<String>,
    pub(super) reader: Box<dyn Read>,
}

/// Opens what is at a place, from byte `from` on where it is still the file that was named `version`. `hold` is given
/// what a stop interrupts.
pub(super) fn open(
    place: &Place,
    web: &Web,
    from: u64,
    version: Option<&str>,
    hold: impl FnOnce(&Line<'_>),
) -> Result<Opened, Fault> {
    match place {
        Place::File { folder, path } => local(folder, path, from, version),
        Place::Web(url) => {
            let line = web.open()?;
            hold(&line);
            remote(&line, url, &plain(url), from, version)
        }
        Place::Object { store, key } => {
            let line = web.open_to(store.authority())?;
            hold(&line);
            remote(&line, &store.get(key).map_err(Fault::Lasting)?, &object(store, key), from, version)
        }
    }
}

/// What people call an object.
pub(super) fn object(store: &Store, key: &str) -> String {
    format!("s3://{}/{key}", store.name)
}

fn local(folder: &std::path::Path, path: &str, from: u64, version: Option<&str>) -> Result<Opened, Fault> {
    let failed =
        |error: std::io::Error| Fault::Lasting(format!("`{}/{path}` cannot be read: {error}", folder.display()));
    let mut file = Folder::open(folder).and_then(|folder| folder.file(path)).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let now = format!("{}-{}-{}", metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
    let from = if version == Some(&*now) { from.min(metadata.len()) } else { 0 };
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    Ok(Opened { from, total: Some(metadata.len()), version: Some(now), reader: Box::new(file) })
}

fn remote(line: &Line<'_>, url: &str, name: &str, from: u64, version: Option<&str>) -> Result<Opened, Fault> {
    let mut headers = Vec::new();
    if let Some(version) = version.filter(|_| from > 0) {
        headers.push(("range", format!("bytes={from}-")));
        headers.push(("if-range", version.to_owned()));
    }
    let response = line.get(url, name, &headers)?;
    let text = |name: header::HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    if text(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Fault::Lasting(format!("`{name}` comes packed, though it was asked for as it is")));
    }
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    // A weak tag promises no two equal bytes.
    let tag = text(header::ETAG).filter(|tag| tag.starts_with('"'));
    let version = tag.or_else(|| text(header::LAST_MODIFIED)).map(str::to_owned);
    let (from, total) = match response.status().as_u16() {
        206 => {
            let told = text(header::CONTENT_RANGE).and_then(read_range);
            match told.filter(|(begin, _)| *begin == from) {
                Some((_, total)) => (from, total),
                None => return Err(Fault::Lasting(format!("`{name}` gave another part of it than it was asked for"))),
            }
        }
        _ => (0, length),
    };
    Ok(Opened { from, total, version, reader: Box::new(response.into_body().into_reader()) })
}

/// `bytes 5-9/10`: where it begins, and the whole size where it is told.
fn read_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let begin = range.split_once('-')?.0.parse().ok()?;
    Some((begin, total.parse().ok()))
}
