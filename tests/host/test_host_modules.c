/* Modules that are wrong or mean ill, bombs of every kind, and the folder of compiled modules when
 * it was tampered with. */
#define _GNU_SOURCE
#include "host_fixture.h"

#include <dirent.h>
#include <sys/wait.h>

static chord_host *host;
static const char *model;
static witness other;

static chord_status try_open(chord_host *on, const char *path, chord_guest_options o)
{
    chord_guest *g = NULL;
    o.module = path;
    if (o.model == NULL) o.model = model;
    chord_status status = chord_guest_open(on, &o, &g, &err);
    CHECK((status == CHORD_OK) == (g != NULL));
    chord_guest_close(g);
    return status;
}

/* ---- what is not a module, or not one for us --------------------------------------------------------------------- */

static void check_broken(void)
{
    size_t len;
    module_plan plan = {.memory = OWN32, .pages = 1, .pages_max = 1};
    uint8_t *good = get_file(put_module("good.wasm", &plan), &len);
    const char *path = in_folder("broken.wasm");
    for (size_t part = 0; part < 16; part++) {
        put_file(path, good, len * part / 16);
        CHECK(try_open(host, path, (chord_guest_options){0}) == CHORD_CORRUPT &&
              strstr(err.text, "broken.wasm") != NULL);
        chord_module_info info;
        CHECK(chord_host_inspect(host, path, &info, &err) == CHORD_CORRUPT);
    }
    for (unsigned seed = 1; seed < 300;
         seed += CHECK_EVERY(1, 4, 16)) { /* a byte changed: refused, or another good module */
        uint8_t *bad = malloc(len);
        memcpy(bad, good, len);
        bad[8 + seed * 2654435761u % (len - 8)] ^= (uint8_t)(1 + seed % 255);
        put_file(path, bad, len);
        (void)try_open(host, path, (chord_guest_options){0});
        free(bad);
    }
    put_file(path, "\0asm\r\0\1\0 a component begins like this", 37);
    CHECK(try_open(host, path, (chord_guest_options){0}) == CHORD_CORRUPT && strstr(err.text, "component") != NULL);
    put_file(path, "GGUF, but not a module", 22);
    CHECK(try_open(host, path, (chord_guest_options){0}) == CHORD_CORRUPT);
    CHECK(try_open(host, in_folder("nothing.wasm"), (chord_guest_options){0}) == CHORD_IO &&
          strstr(err.text, "nothing.wasm") != NULL);
    CHECK(try_open(host, folder, (chord_guest_options){0}) != CHORD_OK);
    CHECK(try_open(host, in_folder("good.wasm"), (chord_guest_options){.model = in_folder("nothing.gguf")}) ==
          CHORD_IO);
    CHECK(try_open(host, in_folder("good.wasm"), (chord_guest_options){.model = in_folder("good.wasm")}) ==
          CHORD_CORRUPT);
    CHECK(try_open(host, in_folder("good.wasm"), (chord_guest_options){.budget_bytes = 1000}) == CHORD_BUDGET);
    CHECK(chord_guest_open(host, &(chord_guest_options){0}, &(chord_guest *){NULL}, &err) == CHORD_INVALID);
    free(good);
}

