//! One input: from its source into a part, and only when it is whole and what was wanted, into the task's folder.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use huisuan_model::hex;
use sha2::{Digest as _, Sha256};

use super::{
    beneath::Folder,
    fault::Fault,
    live::Progress,
    record::{Home, Item, Part},
    rules::Place,
    source,
    web::Web,
};

/// So much is moved at once.
pub(super) const PIECE: usize = 256 << 10;

/// One file to bring.
pub(super) struct Bring<'a> {
    pub(super) web: &'a Web,
    pub(super) place: &'a Place,
    pub(super) home: &'a Home,
    pub(super) item: &'a Item,
    pub(super) index: usize,
    pub(super) progress: &'a Progress,
    /// All files of the attempt: together they have a limit.
    pub(super) all: &'a [Arc<Progress>],
}

impl Bring<'_> {
    /// One try; goes on where the one before ended.
    pub(super) fn once(&self) -> Result<(), Fault> {
        let disk = Fault::disk("the folder of the attempt's data");
        let name = self.index.to_string();
        let path = self.home.parts().join(&name);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(&disk)?;
        let have = file.metadata().map_err(&disk)?.len();
        let part = self.home.part(self.index).map_err(&disk)?;
        let whole = part.version.is_some() && part.total == Some(have);
        let resumed = if whole {
            self.progress.found(have);
            true
        } else {
            self.fetch(&mut file, have, &part)?
        };
        self.check(&mut file, resumed)?;
        file.sync_all().map_err(&disk)?;
        let parts = Folder::open(&self.home.parts()).map_err(&disk)?;
        let data = Folder::open(&self.home.data()).map_err(&disk)?;
        let (folder, last) = data.parent(&self.item.path, 0o700).map_err(&disk)?;
        folder.adopt(&parts, &name, last).map_err(&disk)?;
        parts.remove(&format!("{name}.json"));
        Ok(())
    }

    /// Whether it is in its place already: nothing but a whole file ever gets there before the task runs.
    pub(super) fn done(&self) -> bool {
        let file = Folder::open(&self.home.data()).and_then(|data| data.file(&self.item.path));
        let length = file.and_then(|file| file.metadata()).map(|metadata| metadata.len());
        length.is_ok_and(|length| {
            self.progress.size.store(length, Relaxed);
            self.progress.found(length);
            true
        })
    }

    /// Copies from the source to the part's end; true when it went on from what was there.
    fn fetch(&self, file: &mut File, have: u64, part: &Part) -> Result<bool, Fault> {
        let disk = Fault::disk("the folder of the attempt's data");
        let version = part.version.as_deref();
        let mut opened = source::open(self.place, self.web, have, version, |line| self.progress.hold(line))?;
        if let Some(total) = opened.total {
            self.progress.size.store(total, Relaxed);
            self.fits(total)?;
        }
        file.set_len(opened.from).and_then(|()| file.seek(SeekFrom::Start(opened.from))).map_err(&disk)?;
        let now = Part { version: opened.version.clone(), total: opened.total, ..Part::default() };
        if (&now.version, now.total) != (&part.version, part.total) {
            self.home.note_part(self.index, &now).map_err(&disk)?;
        }
        self.progress.found(opened.from);
        let mut piece = vec![0; PIECE];
        let mut length = opened.from;
        loop {
            if self.progress.stop.stopped() {
                return Err(Fault::Stopped);
            }
            let count = opened.reader.read(&mut piece).map_err(|error| self.passing(&format!("broke off: {error}")))?;
            if count == 0 {
                break;
            }
            length += count as u64;
            self.fits(length)?;
            file.write_all(&piece[..count]).map_err(&disk)?;
            self.progress.add(count as u64);
        }
        match opened.total {
            Some(total) if length < total => Err(self.passing(&format!("broke off after {length} of {total} bytes"))),
            _ => Ok(opened.from > 0),
        }
    }

    fn passing(&self, what: &str) -> Fault {
        Fault::Passing(format!("`{}` {what}", self.item.path))
    }

    /// Whether so many bytes of it are as many as declared, and not too many.
    fn fits(&self, length: u64) -> Result<(), Fault> {
        let path = &self.item.path;
        if let Some(declared) = self.item.bytes.filter(|declared| length > declared.0) {
            return Err(Fault::Lasting(format!(
                "`{path}` has {length} bytes or more, the job declares {}",
                declared.0
            )));
        }
        let others = self.all.iter().filter(|file| !std::ptr::eq(Arc::as_ptr(file), self.progress));
        let all = others.fold(length, |sum, file| sum.saturating_add(file.have.load(Relaxed)));
        let most = self.web.rules.largest.0;
        if all > most {
            return Err(Fault::Lasting(format!(
                "`{path}` is too large: site rule `data.largest` allows {most} bytes in all"
            )));
        }
        Ok(())
    }

    /// Compares with what the job says of it.
    fn check(&self, file: &mut File, resumed: bool) -> Result<(), Fault> {
        let disk = Fault::disk("the folder of the attempt's data");
        let length = file.metadata().map_err(&disk)?.len();
        let path = &self.item.path;
        if let Some(declared) = self.item.bytes.filter(|declared| declared.0 != length) {
            return Err(Fault::Lasting(format!("`{path}` has {length} bytes, the job declares {}", declared.0)));
        }
        let Some(wanted) = &self.item.sha256 else { return Ok(()) };
        file.seek(SeekFrom::Start(0)).map_err(&disk)?;
        let found = digest(file, self.progress)?;
        if hex::encode(&found) == *wanted {
            return Ok(());
        }
        let what = format!("`{path}` has the SHA-256 {}, the job wants {wanted}", hex::encode(&found));
        // Two halves may be of two versions, whatever the server said: once more, from the beginning.
        file.set_len(0).map_err(&disk)?;
        self.home.note_part(self.index, &Part::default()).map_err(&disk)?;
        self.progress.found(0);
        Err(if resumed { Fault::Passing(what) } else { Fault::Lasting(what) })
    }
}

/// SHA-256 of what is left to read.
pub(super) fn digest(reader: &mut impl Read, progress: &Progress) -> Result<[u8; 32], Fault> {
    let (mut hash, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        if progress.stop.stopped() {
            return Err(Fault::Stopped);
        }
        match reader.read(&mut piece).map_err(Fault::disk("a file of the attempt's data"))? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&piece[..count]),
        }
    }
}
