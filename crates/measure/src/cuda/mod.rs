//! NVIDIA's devices by cuBLAS: the driver and the library are loaded at run time, and their absence is a reason, not an
//! error. Not tried on a device: it is tested with a library that multiplies on the processor
//! (`tests/fake_cuda.c`), which shows that arguments, layouts and types are right, not how fast anything is.
//!
//! `library.rs` calls foreign code, `matrices.rs` makes inputs and checks products, this file times them.

mod library;
mod matrices;

use std::sync::Arc;
use std::time::Instant;

use cudarc::cublas::CudaBlas;
use cudarc::driver::result::device as driver_device;
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DriverError, sys};
use huisuan_model::Precision;

use crate::accelerator::{
    CopyRate, DEVICE_METHOD, DEVICE_METHOD_VERSION, DeviceMeasurement, DeviceOutcome, DeviceRate, DeviceSpec, LeftOut,
    Unmeasured,
};
use crate::devices::{Device, Meter, Meters};
use crate::parts::{Part, Registry};
use crate::rating::{gemm_flop, gflops, upper_median};
use matrices::{Format, Panel};

/// The order of the matrices: three of FP64 are 1.6 GB.
const ORDER: usize = 8_192;
/// The order where a device has less memory than [`MEMORY_MIB_MIN`].
const ORDER_SMALL: usize = 4_096;
const MEMORY_MIB_MIN: u64 = 8_192;
/// More products are not ordered at once.
const PRODUCTS_MAX: u64 = 10_000;
/// Each half of the area that is copied, at most: many times any cache.
const COPY_BYTES_MAX: u64 = 2 << 30;
/// The seeds of the two inputs.
const SEEDS: (u64, u64) = (1, 2);

/// How many devices the runtime sees.
pub(crate) fn count() -> Result<usize, Unmeasured> {
    library::present()?;
    let seen = CudaContext::device_count().map_err(|error| failed("looking for devices", error));
    match seen.map(|count| usize::try_from(count).unwrap_or(0)) {
        Ok(0) => Err(Unmeasured::NoDevice),
        Err(Unmeasured::Call { said, .. }) if said == "CUDA_ERROR_NO_DEVICE" => Err(Unmeasured::NoDevice),
        seen => seen,
    }
}

/// Measures every device that the runtime sees, all at once.
pub(crate) fn measure(spec: &DeviceSpec, registry: &Registry) -> Result<Vec<DeviceOutcome>, Unmeasured> {
    let count = count()?;
    let meters = Meters::open();
    let one = |ordinal: usize| {
        let mut device = unknown(ordinal);
        let opened = Opened::new(&mut device, &meters);
        let outcome = opened.and_then(|opened| opened.measure(&device, spec, registry));
        DeviceOutcome { device, outcome }
    };
    Ok(std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..count).map(|ordinal| scope.spawn(move || one(ordinal))).collect();
        let ended = |(ordinal, thread): (usize, std::thread::ScopedJoinHandle<'_, DeviceOutcome>)| {
            thread.join().unwrap_or_else(|_| DeviceOutcome {
                device: unknown(ordinal),
                outcome: Err(Unmeasured::Call { doing: "measuring", said: "the runtime ended the thread".to_owned() }),
            })
        };
        threads.into_iter().enumerate().map(ended).collect()
    }))
}

fn unknown(ordinal: usize) -> Device {
    let index = u32::try_from(ordinal).unwrap_or(u32::MAX);
    Device { told_by: "cuda", index, name: format!("device {ordinal}"), memory_mib: None, watts: None, uuid: None }
}

fn failed(doing: &'static str, error: DriverError) -> Unmeasured {
    match error.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Unmeasured::Memory,
        said => Unmeasured::Call { doing, said: format!("{said:?}") },
    }
}

/// A device with a context.
struct Opened<'a> {
    stream: Arc<CudaStream>,
    blas: CudaBlas,
    meter: Option<Meter<'a>>,
}

/// A timed run: nanoseconds of each, and the mean power over all of them.
struct Runs {
    runs_ns: Vec<u64>,
    watts: Option<u32>,
}