static void check_refused(void)
{
    static const struct {
        const char *wat;
        chord_status status;
        const char *says[2];
    } WRONG[] = {
        {"(import \"nowhere\" \"thing\" (func))", CHORD_UNSUPPORTED, {"nowhere.thing", "not offer"}},
        {"(import \"chord_host_v1\" \"file_steal\" (func))", CHORD_UNSUPPORTED, {"chord_host_v1.file_steal", ""}},
        {"(import \"chord_host_v1\" \"a\\1b[2J\\0a\" (func))", CHORD_UNSUPPORTED, {"chord_host_v1.a [2J ", ""}},
        {"(import \"chord_host_v1\" \"file_size\" (func (param i32) (result i32)))",
         CHORD_CORRUPT,
         {"chord_host_v1::file_size", "(result i64)"}},
        {"(import \"chord_host_v1\" \"file_read\" (func (param i32 i64 i64 i64) (result i32)))",
         CHORD_CORRUPT,
         {"chord_host_v1::file_read", "type"}},
        {"(import \"env\" \"table\" (table 1 funcref))", CHORD_UNSUPPORTED, {"env.table", "neither"}},
        {"(import \"env\" \"g\" (global i32))", CHORD_UNSUPPORTED, {"env.g", "neither"}},
        {"(import \"env\" \"memory\" (memory 1 1))", CHORD_UNSUPPORTED, {"not shared", ""}},
        {"(import \"env\" \"memory\" (memory 1))", CHORD_UNSUPPORTED, {"not shared", ""}},
        {"(import \"env\" \"memory\" (memory 20000 20000 shared))", CHORD_BUDGET, {"1310720000", "allowed"}},
        {"(import \"env\" \"a\" (memory 1 2 shared)) (import \"env\" \"b\" (memory 1 2 shared))",
         CHORD_UNSUPPORTED,
         {"more than one", ""}},
        {"(memory (export \"memory\") 1 65536 shared)", CHORD_UNSUPPORTED, {"of its own", ""}},
        {"(memory 1 65536 shared)", CHORD_CORRUPT, {"memory", "limit"}},
        {"(memory (export \"memory\") 1) (memory 1)", CHORD_CORRUPT, {"memory", "limit"}},
        {"(import \"env\" \"memory\" (memory 1 2 shared)) (memory 1)", CHORD_CORRUPT, {"memory", "limit"}},
        {"(memory (export \"memory\") 20000)", CHORD_CORRUPT, {"memory", "limit"}},
        {"(table 100000000 funcref)", CHORD_CORRUPT, {"table", "limit"}},
        {"(func $s unreachable) (start $s)", CHORD_CORRUPT, {"refused.wasm", "unreachable"}},
        {"(memory (export \"memory\") 1) (data (i32.const 65535) \"ab\")",
         CHORD_CORRUPT,
         {"refused.wasm", "out of bounds"}},
        {"(import \"wasi_snapshot_preview1\" \"fd_steal\" (func))", CHORD_CORRUPT, {"fd_steal", ""}},
    };
    for (size_t i = 0; i < CHORD_COUNT(WRONG); i++) {
        char wat[1024];
        snprintf(wat, sizeof wat, "(module %s)", WRONG[i].wat);
        chord_status status = try_open(host, put_wat("refused.wasm", wat),
                                       (chord_guest_options){.budget_bytes = chord_process_bytes() + 256 * CHORD_MIB});
        CHECK_SAY(status == WRONG[i].status && strstr(err.text, WRONG[i].says[0]) != NULL &&
                      strstr(err.text, WRONG[i].says[1]) != NULL,
                  "%s: %d %s", WRONG[i].wat, status, err.text);
    }
    const char *env = put_wat(
        "env.wasm",
        "(module (import \"env\" \"memory64_is_enabled\" (func (result i32))) (memory (export \"memory\") 1 1))");
    chord_guest *g;
    /* no model */
    CHECK(chord_guest_open(host, &(chord_guest_options){.module = env}, &g, &err) == CHORD_INVALID && g == NULL);
    CHECK(try_open(host, put_wat("none.wasm", "(module)"), (chord_guest_options){0}) == CHORD_OK);
    g = guest_open(
        host,
        (chord_guest_options){
            .module = put_wat("none.wasm",
                              "(module (func (export \"f\") (result f64) (f64.const 1))"
                              " (func (export \"two\") (result i32 i32) (i32.const 1) (i32.const 2))"
                              " (func (export \"floats\") (param f32 f64) (result f64)"
                              "  (f64.add (f64.promote_f32 (local.get 0)) (local.get 1)))"
                              " (func (export \"vector\") (param v128)) (global (export \"g\") i32 (i32.const 1)))")});
    uint64_t args[32] = {0}, result;
    CHECK(chord_guest_bytes(g, 0, 0) == NULL && !chord_guest_has(g, "g") && !chord_guest_has(g, "nothing") &&
          chord_guest_has(g, "f"));
    CHECK(chord_guest_call(g, "nothing", NULL, 0, &result, &err) == CHORD_INVALID &&
          strstr(err.text, "nothing") != NULL);
    CHECK(chord_guest_call(g, "g", NULL, 0, &result, &err) == CHORD_INVALID);
    CHECK(chord_guest_call(g, "f", args, 1, &result, &err) == CHORD_INVALID &&
          chord_guest_call(g, "f", args, 32, &result, &err) == CHORD_INVALID);
    CHECK(chord_guest_call(g, "two", NULL, 0, &result, &err) == CHORD_INVALID &&
          chord_guest_call(g, "vector", args, 1, &result, &err) == CHORD_INVALID);
    CHECK_OK(chord_guest_call(g, "f", NULL, 0, &result, &err));
    chord_guest_signature signature;
    float half = 0.5f;
    double many = 1e100, sum;
    memcpy(&args[0], &half, sizeof half);
    memcpy(&args[1], &many, sizeof many);
    CHECK_OK(chord_guest_signature_of(g, "floats", &signature, &err));
    CHECK(strcmp(signature.args, "fd") == 0 && signature.result == 'd');
    CHECK_OK(chord_guest_call(g, "floats", args, 2, &result, &err));
    memcpy(&sum, &result, sizeof sum);
    CHECK(sum == 1e100 + 0.5);
    CHECK(chord_guest_signature_of(g, "g", &signature, &err) == CHORD_INVALID);
    chord_guest_close(g);
    CHECK(witness_lives(&other));
}

