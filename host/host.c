/* host.c - the engine, and modules compiled once: Wasmtime's own ahead-of-time format in a folder of the user's. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 10000000 /* how finely time limits are kept */
#define MODULE_BYTES_MAX (256 * CHORD_MIB)
_Static_assert(WASMTIME_VERSION_MAJOR == 50,
               "the C API changes with every version: headers and library are those of 50.0.1");

/* In one line. Of a trap Wasmtime tells where before it tells why, and a deep recursion's list of frames is long: what
 * stands behind the last "Caused by:" is kept. */
static void keep_cause(const char *text, size_t len, char *out, size_t cap)
{
    static const char TRAP[] = "error while executing", MARK[] = "Caused by:";
    size_t at = 0, n = 0;
    bool trap = len >= sizeof TRAP && memcmp(text, TRAP, sizeof TRAP - 1) == 0;
    for (size_t i = 0; trap && i + sizeof MARK <= len; i++)
        if (memcmp(text + i, MARK, sizeof MARK - 1) == 0) at = i + sizeof MARK - 1;
    for (; at < len && text[at] != '\0' && n < cap - 1; at++) {
        bool space = text[at] == ' ' || text[at] == '\n';
        if (!space) out[n++] = text[at];
        else if (n > 0 && out[n - 1] != ' ') out[n++] = ' ';
    }
    out[n] = '\0';
}

chord_status host_fail_wasmtime(chord_error *err, wasmtime_error_t *error, wasm_trap_t *trap, const char *what)
{
    wasm_byte_vec_t text = {0};
    if (error != NULL) wasmtime_error_message(error, &text);
    else wasm_trap_message(trap, &text);
    char sentence[256];
    keep_cause(text.data, text.size, sentence, sizeof sentence);
    host_make_plain(sentence);
    wasm_byte_vec_delete(&text);
    if (error != NULL) wasmtime_error_delete(error);
    if (trap != NULL) wasm_trap_delete(trap);
    return chord_fail(err, CHORD_CORRUPT, "%s: %s", what, sentence);
}

/* ---- the engine ---------------------------------------------------------------------------------------- */

static wasm_engine_t *make_engine(const chord_host_options *o)
{
    wasm_config_t *config = wasm_config_new();
    if (config == NULL) return NULL;
    wasmtime_config_wasm_threads_set(config, true);
    wasmtime_config_shared_memory_set(config, true);
    wasmtime_config_wasm_relaxed_simd_set(config, true);
    wasmtime_config_wasm_memory64_set(config, true);
    wasmtime_config_wasm_multi_memory_set(config, true);
    /* addresses only: a shared memory cannot move, so it grows no further than this */
    wasmtime_config_memory_reservation_set(config, 16384 * CHORD_MIB);
    wasmtime_config_epoch_interruption_set(config, o->interruptible);
    /* Bounds are checked all the same; only the hardening against speculation goes. Memories of 32 bits have guard
     * pages and no checks at all. */
    if (!o->hardened64) wasmtime_config_cranelift_flag_set(config, "enable_heap_access_spectre_mitigation", "false");
    return wasm_engine_new_with_config(config);
}

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
    host->engine = make_engine(&host->options);
    if (host->engine == NULL) {
        free(host);
        return chord_fail(err, CHORD_UNSUPPORTED, "Wasmtime has no compiler for this machine");
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
    if (host->last != NULL) wasmtime_module_delete(host->last);
    free(host->last_wasm);
    wasm_engine_delete(host->engine);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

/* ---- modules ------------------------------------------------------------------------------------------- */

/* The whole file; *out is freed by the caller. */
static chord_status read_file(const char *path, uint8_t **out, size_t *len, chord_error *err)
{
    struct stat s;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return chord_fail_os(err, CHORD_IO, errno, "%s", path);
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size < 8 || (uint64_t)s.st_size > MODULE_BYTES_MAX) {
        close(fd);
        return chord_fail(err, CHORD_CORRUPT, "%s: not a WebAssembly module (a file of 8 bytes to %u MiB)", path,
                          (unsigned)(MODULE_BYTES_MAX / CHORD_MIB));
    }
    *len = (size_t)s.st_size;
    *out = malloc(*len);
    size_t got = 0;
    ssize_t n = 1;
    while (*out != NULL && got < *len && n > 0) {
        n = read(fd, *out + got, *len - got);
        if (n > 0) got += (size_t)n;
        else if (n < 0 && errno == EINTR) n = 1;
    }
    close(fd);
    if (*out != NULL && got == *len) return CHORD_OK;
    free(*out);
    *out = NULL;
    return chord_fail(err, CHORD_IO, "%s: cannot be read", path);
}

