/* A fake of NVIDIA's management library for a test of its reader: three devices, one of which tells no power limit and
 * one of which is lost. Names and numbers of calls are those of NVML's public interface; nothing here is NVIDIA's. */

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