impl<'a> Opened<'a> {
    /// Opens what `device` numbers, and fills in what it says of itself, also where it cannot be measured.
    fn new(device: &mut Device, meters: &'a Meters) -> Result<Self, Unmeasured> {
        let handle = driver_device::get(i32::try_from(device.index).unwrap_or(i32::MAX));
        let handle = handle.map_err(|error| failed("finding the device", error))?;
        device.name = driver_device::get_name(handle).map_err(|error| failed("asking for its name", error))?;
        let uuid = driver_device::get_uuid(handle).map_err(|error| failed("asking for its identity", error))?;
        let uuid = uuid_text(uuid.bytes.map(|byte| byte as u8));
        let meter = meters.of(&uuid);
        device.uuid = Some(uuid);
        device.watts = meter.as_ref().and_then(Meter::watts_cap);
        // Before there is a context of our own, which counts as a process, too.
        let processes = meter.as_ref().map_or(0, Meter::processes);
        if processes > 0 {
            return Err(Unmeasured::Busy { processes });
        }
        let context = CudaContext::new(device.index as usize).map_err(|error| failed("opening the device", error))?;
        let bytes = context.total_mem().map_err(|error| failed("asking for its memory", error))?;
        device.memory_mib = Some(bytes as u64 >> 20);
        let stream = context.default_stream();
        let blas = CudaBlas::new(stream.clone())
            .map_err(|error| Unmeasured::Call { doing: "opening cuBLAS", said: format!("{:?}", error.0) })?;
        Ok(Self { stream, blas, meter })
    }

    fn measure(
        &self,
        device: &Device,
        spec: &DeviceSpec,
        registry: &Registry,
    ) -> Result<DeviceMeasurement, Unmeasured> {
        let small = device.memory_mib.is_some_and(|mib| mib < MEMORY_MIB_MIN);
        let order = spec.order.unwrap_or(if small { ORDER_SMALL } else { ORDER });
        let part = device.part(registry);
        let (mut rates, mut left_out) = (Vec::new(), Vec::new());
        for &precision in &spec.precisions {
            match self.rate(precision, order, spec, part) {
                Ok(rate) => rates.push(rate),
                // A product that a device has no arithmetic for is refused when it is ordered.
                Err(Unmeasured::Call { said, .. }) if NOT_FOR_THIS_DEVICE.contains(&said.as_str()) => {
                    left_out.push(LeftOut { precision, why: said });
                }
                Err(why) => return Err(why),
            }
        }
        let copy = if spec.copy_runs > 0 { Some(self.copy(spec)?) } else { None };
        let (driver, library) = library::versions(&self.blas);
        Ok(DeviceMeasurement {
            method: DEVICE_METHOD,
            version: DEVICE_METHOD_VERSION,
            device: device.clone(),
            part: part.map(|part| part.id.clone()),
            driver,
            library,
            rates,
            left_out,
            copy,
        })
    }

    fn rate(
        &self,
        precision: Precision,
        order: usize,
        spec: &DeviceSpec,
        part: Option<&Part>,
    ) -> Result<DeviceRate, Unmeasured> {
        let format = Format::of(precision)
            .ok_or_else(|| Unmeasured::Call { doing: "a matrix product", said: NOT_FOR_THIS_DEVICE[0].to_owned() })?;
        let (a, b) = (Panel::new(format, order, SEEDS.0), Panel::new(format, order, SEEDS.1));
        let (left, right) = (self.upload(&a, format, order)?, self.upload(&b, format, order)?);
        let mut product = self.zeros(order * order * format.output_bytes())?;
        let mut once = || library::multiply(&self.blas, &self.stream, format, order, (&left, &right, &mut product));
        let (products, runs) = self.timed(spec.runs, spec.run_ms, &mut once)?;
        let mut columns = Vec::new();
        for column in matrices::columns_checked(order) {
            let length = order * format.output_bytes();
            let area = product.slice(column * length..(column + 1) * length);
            let fetched = self.stream.clone_dtoh(&area).map_err(|error| failed("fetching the product", error))?;
            columns.push((column, fetched));
        }
        self.finish("fetching the product")?;
        let check = matrices::check(&a, &b, &columns);
        if check.error_max.is_nan() || check.error_max > check.bound {
            let (error, bound) = (format!("{:e}", check.error_max), format!("{:e}", check.bound));
            return Err(Unmeasured::WrongProduct { precision, error, bound });
        }
        let flop_per_run = products * gemm_flop(order as u64);
        let median_ns = upper_median(&runs.runs_ns);
        Ok(DeviceRate {
            precision,
            sustained_gflops: gflops(flop_per_run, median_ns),
            nameplate_gflops: part.and_then(|part| part.peak.get(&precision)).map(|figure| figure.gflops),
            order: order as u64,
            flop_per_run,
            runs_ns: runs.runs_ns,
            median_ns,
            entries_checked: check.entries,
            error_max: check.error_max,
            watts: runs.watts,
        })
    }

