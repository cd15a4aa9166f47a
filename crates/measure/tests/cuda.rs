//! What measures NVIDIA's devices, on a fake of their libraries (`fake_cuda.c`, `fake_nvml.c`) that multiplies on the
//! processor: orders, types, layouts, values and errors are shown by it, rates are not. No real device was there.
#![cfg(feature = "cuda")]

use std::{path::Path, process::Command};

use huisuan_measure::{DeviceMeasurement, DeviceOutcome, DeviceSpec, Registry, Unmeasured, measure_devices};
use huisuan_model::Precision;

/// What a test does in its own process says which.
const INSIDE: &str = "HUISUAN_FAKE_CUDA_INSIDE";
/// Products of this order by the fake take a moment; not a multiple of the matrices' repeated columns.
const ORDER: usize = 96;

/// Libraries are looked for once in a process, by a path that is read when it starts: each test runs itself again in a
/// process of its own, which finds the fakes. `lacking` leaves one out or makes it an old one.
fn with_fakes(test: &str, fault: &str, lacking: &[&str], inside: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let folder = std::env::temp_dir().join(format!("huisuan-cuda-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let old = if lacking.contains(&"old-driver") { &["-DOLD"][..] } else { &[] };
    for (file, source, options) in [
        ("libcuda.so", "fake_cuda.c", [&["-DDRIVER"], old].concat()),
        ("libcublas.so", "fake_cuda.c", vec!["-DBLAS"]),
        ("libnvidia-ml.so.1", "fake_nvml.c", vec![]),
    ] {
        if !lacking.contains(&file) {
            build(&folder.join(file), source, &options);
        }
    }
    // By `timeout`, so that a hanging test ends.
    let status = Command::new("timeout")
        .arg("120")
        .arg(std::env::current_exe().expect("this test"))
        .args([test, "--exact", "--nocapture"])
        .env("LD_LIBRARY_PATH", &folder)
        .env("FAKE_CUDA", fault)
        .env(INSIDE, "1")
        .status()
        .expect("`timeout` of the system");
    std::fs::remove_dir_all(&folder).expect("the folder");
    assert!(status.success(), "{test} failed in its own process");
}

fn build(library: &Path, source: &str, options: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    // The same compiler that links this test.
    let built =
        Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(library).args(options).arg(source).output();
    let built = built.expect("a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

fn measured() -> Result<Vec<DeviceOutcome>, Unmeasured> {
    let spec = DeviceSpec { order: Some(ORDER), runs: 5, run_ms: 2, copy_runs: 5, ..DeviceSpec::default() };
    measure_devices(&spec, &Registry::built_in())
}

fn outcome(of: &DeviceOutcome) -> &DeviceMeasurement {
    of.outcome.as_ref().expect("a measurement")
}

#[test]
fn every_precision_of_every_device_is_measured() {
    with_fakes("every_precision_of_every_device_is_measured", "", &[], || {
        let devices = measured().expect("two devices");
        let names: Vec<_> = devices.iter().map(|of| (of.device.index, of.device.name.as_str())).collect();
        assert_eq!(names, [(0, "NVIDIA H200"), (1, "NVIDIA L40S")]);
        for (of, memory_mib) in devices.iter().zip([143_771, 46_068]) {
            let found = outcome(of);
            assert_eq!((found.method, found.version, found.driver, found.library), ("gemm-cublas", 1, 13_000, 130_100));
            assert_eq!((&found.device, found.device.memory_mib), (&of.device, Some(memory_mib)));
            assert_eq!(found.left_out, []);
            let precisions: Vec<_> = found.rates.iter().map(|rate| rate.precision).collect();
            assert_eq!(precisions, DeviceSpec::default().precisions);
            for rate in &found.rates {
                assert_eq!((rate.runs_ns.len(), rate.entries_checked, rate.order), (5, 64, ORDER as u64));
                assert_eq!(rate.sustained_gflops, rate.recomputed_gflops());
                assert_eq!(rate.flop_per_run % huisuan_measure::gemm_flop(ORDER as u64), 0);
                assert_eq!(rate.plausible(), rate.nameplate_gflops.map(|_| true));
            }
            let copy = found.copy.as_ref().expect("copies");
            assert_eq!((copy.runs_ns.len(), copy.array_bytes), (5, 2 << 20));
            assert!(copy.mb_per_s > 0);
        }
        let (h200, l40s) = (outcome(&devices[0]), outcome(&devices[1]));
        assert_eq!(h200.part.as_deref(), Some("H200-SXM5-141G"));
        let bf16 = h200.rates.iter().find(|rate| rate.precision == Precision::Bf16).expect("a rate");
        assert_eq!(bf16.nameplate_gflops, Some(989_400));
        // The fake's meter counts 500 W on the first device; the other has none.
        let watts: Vec<u32> = h200.rates.iter().filter_map(|rate| rate.watts).collect();
        assert_eq!(watts.len(), 6);
        assert!(watts.iter().all(|watts| (350..=650).contains(watts)), "{watts:?}");
        assert!(l40s.rates.iter().all(|rate| rate.watts.is_none()));
        assert_eq!((devices[0].device.watts, devices[1].device.watts), (Some(700), None));
        assert_eq!(devices[0].device.uuid.as_deref(), Some("GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"));
    });
}

#[test]
fn what_a_device_has_no_arithmetic_for_is_left_out() {
    with_fakes("what_a_device_has_no_arithmetic_for_is_left_out", "no-bf16", &[], || {
        let devices = measured().expect("two devices");
        for found in devices.iter().map(outcome) {
            let out: Vec<_> = found.left_out.iter().map(|out| (out.precision, out.why.as_str())).collect();
            assert_eq!(out, [(Precision::Bf16, "CUBLAS_STATUS_NOT_SUPPORTED")]);
            assert_eq!(found.rates.len(), 5);
        }
    });
}

#[test]
fn a_device_that_multiplies_wrongly_has_no_rate() {
    with_fakes("a_device_that_multiplies_wrongly_has_no_rate", "wrong", &[], || {
        for of in measured().expect("two devices") {
            let why = of.outcome.expect_err("wrong products");
            assert!(matches!(why, Unmeasured::WrongProduct { precision: Precision::Fp64, .. }), "{why}");
        }
    });
}

#[test]
fn a_device_that_is_full_or_in_use_has_no_rate() {
    with_fakes("a_device_that_is_full_or_in_use_has_no_rate", "busy", &[], || {
        let devices = measured().expect("two devices");
        let why = devices[0].outcome.as_ref().expect_err("somebody's processes");
        assert_eq!(*why, Unmeasured::Busy { processes: 2 });
        assert!(devices[1].outcome.is_ok());
    });
}

#[test]
fn a_device_without_free_memory_has_no_rate() {
    with_fakes("a_device_without_free_memory_has_no_rate", "out-of-memory", &[], || {
        for of in measured().expect("two devices") {
            assert_eq!(of.outcome.expect_err("no memory"), Unmeasured::Memory);
        }
    });
}

#[test]
fn without_a_device_the_reason_says_so() {
    with_fakes("without_a_device_the_reason_says_so", "no-device", &[], || {
        assert_eq!(measured().expect_err("no device"), Unmeasured::NoDevice);
        assert_eq!(huisuan_measure::measurable_devices(), Err(Unmeasured::NoDevice));
    });
}

#[test]
fn a_missing_library_is_a_reason() {
    with_fakes("a_missing_library_is_a_reason", "", &["libcublas.so"], || {
        let why = measured().expect_err("no cuBLAS");
        assert!(matches!(why, Unmeasured::NoLibrary { .. }) && why.to_string().contains("cuBLAS"), "{why}");
    });
}

#[test]
fn an_old_library_is_a_reason() {
    with_fakes("an_old_library_is_a_reason", "", &["old-driver"], || {
        let why = measured().expect_err("an old driver");
        assert!(matches!(why, Unmeasured::OldLibrary { function: "cuGetErrorString", .. }), "{why}");
    });
}