/* ---- traps and bombs --------------------------------------------------------------------------------------------- */

static const char BOMBS[] =
    "(module (memory (export \"memory\") 1) (table $t 4 funcref) (type $unary (func (param i32)))"
    "(func $f (param i64)) (elem (i32.const 0) $f)"
    "(func $deep (export \"deep\") (param i32) (result i32) (i32.add (i32.const 1)"
    " (call $deep (i32.add (local.get 0) (i32.const 1)))))"
    "(func (export \"stop\") unreachable)"
    "(func (export \"divide\") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))"
    "(func (export \"overflow\") (result i32) (i32.div_s (i32.const 0x80000000) (i32.const -1)))"
    "(func (export \"convert\") (result i32) (i32.trunc_f64_s (f64.const nan)))"
    "(func (export \"beyond\") (result i32) (i32.load (i32.const 65533)))"
    "(func (export \"fill\") (memory.fill (i32.const 1) (i32.const 1) (i32.const -1)))"
    "(func (export \"mismatch\") (call_indirect (type $unary) (i32.const 1) (i32.const 0)))"
    "(func (export \"null\") (call_indirect (type $unary) (i32.const 1) (i32.const 1)))"
    "(func (export \"outside\") (call_indirect (type $unary) (i32.const 1) (i32.const 99)))"
    "(func (export \"table_bomb\") (result i32) (loop (br_if 0 (i32.ge_s (table.grow $t (ref.null func)"
    " (i32.const 100000)) (i32.const 0)))) (table.size $t))"
    "(func (export \"memory_bomb\") (result i32) (loop (br_if 0 (i32.ge_s (memory.grow (i32.const 16))"
    " (i32.const 0)))) (memory.size)))";

static void check_bombs(void)
{
    static const struct {
        const char *name, *says;
    } TRAPS[] = {{"deep", "stack"},
                 {"stop", "unreachable"},
                 {"divide", "divide by zero"},
                 {"overflow", "overflow"},
                 {"convert", "invalid conversion"},
                 {"beyond", "out of bounds"},
                 {"fill", "out of bounds"},
                 {"mismatch", "indirect call type mismatch"},
                 {"null", "uninitialized"},
                 {"outside", "out of bounds"}};
    const char *path = put_wat("bombs.wasm", BOMBS);
    for (size_t i = 0; i < CHORD_COUNT(TRAPS); i++) {
        uint64_t args[] = {0}, result;
        chord_guest *g = guest_open(host, (chord_guest_options){.module = path});
        chord_status status = chord_guest_call(g, TRAPS[i].name, args, i == 0 || i == 2, &result, &err);
        CHECK_SAY(status == CHORD_CORRUPT && strstr(err.text, TRAPS[i].name) == err.text &&
                      strstr(err.text, TRAPS[i].says) != NULL,
                  "%d %s", status, err.text);
        CHECK(chord_guest_call(g, "memory_bomb", NULL, 0, &result, &err) == CHORD_CORRUPT);
        chord_guest_close(g);
        CHECK(witness_lives(&other));
    }
    uint64_t result;
    chord_guest *g = guest_open(host, (chord_guest_options){.module = path, .linear_bytes_max = 10 * CHORD_MIB});
    CHECK_OK(chord_guest_call(g, "memory_bomb", NULL, 0, &result, &err));
    CHECK_SAY(result <= 160 && result > 100, "%llu pages", (unsigned long long)result);
    CHECK_OK(chord_guest_call(g, "table_bomb", NULL, 0, &result, &err));
    CHECK_SAY(result <= 1000000, "%llu elements", (unsigned long long)result);
    chord_guest_close(g);
    uint64_t budget = chord_process_bytes() + 128 * CHORD_MIB;
    g = guest_open(host, (chord_guest_options){.module = path, .budget_bytes = budget});
    CHECK_OK(chord_guest_call(g, "memory_bomb", NULL, 0, &result, &err));
    CHECK(result * 65536 <= 128 * CHORD_MIB);
    chord_guest_close(g);
}

