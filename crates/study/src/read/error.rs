//! What can be wrong with an input file.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a file was refused. Nothing of it was used.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It cannot be opened or read.
    #[error("file `{}` cannot be read: {error}\nhint: check the path and its permissions", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is larger than this program reads into memory.
    #[error("file `{}` holds more than {bytes_max} bytes of text\nhint: split it", .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The most that is read.
        bytes_max: u64,
    },
    /// It is not UTF-8 text, even when unpacked.
    #[error("file `{}` line {line}: not UTF-8 text\nhint: is it packed with something other than gzip?", .file.display())]
    NotText {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A field does not hold what it must.
    #[error("file `{}` line {line}, field `{field}`: `{found}` where {expected} was expected", .file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The field's name in its format.
        field: String,
        /// What stands there.
        found: String,
        /// What must stand there, as a noun with its article.
        expected: String,
    },
    /// A line or the whole file has not the form of its format.
    #[error("file `{}` line {line}: {problem}\nhint: {hint}", .file.display())]
    Form {
        /// The file.
        file: PathBuf,
        /// The line, from 1; the last one for what is missing at the end.
        line: u64,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
}
