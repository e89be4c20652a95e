/* A libnvidia-ml.so.1 that reads everything from shared memory: values, errors, delays. Written for the tests, which
 * hold the other end (control.py). Every call is counted, and checked against the rules below before it does anything.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAGIC = 0x4E564D4C, ABI = 1, DEVICES = 64, INSTANCES = 8, FIELDS = 320, GPMS = 80, PROCESSES = 16, RULES = 32,
       FUNCTIONS = 64, EVENTS = 32, ANY = -1 };
enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       TIMEOUT = 10, LIB_RM_VERSION_MISMATCH = 18, ARGUMENT_VERSION_MISMATCH = 25 };

typedef struct { uint32_t ret, type; uint64_t bits; } Field;
typedef struct { uint32_t id, slices; uint64_t total, reserved, used; double gpm[GPMS]; char uuid[96]; } Instance;
typedef struct { uint32_t pid, instance; uint64_t used; } Process;
typedef struct {
    char name[96], uuid[96], bus[32];
    uint32_t minor, lost, util_ret, util_gpu, util_mem, codec_ret, enc, dec, temp_ret, temp, clock_ret, clocks[4];
    uint32_t power_ret, power_mw, limit_ret, limit_mw, margin_ret; int32_t margin;
    uint32_t mig, instances, gpm_supported, processes, links, reserved_;
    uint64_t total, reserved, used, reasons;
    Field fields[FIELDS]; double gpm[GPMS]; Instance instance[INSTANCES]; Process process[PROCESSES];
} Device;
typedef struct { char function[64]; int32_t device; uint32_t ret, delay_us, skip, times, hits; } Rule;
typedef struct { char name[64]; uint32_t calls[DEVICES + 1]; } Function;
typedef struct { uint32_t device; uint32_t instance; uint64_t code; } Event;
typedef struct {
    uint32_t magic, abi, devices, init_ret, strict_fork, memory_v1_only, no_event_support, reserved_;
    char driver[80];
    uint32_t rules, events;
    Rule rule[RULES]; Function function[FUNCTIONS]; Event event[EVENTS]; Device device[DEVICES];
} State;

typedef struct { uint64_t us; double gpm[GPMS]; } Sample;
typedef struct { uint32_t seen; uint64_t mask[DEVICES]; } EventSet;

static State *state;
static uint32_t inits, generation, owner_pid; /* of this process; a forked child inherits them */
static const uint64_t HANDLE = 0x4E56ULL << 48;

