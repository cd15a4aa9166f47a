//! NVIDIA's devices through NVML, which `nvml-wrapper` loads at run time.

use nvml_wrapper::Nvml;

use super::Device;

/// The devices; none where the library or the driver is not there.
pub(super) fn devices() -> Vec<Device> {
    let Ok(nvml) = Nvml::init() else { return Vec::new() };
    let count = nvml.device_count().unwrap_or(0);
    let device = |index: u32| {
        let device = nvml.device_by_index(index).ok()?;
        Some(Device {
            told_by: "nvml",
            index,
            name: device.name().ok().filter(|name| !name.is_empty())?,
            memory_mib: device.memory_info().ok().map(|memory| memory.total >> 20),
            watts: device.enforced_power_limit().ok().map(|milliwatts| milliwatts / 1_000),
        })
    };
    (0..count).filter_map(device).collect()
}
