/* host.c - modules compiled once: Wasmtime's own ahead-of-time format in a folder of the user's. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 10000000 /* how finely time limits are kept */
#define MODULE_BYTES_MAX (256 * CHORD_MIB)
#define EXPORTS_BYTES_MAX (4 * CHORD_MIB)
#define EXPORTS_ID 7
#define SECTION_HEAD_BYTES 11 /* the longest */
_Static_assert(WASMTIME_VERSION_MAJOR == 50,
               "the C API changes with every version: headers and library are those of 50.0.1");

/* ---- the engine ---------------------------------------------------------------------------------------- */

static void *tick(void *ud)
{
    chord_host *host = ud;
    struct timespec pause = {.tv_nsec = TICK_NS};
    while (!atomic_load(&host->closing)) {
        nanosleep(&pause, NULL);
        wasmtime_engine_increment_epoch(host->engine);
    }
    return NULL;
}

chord_status chord_host_open(const chord_host_options *options, chord_host **out, chord_error *err)
{
    static const chord_host_options DEFAULTS = {0};
    *out = NULL;
    chord_host *host = calloc(1, sizeof *host);
    if (host == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for the host");
    host->options = options != NULL ? *options : DEFAULTS;
    cache_folder_choose(host);
    chord_status status = host_choose_reservation(host, err);
    if (status == CHORD_OK && (host->engine = host_make_engine(host)) == NULL)
        status = chord_fail(err, CHORD_UNSUPPORTED, "Wasmtime has no compiler for this machine");
    if (status != CHORD_OK) {
        free(host);
        return status;
    }
    pthread_mutex_init(&host->lock, NULL);
    if (host->options.interruptible) host->ticking = pthread_create(&host->ticker, NULL, tick, host) == 0;
    *out = host;
    return CHORD_OK;
}

void chord_host_close(chord_host *host)
{
    if (host == NULL) return;
    atomic_store(&host->closing, true);
    if (host->ticking) pthread_join(host->ticker, NULL);
    if (host->last.module != NULL) wasmtime_module_delete(host->last.module);
    free(host->last_wasm);
    wasm_engine_delete(host->engine);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

/* ---- modules ------------------------------------------------------------------------------------------- */

static chord_status open_module(const char *path, int *out, uint64_t *bytes, chord_error *err)
{
    struct stat s;
    char first[8];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return chord_fail_os(err, CHORD_IO, errno, "%s", path);
    chord_status status = CHORD_OK;
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size < 8 || (uint64_t)s.st_size > MODULE_BYTES_MAX)
        status = chord_fail(err, CHORD_CORRUPT, "%s: not a WebAssembly module (a file of 8 bytes to %u MiB)", path,
                            (unsigned)(MODULE_BYTES_MAX / CHORD_MIB));
    else if (pread(fd, first, 8, 0) != 8 || memcmp(first, "\0asm\1\0\0\0", 8) != 0)
        status = chord_fail(err, CHORD_CORRUPT,
                            "%s: not a WebAssembly core module (it begins with other bytes; components are not run)",
                            path);
    if (status != CHORD_OK) close(fd);
    *out = fd;
    *bytes = (uint64_t)s.st_size;
    return status;
}

/* The whole file; freed by the caller. NULL: it cannot be read. */
static uint8_t *read_whole(int fd, size_t len)
{
    uint8_t *bytes = malloc(len);
    size_t got = 0;
    ssize_t n = 1;
    while (bytes != NULL && got < len && n > 0) {
        n = pread(fd, bytes + got, len - got, (off_t)got);
        if (n > 0) got += (size_t)n;
        else if (n < 0 && errno == EINTR) n = 1;
    }
    if (bytes != NULL && got == len) return bytes;
    free(bytes);
    return NULL;
}

/* A kept module is one file: the code, the module it was made of, and this. One file, because two processes may
 * write it at the same time; checked, because code is run as it stands: Wasmtime looks at its own version and
 * settings, not at each byte. */
typedef struct kept_end {
    uint64_t code_bytes, wasm_bytes;
    uint64_t need_bytes; /* what compiling took: the budget's verdict does not depend on what is kept */
    uint64_t hash;       /* of both */
    uint64_t own_hash;   /* of these */
    char mark[8];
} kept_end;
static const char KEPT_MARK[8] = "chordw2";

/* "FOLDER/HASH-LENGTH-SETTINGS.cwasm" */
static bool cache_path(const chord_host *host, const uint8_t *wasm, size_t len, char *out, size_t cap)
{
    if (host->cache_folder[0] == '\0') return false;
    size_t need = chord_format(out, cap, "%s/%llx-%zu-%d%d%d-%u.cwasm", host->cache_folder,
                               (unsigned long long)chord_hash_of(wasm, len), len, host->options.interruptible,
                               host->options.hardened64, host->options.gc,
                               (unsigned)(host->reservation_bytes / CHORD_MIB / 1024));
    return need < cap;
}

static uint64_t kept_hash(const kept_end *end, const void *code, const void *wasm)
{
    chord_hash hash;
    chord_hash_start(&hash);
    chord_hash_add(&hash, code, end->code_bytes);
    chord_hash_add(&hash, wasm, end->wasm_bytes);
    return chord_hash_end(&hash);
}

/* Its end is looked at before the whole of it is taken into memory. */
static bool read_end(int fd, size_t len, kept_end *end)
{
    struct stat s;
    bool good = fstat(fd, &s) == 0 && s.st_size >= (off_t)sizeof *end &&
                pread(fd, end, sizeof *end, s.st_size - (off_t)sizeof *end) == (ssize_t)sizeof *end;
    return good && end->own_hash == chord_hash_of(end, offsetof(kept_end, own_hash)) &&
           memcmp(end->mark, KEPT_MARK, sizeof KEPT_MARK) == 0 && end->wasm_bytes == len &&
           end->code_bytes == (uint64_t)s.st_size - sizeof *end - len;
}

static bool is_whole(const uint8_t *kept, const uint8_t *wasm, const kept_end *end)
{
    const uint8_t *kept_wasm = kept + end->code_bytes;
    return memcmp(kept_wasm, wasm, end->wasm_bytes) == 0 && kept_hash(end, kept, kept_wasm) == end->hash;
}

/* out->module stays NULL when none is kept, or one that no longer serves. */
static chord_status load_kept(chord_host *host, int fd, const uint8_t *wasm, size_t len, const char *path,
                              const module_limits *limits, loaded_module *out, chord_error *err)
{
    kept_end end;
    if (!read_end(fd, len, &end)) return CHORD_OK;
    CHORD_TRY(host_check_need(end.need_bytes, path, limits, err));
    uint8_t *kept = read_whole(fd, end.code_bytes + len);
    if (kept == NULL) return CHORD_OK;
    if (is_whole(kept, wasm, &end)) {
        out->need_bytes = end.need_bytes;
        wasmtime_error_t *error = wasmtime_module_deserialize(host->engine, kept, end.code_bytes, &out->module);
        if (error != NULL) wasmtime_error_delete(error); /* of another version or another CPU: compiled again */
        if (error != NULL) out->module = NULL;
    }
    free(kept);
    return CHORD_OK;
}

static chord_status load_cached(chord_host *host, const uint8_t *wasm, size_t len, const char *path,
                                const module_limits *limits, loaded_module *out, chord_error *err)
{
    char kept_path[4200];
    int fd = cache_path(host, wasm, len, kept_path, sizeof kept_path) ? open(kept_path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return CHORD_OK;
    chord_status status = load_kept(host, fd, wasm, len, path, limits, out, err);
    if (out->module != NULL) futimens(fd, NULL); /* the ones used longest ago go first */
    close(fd);
    return status;
}

static bool write_all(int fd, const void *bytes, size_t len)
{
    size_t put = 0;
    ssize_t n = 1;
    while (put < len && n > 0)
        if ((n = write(fd, (const char *)bytes + put, len - put)) > 0) put += (size_t)n;
    return put == len;
}

/* Failing to keep it costs only time. */
static void store_cached(chord_host *host, const uint8_t *wasm, size_t len, const uint8_t *code, size_t code_bytes,
                         uint64_t need_bytes)
{
    static _Atomic uint32_t number; /* hosts of one process */
    char path[4200], temporary[4300];
    if (!cache_path(host, wasm, len, path, sizeof path)) return;
    kept_end end = {.code_bytes = code_bytes, .wasm_bytes = len, .need_bytes = need_bytes};
    memcpy(end.mark, KEPT_MARK, sizeof KEPT_MARK);
    end.hash = kept_hash(&end, code, wasm);
    end.own_hash = chord_hash_of(&end, offsetof(kept_end, own_hash));
    chord_format(temporary, sizeof temporary, "%s.%d.%u", path, (int)getpid(), (unsigned)atomic_fetch_add(&number, 1));
    unlink(temporary); /* of a process that ended early */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write_all(fd, code, code_bytes) && write_all(fd, wasm, len) &&
                write_all(fd, &end, sizeof end);
    if (fd >= 0) good = close(fd) == 0 && good;
    if (!good || rename(temporary, path) != 0) unlink(temporary);
    cache_folder_trim(host->cache_folder, path);
}

/* The last one loaded is kept at hand, for further guests of it. */
static bool take_last(chord_host *host, const uint8_t *wasm, size_t len, loaded_module *out)
{
    pthread_mutex_lock(&host->lock);
    bool same = host->last.module != NULL && host->last_bytes == len && memcmp(host->last_wasm, wasm, len) == 0;
    if (same) {
        *out = host->last;
        out->module = wasmtime_module_clone(host->last.module);
    }
    pthread_mutex_unlock(&host->lock);
    return same;
}

/* wasm is taken over. */
static void keep_last(chord_host *host, uint8_t *wasm, size_t len, const loaded_module *loaded)
{
    pthread_mutex_lock(&host->lock);
    if (host->last.module != NULL) wasmtime_module_delete(host->last.module);
    free(host->last_wasm);
    host->last = *loaded;
    host->last.module = wasmtime_module_clone(loaded->module);
    host->last_wasm = wasm;
    host->last_bytes = len;
    pthread_mutex_unlock(&host->lock);
}

static chord_status compile(chord_host *host, const uint8_t *wasm, size_t len, const char *path,
                            const module_limits *limits, loaded_module *out, chord_error *err)
{
    uint8_t *code;
    size_t code_bytes;
    CHORD_TRY(host_compile(host, wasm, len, path, limits, &code, out, &code_bytes, err));
    wasmtime_error_t *error = wasmtime_module_deserialize(host->engine, code, code_bytes, &out->module);
    if (error == NULL) store_cached(host, wasm, len, code, code_bytes, out->need_bytes);
    free(code);
    return error == NULL ? CHORD_OK : host_fail_wasmtime(err, error, NULL, path);
}

/* A module as it stands in its file. */
static chord_status read_module(const char *path, uint64_t bytes_max, uint8_t **wasm, size_t *len, chord_error *err)
{
    uint64_t bytes;
    int fd;
    CHORD_TRY(open_module(path, &fd, &bytes, err));
    chord_status status = CHORD_OK;
    if (bytes > bytes_max)
        status = chord_fail(err, CHORD_BUDGET,
                            "%s: a module of %.1f MiB is more than the fourth of the budget, %.1f MiB", path,
                            (double)bytes / (double)CHORD_MIB, (double)bytes_max / (double)CHORD_MIB);
    else if ((*wasm = read_whole(fd, bytes)) == NULL) status = chord_fail(err, CHORD_IO, "%s: cannot be read", path);
    close(fd);
    *len = bytes;
    return status;
}

static chord_status find_code(chord_host *host, const uint8_t *wasm, size_t len, const char *path,
                              const module_limits *limits, loaded_module *out, chord_error *err)
{
    CHORD_TRY(load_cached(host, wasm, len, path, limits, out, err));
    return out->module != NULL ? CHORD_OK : compile(host, wasm, len, path, limits, out, err);
}

/* With one at hand, the verdict is that of when it was not. */
static chord_status take_at_hand(const loaded_module *loaded, const char *path, module_limits *limits, chord_error *err)
{
    limits->taken_bytes = loaded->taken_bytes;
    chord_status status = host_check_need(loaded->need_bytes, path, limits, err);
    if (status != CHORD_OK) wasmtime_module_delete(loaded->module);
    return status;
}

chord_status host_load_module(chord_host *host, const char *path, const module_limits *given, loaded_module *out,
                              chord_error *err)
{
    module_limits limits = *given;
    uint8_t *wasm;
    size_t len;
    module_shape shape;
    *out = (loaded_module){0};
    CHORD_TRY(read_module(path, limits.budget_bytes / 4, &wasm, &len, err));
    chord_status status = host_look_at_module(wasm, len, path, &shape, err);
    if (status != CHORD_OK) {
        free(wasm);
        return status;
    }
    chord_error wrong;
    chord_status scanned = host->options.interruptible ? host_scan_module(wasm, len, path, &wrong) : CHORD_OK;
    if (take_last(host, wasm, len, out)) {
        free(wasm);
        return take_at_hand(out, path, &limits, err);
    }
    limits.taken_bytes = out->taken_bytes = chord_process_bytes();
    status = find_code(host, wasm, len, path, &limits, out, err);
    if (status == CHORD_OK && scanned != CHORD_OK) {
        wasmtime_module_delete(out->module);
        status = chord_fail(err, scanned, "%s", wrong.text);
    }
    if (status == CHORD_OK) {
        out->shape = shape;
        keep_last(host, wasm, len, out);
        return CHORD_OK;
    }
    free(wasm);
    return status;
}

/* The section of exports alone, with the module's first bytes before it: the rest of a module may be large. */
static chord_status read_exports(int fd, uint64_t file_bytes, const char *path, uint8_t **out, size_t *len,
                                 chord_error *err)
{
    uint8_t head[SECTION_HEAD_BYTES], id;
    uint64_t exports_at = 0, bytes;
    size_t head_bytes;
    *len = 8;
    for (uint64_t at = 8; at < file_bytes; at += head_bytes + bytes) {
        ssize_t n = pread(fd, head, SECTION_HEAD_BYTES, (off_t)at);
        if (n < 2 || !host_section_head(head, (size_t)n, &id, &bytes, &head_bytes) ||
            bytes > file_bytes - at - head_bytes || (id == EXPORTS_ID && bytes > EXPORTS_BYTES_MAX))
            return chord_fail(err, CHORD_CORRUPT, "%s: a section of the module is cut off or too long", path);
        if (id != EXPORTS_ID) continue;
        exports_at = at;
        *len = 8 + head_bytes + (size_t)bytes;
    }
    *out = calloc(1, *len);
    if (*out == NULL) return chord_fail(err, CHORD_NO_MEMORY, "%s: no memory for its exports", path);
    if (pread(fd, *out + 8, *len - 8, (off_t)exports_at) == (ssize_t)(*len - 8)) return CHORD_OK;
    free(*out);
    return chord_fail(err, CHORD_IO, "%s: cannot be read", path);
}

chord_status chord_host_inspect(chord_host *host, const char *path, chord_module_info *out, chord_error *err)
{
    uint8_t *exports;
    size_t len;
    uint64_t file_bytes;
    module_shape shape;
    int fd;
    (void)host;
    *out = (chord_module_info){0};
    CHORD_TRY(open_module(path, &fd, &file_bytes, err));
    chord_status status = read_exports(fd, file_bytes, path, &exports, &len, err);
    close(fd);
    CHORD_TRY(status);
    status = host_look_at_module(exports, len, path, &shape, err);
    free(exports);
    *out = shape.info;
    return status;
}
