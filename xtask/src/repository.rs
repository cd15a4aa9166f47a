//! The repository on disk: where it is and which text files it holds.

use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours: build outputs, installed tools, the version history.
const SKIPPED_FOLDERS: [&str; 5] = [".git", ".tools", "book", "node_modules", "target"];
/// File names and endings that are read as text. Data files are left out: they follow their own rules.
const TEXT_ENDINGS: [&str; 11] = ["css", "html", "js", "md", "rs", "sh", "sql", "toml", "ts", "yaml", "yml"];

/// The root folder of the repository.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
}

/// One text file of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    /// Path from the root, with `/` between its parts.
    pub path: String,
    /// The whole content.
    pub text: String,
}

impl TextFile {
    /// A file from its path and content; tests build bad ones with it.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether the path has the given ending, without the dot.
    #[must_use]
    pub fn has_ending(&self, ending: &str) -> bool {
        Path::new(&self.path).extension() == Some(OsStr::new(ending))
    }
}

impl Repository {
    /// The repository that this program was built from: the folder above `xtask`.
    ///
    /// # Errors
    ///
    /// When that folder has no `Cargo.toml` any more, because the repository was moved.
    pub fn locate() -> Result<Self> {
        // Cargo sets the variable for `cargo run` and `cargo test`; the built-in value serves a binary
        // that is started by hand.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
        anyhow::ensure!(
            root.join("Cargo.toml").is_file(),
            "no repository at {}; hint: run `cargo xtask` inside the repository",
            root.display()
        );
        Ok(Self { root })
    }

    /// A repository at the given folder.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it builds.
    pub fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.join("target"), PathBuf::from)
    }

    /// The path of something in the repository.
    #[must_use]
    pub fn join(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Reads a text file.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.join(path)).with_context(|| format!("cannot read {path}"))
    }

    /// All text files, in the order of their paths.
    ///
    /// # Errors
    ///
    /// When a folder or file cannot be read.
    pub fn text_files(&self) -> Result<Vec<TextFile>> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    if !is_skipped(&path) {
                        folders.push(path);
                    }
                } else if is_text(&path) {
                    files.push(self.text_file(&path)?);
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn text_file(&self, path: &Path) -> Result<TextFile> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {} as text", path.display()))?;
        let parts: Vec<_> = path.strip_prefix(&self.root)?.iter().map(OsStr::to_string_lossy).collect();
        Ok(TextFile { path: parts.join("/"), text })
    }
}

fn is_skipped(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    // Cargo marks every target folder with this file, whatever its name.
    SKIPPED_FOLDERS.iter().any(|skipped| name == *skipped) || folder.join("CACHEDIR.TAG").exists()
}

fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|ending| TEXT_ENDINGS.iter().any(|text| ending == *text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_files_are_found_and_build_outputs_skipped() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/b.rs", "c.md", "target/d.rs", "out/e.rs", "f.bin"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::write(folder.path().join("out/CACHEDIR.TAG"), "").unwrap();
        let files = Repository::at(folder.path()).text_files().unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/b.rs", "c.md"]);
    }

    #[test]
    fn this_repository_is_found() {
        let repository = Repository::locate().unwrap();
        assert!(repository.join("xtask/Cargo.toml").is_file());
    }
}