/* A kept module is one file: the code, the module it was made of, and this. One file, because two processes may
 * write it at the same time; checked, because code is run as it stands: Wasmtime looks at its own version and
 * settings, not at each byte. */
typedef struct kept_end {
    uint64_t code_bytes, wasm_bytes, hash; /* hash: of both */
    char mark[8];
} kept_end;
static const char KEPT_MARK[8] = "chordw1";

/* "FOLDER/HASH-LENGTH-SETTINGS.cwasm" */
static bool cache_path(const chord_host *host, const uint8_t *wasm, size_t len, char *out, size_t cap)
{
    if (host->cache_folder[0] == '\0') return false;
    size_t need = chord_format(out, cap, "%s/%llx-%zu-%d%d.cwasm", host->cache_folder,
                               (unsigned long long)chord_hash_of(wasm, len), len, host->options.interruptible,
                               host->options.hardened64);
    return need < cap;
}

static bool is_whole(const uint8_t *kept, size_t kept_bytes, const uint8_t *wasm, size_t len, uint64_t *code_bytes)
{
    kept_end end;
    if (kept_bytes < sizeof end) return false;
    memcpy(&end, kept + kept_bytes - sizeof end, sizeof end);
    uint64_t both = kept_bytes - sizeof end;
    if (memcmp(end.mark, KEPT_MARK, sizeof KEPT_MARK) != 0 || end.wasm_bytes != len || len > both ||
        end.code_bytes != both - len)
        return false;
    *code_bytes = end.code_bytes;
    return memcmp(kept + end.code_bytes, wasm, len) == 0 && chord_hash_of(kept, both) == end.hash;
}

