//! The database's log, read by code of our own before SQLite opens it.
//!
//! Commits are in `huisuan.db-wal` until they are copied into the database. SQLite reads the log up to the first frame
//! whose checksum is wrong, takes all after it for the rest of a commit that a power failure cut off, and goes on
//! without a word: one altered byte takes back every commit after it. A power failure cuts off one commit, though,
//! because each is synced before the next begins. So two ends of commits from the wrong frame on mean damage.
//!
//! The format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::{
    fs::File,
    io::{BufReader, ErrorKind, Read},
    path::Path,
};

use crate::StoreError;

/// The head of the log: magic number, format, page size, number of the log, two salts, two sums.
const HEAD_BYTES: usize = 32;
/// The head of a frame: page number, pages of the database after a commit, two salts, two sums.
const FRAME_HEAD_BYTES: usize = 24;
/// The magic number, but for its lowest bit, which says in what order the bytes of a word are summed.
const MAGIC: u32 = 0x377f_0682;

/// Says what is wrong with the log of a database that nobody has open.
///
/// # Errors
/// When the log cannot be read, and when commits in it would be lost.
pub(crate) fn check(database: &Path) -> Result<(), StoreError> {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    let failed = |error: std::io::Error| StoreError::Log(format!("cannot be read: {error}"));
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        file => file.map_err(failed)?,
    };
    let found = damage(BufReader::with_capacity(1 << 16, file)).map_err(failed)?;
    found.map_or(Ok(()), |detail| Err(StoreError::Log(detail)))
}

/// Two running sums over words of 32 bits, each of which takes in the other.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sums(u32, u32);

