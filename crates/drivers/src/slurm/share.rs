//! What a local user of the site shares with the agent, and with no other user: by a group that only the two are in.
//!
//! | path | mode |
//! |---|---|
//! | the engine's folder, `attempts`, `arrays`, `checkpoints`, `staging`, `news` | 0711: whoever is given something in it goes through, and lists nothing |
//! | `attempts/JOB`, `checkpoints/JOB`, `staging/JOB`, `staging/JOB/TASK.ATTEMPT` | 2710, the user's group: it goes through |
//! | `attempts/JOB/TASK.ATTEMPT`, `checkpoints/JOB/TASK`, the attempt's data, `news/UID` | 2770, the user's group: it makes files |
//! | `arrays/LIST`, `arrays/LIST.out` | 0640 and 0660, the user's group |
//! | all else | 0600 |
//!
//! All of them belong to the agent. Once a folder is open to its user, a file in it may be anything: the agent never
//! writes there again, but for a claim, which it makes new, and reads by [`read`], which follows no link and takes no
//! file that has a second name.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::Path,
};

use rustix::fs::OFlags;

/// Records are a few lines, and what is to be run has its limits at the door.
const RECORD_BYTES_MAX: u64 = 16 << 20;

/// Lets others through a folder, or makes it so.
pub(super) fn through(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o711))
}

