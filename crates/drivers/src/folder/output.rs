//! What attempts wrote.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// At most `limit` bytes from `offset` on, and whether the file ends there. A file that is not there, or
/// is no plain file (`/dev/null`), is empty.
pub(crate) fn read_part(path: &Path, offset: u64, limit: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut data = Vec::new();
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Ok((data, true)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((data, true)),
        _ => {}
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    file.take(limit as u64).read_to_end(&mut data)?;
    let all = data.len() < limit;
    Ok((data, all))
}
