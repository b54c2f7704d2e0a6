/* A stand-in for the driver's libnvidia-ml.so.1. Every call reads the script that lies beside the
 * library, LIBRARY.script, so that a test changes it while the calls go on. A line is a key, a space
 * and an answer:
 *
 *     init 0                    return code of nvmlInit_v2; 0 if there is no such line
 *     count 2                   devices; 0 if there is no such line
 *     driver 580.82.07          its version
 *     cuda 13000                the newest CUDA that it knows
 *     0.utilization 30          percent
 *     0.memory 1000 4000        bytes in use and in all
 *     0.power 75000             milliwatts
 *     0.temperature 41          degrees Celsius
 *     0.name NVIDIA Stand-in    0.uuid GPU-…      0.mig 1
 *     0.slices 2                MIG devices of GPU 0, whose keys begin 0.s0, 0.s1, …
 *     0.handle error 15         any key may answer `error CODE`, here that GPU 0 is lost
 *     0.utilization hang        or not at all until the line is another one
 *
 * A key without a line answers NVML_ERROR_NOT_SUPPORTED. Each nvmlInit_v2 adds a byte to
 * LIBRARY.inits. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOT_SUPPORTED 3
#define INVALID_ARGUMENT 2
#define NOT_FOUND 6
#define DEVICES 32
#define SLICES 8

typedef int ret;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory;
typedef struct { unsigned index; int slice; } device;

static device devices[DEVICES];
static device slices[DEVICES][SLICES];

static void beside(const char *what, char *path) {
    Dl_info info;
    dladdr((void *)beside, &info);
    snprintf(path, 4096, "%s.%s", info.dli_fname, what);
}

/* Copies the answer to a key; 0 if there is none. */
static int line_of(const char *key, char *answer) {
    char path[4096], line[512];
    beside("script", path);
    FILE *file = fopen(path, "r");
    size_t length = strlen(key);
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            line[strcspn(line, "\n")] = 0;
            strcpy(answer, line + length + 1);
            found = 1;
        }
    }
    if (file) fclose(file);
    return found;
}

static ret ask(const char *key, char *answer) {
    for (;;) {
        if (!line_of(key, answer)) return NOT_SUPPORTED;
        if (strcmp(answer, "hang") != 0) break;
        usleep(5000);
    }
    int code;
    return sscanf(answer, "error %d", &code) == 1 ? code : 0;
}

static ret ask_device(void *of, const char *what, char *answer) {
    device *d = of;
    char key[64];
    if (d->slice < 0) snprintf(key, sizeof key, "%u.%s", d->index, what);
    else snprintf(key, sizeof key, "%u.s%d.%s", d->index, d->slice, what);
    return ask(key, answer);
}

static ret number(void *of, const char *what, unsigned *value) {
    char answer[512];
    ret code = ask_device(of, what, answer);
    if (code == 0) *value = strtoul(answer, NULL, 10);
    return code;
}

static ret text(void *of, const char *what, char *value, unsigned length) {
    char answer[512];
    ret code = ask_device(of, what, answer);
    if (code == 0) snprintf(value, length, "%s", answer);
    return code;
}

ret nvmlInit_v2(void) {
    char path[4096], answer[512];
    beside("inits", path);
    FILE *inits = fopen(path, "a");
    if (inits) { fputc('.', inits); fclose(inits); }
    ret code = ask("init", answer);
    return code == NOT_SUPPORTED ? 0 : code ? code : atoi(answer);
}

ret nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(ret code) { (void)code; return "an error of the stand-in"; }

ret nvmlDeviceGetCount_v2(unsigned *count) {
    char answer[512];
    ret code = ask("count", answer);
    *count = code == 0 ? strtoul(answer, NULL, 10) : 0;
    return code == NOT_SUPPORTED ? 0 : code;
}

ret nvmlSystemGetDriverVersion(char *version, unsigned length) {
    char answer[512];
    ret code = ask("driver", answer);
    if (code == 0) snprintf(version, length, "%s", answer);
    return code;
}

ret nvmlSystemGetCudaDriverVersion_v2(int *version) {
    char answer[512];
    ret code = ask("cuda", answer);
    if (code == 0) *version = atoi(answer);
    return code;
}

ret nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    char answer[512];
    unsigned count = 0;
    ret code = nvmlDeviceGetCount_v2(&count);
    if (code) return code;
    if (index >= count || index >= DEVICES) return INVALID_ARGUMENT;
    devices[index] = (device){ index, -1 };
    *handle = &devices[index];
    code = ask_device(*handle, "handle", answer);
    return code == NOT_SUPPORTED ? 0 : code;
}

ret nvmlDeviceGetUtilizationRates(void *d, utilization *rates) {
    rates->memory = 1;
    return number(d, "utilization", &rates->gpu);
}

ret nvmlDeviceGetMemoryInfo_v2(void *d, memory *m) {
    char answer[512];
    ret code = ask_device(d, "memory", answer);
    if (code == 0) sscanf(answer, "%llu %llu", &m->used, &m->total);
    m->reserved = 0;
    m->free = m->total - m->used;
    return code;
}

ret nvmlDeviceGetPowerUsage(void *d, unsigned *milliwatts) { return number(d, "power", milliwatts); }

ret nvmlDeviceGetTemperature(void *d, int sensor, unsigned *celsius) {
    return sensor == 0 ? number(d, "temperature", celsius) : INVALID_ARGUMENT;
}

ret nvmlDeviceGetName(void *d, char *name, unsigned length) { return text(d, "name", name, length); }
ret nvmlDeviceGetUUID(void *d, char *uuid, unsigned length) { return text(d, "uuid", uuid, length); }

ret nvmlDeviceGetMigMode(void *d, unsigned *current, unsigned *pending) {
    ret code = number(d, "mig", current);
    *pending = *current;
    return code;
}

ret nvmlDeviceGetMaxMigDeviceCount(void *d, unsigned *count) {
    /* As of a device with seven slots, some of them empty. */
    (void)d;
    *count = SLICES - 1;
    return 0;
}

ret nvmlDeviceGetMigDeviceHandleByIndex(void *d, unsigned index, void **handle) {
    unsigned count = 0, of = ((device *)d)->index;
    ret code = number(d, "slices", &count);
    if (code) return code;
    if (index >= count || index >= SLICES) return NOT_FOUND;
    slices[of][index] = (device){ of, (int)index };
    *handle = &slices[of][index];
    return 0;
}