/* A bank of nearly everything, and then all the linear memory there is, written to; with a thread that waits meanwhile, if
 * told so. The pages it has in the end. */
static const char BOTH[] =
    "(func (export \"chord_thread_main\") (param i32) (drop (call $wait (i32.const 0) (i32.const 0) (i64.const -1))))"
    "(func (export \"both\") (param i32) (result i32) (local i32 i32)"
    " (if (local.get 0) (then (drop (call $thread_start (i32.const 0)))))"
    " (local.set 1 (i32.wrap_i64 (call $bank_limit)))"
    " (drop (call $bank_open (i32.and (i32.sub (local.get 1) (i32.const 1048576)) (i32.const 0xffff0000))))"
    " (loop (br_if 0 (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))"
    " (local.set 2 (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4096)))"
    " (local.set 1 (i32.const 4096))"
    " (loop (i32.store (local.get 1) (i32.const 1)) (local.set 1 (i32.add (local.get 1) (i32.const 4096)))"
    " (br_if 0 (i32.lt_u (local.get 1) (local.get 2))))"
    " (memory.size))";

static void check_one_sum(memory_kind memory, uint64_t threads)
{
    module_plan plan = {.memory = memory, .pages = 16, .pages_max = 65535, .extra = BOTH};
    uint64_t budget = chord_process_bytes() + 150 * CHORD_MIB, pages, args[] = {threads};
    chord_guest_stats stats;
    chord_guest *g = guest_open(
        host, (chord_guest_options){.module = put_module("both.wasm", &plan), .model = model, .budget_bytes = budget});
    CHECK_OK(chord_guest_call(g, "both", args, 1, &pages, &err));
    chord_guest_stats_get(g, &stats);
    CHECK_SAY(stats.bank_bytes > 32 * CHORD_MIB && pages >= 16, "%llu bytes, %llu pages",
              (unsigned long long)stats.bank_bytes, (unsigned long long)pages);
    CHECK_SAY(stats.bank_bytes + pages * 65536 <= stats.budget_bytes, "%llu and %llu of %llu bytes",
              (unsigned long long)stats.bank_bytes, (unsigned long long)pages * 65536,
              (unsigned long long)stats.budget_bytes);
    CHECK(chord_process_bytes() <= budget);
    chord_guest_close(g);
    CHECK(witness_lives(&other));
}

/* One thread grows the memory as often as it can, the other takes a bank of half of what is left and gives it back: what
 * one has, the other does not get. */
static const char RACE[] =
    "(func (export \"chord_thread_main\") (param i32) (local i32)"
    " (loop (if (i32.lt_s (memory.grow (i32.const 16)) (i32.const 0)) (then (return)))"
    "  (local.set 1 (i32.shl (i32.sub (memory.size) (i32.const 16)) (i32.const 16)))"
    "  (memory.fill (local.get 1) (i32.const 1) (i32.const 1048576)) (br 0)))"
    "(func (export \"race\") (param i32) (result i32) (local i64 i32)"
    " (drop (call $thread_start (i32.const 0)))"
    " (loop (local.set 1 (i64.and (i64.shr_u (call $bank_limit) (i64.const 1)) (i64.const 0xffffffffffff0000)))"
    "  (local.set 2 (call $bank_open (i32.wrap_i64 (local.get 1))))"
    "  (if (i32.ge_s (local.get 2) (i32.const 0)) (then (drop (call $bank_close (local.get 2)))))"
    "  (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (i32.gt_s (local.get 0) (i32.const 0))))"
    " (memory.size))";

static void check_race(void)
{
    module_plan plan = {.memory = SHARED32, .pages = 16, .pages_max = 65535, .extra = RACE};
    const char *path = put_module("race.wasm", &plan);
    for (int i = 0; i < 20; i++) {
        uint64_t budget = chord_process_bytes() + 150 * CHORD_MIB, pages = 0, args[] = {40};
        chord_guest *g = guest_open(host,
                                    (chord_guest_options){.module = path, .model = model, .budget_bytes = budget});
        chord_status status = chord_guest_call(g, "race", args, 1, &pages, &err);
        CHECK_SAY(status == CHORD_OK || strstr(err.text, "at once") != NULL, "%d %s", status, err.text);
        CHECK_SAY(chord_process_bytes() <= budget, "%llu of %llu bytes", (unsigned long long)chord_process_bytes(),
                  (unsigned long long)budget);
        chord_guest_close(g);
    }
    CHECK(witness_lives(&other));
}

