//! The only place that calls foreign code by itself: `cudarc` makes contexts, memory and events safe, and its bindings
//! of the product and of a few questions are not.
//!
//! `cudarc` ends the thread where a library or a function is missing, so both are looked for before anything is called.
#![allow(unsafe_code)]

use std::ffi::c_void;

use cudarc::cublas::{CudaBlas, result::gemm_ex, sys as blas};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DevicePtrMut, sys as driver};

use super::matrices::Format;
use crate::accelerator::Unmeasured;

const DRIVER: &str = "CUDA driver (libcuda.so.1)";
const BLAS: &str = "cuBLAS (libcublas.so of CUDA 11, 12 or 13)";

/// What is called of the driver, by `cudarc` for us included.
const DRIVER_FUNCTIONS: [&str; 27] = [
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDeviceGetUuid_v2",
    "cuDeviceTotalMem_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuMemGetInfo_v2",
    "cuMemAlloc_v2",
    "cuMemAllocAsync",
    "cuMemFree_v2",
    "cuMemFreeAsync",
    "cuMemsetD8Async",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyDtoDAsync_v2",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuEventCreate",
    "cuEventRecord",
    "cuEventDestroy_v2",
    "cuGetErrorString",
];
const BLAS_FUNCTIONS: [&str; 5] =
    ["cublasCreate_v2", "cublasDestroy_v2", "cublasSetStream_v2", "cublasGetVersion_v2", "cublasGemmEx"];

/// Whether both libraries are there with all that is needed of them.
pub(super) fn present() -> Result<(), Unmeasured> {
    // SAFETY: loading the makers' libraries runs their initialisers, which take nothing from us. Functions are only
    // looked up, as untyped addresses that are never called.
    let missing = unsafe {
        if !driver::is_culib_present() {
            return Err(Unmeasured::NoLibrary { library: DRIVER });
        }
        if !blas::is_culib_present() {
            return Err(Unmeasured::NoLibrary { library: BLAS });
        }
        let lacks_driver = |name: &&str| driver::culib().get::<*const c_void>(name.as_bytes()).is_err();
        let lacks_blas = |name: &&str| blas::culib().get::<*const c_void>(name.as_bytes()).is_err();
        let driver = DRIVER_FUNCTIONS.into_iter().find(lacks_driver).map(|function| (DRIVER, function));
        driver.or_else(|| BLAS_FUNCTIONS.into_iter().find(lacks_blas).map(|function| (BLAS, function)))
    };
    missing.map_or(Ok(()), |(library, function)| Err(Unmeasured::OldLibrary { library, function }))
}

/// The versions of the driver's interface and of cuBLAS; 0 for one that does not tell.
pub(super) fn versions(handle: &CudaBlas) -> (u32, u32) {
    let (mut driver_version, mut blas_version) = (0, 0);
    // SAFETY: both write one integer to where they are pointed; the handle is alive.
    unsafe {
        let _ = driver::cuDriverGetVersion(&raw mut driver_version);
        let _ = blas::cublasGetVersion_v2(*handle.handle(), &raw mut blas_version);
    }
    (driver_version.try_into().unwrap_or(0), blas_version.try_into().unwrap_or(0))
}

/// One, in the type of the sums.
enum Scalar {
    Double(f64),
    Single(f32),
    Integer(i32),
}

impl Scalar {
    fn pointer(&self) -> *const c_void {
        match self {
            Self::Double(value) => std::ptr::from_ref(value).cast(),
            Self::Single(value) => std::ptr::from_ref(value).cast(),
            Self::Integer(value) => std::ptr::from_ref(value).cast(),
        }
    }
}

fn types(format: Format) -> (blas::cudaDataType, blas::cudaDataType, blas::cublasComputeType_t, [Scalar; 2]) {
    use blas::cublasComputeType_t::{
        CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32I, CUBLAS_COMPUTE_64F,
    };
    use blas::cudaDataType_t::{CUDA_R_8I, CUDA_R_16BF, CUDA_R_16F, CUDA_R_32F, CUDA_R_32I, CUDA_R_64F};
    let single = [Scalar::Single(1.0), Scalar::Single(0.0)];
    match format {
        Format::Fp64 => (CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F, [Scalar::Double(1.0), Scalar::Double(0.0)]),
        Format::Fp32 => (CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, single),
        Format::Tf32 => (CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, single),
        Format::Bf16 => (CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F, single),
        Format::Fp16 => (CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F, single),
        Format::Int8 => (CUDA_R_8I, CUDA_R_32I, CUBLAS_COMPUTE_32I, [Scalar::Integer(1), Scalar::Integer(0)]),
    }
}

/// Orders one product `C = A^T B` of square matrices, stored column by column, on the stream of `handle`: entry
/// `(i, j)` of C is the inner product of column `i` of A and column `j` of B, which lie in one piece each. It is the
/// layout that all formats have fast kernels for.
pub(super) fn multiply(
    handle: &CudaBlas,
    stream: &CudaStream,
    format: Format,
    order: usize,
    (a, b, c): (&CudaSlice<u8>, &CudaSlice<u8>, &mut CudaSlice<u8>),
) -> Result<(), Unmeasured> {
    let failed = |said: String| Unmeasured::Call { doing: "a matrix product", said };
    let n = i32::try_from(order).map_err(|_| failed("the matrices are too large".to_owned()))?;
    let elements = order * order;
    let fits = a.len() == elements * format.input_bytes()
        && b.len() == elements * format.input_bytes()
        && c.len() == elements * format.output_bytes();
    assert!(fits, "matrices are made for their format and order");
    let (input, output, compute, [one, zero]) = types(format);
    let (a, _reads_a) = a.device_ptr(stream);
    let (b, _reads_b) = b.device_ptr(stream);
    let (c, _writes_c) = c.device_ptr_mut(stream);
    // SAFETY: the three areas are alive on the device of the handle and hold n x n elements of their types (asserted
    // above); the leading dimension is n for each; C is borrowed alone; both factors live on this stack until the
    // call returns, and the library reads them before it does (the pointers are the host's, its default mode).
    let ordered = unsafe {
        gemm_ex(
            *handle.handle(),
            blas::cublasOperation_t::CUBLAS_OP_T,
            blas::cublasOperation_t::CUBLAS_OP_N,
            n,
            n,
            n,
            one.pointer(),
            a as *const c_void,
            input,
            n,
            b as *const c_void,
            input,
            n,
            zero.pointer(),
            c as *mut c_void,
            output,
            n,
            compute,
            blas::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    };
    ordered.map_err(|error| failed(format!("{:?}", error.0)))
}
