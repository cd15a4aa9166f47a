/* A fake of NVIDIA's management library for tests of its readers: three devices, one of which tells no power limit and
 * one of which is lost. The first one's meter counts 500 W; FAKE_CUDA=busy says that two processes compute on it. Names
 * and numbers of calls are those of NVML's public interface; nothing here is NVIDIA's. */

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, GPU_IS_LOST = 15 };

struct memory {
    unsigned int version;
    unsigned long long total, reserved, free, used;
};

static int devices[3];

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlInitWithFlags(unsigned int flags) { return flags ? SUCCESS : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = 3;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    if (index > 2) return INVALID_ARGUMENT;
    if (index == 2) return GPU_IS_LOST;
    *device = &devices[index];
    return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length) {
    const char *text = device == &devices[0] ? "NVIDIA H200" : "NVIDIA L40S";
    unsigned int at = 0;
    for (; text[at] && at + 1 < length; at++) name[at] = text[at];
    name[at] = 0;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(void *device, struct memory *memory) {
    memory->total = (device == &devices[0] ? 143771ULL : 46068ULL) << 20;
    memory->used = memory->reserved = 600ULL << 20;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *milliwatts) {
    if (device != &devices[0]) return NOT_SUPPORTED;
    *milliwatts = 700000;
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *text, unsigned int length) {
    if (length < 41) return INVALID_ARGUMENT;
    strcpy(text, device == &devices[0] ? "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f" : "GPU-10111213-1415-1617-1819-1a1b1c1d1e1f");
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    char known[41];
    for (int at = 0; at < 2; at++) {
        nvmlDeviceGetUUID(&devices[at], known, sizeof known);
        if (!strcmp(known, uuid)) {
            *device = &devices[at];
            return SUCCESS;
        }
    }
    return INVALID_ARGUMENT;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count, void *processes) {
    const char *said = getenv("FAKE_CUDA");
    (void)processes;
    *count = device == &devices[0] && said && !strcmp(said, "busy") ? 2 : 0;
    /* Their number alone was asked for: 7 says that there are more than fit. */
    return *count ? 7 : SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    struct timespec now;
    if (device != &devices[0]) return NOT_SUPPORTED;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *millijoules = 500ULL * ((unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000);
    return SUCCESS;
}