/// Closes to others what lies in a folder that they may go through from now on. Once they may, all is made closed.
pub(super) fn close_within(folder: &Path) -> io::Result<()> {
    let mode = match fs::metadata(folder) {
        Ok(metadata) => metadata.mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if mode & 0o011 != 0 && mode & 0o066 == 0 {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_symlink() {
            let mode = entry.metadata()?.mode();
            fs::set_permissions(entry.path(), Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

/// Lets a group through a folder of the agent's.
pub(super) fn pass(folder: &Path, group: u32) -> io::Result<()> {
    give(folder, group, 0o2710)
}

/// Lets a group make files in a folder of the agent's.
pub(super) fn open(folder: &Path, group: u32) -> io::Result<()> {
    give(folder, group, 0o2770)
}

/// Gives a group a file or folder of the agent's, with this mode. The owner comes first: to change it takes bits away.
pub(super) fn give(path: &Path, group: u32, mode: u32) -> io::Result<()> {
    chown(path, None, Some(group))?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Opens a folder with all that the agent put into it: a group may do with it what the agent may.
pub(super) fn open_tree(folder: &Path, group: u32) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_tree(&entry.path(), group)?;
        } else if !kind.is_symlink() {
            let own = entry.metadata()?.mode() & 0o700;
            give(&entry.path(), group, own | own >> 3)?;
        }
    }
    // Last: nothing in it is another's yet.
    open(folder, group)
}

/// The group that a folder is open to; `None` when it is the agent's alone, or not there.
pub(super) fn opened_to(folder: &Path) -> Option<u32> {
    let metadata = fs::symlink_metadata(folder).ok()?;
    (metadata.is_dir() && metadata.mode() & 0o020 != 0).then(|| metadata.gid())
}

/// Opens a file that somebody else may have put there; `None` when it is not there. What is no plain file, has another
/// name too, or is kept by its owner to itself, is as good as empty: it must hold up nobody else's attempts.
pub(super) fn open_plain(path: &Path) -> io::Result<Option<Option<File>>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Ok(Some(None)),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    // It may be another by now: no link is followed, and no pipe waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).expect("flags of open(2) are an int");
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => {
            let metadata = file.metadata()?;
            let own = metadata.is_file() && !(metadata.nlink() > 1 && others_may_write(path));
            Ok(Some(own.then_some(file)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Some(None)),
        // A link.
        Err(_) if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) => Ok(Some(None)),
        Err(error) => Err(error),
    }
}

/// Whether others than the agent may put files beside this one: under a second name that may be any file that the agent
/// may read, its own or another user's.
fn others_may_write(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    folder.is_none_or(|folder| folder.uid() != own || folder.mode() & 0o022 != 0)
}

/// All of such a file, up to a limit.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open_plain(path)? else { return Ok(None) };
    let mut text = Vec::new();
    if let Some(file) = file {
        file.take(RECORD_BYTES_MAX).read_to_end(&mut text)?;
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
    }

    /// A group that this user may give things to.
    fn group() -> u32 {
        rustix::process::getegid().as_raw()
    }

    #[test]
    fn what_a_user_planted_is_read_as_nothing_and_holds_up_nobody() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("secret"), "secret").expect("written");
        fs::write(at("plain"), "mine").expect("written");
        symlink(at("secret"), at("link")).expect("linked");
        symlink(at("nowhere"), at("dangling")).expect("linked");
        fs::create_dir(at("folder")).expect("made");
        mkfifoat(CWD, at("pipe"), Mode::RUSR | Mode::WUSR).expect("a pipe");
        let check = |name: &str, expected: Option<&str>| {
            let read = read(&at(name)).expect("no error");
            assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{name}");
        };
        check("plain", Some("mine"));
        check("none", None);
        for name in ["link", "dangling", "folder", "pipe"] {
            check(name, Some(""));
        }
        fs::create_dir(at("shared")).expect("made");
        for (name, to) in [("secret", "shared/linked"), ("plain", "again")] {
            fs::hard_link(at(name), at(to)).expect("linked");
        }
        fs::set_permissions(at("shared"), Permissions::from_mode(0o700)).expect("closed");
        check("shared/linked", Some("secret"));
        fs::set_permissions(at("shared"), Permissions::from_mode(0o770)).expect("opened");
        check("shared/linked", Some(""));
        check("again", Some("mine"));
        let endless = File::create(at("endless")).expect("made");
        endless.set_len(1 << 40).expect("a hole");
        assert_eq!(read(&at("endless")).expect("no error").map(|text| text.len() as u64), Some(RECORD_BYTES_MAX));
        assert!(read(&at("plain/below")).is_err(), "a folder that cannot be looked into says nothing");
    }

    #[test]
    fn a_folder_is_opened_with_what_is_in_it() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folder = scratch.path().join("data");
        fs::create_dir_all(folder.join("sub")).expect("made");
        for (name, mode) in [("start", 0o600), ("sub/script", 0o700)] {
            fs::write(folder.join(name), "").expect("written");
            fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).expect("set");
        }
        symlink("/etc/passwd", folder.join("link")).expect("linked");
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("closed");
        assert_eq!(opened_to(&folder), None);
        let before = mode(Path::new("/etc/passwd"));
        open_tree(&folder, group()).expect("opened");
        let modes = ["", "sub", "start", "sub/script"].map(|name| mode(&folder.join(name)));
        assert_eq!(modes, [0o2770, 0o2770, 0o660, 0o770]);
        assert_eq!((opened_to(&folder), mode(Path::new("/etc/passwd"))), (Some(group()), before));
        assert_eq!(opened_to(&folder.join("start")), None, "a file is no folder");
    }

    #[test]
    fn what_was_made_before_there_were_users_is_closed_once() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folder = scratch.path().join("attempts");
        fs::create_dir_all(folder.join("7")).expect("made");
        fs::set_permissions(folder.join("7"), Permissions::from_mode(0o755)).expect("as before");
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("as before");
        close_within(&folder).expect("closed");
        through(&folder).expect("opened");
        assert_eq!((mode(&folder), mode(&folder.join("7"))), (0o711, 0o700));
        pass(&folder.join("7"), group()).expect("given");
        close_within(&folder).expect("nothing to do");
        assert_eq!(mode(&folder.join("7")), 0o2710, "what users have stays theirs");
        close_within(&scratch.path().join("none")).expect("nothing is there");
    }
}
