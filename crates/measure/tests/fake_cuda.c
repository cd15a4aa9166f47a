/* A fake of NVIDIA's driver library and of cuBLAS for a test of what measures devices: two devices whose memory is the
 * machine's and which multiply on the processor, slowly and rightly, by the types, layouts and sizes that they are told.
 * Names and numbers are those of the public interfaces; nothing here is NVIDIA's, and no rate of it means anything.
 *
 * Built twice: with -DDRIVER as libcuda.so, with -DBLAS as libcublas.so. FAKE_CUDA names what goes wrong:
 * no-device, out-of-memory, wrong (a row of each product) or no-bf16. With -DOLD the driver lacks a function. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int fault(const char *name) {
    const char *said = getenv("FAKE_CUDA");
    return said && !strcmp(said, name);
}

#ifdef DRIVER

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201 };

typedef unsigned long long pointer;

static int contexts[2];
static __thread void *current;

int cuInit(unsigned int flags) { return flags ? INVALID_VALUE : fault("no-device") ? NO_DEVICE : SUCCESS; }
int cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
int cuDeviceGetCount(int *count) { *count = 2; return SUCCESS; }

int cuDeviceGet(int *device, int ordinal) {
    if (ordinal < 0 || ordinal > 1) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, device ? "NVIDIA L40S" : "NVIDIA H200", (size_t)length);
    return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    /* 115: whether there are memory pools; the second device has none, as old ones have not. */
    *value = attribute == 115 ? device == 0 : 0;
    return SUCCESS;
}

int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
    for (int at = 0; at < 16; at++) uuid[at] = (unsigned char)(16 * device + at);
    return SUCCESS;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (device ? (size_t)46068 : (size_t)143771) << 20;
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &contexts[device]; return SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int device) { return device < 2 ? SUCCESS : INVALID_DEVICE; }
int cuCtxGetCurrent(void **context) { *context = current; return SUCCESS; }
int cuCtxSetCurrent(void *context) { current = context; return SUCCESS; }
int cuMemGetInfo_v2(size_t *left, size_t *total) { *left = 8 << 20; *total = 64 << 20; return SUCCESS; }

int cuMemAlloc_v2(pointer *area, size_t bytes) {
    if (!current) return INVALID_CONTEXT;
    if (fault("out-of-memory")) return OUT_OF_MEMORY;
    /* Not what a fresh area of the machine has, so that what is never written is seen. */
    void *memory = malloc(bytes);
    if (memory) memset(memory, 0x5a, bytes);
    *area = (pointer)(uintptr_t)memory;
    return memory ? SUCCESS : OUT_OF_MEMORY;
}

int cuMemAllocAsync(pointer *area, size_t bytes, void *stream) { (void)stream; return cuMemAlloc_v2(area, bytes); }
int cuMemFree_v2(pointer area) { free((void *)(uintptr_t)area); return SUCCESS; }
int cuMemFreeAsync(pointer area, void *stream) { (void)stream; return cuMemFree_v2(area); }

int cuMemsetD8Async(pointer area, unsigned char value, size_t bytes, void *stream) {
    (void)stream;
    memset((void *)(uintptr_t)area, value, bytes);
    return SUCCESS;
}

int cuMemcpyHtoDAsync_v2(pointer to, const void *from, size_t bytes, void *stream) {
    (void)stream;
    memcpy((void *)(uintptr_t)to, from, bytes);
    return SUCCESS;
}

int cuMemcpyDtoHAsync_v2(void *to, pointer from, size_t bytes, void *stream) {
    (void)stream;
    memcpy(to, (void *)(uintptr_t)from, bytes);
    return SUCCESS;
}

int cuMemcpyDtoDAsync_v2(pointer to, pointer from, size_t bytes, void *stream) {
    (void)stream;
    memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
    return SUCCESS;
}

int cuStreamSynchronize(void *stream) { (void)stream; return SUCCESS; }
int cuStreamWaitEvent(void *stream, void *event, unsigned int flags) { (void)stream; (void)event; (void)flags; return SUCCESS; }
int cuEventCreate(void **event, unsigned int flags) { (void)flags; *event = malloc(1); return SUCCESS; }
int cuEventRecord(void *event, void *stream) { (void)event; (void)stream; return SUCCESS; }
int cuEventDestroy_v2(void *event) { free(event); return SUCCESS; }

