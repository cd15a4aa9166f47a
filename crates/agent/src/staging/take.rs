//! One output: from the task's folder, where a hostile task may have left anything, to its place.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    os::unix::fs::MetadataExt as _,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use sha2::{Digest as _, Sha256};

use super::{
    beneath::Folder,
    bring::{PIECE, digest},
    fault::Fault,
    live::Progress,
    record::{Home, Item},
    rules::Place,
    source::object,
    web::{Web, plain},
};

/// The largest object that is written by one request.
const OBJECT_MAX: u64 = 5 << 30;

/// One file to take.
pub(super) struct Take<'a> {
    pub(super) web: &'a Web,
    pub(super) place: &'a Place,
    pub(super) home: &'a Home,
    pub(super) item: &'a Item,
    pub(super) index: usize,
    pub(super) progress: &'a Arc<Progress>,
    pub(super) all: &'a [Arc<Progress>],
}

impl Take<'_> {
    /// One try, always from the beginning; safe to repeat.
    pub(super) fn once(&self) -> Result<(), Fault> {
        let mut file = self.open()?;
        let length = file.metadata().map_err(|error| self.unusable(error))?.len();
        self.progress.size.store(length, Relaxed);
        self.fits(length)?;
        let before = digest(&mut file, self.progress)?;
        self.progress.have.store(0, Relaxed);
        let line = match self.place {
            Place::File { folder, path } => return self.copy(folder, path, length, before),
            Place::Web(_) => self.web.open()?,
            Place::Object { store, .. } => self.web.open_to(store.authority())?,
        };
        self.progress.hold(&line);
        let sent = Arc::new(std::sync::Mutex::new(None));
        let open = || {
            let metered = Metered::new(self.open()?, length, Arc::clone(self.progress), Arc::clone(&sent));
            Ok(Box::new(metered) as Box<dyn Read>)
        };
        match self.place {
            Place::Object { store, key } if length <= OBJECT_MAX => {
                let (url, headers) = store.put(key, &before).map_err(Fault::Lasting)?;
                line.put(&url, &object(store, key), &headers, length, open)?;
            }
            Place::Web(url) => line.put(url, &plain(url), &[], length, open)?,
            _ => {
                return Err(Fault::Lasting(format!(
                    "`{}` is larger than 5 GiB, too large for one object",
                    self.item.path
                )));
            }
        }
        let sent = sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if sent != Some(before) {
            return Err(self.changed());
        }
        Ok(())
    }

    /// Opens what the task left, if it is a file of its own.
    fn open(&self) -> Result<File, Fault> {
        let file = Folder::open(&self.home.data()).and_then(|data| data.file(&self.item.path));
        let file = file.map_err(|error| self.unusable(error))?;
        // A second name could be that of a file that is nobody's to take.
        match file.metadata() {
            Ok(metadata) if metadata.nlink() == 1 => Ok(file),
            Ok(_) => Err(self.unusable(io::Error::other("it has more than one name (hard links)"))),
            Err(error) => Err(self.unusable(error)),
        }
    }

    fn unusable(&self, error: io::Error) -> Fault {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "; hint: the task is to write it below $HUISUAN_DATA_DIR",
            _ => "",
        };
        Fault::Lasting(format!("`{}` cannot be taken: {error}{hint}", self.item.path))
    }

    fn changed(&self) -> Fault {
        Fault::Lasting(format!("`{}` changed while it was taken; hint: leave no process behind", self.item.path))
    }

    fn fits(&self, length: u64) -> Result<(), Fault> {
        let others = self.all.iter().filter(|file| !Arc::ptr_eq(file, self.progress));
        let all = others.fold(length, |sum, file| sum.saturating_add(file.size.load(Relaxed)));
        let most = self.web.rules.largest.0;
        match all > most {
            true => Err(Fault::Lasting(format!(
                "`{}` is too large: site rule `data.largest` allows {most} bytes in all",
                self.item.path
            ))),
            false => Ok(()),
        }
    }

    /// Copies into a folder of the site: under another name first, so that nobody sees half of it.
    fn copy(&self, folder: &std::path::Path, path: &str, length: u64, before: [u8; 32]) -> Result<(), Fault> {
        let failed =
            |error: io::Error| Fault::Lasting(format!("`{}/{path}` cannot be written: {error}", folder.display()));
        let root = Folder::open(folder).map_err(failed)?;
        let (parent, name) = root.parent(path, 0o755).map_err(failed)?;
        let attempt = self.home.0.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let job =
            self.home.0.parent().and_then(|job| job.file_name()).and_then(|name| name.to_str()).unwrap_or_default();
        let part = format!(".huisuan-{job}.{attempt}-{}.part", self.index);
        let mut to = parent.create(&part, 0o644).map_err(failed)?;
        let sent = Arc::default();
        let mut from = Metered::new(self.open()?, length, Arc::clone(self.progress), Arc::clone(&sent));
        let mut piece = vec![0; PIECE];
        let copied = loop {
            match from.read(&mut piece) {
                Ok(0) => break to.sync_all().map_err(failed),
                Ok(count) => {
                    if let Err(error) = to.write_all(&piece[..count]) {
                        break Err(failed(error));
                    }
                }
                Err(_) if self.progress.stop.stopped() => break Err(Fault::Stopped),
                Err(error) => break Err(self.unusable(error)),
            }
        };
        let sent = sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let same = copied.and_then(|()| if sent == Some(before) { Ok(()) } else { Err(self.changed()) });
        if let Err(fault) = same {
            parent.remove(&part);
            return Err(fault);
        }
        parent.adopt(&parent, &part, name).map_err(failed)
    }
}

/// Exactly so many bytes of a file, counted and hashed on their way.
struct Metered {
    file: File,
    left: u64,
    hash: Sha256,
    progress: Arc<Progress>,
    /// The digest of all, once all was read.
    done: Arc<std::sync::Mutex<Option<[u8; 32]>>>,
}

impl Metered {
    fn new(file: File, left: u64, progress: Arc<Progress>, done: Arc<std::sync::Mutex<Option<[u8; 32]>>>) -> Metered {
        progress.have.store(0, Relaxed);
        let metered = Metered { file, left, hash: Sha256::new(), progress, done };
        metered.tell();
        metered
    }

    fn tell(&self) {
        let digest = (self.left == 0).then(|| self.hash.clone().finalize().into());
        *self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = digest;
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.stop.stopped() {
            return Err(io::Error::other("stopped"));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was taken"));
        }
        self.left -= count as u64;
        self.hash.update(&buffer[..count]);
        self.progress.add(count as u64);
        self.tell();
        Ok(count)
    }
}