/* ---- compiled modules -------------------------------------------------------------------------------------------- */

static const char *kept_file(const char *in)
{
    static char path[3000];
    DIR *d = opendir(in);
    path[0] = '\0';
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (strstr(e->d_name, ".cwasm") != NULL) snprintf(path, sizeof path, "%s/%s", in, e->d_name);
    if (d != NULL) closedir(d);
    return path;
}

/* Opens a host and a guest, calls it. */
static uint64_t open_once(const char *cache, const char *module, bool interruptible, bool *compiled)
{
    chord_guest_stats stats;
    chord_host *h = host_open((chord_host_options){.cache_folder = cache, .interruptible = interruptible});
    chord_guest *g = guest_open(h, (chord_guest_options){.module = module, .model = model});
    CHECK_ASK(g, CHORD_HOST_VERSION, "version");
    chord_guest_stats_get(g, &stats);
    *compiled = stats.compile_ns != 0;
    chord_guest_close(g);
    chord_host_close(h);
    return stats.start_ns;
}

static void check_cache(void)
{
    bool compiled;
    size_t len;
    char cache[2048];
    snprintf(cache, sizeof cache, "%s/deep/cache", folder);
    module_plan plan = {.memory = SHARED32, .pages = 16, .pages_max = 64};
    const char *module = kept(put_module("cached.wasm", &plan));
    open_once(cache, module, false, &compiled);
    CHECK(compiled && kept_file(cache)[0] != '\0');
    uint64_t best_ns = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        best_ns = chord_min_u64(best_ns, open_once(cache, module, false, &compiled));
        CHECK(!compiled);
    }
    printf("from opening to the first import, module kept: %.2f ms (best of 5)\n", (double)best_ns / 1e6);
    open_once(cache, module, true, &compiled); /* other settings: a file of its own */
    CHECK(compiled);
    char path[3000];
    snprintf(path, sizeof path, "%s", kept_file(cache));
    char remove[3100];
    snprintf(remove, sizeof remove, "rm -f '%s'/*", cache);
    CHECK(system(remove) == 0);
    open_once(cache, module, false, &compiled);
    snprintf(path, sizeof path, "%s", kept_file(cache));
    uint8_t *whole = get_file(path, &len);
    for (unsigned i = 0; i < 24; i++) { /* cut, and with bytes changed, code among them */
        uint8_t *bad = malloc(len + 100);
        memcpy(bad, whole, len);
        memset(bad + len, 0, 100);
        if (i >= 8) bad[i % 2 == 0 ? len - 1 - i : (i * 2654435761u) % len] ^= (uint8_t)(1 << i % 8);
        put_file(path, bad, i < 7 ? len * i / 7 : i == 7 ? len + 100 : len);
        open_once(cache, module, false, &compiled);
        CHECK_SAY(compiled, "change %u was not noticed", i);
        open_once(cache, module, false, &compiled);
        CHECK(!compiled);
        free(bad);
    }
    put_file(path, whole, len);
    chmod(cache, 0777); /* anybody could have written there */
    open_once(cache, module, false, &compiled);
    CHECK(compiled);
    chmod(cache, 0700);
    open_once(cache, module, false, &compiled);
    CHECK(!compiled);
    CHECK(system(remove) == 0);
    for (int i = 0; i < 6; i++) /* at the same time */
        if (fork() == 0) {
            execl("/proc/self/exe", "test_host_modules", cache, module, model, (char *)NULL);
            _exit(1);
        }
    for (int i = 0, status; i < 6; i++) CHECK(wait(&status) > 0 && status == 0);
    open_once(cache, module, false, &compiled);
    CHECK(!compiled);
    free(whole);
}

int main(int argc, char **argv)
{
    if (argc == 4) { /* one of several at the same time */
        bool compiled;
        model = argv[3];
        for (int i = 0; i < 3; i++) open_once(argv[1], argv[2], false, &compiled);
        return check_done();
    }
    folder_open();
    model = kept(put_model("model.gguf"));
    check_cache();
    host = host_open((chord_host_options){0});
    other = witness_open(host, model);
    check_broken();
    check_refused();
    check_bombs();
    check_one_sum(OWN32, 0);
    check_one_sum(SHARED32, 0);
    check_one_sum(SHARED32, 1);
    check_race();
    CHECK(witness_lives(&other));
    chord_guest_close(other.guest);
    chord_host_close(host);
    folder_close();
    return check_done();
}