impl Sums {
    fn over(self, bytes: &[u8], big: bool) -> Sums {
        let word = |at: &[u8]| {
            let word = [at[0], at[1], at[2], at[3]];
            if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        bytes.chunks_exact(8).fold(self, |Sums(first, second), pair| {
            let first = first.wrapping_add(word(pair)).wrapping_add(second);
            Sums(first, second.wrapping_add(word(&pair[4..])).wrapping_add(first))
        })
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Fills a buffer; false where the file ends before.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match log.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// What is wrong with a log.
fn damage(mut log: impl Read) -> std::io::Result<Option<String>> {
    let mut head = [0; HEAD_BYTES];
    // A log that was just begun, or one that was made longer before anything was written.
    if !fill(&mut log, &mut head)? || head == [0; HEAD_BYTES] {
        return Ok(None);
    }
    let big = word(&head, 0) & 1 == 1;
    let mut stored = Sums(word(&head, 24), word(&head, 28));
    let page_bytes = word(&head, 8) as usize;
    let of_head = word(&head, 0) & !1 == MAGIC && (512..=65_536).contains(&page_bytes) && page_bytes.is_power_of_two();
    // It is smaller than a sector, which is written whole or not at all.
    if !of_head || Sums(0, 0).over(&head[..24], big) != stored {
        return Ok(Some("was altered in its head: every commit in it would be lost".into()));
    }
    let mut frame = vec![0; FRAME_HEAD_BYTES + page_bytes];
    let (mut number, mut wrong) = (0_u64, None::<Wrong>);
    while fill(&mut log, &mut frame)? {
        number += 1;
        // Frames of a log before this one have two other salts.
        let salts = [frame[8..12] == head[16..20], frame[12..16] == head[20..24]];
        let commit = word(&frame, 4) != 0 && (salts[0] || salts[1]);
        let said = Sums(word(&frame, 16), word(&frame, 20));
        let sums = stored.over(&frame[..8], big).over(&frame[FRAME_HEAD_BYTES..], big);
        // What comes after a wrong frame is summed up from what that frame says of itself.
        stored = said;
        let sound = salts == [true; 2] && sums == said;
        if let Some(wrong) = &mut wrong {
            if !wrong.takes(number, sound, commit) {
                break;
            }
        } else if !sound {
            wrong = Some(Wrong { first: number, last: number, commits: u64::from(commit) });
        }
    }
    let told = |Wrong { first, commits, .. }| {
        format!("was altered in frame {first}: its commit and {} behind it would be lost", commits - 1)
    };
    Ok(wrong.filter(|wrong| wrong.commits > 1).map(told))
}

/// Frames that are wrong, one behind the other, and how many commits end in the first two of them and behind them.
struct Wrong {
    first: u64,
    last: u64,
    commits: u64,
}

impl Wrong {
    /// Counts a frame behind the first one. False where other wrong ones begin: what is left there of commits that
    /// failures cut off earlier, and was not written over, counts for nothing.
    fn takes(&mut self, number: u64, sound: bool, commit: bool) -> bool {
        let beside = number == self.last + 1;
        if !sound && !beside {
            return false;
        }
        if !sound {
            self.last = number;
        }
        // An altered sum makes the frame behind it wrong, too.
        self.commits += u64::from(commit && (sound || number == self.first + 1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five commits of two frames or more, in a log that is still open.
    fn log() -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("huisuan.db");
        let writer = rusqlite::Connection::open(&path).expect("a database");
        let begin = "PRAGMA journal_mode = WAL; PRAGMA page_size = 512; CREATE TABLE a (x); CREATE TABLE b (x)";
        writer.execute_batch(begin).expect("tables");
        for _ in 0..3 {
            let both = "BEGIN; INSERT INTO a VALUES (randomblob(400)); INSERT INTO b VALUES (randomblob(400)); COMMIT";
            writer.execute_batch(both).expect("a commit");
        }
        check(&path).expect("it is sound");
        std::fs::read(folder.path().join("huisuan.db-wal")).expect("a log")
    }

    #[test]
    fn one_altered_byte_before_the_last_commit_is_found() {
        let sound = log();
        assert_eq!(damage(&sound[..]).expect("read"), None);
        let page_bytes = word(&sound, 8) as usize;
        let frame_bytes = FRAME_HEAD_BYTES + page_bytes;
        let ends = |end: &usize| word(&sound, HEAD_BYTES + end * frame_bytes + 4) != 0;
        let commits: Vec<usize> = (0..(sound.len() - HEAD_BYTES) / frame_bytes).filter(ends).collect();
        assert!(commits.len() >= 4, "{commits:?}");
        let last = HEAD_BYTES + (commits[commits.len() - 2] + 1) * frame_bytes;
        for at in (0..last).step_by(7).chain(0..HEAD_BYTES + 2 * FRAME_HEAD_BYTES) {
            let mut log = sound.clone();
            log[at] ^= 1;
            let found = damage(&log[..]).expect("read");
            assert!(found.is_some(), "byte {at} of {last}");
        }
    }

    #[test]
    fn what_a_power_failure_leaves_is_none() {
        let sound = log();
        let page_bytes = word(&sound, 8) as usize;
        let frame_bytes = FRAME_HEAD_BYTES + page_bytes;
        let frames = (sound.len() - HEAD_BYTES) / frame_bytes;
        let ends = |end: &usize| word(&sound, HEAD_BYTES + end * frame_bytes + 4) != 0;
        let before = (0..frames - 1).rev().find(ends).expect("a commit before the last") + 1;
        // Any part of the last commit is not there, or cut off.
        for frame in before..frames {
            let mut log = sound.clone();
            let begin = HEAD_BYTES + frame * frame_bytes;
            log[begin..begin + frame_bytes].fill(0);
            assert_eq!(damage(&log[..]).expect("read"), None, "frame {frame}");
            assert_eq!(damage(&sound[..begin + 100]).expect("read"), None, "frame {frame}");
        }
        // What an earlier failure left lies behind the last commit: frames of another one, its end among them.
        let mut log = sound.clone();
        log.extend_from_slice(&sound[HEAD_BYTES + before * frame_bytes..]);
        assert_eq!(damage(&log[..]).expect("read"), None);
        for begun in [0, 10, HEAD_BYTES] {
            assert_eq!(damage(&sound[..begun]).expect("read"), None);
            assert_eq!(damage(&vec![0; begun + 1000][..]).expect("read"), None);
        }
    }
}
