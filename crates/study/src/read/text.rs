//! Text files, packed with gzip or not.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use super::ReadError;

/// The most text that one file may hold: traces of some ten million lines, no bomb.
const BYTES_MAX: u64 = 4 << 30;
/// How every gzip stream begins (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A whole file in memory, with its name for messages.
#[derive(Debug, Clone)]
pub struct Text {
    /// Where it came from.
    pub file: PathBuf,
    /// What it holds, unpacked.
    pub text: String,
}

impl Text {
    /// A text that is not on disk, for tests and generated inputs.
    pub fn new(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Text { file: file.into(), text: text.into() }
    }

    /// The error of a field that does not hold what it must.
    pub fn field(&self, line: u64, field: &str, found: &str, expected: &str) -> ReadError {
        ReadError::Field {
            file: self.file.clone(),
            line,
            field: field.to_owned(),
            found: found.chars().take(80).collect(),
            expected: expected.to_owned(),
        }
    }

    /// The error of a line or file without the form of its format.
    pub fn form(&self, line: u64, problem: impl Into<String>, hint: impl Into<String>) -> ReadError {
        ReadError::Form { file: self.file.clone(), line, problem: problem.into(), hint: hint.into() }
    }
}

/// Reads a text file; what begins like gzip is unpacked, whatever its name.
pub fn read_text(file: &Path) -> Result<Text, ReadError> {
    let unreadable = |error| ReadError::Unreadable { file: file.to_owned(), error };
    let mut bytes = unpacked(file).map_err(unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(ReadError::TooLarge { file: file.to_owned(), bytes_max: BYTES_MAX });
    }
    // Windows tools begin UTF-8 files with a mark that is no part of the text.
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        ReadError::NotText { file: file.to_owned(), line }
    })?;
    Ok(Text { file: file.to_owned(), text })
}

fn unpacked(file: &Path) -> io::Result<Vec<u8>> {
    let mut input = BufReader::new(File::open(file)?);
    let mut head = Vec::new();
    input.by_ref().take(2).read_to_end(&mut head)?;
    let packed = head == GZIP_MAGIC;
    let input = head.as_slice().chain(input);
    let mut bytes = Vec::new();
    if packed {
        MultiGzDecoder::new(input).take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    } else {
        input.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Text, ReadError> {
        let mut file = tempfile::NamedTempFile::new().expect("a scratch file");
        file.write_all(bytes).expect("space on disk");
        read_text(file.path())
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).expect("memory");
        packer.finish().expect("memory")
    }

    #[test]
    fn plain_and_packed_files_read_alike() {
        let twice = [gzip("one\n"), gzip("two\n")].concat();
        for (bytes, text) in [
            (b"one\ntwo\n".to_vec(), "one\ntwo\n"),
            (gzip("one\ntwo\n"), "one\ntwo\n"),
            (twice, "one\ntwo\n"),
            ("\u{feff}one".as_bytes().to_vec(), "one"),
            (Vec::new(), ""),
            (b"x".to_vec(), "x"),
        ] {
            assert_eq!(read(&bytes).expect("readable").text, text);
        }
    }

    #[test]
    fn damage_is_said_with_its_place() {
        let error = read(b"one\ntwo\n\xff").expect_err("no text").to_string();
        assert!(error.contains("line 3: not UTF-8"), "{error}");
        let packed = gzip("a long enough text to be cut in the middle of its packed form");
        let error = read(&packed[..packed.len() - 9]).expect_err("cut").to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