unsigned fake_state_size(void) { return sizeof(State); }

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int attach(void) {
    if (state) return OK;
    const char *path = getenv("FAKE_NVML_STATE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return 9; /* driver not loaded */
    void *memory = mmap(NULL, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED) return 9;
    state = memory;
    return state->magic == MAGIC && state->abi == ABI ? OK : LIB_RM_VERSION_MISMATCH;
}

/* Count a call and let a rule answer in its place; device ANY where the call is about none. */
static int enter(const char *name, int device) {
    int ret = attach();
    if (ret) return ret;
    for (int i = 0; i < FUNCTIONS; i++) {
        Function *f = &state->function[i];
        if (!f->name[0]) strncpy(f->name, name, sizeof f->name - 1);
        if (strcmp(f->name, name)) continue;
        __atomic_fetch_add(&f->calls[device == ANY ? DEVICES : device], 1, __ATOMIC_RELAXED);
        break;
    }
    for (uint32_t i = 0; i < state->rules; i++) {
        Rule *r = &state->rule[i];
        if (strcmp(r->function, "*") && strcmp(r->function, name)) continue;
        if (r->device != ANY && r->device != device) continue;
        uint32_t hit = __atomic_fetch_add(&r->hits, 1, __ATOMIC_RELAXED);
        if (hit < r->skip || (r->times && hit >= r->skip + r->times)) continue;
        /* In small steps, so that a test can end a hang by taking the rule away. */
        for (uint64_t end = now_us() + r->delay_us; r->delay_us && i < state->rules && now_us() < end;) usleep(2000);
        if (r->ret) return r->ret;
    }
    if (!strcmp(name, "nvmlInitWithFlags")) return OK;
    if (!inits) return UNINITIALIZED;
    return state->strict_fork && owner_pid != (uint32_t)getpid() ? UNINITIALIZED : OK;
}
#define ENTER(device) do { int e_ = enter(__func__, device); if (e_) return e_; } while (0)

static void *handle_of(int device, int instance) {
    return (void *)(uintptr_t)(HANDLE | (uint64_t)(generation & 0xFFFF) << 24 | device << 8 | (instance + 1));
}

/* Find the device of a handle; stale and foreign ones give ANY. */
static int index_of(void *handle, int *instance) {
    uint64_t h = (uint64_t)(uintptr_t)handle;
    if (attach() || h >> 48 != HANDLE >> 48 || ((h >> 24) & 0xFFFF) != (generation & 0xFFFF)) return ANY;
    if (instance) *instance = (int)(h & 0xFF) - 1;
    int device = (h >> 8) & 0xFFFF;
    return device < (int)state->devices ? device : ANY;
}

#define DEVICE(handle)                                                     \
    int instance = -1, index = index_of(handle, &instance);                \
    ENTER(index);                                                          \
    if (index == ANY) return INVALID_ARGUMENT;                             \
    Device *d = &state->device[index];                                     \
    (void)instance; (void)d;                                               \
    if (d->lost) return d->lost
#define INSTANCE_OF(d) ((d)->instance[instance])

static int copy(char *to, unsigned size, const char *from) {
    if (strlen(from) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return OK;
}

/* --- the library ------------------------------------------------------------------------------------------------- */

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    ENTER(ANY);
    if (state->init_ret) return state->init_ret;
    if (!inits++ ) { generation++; owner_pid = getpid(); }
    return OK;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) {
    int ret = enter(__func__, ANY);
    if (!inits) return UNINITIALIZED;
    if (!--inits) generation++;
    return ret == UNINITIALIZED ? OK : ret; /* a forked child may drain what it inherited */
}
const char *nvmlErrorString(int code) { (void)code; return "fake error"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { ENTER(ANY); return copy(text, size, state->driver); }
int nvmlDeviceGetCount_v2(unsigned *count) { ENTER(ANY); *count = state->devices; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned wanted, void **handle) {
    ENTER(wanted < DEVICES ? (int)wanted : ANY);
    if (wanted >= state->devices) return INVALID_ARGUMENT;
    if (state->device[wanted].lost) return state->device[wanted].lost;
    *handle = handle_of(wanted, -1);
    return OK;
}
int nvmlDeviceGetName(void *h, char *text, unsigned size) { DEVICE(h); return copy(text, size, d->name); }
int nvmlDeviceGetUUID(void *h, char *text, unsigned size) {
    DEVICE(h);
    return copy(text, size, instance < 0 ? d->uuid : INSTANCE_OF(d).uuid);
}
int nvmlDeviceGetMinorNumber(void *h, unsigned *minor) { DEVICE(h); *minor = d->minor; return OK; }
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } PciInfo;
_Static_assert(sizeof(PciInfo) == 68, "nvmlPciInfo_t");
int nvmlDeviceGetPciInfo_v3(void *h, PciInfo *info) {
    DEVICE(h);
    memset(info, 0, sizeof *info);
    return copy(info->bus_id, sizeof info->bus_id, d->bus);
}
typedef struct { unsigned gpu, memory; } Utilization;
int nvmlDeviceGetUtilizationRates(void *h, Utilization *u) {
    DEVICE(h);
    if (d->mig == 1) return NOT_SUPPORTED;
    if (d->util_ret) return d->util_ret;
    *u = (Utilization){d->util_gpu, d->util_mem};
    return OK;
}
int nvmlDeviceGetEncoderUtilization(void *h, unsigned *percent, unsigned *period_us) {
    DEVICE(h);
    *percent = d->enc, *period_us = 167000;
    return d->mig == 1 ? NOT_SUPPORTED : (int)d->codec_ret;
}
int nvmlDeviceGetDecoderUtilization(void *h, unsigned *percent, unsigned *period_us) {
    DEVICE(h);
    *percent = d->dec, *period_us = 167000;
    return d->mig == 1 ? NOT_SUPPORTED : (int)d->codec_ret;
}
typedef struct { uint64_t total, free, used; } Memory;
typedef struct { unsigned version; uint64_t total, reserved, free, used; } Memory2;
_Static_assert(sizeof(Memory2) == 40, "nvmlMemory_v2_t");
int nvmlDeviceGetMemoryInfo(void *h, Memory *m) {
    DEVICE(h);
    *m = (Memory){d->total, d->total - d->reserved - d->used, d->used + d->reserved};
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(void *h, Memory2 *m) {
    DEVICE(h);
    if (m->version != 0x2000028) return ARGUMENT_VERSION_MISMATCH;
    if (state->memory_v1_only) return 13; /* function not found, as before driver 510 */
    if (instance >= 0) {
        Instance *i = &INSTANCE_OF(d);
        m->total = i->total, m->reserved = i->reserved, m->used = i->used, m->free = i->total - i->reserved - i->used;
    } else
        m->total = d->total, m->reserved = d->reserved, m->used = d->used, m->free = d->total - d->reserved - d->used;
    return OK;
}
typedef struct { unsigned version, sensor; int celsius; } Temperature;
int nvmlDeviceGetTemperatureV(void *h, Temperature *t) {
    DEVICE(h);
    if (t->version != 0x100000C) return ARGUMENT_VERSION_MISMATCH;
    t->celsius = d->temp;
    return d->temp_ret;
}
int nvmlDeviceGetTemperature(void *h, unsigned sensor, unsigned *celsius) {
    DEVICE(h);
    (void)sensor;
    *celsius = d->temp;
    return d->temp_ret;
}
typedef struct { unsigned version; int celsius; } Margin;
int nvmlDeviceGetMarginTemperature(void *h, Margin *m) { DEVICE(h); m->celsius = d->margin; return d->margin_ret; }
int nvmlDeviceGetClockInfo(void *h, unsigned kind, unsigned *mhz) {
    DEVICE(h);
    *mhz = d->clocks[kind & 3];
    return d->clock_ret;
}
int nvmlDeviceGetCurrentClocksEventReasons(void *h, uint64_t *reasons) { DEVICE(h); *reasons = d->reasons; return OK; }
int nvmlDeviceGetPowerUsage(void *h, unsigned *mw) { DEVICE(h); *mw = d->power_mw; return d->power_ret; }
int nvmlDeviceGetPowerManagementLimit(void *h, unsigned *mw) { DEVICE(h); *mw = d->limit_mw; return d->limit_ret; }

typedef struct { uint32_t id, scope; int64_t timestamp, latency; uint32_t type, ret; uint64_t value; } FieldValue;
_Static_assert(sizeof(FieldValue) == 40, "nvmlFieldValue_t");
int nvmlDeviceGetFieldValues(void *h, int count, FieldValue *values) {
    DEVICE(h);
    for (int i = 0; i < count; i++) {
        FieldValue *v = &values[i];
        const Field *f = v->id < FIELDS ? &d->fields[v->id] : NULL;
        v->ret = f ? f->ret : NOT_SUPPORTED, v->type = f ? f->type : 0, v->value = f ? f->bits : 0;
        v->timestamp = now_us(), v->latency = 3;
    }
    return OK;
}

int nvmlDeviceGetMigMode(void *h, unsigned *current, unsigned *pending) {
    DEVICE(h);
    if (d->mig == 2) return NOT_SUPPORTED;
    *current = *pending = d->mig;
    return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(void *h, unsigned *count) { DEVICE(h); *count = INSTANCES; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *h, unsigned wanted, void **mig) {
    DEVICE(h);
    if (wanted >= d->instances || !d->instance[wanted].id) return NOT_FOUND;
    *mig = handle_of(index, wanted);
    return OK;
}
int nvmlDeviceGetGpuInstanceId(void *h, unsigned *id) {
    DEVICE(h);
    if (instance < 0) return INVALID_ARGUMENT;
    *id = INSTANCE_OF(d).id;
    return OK;
}
typedef struct { unsigned sm, copy, dec, enc, jpeg, ofa, slices, compute_slices; uint64_t memory_mib; } Attributes;
int nvmlDeviceGetAttributes_v2(void *h, Attributes *a) {
    DEVICE(h);
    if (instance < 0) return NOT_SUPPORTED;
    memset(a, 0, sizeof *a);
    a->slices = INSTANCE_OF(d).slices, a->memory_mib = INSTANCE_OF(d).total >> 20;
    return OK;
}

typedef struct { int supported; unsigned count; } Licenses; /* the features that follow are left as they are */
int nvmlDeviceGetGridLicensableFeatures_v4(void *h, Licenses *l) { DEVICE(h); *l = (Licenses){0, 0}; return OK; }

/* --- GPM ----------------------------------------------------------------------------------------------------------- */
typedef struct { unsigned version, supported; } GpmSupport;
int nvmlGpmQueryDeviceSupport(void *h, GpmSupport *s) {
    DEVICE(h);
    if (s->version != 1) return ARGUMENT_VERSION_MISMATCH;
    s->supported = d->gpm_supported;
    return OK;
}
int nvmlGpmSampleAlloc(Sample **sample) { ENTER(ANY); *sample = calloc(1, sizeof **sample); return OK; }
int nvmlGpmSampleFree(Sample *sample) { ENTER(ANY); free(sample); return OK; }
int nvmlGpmSampleGet(void *h, Sample *sample) {
    DEVICE(h);
    if (!d->gpm_supported) return NOT_SUPPORTED;
    sample->us = now_us();
    memcpy(sample->gpm, d->gpm, sizeof d->gpm);
    return OK;
}
int nvmlGpmMigSampleGet(void *h, unsigned id, Sample *sample) {
    DEVICE(h);
    for (uint32_t i = 0; i < d->instances; i++)
        if (d->instance[i].id == id) {
            sample->us = now_us();
            memcpy(sample->gpm, d->instance[i].gpm, sizeof sample->gpm);
            return d->gpm_supported ? OK : NOT_SUPPORTED;
        }
    return NOT_FOUND;
}
typedef struct { unsigned id, ret; double value; const char *text[3]; } GpmMetric;
typedef struct { unsigned version, count; Sample *first, *second; GpmMetric metrics[]; } GpmMetrics;
int nvmlGpmMetricsGet(GpmMetrics *get) {
    ENTER(ANY);
    if (get->version != 1) return ARGUMENT_VERSION_MISMATCH;
    if (get->first->us >= get->second->us) return INVALID_ARGUMENT;
    for (unsigned i = 0; i < get->count; i++) {
        GpmMetric *m = &get->metrics[i];
        double value = m->id < GPMS ? get->second->gpm[m->id] : -1;
        m->ret = value < 0 ? NOT_SUPPORTED : OK, m->value = value;
    }
    return OK;
}

/* --- events and processes -------------------------------------------------------------------------------------------- */
int nvmlEventSetCreate(EventSet **set) {
    ENTER(ANY);
    *set = calloc(1, sizeof **set);
    (*set)->seen = state->events;
    return OK;
}
int nvmlEventSetFree(EventSet *set) { ENTER(ANY); free(set); return OK; }
int nvmlDeviceGetSupportedEventTypes(void *h, uint64_t *types) {
    DEVICE(h);
    *types = state->no_event_support ? 0 : 0x1F;
    return OK;
}
int nvmlDeviceRegisterEvents(void *h, uint64_t types, EventSet *set) { DEVICE(h); set->mask[index] |= types; return OK; }
typedef struct { void *device; uint64_t type, data; uint32_t instance, compute; } EventData;
_Static_assert(sizeof(EventData) == 32, "nvmlEventData_t");
int nvmlEventSetWait_v2(EventSet *set, EventData *data, unsigned timeout_ms) {
    ENTER(ANY);
    for (uint64_t end = now_us() + timeout_ms * 1000ULL;;) {
        while (set->seen < state->events) {
            Event *e = &state->event[set->seen++ % EVENTS];
            if (!(set->mask[e->device] & 8)) continue;
            *data = (EventData){handle_of(e->device, -1), 8, e->code, e->instance, 0xFFFFFFFF};
            return OK;
        }
        if (!inits) return UNINITIALIZED;
        if (now_us() >= end) return TIMEOUT;
        usleep(1000);
    }
}
typedef struct { uint32_t pid; uint64_t used; uint32_t instance, compute; } ProcessInfo;
_Static_assert(sizeof(ProcessInfo) == 24, "nvmlProcessInfo_t");
int nvmlDeviceGetComputeRunningProcesses_v3(void *h, unsigned *count, ProcessInfo *infos) {
    DEVICE(h);
    if (*count < d->processes) { *count = d->processes; return INSUFFICIENT_SIZE; }
    *count = d->processes;
    for (uint32_t i = 0; i < d->processes; i++)
        infos[i] = (ProcessInfo){d->process[i].pid, d->process[i].used, d->process[i].instance, 0xFFFFFFFF};
    return OK;
}
