/* host_fixture.h - what the tests of libchord_host share: a folder of their own, guests written as text, and one guest
 * whose exports are the host's imports, so that a test calls every import with whatever it likes. */
#ifndef CHORD_HOST_FIXTURE_H
#define CHORD_HOST_FIXTURE_H

#include "chord_host.h"
#include "host_service.h"

#include "check.h"
#include "tiny_model.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasmtime.h>

static chord_error err;
static char folder[1024]; /* the test's own; emptied at its end */

static inline const char *in_folder(const char *name)
{
    static char paths[8][2048];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* A copy that lasts until folder_close. */
static char *kept_texts[64];
static size_t kept_count;
static inline const char *kept(const char *text)
{
    if (kept_count == sizeof kept_texts / sizeof kept_texts[0]) exit(1);
    return kept_texts[kept_count++] = strdup(text);
}

static inline void folder_open(void)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/chord-host-XXXXXX", root != NULL ? root : "/tmp");
    if (mkdtemp(folder) == NULL) perror(folder), exit(1);
}

static inline void folder_close(void)
{
    char command[2048];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) perror(folder);
    while (kept_count > 0) free(kept_texts[--kept_count]);
}

static inline void put_file(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0) perror(path), exit(1);
}

static inline uint8_t *get_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    struct stat s;
    if (f == NULL || fstat(fileno(f), &s) != 0) perror(path), exit(1);
    *len = (size_t)s.st_size;
    uint8_t *bytes = malloc(*len + 1);
    if (fread(bytes, 1, *len, f) != *len) perror(path), exit(1);
    fclose(f);
    return bytes;
}

/* The tiny llama, in the folder. */
static inline const char *put_model(const char *name)
{
    tiny_model m;
    const char *path = in_folder(name);
    tiny_build(&m);
    put_file(path, m.b.bytes, m.b.len);
    gb_free(&m.b);
    return path;
}

/* ---- guests as text ---------------------------------------------------------------------------------------------- */

typedef struct text {
    char *bytes;
    size_t len, cap;
} text;

__attribute__((format(printf, 2, 3))) static inline void say(text *t, const char *format, ...)
{
    va_list args;
    if (t->cap - t->len < 4096) t->bytes = realloc(t->bytes, t->cap = t->cap * 2 + 65536);
    va_start(args, format);
    t->len += (size_t)vsnprintf(t->bytes + t->len, t->cap - t->len, format, args);
    va_end(args);
}

/* Assembles; the path of the module, in the folder. */
static inline const char *put_wat(const char *name, const char *wat)
{
    wasm_byte_vec_t wasm;
    const char *path = in_folder(name);
    wasmtime_error_t *error = wasmtime_wat2wasm(wat, strlen(wat), &wasm);
    if (error != NULL) {
        wasmtime_error_message(error, &wasm);
        fprintf(stderr, "%s: %.*s\n%s\n", name, (int)wasm.size, wasm.data, wat);
        exit(1);
    }
    put_file(path, wasm.data, wasm.size);
    wasm_byte_vec_delete(&wasm);
    return path;
}

typedef enum memory_kind { OWN32, OWN64, SHARED32, SHARED64 } memory_kind;
typedef struct module_plan {
    memory_kind memory;
    unsigned pages, pages_max;
    bool env, nn;      /* memory64_*, wasi-nn too */
    const char *extra; /* functions of the test's own; imports are there as $file_read ... */
} module_plan;

typedef struct import_row {
    const char *module;
    host_import import;
} import_row;

/* Every import there is. */
static inline size_t list_imports(bool env, bool nn, import_row *out)
{
    size_t n = 0;
#define ROW(symbol, parameters, result) out[n++] = (import_row){"chord_host_v1", {#symbol, parameters, result, NULL}};
    CHORD_HOST_IMPORT_MAP(ROW)
#undef ROW
    for (uint32_t i = 0; env && i < memory64_service.import_count; i++)
        out[n++] = (import_row){"env", memory64_service.imports[i]};
    for (uint32_t i = 0; nn && i < wasi_nn_service.import_count; i++)
        out[n++] = (import_row){"wasi_ephemeral_nn", wasi_nn_service.imports[i]};
    return n;
}
#define IMPORTS_MAX 96

static inline bool plan_is_wide(const module_plan *p) { return p->memory == OWN64 || p->memory == SHARED64; }

static inline void say_type(text *t, const host_import *import, bool wide)
{
    for (const char *c = import->takes; *c != '\0'; c++)
        say(t, "(param %s)", *c == 'l' || (*c == 'p' && wide) ? "i64" : "i32");
    if (import->gives != '-')
        say(t, "(result %s)", import->gives == 'l' || (import->gives == 'p' && wide) ? "i64" : "i32");
}

