//! Tokens of this network: derived from one secret of the data directory, so that none is stored.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use huisuan_model::{CentreId, hex};
use sha2::{Digest, Sha256};

/// What tokens are made of. Whoever deletes its file makes every token void at the next start.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// Reads the secret of a data directory, or makes one, readable by the owner alone.
    pub(crate) fn of(directory: &Path) -> io::Result<Self> {
        let path = directory.join("secret");
        match fs::read(&path) {
            Ok(bytes) => <[u8; 32]>::try_from(bytes)
                .map(Secret)
                .map_err(|_| io::Error::other(format!("`{}` is not a secret of 32 bytes", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(&path),
            Err(error) => Err(error),
        }
    }

    fn make(path: &Path) -> io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        // Written beside and renamed: a crash leaves no half secret.
        let draft = path.with_extension("new");
        let mut file: File = File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        Ok(Secret(bytes))
    }

    /// The token of people.
    pub(crate) fn user_token(&self) -> String {
        self.token("hsu_", "user")
    }

    /// The token of one centre's agent; it speaks for no other centre.
    pub(crate) fn agent_token(&self, centre: &CentreId) -> String {
        self.token("hsa_", &format!("agent/{centre}"))
    }

    /// A number that nobody can foresee who has not the secret; the same for the same words.
    pub(crate) fn draw(&self, words: &str) -> u64 {
        let digest = self.digest(&format!("draw/{words}"));
        u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    }

    fn token(&self, prefix: &str, purpose: &str) -> String {
        format!("{prefix}{}", hex::encode(&self.digest(purpose)))
    }

    fn digest(&self, purpose: &str) -> [u8; 32] {
        // The secret has a fixed length and the purpose comes last, and both go through the hash twice:
        // knowing one token helps with no other.
        let inner = Sha256::new().chain_update(self.0).chain_update(purpose).finalize();
        Sha256::new().chain_update(self.0).chain_update(inner).finalize().into()
    }
}

/// Whether two texts are equal, in a time that depends on their lengths only.
pub(crate) fn equal(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |sum, (x, y)| sum | (x ^ y));
    a.len() == b.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_by_purpose_and_stay_over_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = Secret::of(folder.path()).expect("a secret");
        let again = Secret::of(folder.path()).expect("a secret");
        let centre = |name| CentreId::new(name).expect("a name");
        assert_eq!(secret.user_token(), again.user_token());
        assert_eq!(secret.agent_token(&centre("a")), again.agent_token(&centre("a")));
        assert_ne!(secret.agent_token(&centre("a")), secret.agent_token(&centre("b")));
        assert_ne!(secret.agent_token(&centre("a"))[4..], secret.user_token()[4..]);
        let other = tempfile::tempdir().expect("a folder");
        assert_ne!(Secret::of(other.path()).expect("a secret").user_token(), secret.user_token());
        assert_eq!(secret.draw("a"), again.draw("a"));
        assert_ne!(secret.draw("a"), secret.draw("b"));
    }

    #[test]
    fn comparison_is_exact() {
        for (a, b, same) in
            [("", "", true), ("a", "a", true), ("a", "b", false), ("a", "ab", false), ("ab", "a", false)]
        {
            assert_eq!(equal(a, b), same, "{a} {b}");
        }
    }
}