static bool load_cached(chord_host *host, const uint8_t *wasm, size_t len, wasmtime_module_t **out)
{
    char path[4200];
    uint8_t *kept;
    size_t kept_bytes;
    uint64_t code_bytes;
    if (!cache_path(host, wasm, len, path, sizeof path) || read_file(path, &kept, &kept_bytes, NULL) != CHORD_OK)
        return false;
    bool good = is_whole(kept, kept_bytes, wasm, len, &code_bytes);
    wasmtime_error_t *error = good ? wasmtime_module_deserialize(host->engine, kept, code_bytes, out) : NULL;
    free(kept);
    if (good && error == NULL) utimensat(AT_FDCWD, path, NULL, 0); /* the ones used longest ago go first */
    if (error == NULL) return good;
    wasmtime_error_delete(error); /* of another version or another CPU: compiled again */
    return false;
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
static void store_cached(chord_host *host, const uint8_t *wasm, size_t len, const wasmtime_module_t *module)
{
    static _Atomic uint32_t number; /* hosts of one process */
    char path[4200], temporary[4300];
    wasm_byte_vec_t code;
    chord_hash hash;
    if (!cache_path(host, wasm, len, path, sizeof path)) return;
    wasmtime_error_t *error = wasmtime_module_serialize(module, &code);
    if (error != NULL) {
        wasmtime_error_delete(error);
        return;
    }
    kept_end end = {.code_bytes = code.size, .wasm_bytes = len};
    memcpy(end.mark, KEPT_MARK, sizeof KEPT_MARK);
    chord_hash_start(&hash);
    chord_hash_add(&hash, code.data, code.size);
    chord_hash_add(&hash, wasm, len);
    end.hash = chord_hash_end(&hash);
    chord_format(temporary, sizeof temporary, "%s.%d.%u", path, (int)getpid(), (unsigned)atomic_fetch_add(&number, 1));
    unlink(temporary); /* of a process that ended early */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write_all(fd, code.data, code.size) && write_all(fd, wasm, len) &&
                write_all(fd, &end, sizeof end);
    wasm_byte_vec_delete(&code);
    if (fd >= 0) good = close(fd) == 0 && good;
    if (!good || rename(temporary, path) != 0) unlink(temporary);
    cache_folder_trim(host->cache_folder, path);
}

/* The last one loaded is kept at hand: a program looks at a module before it opens it. */
static bool take_last(chord_host *host, const uint8_t *wasm, size_t len, wasmtime_module_t **out, uint64_t *compile_ns)
{
    pthread_mutex_lock(&host->lock);
    bool same = host->last != NULL && host->last_bytes == len && memcmp(host->last_wasm, wasm, len) == 0;
    if (same) *out = wasmtime_module_clone(host->last);
    if (same) *compile_ns = host->last_compile_ns;
    pthread_mutex_unlock(&host->lock);
    return same;
}

/* wasm is taken over. */
static void keep_last(chord_host *host, uint8_t *wasm, size_t len, wasmtime_module_t *module, uint64_t compile_ns)
{
    pthread_mutex_lock(&host->lock);
    if (host->last != NULL) wasmtime_module_delete(host->last);
    free(host->last_wasm);
    host->last = wasmtime_module_clone(module);
    host->last_wasm = wasm;
    host->last_bytes = len;
    host->last_compile_ns = compile_ns;
    pthread_mutex_unlock(&host->lock);
}

static chord_status compile(chord_host *host, const uint8_t *wasm, size_t len, const char *path,
                            wasmtime_module_t **out, uint64_t *compile_ns, chord_error *err)
{
    uint64_t start_ns = chord_clock_ns();
    wasmtime_error_t *error = wasmtime_module_new(host->engine, wasm, len, out);
    *compile_ns = chord_clock_ns() - start_ns;
    if (error != NULL) return host_fail_wasmtime(err, error, NULL, path);
    store_cached(host, wasm, len, *out);
    return CHORD_OK;
}

chord_status host_load_module(chord_host *host, const char *path, wasmtime_module_t **out, uint64_t *compile_ns,
                              chord_error *err)
{
    uint8_t *wasm;
    size_t len;
    *compile_ns = 0;
    CHORD_TRY(read_file(path, &wasm, &len, err));
    if (memcmp(wasm, "\0asm\1\0\0\0", 8) != 0) {
        free(wasm);
        return chord_fail(err, CHORD_CORRUPT,
                          "%s: not a WebAssembly core module (it begins with other bytes; components are not run)",
                          path);
    }
    chord_error wrong;
    chord_status status = CHORD_OK,
                 scanned = host->options.interruptible ? host_scan_module(wasm, len, path, &wrong) : CHORD_OK;
    if (!take_last(host, wasm, len, out, compile_ns)) {
        if (!load_cached(host, wasm, len, out)) status = compile(host, wasm, len, path, out, compile_ns, err);
        if (status == CHORD_OK && scanned != CHORD_OK) {
            wasmtime_module_delete(*out);
            *out = NULL;
            status = chord_fail(err, scanned, "%s", wrong.text);
        }
        if (status == CHORD_OK) {
            keep_last(host, wasm, len, *out, *compile_ns);
            return CHORD_OK;
        }
    }
    free(wasm);
    return status;
}

chord_status chord_host_inspect(chord_host *host, const char *path, chord_module_info *out, chord_error *err)
{
    wasmtime_module_t *module;
    wasm_exporttype_vec_t exports;
    uint64_t compile_ns;
    *out = (chord_module_info){0};
    CHORD_TRY(host_load_module(host, path, &module, &compile_ns, err));
    wasmtime_module_exports(module, &exports);
    for (size_t i = 0; i < exports.size; i++) {
        const wasm_name_t *name = wasm_exporttype_name(exports.data[i]);
        if (host_named(name, "guest_version")) out->is_chord_guest = true;
        if (host_named(name, "_start")) out->is_command = true;
    }
    wasm_exporttype_vec_delete(&exports);
    wasmtime_module_delete(module);
    return CHORD_OK;
}