/* A module that exports each import as a function of the same name. */
static inline const char *put_module(const char *name, const module_plan *p)
{
    text t = {0};
    import_row rows[IMPORTS_MAX];
    size_t count = list_imports(p->env, p->nn, rows);
    bool wide = plan_is_wide(p), shared = p->memory >= SHARED32;
    say(&t, "(module\n");
    for (size_t i = 0; i < count; i++) {
        say(&t, "(import \"%s\" \"%s\" (func $%s ", rows[i].module, rows[i].import.name, rows[i].import.name);
        say_type(&t, &rows[i].import, wide);
        say(&t, "))\n");
    }
    if (shared)
        say(&t, "(import \"env\" \"memory\" (memory %s %u %u shared))\n", wide ? "i64" : "", p->pages, p->pages_max);
    else say(&t, "(memory (export \"memory\") %s %u %u)\n", wide ? "i64" : "", p->pages, p->pages_max);
    for (size_t i = 0; i < count; i++) {
        say(&t, "(func (export \"%s\") ", rows[i].import.name);
        say_type(&t, &rows[i].import, wide);
        for (size_t a = 0; rows[i].import.takes[a] != '\0'; a++) say(&t, " local.get %zu", a);
        say(&t, " call $%s)\n", rows[i].import.name);
    }
    say(&t, "(func (export \"peek\") (param %s) (result i32) local.get 0 i32.load)\n", wide ? "i64" : "i32");
    say(&t, "(func (export \"poke\") (param %s i32) local.get 0 local.get 1 i32.store)\n", wide ? "i64" : "i32");
    say(&t, "(func (export \"grow\") (param %s) (result %s) local.get 0 memory.grow)\n", wide ? "i64" : "i32",
        wide ? "i64" : "i32");
    say(&t, "%s)\n", p->extra != NULL ? p->extra : "");
    const char *path = put_wat(name, t.bytes);
    free(t.bytes);
    return path;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static inline chord_status call_n(chord_guest *guest, const char *name, uint64_t *result, const uint64_t *args,
                                  size_t n)
{
    return chord_guest_call(guest, name, args, n, result, &err);
}

/* The import's answer, sign-extended from 32 bits; a trap is a failed check. */
static inline int64_t ask_n(chord_guest *guest, const char *name, const uint64_t *args, size_t n, const char *file,
                            int line)
{
    uint64_t result = 0;
    chord_status status = call_n(guest, name, &result, args, n);
    check_count++;
    if (status != CHORD_OK) check_failed_count++, fprintf(stderr, "%s:%d: %s: %s\n", file, line, name, err.text);
    static const char *const LONG[] = {"file_size",  "file_fetch",   "file_map", "tensor_count",
                                       "bank_limit", "memory_limit", "clock_ns", "clock_unix_s"};
    for (size_t i = 0; i < CHORD_COUNT(LONG); i++)
        if (strcmp(LONG[i], name) == 0) return (int64_t)result;
    return (int32_t)(uint32_t)result;
}
#define ARGS(...) (const uint64_t[]){0, ##__VA_ARGS__} + 1, CHORD_COUNT(((const uint64_t[]){0, ##__VA_ARGS__})) - 1
#define ASK(guest, name, ...) ask_n(guest, name, ARGS(__VA_ARGS__), __FILE__, __LINE__)
#define ASK_STATUS(guest, wanted, name, ...) (call_n(guest, name, NULL, ARGS(__VA_ARGS__)) == (wanted))
/* CHECK_ASK(guest, CHORD_HOST_RANGE, "file_read", 0, 0, 1, 2) */
#define CHECK_ASK(guest, wanted, name, ...)                                                                      \
    do {                                                                                                         \
        int64_t check_got = ask_n(guest, name, ARGS(__VA_ARGS__), __FILE__, __LINE__);                           \
        CHECK_SAY(check_got == (int64_t)(wanted), "%s(%s) gave %lld", name, #__VA_ARGS__, (long long)check_got); \
    } while (0)

static inline chord_host *host_open(chord_host_options o)
{
    chord_host *host = NULL;
    if (o.cache_folder == NULL) o.cache_folder = "";
    CHECK_OK(chord_host_open(&o, &host, &err));
    return host;
}

static inline chord_guest *guest_open(chord_host *host, chord_guest_options o)
{
    chord_guest *guest = NULL;
    if (o.budget_bytes == 0) o.budget_bytes = chord_process_bytes() + 256 * CHORD_MIB;
    CHECK_OK(chord_guest_open(host, &o, &guest, &err));
    if (guest == NULL) exit(check_done());
    return guest;
}

/* ---- another guest, which must not notice ------------------------------------------------------------------------ */

/* It reads the model's first page by itself and adds it up. */
static const char WITNESS[] =
    "(module (import \"chord_host_v1\" \"file_read\" (func $read (param i32 i64 i32 i32) (result i32)))"
    "(memory (export \"memory\") 1 1)"
    "(func (export \"sum\") (result i32) (local i32 i32)"
    "  (if (call $read (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 4096)) (then (return (i32.const -1))))"
    "  (loop (local.set 1 (i32.add (local.get 1) (i32.load (local.get 0))))"
    "    (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 4))) (i32.const 4096))))"
    "  local.get 1))";

typedef struct witness {
    chord_guest *guest;
    uint64_t sum;
} witness;

static inline witness witness_open(chord_host *host, const char *model)
{
    size_t len;
    uint32_t words[1024];
    witness w = {0};
    uint8_t *bytes = get_file(model, &len);
    memcpy(words, bytes, sizeof words);
    free(bytes);
    uint32_t sum = 0;
    for (size_t i = 0; i < 1024; i++) sum += words[i];
    w.sum = sum;
    w.guest = guest_open(host, (chord_guest_options){.module = put_wat("witness.wasm", WITNESS), .model = model});
    return w;
}

static inline bool witness_lives(const witness *w)
{
    uint64_t sum = 0;
    return chord_guest_call(w->guest, "sum", NULL, 0, &sum, &err) == CHORD_OK && sum == w->sum;
}

#endif
