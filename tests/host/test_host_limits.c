/* One sum for all that a guest makes grow: tables, threads, garbage, code; and time for all that it spends. */
#define _GNU_SOURCE
#include "host_fixture.h"

#include <stdatomic.h>
#include <sys/resource.h>

static chord_host *host, *strict;

static chord_status try_open(chord_host *on, chord_guest_options o)
{
    chord_guest *g = NULL;
    chord_status status = chord_guest_open(on, &o, &g, &err);
    CHECK((status == CHORD_OK) == (g != NULL));
    chord_guest_close(g);
    return status;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* `count` tables of `elements` in each instance. */
static const char *put_tables(const char *name, unsigned count, unsigned elements)
{
    module_plan plan = {.memory = SHARED32, .pages = 1, .pages_max = 64};
    text t = {0};
    for (unsigned i = 0; i < count; i++) say(&t, "(table $t%u %u %u funcref)\n", i, elements, elements);
    say(&t, "(elem declare func $full) (func $full)"
            "(func $fill");
    for (unsigned i = 0; i < count; i++)
        say(&t, "(table.fill $t%u (i32.const 0) (ref.func $full) (i32.const %u))\n", i, elements);
    say(&t, ")(func (export \"chord_thread_main\") (param i32) (call $fill)"
            " (drop (call $wait (i32.const 64) (i32.const 0) (i64.const -1))))"
            "(func (export \"start_many\") (param i32) (result i32) (local i32)"
            " (loop (if (i32.lt_s (call $thread_start (i32.const 0)) (i32.const 0)) (then (return (local.get 1))))"
            "  (local.set 1 (i32.add (local.get 1) (i32.const 1)))"
            "  (br_if 0 (i32.lt_u (local.get 1) (local.get 0)))) (local.get 1))");
    plan.extra = t.bytes;
    const char *path = put_module(name, &plan);
    free(t.bytes);
    return path;
}

static void check_tables(void)
{
    chord_guest *g;
    uint64_t base = chord_process_bytes() + chord_process_code_bytes(), args[] = {60}, threads;
    const char *many = put_tables("many.wasm", 16, 900000), *some = put_tables("some.wasm", 4, 250000);
    CHECK(try_open(host, (chord_guest_options){.module = many, .budget_bytes = base + 100 * CHORD_MIB}) ==
          CHORD_BUDGET);
    CHECK_SAY(strstr(err.text, "tables") != NULL, "%s", err.text);
    CHECK(try_open(host, (chord_guest_options){.module = many, .threads = 1, .budget_bytes = base + 600 * CHORD_MIB}) ==
          CHORD_OK);
    /* 8 MB of tables in each thread: what the budget has no room for is not started */
    g = guest_open(host, (chord_guest_options){.module = some, .threads = 2, .budget_bytes = base + 160 * CHORD_MIB});
    CHECK_OK(chord_guest_call(g, "start_many", args, 1, &threads, &err));
    CHECK_SAY(threads >= 2 && threads < 20, "%llu threads", (unsigned long long)threads);
    usleep(200000);
    CHECK_SAY(chord_process_bytes() <= base + 160 * CHORD_MIB, "%llu MiB",
              (unsigned long long)(chord_process_bytes() >> 20));
    chord_guest_close(g);
}

/* Those without a maximum grow, but not beyond their part. */
static void check_growing_tables(void)
{
    static const char WAT[] =
        "(module (table $a 1 funcref) (table $b 1 funcref) (memory (export \"memory\") 1)"
        "(func (export \"grow\") (result i32)"
        " (loop (br_if 0 (i32.ge_s (table.grow $a (ref.null func) (i32.const 10000)) (i32.const 0))))"
        " (loop (br_if 0 (i32.ge_s (table.grow $b (ref.null func) (i32.const 10000)) (i32.const 0))))"
        " (i32.add (table.size $a) (table.size $b))))";
    uint64_t elements, budget = chord_process_bytes() + 64 * CHORD_MIB;
    chord_guest *g = guest_open(host,
                                (chord_guest_options){.module = put_wat("grows.wasm", WAT), .budget_bytes = budget});
    CHECK_OK(chord_guest_call(g, "grow", NULL, 0, &elements, &err));
    CHECK_SAY(elements > 20000 && elements * 8 <= budget / 16, "%llu elements", (unsigned long long)elements);
    chord_guest_close(g);
}

/* ---- garbage ----------------------------------------------------------------------------------------------------- */

static void check_garbage(void)
{
    static const char WAT[] =
        "(module (memory (export \"memory\") 1) (type $b (array (mut i8)))"
        "(type $n (struct (field (ref null $n)) (field (ref $b)))) (global $all (mut (ref null $n)) (ref.null $n))"
        "(func (export \"hoard\") (loop (global.set $all (struct.new $n (global.get $all)"
        " (array.new $b (i32.const 7) (i32.const 65536)))) (br 0))))";
    const char *path = put_wat("garbage.wasm", WAT);
    uint64_t budget = chord_process_bytes() + 160 * CHORD_MIB;
    CHECK(try_open(host, (chord_guest_options){.module = path, .budget_bytes = budget}) == CHORD_CORRUPT);
    CHECK_SAY(strstr(err.text, "--gc") != NULL, "%s", err.text);
    chord_host *collects = host_open((chord_host_options){.gc = true});
    chord_guest *g = guest_open(collects, (chord_guest_options){.module = path, .budget_bytes = budget});
    CHECK(chord_guest_call(g, "hoard", NULL, 0, NULL, &err) == CHORD_CORRUPT);
    CHECK(chord_process_bytes() <= budget);
    chord_guest_close(g);
    chord_host_close(collects);
}

/* ---- compiling --------------------------------------------------------------------------------------------------- */

#define LOCALS 60u

/* Functions in which everything lives on: costly to compile for their size. */
static const char *put_costly(const char *name, unsigned functions, unsigned steps)
{
    text t = {0};
    say(&t, "(module (memory (export \"memory\") 1) (func (export \"nothing\"))\n");
    for (unsigned f = 0; f < functions; f++) {
        say(&t, "(func (param i32) (result i32) (local");
        for (unsigned i = 1; i < LOCALS; i++) say(&t, " i32");
        say(&t, ")\n");
        for (unsigned i = 0; i < steps; i++)
            say(&t, "local.get %u if local.get %u local.get %u i32.add local.set %u end\n", i % LOCALS,
                (i * 7 + 3) % LOCALS, (i * 13 + 5) % LOCALS, i % LOCALS);
        say(&t, "local.get 7)\n");
    }
    say(&t, ")");
    const char *path = put_wat(name, t.bytes);
    free(t.bytes);
    return path;
}

static uint64_t children_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_CHILDREN, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

/* The verdict is the same whether a compiled copy lies in the folder or not. */
static void check_compile_budget(void)
{
    char cache[2048];
    snprintf(cache, sizeof cache, "%s/kept", folder);
    const char *costly = put_costly("costly.wasm", 2, 16000);
    chord_host *keeps = host_open((chord_host_options){.cache_folder = cache});
    chord_guest_options small = {.module = costly, .budget_bytes = 72 * CHORD_MIB + chord_process_bytes()},
                        large = {.module = costly, .budget_bytes = 2048 * CHORD_MIB};
    CHECK(try_open(keeps, small) == CHORD_BUDGET);
    CHECK_SAY(strstr(err.text, "costly.wasm") != NULL && strstr(err.text, "compiling") != NULL, "%s", err.text);
#ifndef __SANITIZE_ADDRESS__
    CHECK_SAY(children_peak_bytes() <= small.budget_bytes, "%llu MiB", (unsigned long long)children_peak_bytes() >> 20);
#endif
    CHECK(try_open(keeps, large) == CHORD_OK);
    chord_host_close(keeps);
    keeps = host_open((chord_host_options){.cache_folder = cache}); /* that has not seen it */
    CHECK(try_open(keeps, small) == CHORD_BUDGET && strstr(err.text, "compiling") != NULL);
    chord_guest *g = guest_open(keeps, large);
    chord_guest_stats stats;
    chord_guest_stats_get(g, &stats);
    CHECK(stats.compile_ns == 0);
    chord_guest_close(g);
    CHECK(try_open(keeps, small) == CHORD_BUDGET); /* and with one at hand */
    chord_host_close(keeps);
}

static void check_compile_time(void)
{
    const char *long_one = put_costly("long.wasm", 60, 1000);
    uint64_t start_ns = chord_clock_ns();
    CHECK(try_open(strict, (chord_guest_options){.module = long_one,
                                                 .budget_bytes = 2048 * CHORD_MIB,
                                                 .compile_ns_max = 20000000}) == CHORD_CANCELLED);
    CHECK_SAY(strstr(err.text, "compiling") != NULL && strstr(err.text, "0.020 s") != NULL, "%s", err.text);
    CHECK(chord_clock_ns() - start_ns < 20000000000);
}

/* ---- time that the guest's own code does not see ------------------------------------------------------------------ */

static _Atomic int told;
static char sentence[300];

static void overdue(void *ud, const char *text)
{
    (void)ud;
    chord_format(sentence, sizeof sentence, "%s", text);
    atomic_fetch_add(&told, 1);
}

/* It sleeps for five seconds; one was given. */
static void check_sleeping(void)
{
    static const char WAT[] =
        "(module (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))"
        "(memory (export \"memory\") 1) (func (export \"_start\")"
        " (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 5000000000))"
        " (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512)))))";
    const char *words[] = {"sleeps"};
    chord_guest *g = guest_open(strict, (chord_guest_options){.module = put_wat("sleeps.wasm", WAT),
                                                              .args = words,
                                                              .arg_count = 1,
                                                              .call_ns_max = 1000000000,
                                                              .on_overdue = overdue});
    CHECK(chord_guest_call(g, "_start", NULL, 0, NULL, &err) == CHORD_CANCELLED);
    CHECK_SAY(strstr(err.text, "1.000 s") != NULL, "%s", err.text);
    CHECK(atomic_load(&told) == 1 && strstr(sentence, "1.000 s") != NULL && strstr(sentence, "sleeps.wasm") != NULL);
    chord_guest_close(g);
}

int main(void)
{
    folder_open();
    host = host_open((chord_host_options){0});
    strict = host_open((chord_host_options){.interruptible = true});
    check_tables();
    check_growing_tables();
    check_garbage();
    check_compile_budget();
    check_compile_time();
    check_sleeping();
    chord_host_close(strict);
    chord_host_close(host);
    folder_close();
    return check_done();
}