#ifndef OLD
int cuGetErrorString(int error, const char **text) { (void)error; *text = "an error of the fake"; return SUCCESS; }
#endif

#else

enum { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_64F = 1, R_16F = 2, R_8I = 3, R_32I = 10, R_16BF = 14 };
enum { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_32I = 72, COMPUTE_32F_FAST_TF32 = 77 };

static int handles[2];

int cublasCreate_v2(void **handle) { *handle = handles; return SUCCESS; }
int cublasDestroy_v2(void *handle) { return handle == handles ? SUCCESS : INVALID_VALUE; }
int cublasSetStream_v2(void *handle, void *stream) { (void)stream; return handle == handles ? SUCCESS : INVALID_VALUE; }
int cublasGetVersion_v2(void *handle, int *version) { (void)handle; *version = 130100; return SUCCESS; }

static float single_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static float half_of(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
    /* No infinities here. Below the normal numbers: so many times 2^-24. */
    if (!exponent) return single_of(sign | 0x3f800000) * (float)fraction * single_of((127 - 24) << 23);
    return single_of(sign | (exponent + 112) << 23 | fraction << 13);
}

static double entry(const void *matrix, int type, int tf32, size_t at) {
    switch (type) {
    case R_64F: return ((const double *)matrix)[at];
    case R_32F: {
        uint32_t bits = ((const uint32_t *)matrix)[at];
        /* As the matrix units do: 13 bits of the fraction are dropped. */
        return single_of(tf32 ? bits & ~0x1fffu : bits);
    }
    case R_16F: return half_of(((const uint16_t *)matrix)[at]);
    case R_16BF: return single_of((uint32_t)((const uint16_t *)matrix)[at] << 16);
    default: return ((const int8_t *)matrix)[at];
    }
}

/* C = alpha op(A) op(B) + beta C, column by column, for the pairs of types that cuBLAS has. */
int cublasGemmEx(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha, const void *a,
                 int a_type, int lda, const void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc,
                 int compute, int algorithm) {
    if (handle != handles || algorithm != -1 || a_type != b_type) return INVALID_VALUE;
    int tf32 = compute == COMPUTE_32F_FAST_TF32;
    int doubles = compute == COMPUTE_64F && a_type == R_64F && c_type == R_64F;
    int integers = compute == COMPUTE_32I && a_type == R_8I && c_type == R_32I;
    int singles = (compute == COMPUTE_32F || tf32) && c_type == R_32F && (a_type == R_32F || a_type == R_16F || a_type == R_16BF);
    if (!doubles && !integers && !singles) return NOT_SUPPORTED;
    if (a_type == R_16BF && fault("no-bf16")) return NOT_SUPPORTED;
    if (lda < (transpose_a ? k : m) || ldb < (transpose_b ? n : k) || ldc < m) return INVALID_VALUE;
    double one = doubles ? *(const double *)alpha : integers ? *(const int *)alpha : *(const float *)alpha;
    double zero = doubles ? *(const double *)beta : integers ? *(const int *)beta : *(const float *)beta;
    if (one != 1 || zero != 0) return INVALID_VALUE;
    for (int column = 0; column < n; column++) {
        for (int row = 0; row < m; row++) {
            double wide = 0;
            float narrow = 0;
            for (int at = 0; at < k; at++) {
                double left = entry(a, a_type, tf32, transpose_a ? at + (size_t)row * lda : row + (size_t)at * lda);
                double right = entry(b, b_type, tf32, transpose_b ? column + (size_t)at * ldb : at + (size_t)column * ldb);
                wide += left * right;
                narrow += (float)left * (float)right;
            }
            size_t at = row + (size_t)column * ldc;
            if (fault("wrong") && row == 0) wide = narrow = 1;
            if (doubles) ((double *)c)[at] = wide;
            else if (integers) ((int32_t *)c)[at] = (int32_t)wide;
            else ((float *)c)[at] = narrow;
        }
    }
    return SUCCESS;
}

#endif
