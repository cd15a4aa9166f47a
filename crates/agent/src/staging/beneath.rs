//! Files below a folder: every step is opened by itself and no link is followed, so that neither a name nor what a
//! task planted meanwhile leads out of it.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::fs::{self, AtFlags, Mode, OFlags};

/// A folder that everything is looked up below.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

const STEP: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a folder by a path that the site or the agent itself names.
    pub(super) fn open(path: &Path) -> io::Result<Folder> {
        Ok(Folder(fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// Opens a plain file to read. A link, a pipe, a device or a file with a second name is none.
    pub(super) fn file(&self, path: &str) -> io::Result<File> {
        let (steps, name) = parts(path)?;
        let mut folder = self.0.as_fd().try_clone_to_owned()?;
        for step in steps {
            folder = fs::openat(&folder, step, STEP, Mode::empty()).map_err(|error| outside(error, step))?;
        }
        // Without waiting: opening a named pipe would hold the thread until somebody writes to it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(fs::openat(&folder, name, flags, Mode::empty()).map_err(|error| outside(error, name))?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
        }
        Ok(file)
    }

    /// Makes the folders above a path; gives back the last of them and the name in it.
    pub(super) fn parent<'a>(&self, path: &'a str, mode: u32) -> io::Result<(Folder, &'a str)> {
        let (steps, name) = parts(path)?;
        let mut folder = self.0.as_fd().try_clone_to_owned()?;
        for step in steps {
            match fs::mkdirat(&folder, step, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = fs::openat(&folder, step, STEP, Mode::empty()).map_err(|error| outside(error, step))?;
        }
        Ok((Folder(folder), name))
    }

    /// Makes a new file in this very folder, after removing what a killed agent left under its name.
    pub(super) fn create(&self, name: &str, mode: u32) -> io::Result<File> {
        match fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.0, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Gives a file of another folder its name here, and syncs this folder.
    pub(super) fn adopt(&self, from: &Folder, old: &str, name: &str) -> io::Result<()> {
        fs::renameat(&from.0, old, &self.0, name)?;
        Ok(fs::fsync(&self.0)?)
    }

    /// Removes a file of this very folder, if it is there.
    pub(super) fn remove(&self, name: &str) {
        let _ = fs::unlinkat(&self.0, name, AtFlags::empty());
    }
}

/// Steps and the last name of a relative path that was checked before; checked again, because it decides what is
/// opened.
fn parts(path: &str) -> io::Result<(Vec<&str>, &str)> {
    let mut steps: Vec<&str> = path.split('/').collect();
    let name = steps.pop().unwrap_or_default();
    if steps.iter().chain([&name]).any(|step| step.is_empty() || *step == "." || *step == ".." || step.contains('\0')) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads elsewhere"));
    }
    Ok((steps, name))
}

fn outside(error: rustix::io::Errno, step: &str) -> io::Error {
    match error {
        // A link where there must be none; which of both is said depends on what it points to.
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => {
            io::Error::new(io::ErrorKind::InvalidInput, format!("`{step}` is a link or no folder"))
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn no_name_and_no_link_leads_out() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let inside = scratch.path().join("data");
        fs::create_dir_all(inside.join("sub")).expect("made");
        fs::write(scratch.path().join("secret"), "secret").expect("written");
        fs::write(inside.join("sub/file"), "mine").expect("written");
        symlink(scratch.path().join("secret"), inside.join("link")).expect("linked");
        symlink(scratch.path(), inside.join("up")).expect("linked");
        symlink("sub", inside.join("near")).expect("linked");
        rustix::fs::mkfifoat(rustix::fs::CWD, inside.join("pipe"), Mode::from_raw_mode(0o600)).expect("a pipe");
        let folder = Folder::open(&inside).expect("opened");
        let mut text = String::new();
        folder.file("sub/file").expect("plain").read_to_string(&mut text).expect("read");
        assert_eq!(text, "mine");
        for bad in
            ["link", "up/secret", "near/file", "../secret", "/etc/passwd", "sub/../link", "sub", "pipe", "", "sub/"]
        {
            assert!(folder.file(bad).is_err(), "{bad}");
        }
        for bad in ["up/new", "near/new", "../new"] {
            assert!(folder.parent(bad, 0o700).is_err(), "{bad}");
        }
        let (parent, name) = folder.parent("a/b/c", 0o700).expect("made");
        parent.create(name, 0o600).expect("created");
        assert!(inside.join("a/b/c").is_file());
    }
}
