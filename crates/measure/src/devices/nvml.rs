//! NVIDIA's devices through NVML, which `nvml-wrapper` loads at run time.

use std::ffi::OsStr;

use nvml_wrapper::Nvml;

use super::Device;

/// The devices that a library tells of, that of the system where none is named; none where the library or the driver is
/// not there.
pub(super) fn devices(library: Option<&OsStr>) -> Vec<Device> {
    let Some(nvml) = open(library) else { return Vec::new() };
    let count = nvml.device_count().unwrap_or(0);
    let device = |index: u32| {
        let device = nvml.device_by_index(index).ok()?;
        Some(Device {
            told_by: "nvml",
            index,
            name: device.name().ok().filter(|name| !name.is_empty())?,
            memory_mib: device.memory_info().ok().map(|memory| memory.total >> 20),
            watts: device.enforced_power_limit().ok().map(|milliwatts| milliwatts / 1_000),
            uuid: device.uuid().ok(),
        })
    };
    (0..count).filter_map(device).collect()
}

fn open(library: Option<&OsStr>) -> Option<Nvml> {
    let mut builder = Nvml::builder();
    if let Some(path) = library {
        builder.lib_path(path);
    }
    builder.init().ok()
}

/// The meters of the devices; none where the library or the driver is not there.
#[cfg(feature = "cuda")]
pub(crate) struct Meters(Option<Nvml>);

#[cfg(feature = "cuda")]
impl Meters {
    pub(crate) fn open() -> Self {
        Self(open(None))
    }

    /// That of the device with this identity.
    pub(crate) fn of(&self, uuid: &str) -> Option<Meter<'_>> {
        self.0.as_ref()?.device_by_uuid(uuid).ok().map(Meter)
    }
}

/// What a device tells of itself while it works.
#[cfg(feature = "cuda")]
pub(crate) struct Meter<'a>(nvml_wrapper::Device<'a>);

#[cfg(feature = "cuda")]
impl Meter<'_> {
    /// Its power cap.
    pub(crate) fn watts_cap(&self) -> Option<u32> {
        self.0.enforced_power_limit().ok().map(|milliwatts| milliwatts / 1_000)
    }

    /// Processes that compute on it; 0 where the driver does not tell.
    pub(crate) fn processes(&self) -> u32 {
        self.0.running_compute_processes_count().unwrap_or(0)
    }

    /// What it used since the driver was loaded, in thousandths of a joule.
    pub(crate) fn energy_mj(&self) -> Option<u64> {
        self.0.total_energy_consumption().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::*;

    #[test]
    fn no_library_is_no_error() {
        assert_eq!(devices(Some(OsStr::new("/nowhere/libnvidia-ml.so.1"))), []);
    }

    /// The library is a fake, `tests/fake_nvml.c`: it shows that what is loaded is asked and read, not what NVIDIA's
    /// own answers.
    #[test]
    fn a_fake_library_is_asked_for_every_device() {
        let folder = std::env::temp_dir().join(format!("huisuan-nvml-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let library = folder.join("libfake-nvidia-ml.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_nvml.c");
        // The same compiler that links this test.
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).output();
        let built = built.expect("a C compiler");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let found = devices(Some(library.as_os_str()));
        fs::remove_dir_all(&folder).expect("the folder");
        let told: Vec<_> = found.iter().map(|d| (d.index, d.name.as_str(), d.memory_mib, d.watts)).collect();
        // The second knows no power limit; the third has fallen off the bus.
        assert_eq!(told, [(0, "NVIDIA H200", Some(143_771), Some(700)), (1, "NVIDIA L40S", Some(46_068), None)]);
        let part = found[0].part(&crate::Registry::built_in()).map(|part| part.id.clone());
        assert_eq!(part.as_deref(), Some("H200-SXM5-141G"));
    }
}