    fn copy(&self, spec: &DeviceSpec) -> Result<CopyRate, Unmeasured> {
        let (free, _) =
            self.stream.context().mem_get_info().map_err(|error| failed("asking for free memory", error))?;
        let array_bytes = (free as u64 / 4).min(COPY_BYTES_MAX);
        let length = usize::try_from(array_bytes).map_err(|_| Unmeasured::Memory)?;
        let (from, mut to) = (self.zeros(length)?, self.zeros(length)?);
        let mut once =
            || self.stream.memcpy_dtod(&from, &mut to).map_err(|error| failed("a copy within the device", error));
        let (copies, runs) = self.timed(spec.copy_runs, spec.run_ms, &mut once)?;
        let bytes_per_run = copies * 2 * array_bytes;
        let median_ns = upper_median(&runs.runs_ns);
        let mb_per_s = u64::try_from(u128::from(bytes_per_run) * 1_000 / u128::from(median_ns.max(1)));
        Ok(CopyRate {
            mb_per_s: mb_per_s.unwrap_or(u64::MAX),
            array_bytes,
            bytes_per_run,
            runs_ns: runs.runs_ns,
            median_ns,
        })
    }

    /// Orders `once` again and again: once to warm up, once to see how long it takes, then a run untimed and `count`
    /// timed ones, each long enough. The clock is the machine's, from the first order to the end of the last.
    fn timed(
        &self,
        count: u32,
        run_ms: u32,
        once: &mut dyn FnMut() -> Result<(), Unmeasured>,
    ) -> Result<(u64, Runs), Unmeasured> {
        let mut run = |times: u64| {
            let start = Instant::now();
            for _ in 0..times {
                once()?;
            }
            self.finish("computing")?;
            Ok(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1))
        };
        run(1)?;
        let single_ns = run(1)?;
        let times = (u64::from(run_ms) * 1_000_000).div_ceil(single_ns).clamp(1, PRODUCTS_MAX);
        run(times)?;
        let began = Instant::now();
        let before_mj = self.meter.as_ref().and_then(Meter::energy_mj);
        let runs_ns = (0..count).map(|_| run(times)).collect::<Result<Vec<u64>, Unmeasured>>()?;
        let after_mj = self.meter.as_ref().and_then(Meter::energy_mj);
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let spent_mj = before_mj.zip(after_mj).and_then(|(before, after)| after.checked_sub(before));
        // A counter that stood still tells nothing.
        let watts = spent_mj.filter(|&mj| mj > 0 && elapsed_ms > 0).map(|mj| mj / elapsed_ms);
        Ok((times, Runs { runs_ns, watts: watts.and_then(|watts| u32::try_from(watts).ok()) }))
    }

    fn upload(&self, panel: &Panel, format: Format, order: usize) -> Result<CudaSlice<u8>, Unmeasured> {
        let mut matrix = self.zeros(order * order * format.input_bytes())?;
        for (offset, piece) in panel.pieces() {
            let mut area = matrix.slice_mut(offset..offset + piece.len());
            self.stream.memcpy_htod(piece, &mut area).map_err(|error| failed("sending the inputs", error))?;
        }
        self.finish("sending the inputs")?;
        Ok(matrix)
    }

    fn zeros(&self, bytes: usize) -> Result<CudaSlice<u8>, Unmeasured> {
        self.stream.alloc_zeros(bytes).map_err(|error| failed("taking memory", error))
    }

    fn finish(&self, doing: &'static str) -> Result<(), Unmeasured> {
        self.stream.synchronize().map_err(|error| failed(doing, error))
    }
}

/// What cuBLAS says to a product that a device has no arithmetic or no kernel for.
const NOT_FOR_THIS_DEVICE: [&str; 2] = ["CUBLAS_STATUS_NOT_SUPPORTED", "CUBLAS_STATUS_ARCH_MISMATCH"];

/// The identity of a device as NVML writes it.
fn uuid_text(bytes: [u8; 16]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex[from..to].concat();
    format!("GPU-{}-{}-{}-{}-{}", part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 16))
}
