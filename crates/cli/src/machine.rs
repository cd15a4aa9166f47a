//! What this machine can give to a centre.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use huisuan_measure::{Host, MeasureSpec, cpu_part};
use huisuan_model::{Bytes, PoolId};

use crate::failure::{Exit, Failure};

/// The processors that this process may use, as the kernel numbers them.
pub(crate) fn cores() -> Vec<usize> {
    MeasureSpec::default().cpus.into_iter().map(|cpu| cpu as usize).collect()
}

/// The part number of the processors.
pub(crate) fn pool() -> Result<PoolId, Failure> {
    PoolId::new(&cpu_part(&Host::detect().cpu_model))
        .map_err(|error| Failure::new(Exit::Error, error).hint("report the processor's name as a fault of the program"))
}

/// Nine tenths of the memory of this machine, or of the control group that this process is confined to:
/// the rest is for the system and for this program.
pub(crate) fn memory() -> Bytes {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory_total(&text)).unwrap_or(1 << 30);
    let confined = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let least = confined.map_or(total, |confined: u64| confined.min(total));
    Bytes(least / 10 * 9)
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The command that becomes a centre's supervisor: this very program. By its path, so that lists of
/// processes show its name; by the kernel's link when its file was replaced while it runs.
pub(crate) fn supervisor() -> Vec<OsString> {
    let program = std::env::current_exe().ok().filter(|path| path.exists());
    vec![program.unwrap_or_else(|| "/proc/self/exe".into()).into(), "supervise".into()]
}

/// The folder for what outlives a session: `$XDG_DATA_HOME/huisuan` or `~/.local/share/huisuan`.
pub(crate) fn data_folder() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|folder| folder.join("huisuan"))
        .ok_or_else(|| {
            Failure::new(Exit::Usage, "there is no home folder to keep data in").hint("name a folder with --data DIR")
        })
}

/// Where a server keeps its data: the folder of a demo is that of its server, too, unless it has data of its own.
pub(crate) fn server_data(folder: &Path) -> PathBuf {
    let server = folder.join("server");
    let data = |folder: &Path| folder.join("huisuan.db").is_file();
    if data(&server) && !data(folder) { server } else { folder.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_demo_is_that_of_its_server() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        assert_eq!(server_data(folder.path()), folder.path());
        let server = folder.path().join("server");
        fs::create_dir(&server).expect("made");
        assert_eq!(server_data(folder.path()), folder.path());
        fs::write(server.join("huisuan.db"), "").expect("written");
        assert_eq!(server_data(folder.path()), server);
        fs::write(folder.path().join("huisuan.db"), "").expect("written");
        assert_eq!(server_data(folder.path()), folder.path());
    }

    #[test]
    fn total_memory_is_read_in_bytes() {
        assert_eq!(memory_total("MemTotal:        4046488 kB\nMemFree:  1 kB\n"), Some(4_046_488 * 1024));
        assert_eq!(memory_total("MemFree: 1 kB\n"), None);
        assert_eq!(memory_total("MemTotal: many kB\n"), None);
    }
}
