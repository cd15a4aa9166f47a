//! The key that this agent signs its ratings with, `rating.key` in the centre's folder, and the records with all raw
//! timings below `ratings`, each named by the hash that its rating carries.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use huisuan_api::signature::RatingKey;
use huisuan_model::{CentreId, PoolId, Rating, hex};

use crate::{memory::MemoryError, rate::Record};

/// The agent's key and the folder of its records.
pub(crate) struct Key {
    key: RatingKey,
    records: PathBuf,
}

impl Key {
    /// Reads the key, or makes one of 32 random bytes that nobody but this user can read.
    pub(crate) fn open(dir: &Path) -> Result<Self, MemoryError> {
        let path = dir.join("rating.key");
        let failed = |error| MemoryError::File(path.clone(), error);
        let secret = match fs::read_to_string(&path) {
            Ok(text) => hex::decode::<32>(text.trim()).ok_or_else(|| {
                failed(io::Error::new(io::ErrorKind::InvalidData, "is not a key of 64 hexadecimal digits"))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret).map_err(|error| failed(io::Error::other(error.to_string())))?;
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
                file.write_all(hex::encode(&secret).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
                secret
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Key { key: RatingKey::from_secret(&secret), records: dir.join("ratings") })
    }

    /// Signs a rating for the centre.
    pub(crate) fn sign(&self, centre: &CentreId, pool: &PoolId, rating: &mut Rating) {
        self.key.sign(centre, pool, rating);
    }

    /// Keeps a record for whoever doubts its rating.
    pub(crate) fn keep(&self, record: &Record) -> Result<(), MemoryError> {
        let path = self.records.join(format!("{}.json", record.hash));
        let write = || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.records)?;
            fs::write(&path, &record.text)
        };
        write().map_err(|error| MemoryError::File(path.clone(), error))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_the_users_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let public = |dir: &Path| Key::open(dir).ok().map(|key| key.key.public());
        let first = public(dir.path());
        assert!(first.is_some());
        assert_eq!(first, public(dir.path()));
        let path = dir.path().join("rating.key");
        let mode = fs::metadata(&path).expect("the key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, "no key").expect("written");
        assert!(
            matches!(Key::open(dir.path()), Err(MemoryError::File(_, error)) if error.kind() == io::ErrorKind::InvalidData)
        );
    }
}
