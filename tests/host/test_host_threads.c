/* Threads of guests that wait, trap, loop and join each other; guests that never end, and how they are ended. */
#define _GNU_SOURCE
#include "host_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static chord_host *host, *plain; /* interruptible, and not */
static const char *model, *module32, *module64;
static witness other;

/* chord_thread_main(start): low byte what, the rest for whom. */
static const char THREADS[] =
    "(func $fall (param i32) (result i32) (i32.add (call $fall (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))"
    "(func $main (param i32) (local i32) (local.set 1 (i32.shr_u (local.get 0) (i32.const 8)))"
    " (block (block (block (block (block (block (block (block (block (block"
    "  (br_table 0 1 2 3 4 5 6 7 8 9 (i32.and (local.get 0) (i32.const 255))))"
    "   (return))"                                                                       /* 0: ends */
    "  unreachable)"                                                                     /* 1: traps */
    " (loop (br 0)))"                                                                    /* 2: never ends */
    " (drop (call $wait (@ (local.get 1)) (i32.const 0) (i64.const -1))) (return))"      /* 3: waits at a word */
    " (drop (call $thread_join (local.get 1))) (return))"                                /* 4: joins a thread */
    " (loop (drop (call $error_text (@ (i32.const 65536)) (@ (i32.const 64)))) (br 0)))" /* 5: calls for ever */
    " (drop (call $fall (i32.const 0))) (return))"                                       /* 6: too deep */
    " (drop (i32.load (@ (i32.const -4)))) (return))"                                    /* 7: out of bounds */
    " (drop (call $wait (@ (i32.const 128)) (i32.const 0) (i64.const 2000000)))"         /* 8: a while, then joins */
    " (drop (call $thread_join (local.get 1))) (return))"
    /* 9: computes so often */
    " (loop (drop (call $rows (@ (i32.const 4096)))) (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1))))))"
    "(func (export \"chord_thread_main\") (param P) (call $main W))"
    "(func (export \"act\") (param i32) (call $main (local.get 0)))"
    "(func (export \"start_and_wait\") (param i32) (result i32) (drop (call $thread_start (@ (local.get 0))))"
    " (call $wait (@ (i32.const 64)) (i32.const 0) (i64.const -1)))"
    "(func (export \"start_and_join\") (param i32) (result i32)"
    " (call $thread_join (call $thread_start (@ (local.get 0)))))"
    "(func (export \"start_two_and_join\") (param i32 i32) (result i32) (local i32)"
    " (local.set 2 (call $thread_start (@ (local.get 0)))) (drop (call $thread_start (@ (local.get 1))))"
    " (call $thread_join (local.get 2)))";

/* @ (address) becomes the width of pointers. */
static char *widened(const char *wat, bool wide)
{
    text t = {0};
    say(&t, "%s", "");
    for (const char *c = wat; *c != '\0'; c++) {
        if (*c == '@') say(&t, "%s", wide ? "i64.extend_i32_u" : "block (result i32)"), c++;
        else if (c[0] == ' ' && c[1] == 'P' && c[2] == ')') say(&t, "%s", wide ? " i64" : " i32"), c++;
        else if (c[0] == ' ' && c[1] == 'W' && c[2] == ')')
            say(&t, "%s", wide ? " (i32.wrap_i64 (local.get 0))" : " (local.get 0)"), c++;
        else say(&t, "%c", *c);
        if (*c == ' ') say(&t, " ");
    }
    return t.bytes;
}

static chord_guest *open_on(chord_host *on, bool wide, uint64_t call_ns_max)
{
    return guest_open(on, (chord_guest_options){
                              .module = wide ? module64 : module32, .model = model, .call_ns_max = call_ns_max});
}

/* What did not end by itself: a busy machine takes its time. */
#define FOREVER_MS 600000

static uint64_t since_ms(uint64_t start_ns) { return (chord_clock_ns() - start_ns) / 1000000; }

/* ---- lives of threads -------------------------------------------------------------------------------------------- */

static void check_lives(chord_host *on, bool wide)
{
    chord_guest *g = open_on(on, wide, 0);
    CHECK(ASK(g, "thread_limit") >= 1);
    int64_t id = ASK(g, "thread_start", 0);
    CHECK(id >= 0);
    CHECK_ASK(g, 0, "thread_join", (uint64_t)id);
    CHECK_ASK(g, CHORD_HOST_INVALID, "thread_join", (uint64_t)id); /* twice */
    CHECK_ASK(g, CHORD_HOST_INVALID, "thread_join", 63);
    CHECK_ASK(g, CHORD_HOST_INVALID, "thread_join", 64);
    CHECK_ASK(g, CHORD_HOST_INVALID, "thread_join", UINT32_MAX);
    int64_t ids[80], count = 0, last = 0; /* too many */
    while (count < 80 && (last = ASK(g, "thread_start", 3 | 256 << 8)) >= 0) ids[count++] = last;
    CHECK(last == CHORD_HOST_LIMIT && count == 64);
    *(volatile uint32_t *)chord_guest_bytes(g, 256, 4) = 1;
    for (int i = 0; i < 200 && ASK(g, "wake", 256, UINT32_MAX) >= 0; i++) usleep(1000);
    for (int64_t i = 0; i < count; i++) CHECK_ASK(g, 0, "thread_join", (uint64_t)ids[i]);
    id = ASK(g, "thread_start", 4 | 0 << 8); /* joins itself: it has number 0 */
    CHECK(id == 0);
    CHECK_ASK(g, 0, "thread_join", 0);
    chord_guest_close(g);
    CHECK(witness_lives(&other));
}

/* A thread's end is everybody's; main waits or joins meanwhile. */
static void check_traps(chord_host *on, bool wide)
{
    static const char *const WHY[] = {NULL, "unreachable", NULL, NULL, NULL, NULL, "stack", "out of bounds"};
    for (uint32_t what = 1; what < 8; what++) {
        if (WHY[what] == NULL) continue;
        for (int way = 0; way < 3; way++) {
            chord_guest *g = open_on(on, wide, 0);
            uint64_t args[] = {what}, two[] = {3 | 1024 << 8, what}, result;
            chord_status status = way == 0   ? chord_guest_call(g, "start_and_wait", args, 1, &result, &err)
                                  : way == 1 ? chord_guest_call(g, "start_and_join", args, 1, &result, &err)
                                             : chord_guest_call(g, "start_two_and_join", two, 2, &result, &err);
            /* the last joins one that sleeps; where it is CHORD_OK, the thread ended before it was joined */
            if (status == CHORD_OK) status = chord_guest_call(g, "version", NULL, 0, &result, &err);
            CHECK_SAY(status == CHORD_CORRUPT && strstr(err.text, WHY[what]) != NULL, "thread %u, way %d: %d %s", what,
                      way, status, err.text);
            CHECK(chord_guest_call(g, "version", NULL, 0, &result, &err) == CHORD_CORRUPT &&
                  strstr(err.text, "ended") != NULL);
            chord_guest_close(g);
        }
    }
    CHECK(witness_lives(&other));
}

/* Closed while its threads wait, loop, call and join. */
static void check_close(chord_host *on, bool loops, bool wide)
{
    chord_guest *g = open_on(on, wide, 0);
    uint64_t start_ns = chord_clock_ns();
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t what = i % 4 == 0   ? 3 | 512 << 8
                        : i % 4 == 1 ? (loops ? 2 : 3 | 512 << 8)
                        : i % 4 == 2 ? 5
                                     : 4 | (i - 3) << 8;
        CHECK(ASK(g, "thread_start", what) >= 0);
    }
    usleep(5000);
    chord_guest_close(g);
    CHECK_SAY(since_ms(start_ns) < FOREVER_MS, "%llu ms", (unsigned long long)since_ms(start_ns));
    /* three join each other in a ring, two each other */
    g = open_on(on, wide, 0);
    CHECK(ASK(g, "thread_start", 8 | 1 << 8) == 0 && ASK(g, "thread_start", 8 | 2 << 8) == 1 &&
          ASK(g, "thread_start", 8 | 0 << 8) == 2);
    CHECK(ASK(g, "thread_start", 8 | 4 << 8) == 3 && ASK(g, "thread_start", 8 | 3 << 8) == 4);
    usleep(20000);
    chord_guest_close(g);
    CHECK(witness_lives(&other));
}

/* ---- guests that never end --------------------------------------------------------------------------------------- */

typedef struct canceller {
    chord_guest *guest;
    unsigned after_us;
    uint64_t at_ns;
} canceller;
static void *cancel(void *ud)
{
    canceller *c = ud;
    usleep(c->after_us);
    c->at_ns = chord_clock_ns();
    chord_guest_cancel(c->guest);
    return NULL;
}

/* What main does for ever: loops, waits, joins one that loops or waits, calls. */
static const struct {
    const char *name;
    uint32_t arg;
} FOR_EVER[] = {
    {"act", 2}, {"act", 3 | 1024 << 8}, {"start_and_join", 2}, {"start_and_join", 3 | 1024 << 8}, {"start_and_wait", 2},
    {"act", 5}, {"start_and_wait", 5},
};

static void check_for_ever(bool wide)
{
    uint64_t worst_ms = 0;
    for (size_t i = 0; i < CHORD_COUNT(FOR_EVER); i++) {
        uint64_t args[] = {FOR_EVER[i].arg}, result;
        chord_guest *g = open_on(host, wide, 50000000);
        uint64_t start_ns = chord_clock_ns();
        chord_status status = chord_guest_call(g, FOR_EVER[i].name, args, 1, &result, &err);
        uint64_t ms = since_ms(start_ns);
        CHECK_SAY(status == CHORD_CANCELLED && strstr(err.text, FOR_EVER[i].name) != NULL &&
                      strstr(err.text, "0.050 s") != NULL,
                  "%s(%u): %d %s", FOR_EVER[i].name, FOR_EVER[i].arg & 255, status, err.text);
        CHECK_SAY(ms >= 50 && ms < FOREVER_MS, "%llu ms", (unsigned long long)ms);
        worst_ms = chord_max_u64(worst_ms, ms - 50);
        chord_guest_close(g);

        g = open_on(host, wide, 0);
        canceller c = {g, 20000, 0};
        pthread_t thread;
        pthread_create(&thread, NULL, cancel, &c);
        status = chord_guest_call(g, FOR_EVER[i].name, args, 1, &result, &err);
        uint64_t end_ns = chord_clock_ns();
        pthread_join(thread, NULL);
        CHECK_SAY(status == CHORD_CANCELLED, "%s(%u): %d %s", FOR_EVER[i].name, FOR_EVER[i].arg & 255, status,
                  err.text);
        ms = (end_ns - chord_min_u64(c.at_ns, end_ns)) / 1000000;
        worst_ms = chord_max_u64(worst_ms, ms);
        CHECK_SAY(ms < FOREVER_MS, "%llu ms after it was cancelled", (unsigned long long)ms);
        chord_guest_close(g);
    }
    printf("ended at most %llu ms after the limit or the cancel\n", (unsigned long long)worst_ms);
    CHECK(witness_lives(&other));
}

/* `cancelled` is answered where nothing is interruptible. */
static void check_cancelled(void)
{
    chord_guest *g = open_on(plain, false, 0);
    CHECK_ASK(g, 0, "cancelled");
    chord_guest_cancel(g);
    CHECK_ASK(g, 1, "cancelled");
    CHECK_ASK(g, 0, "cancelled"); /* that call has returned */
    chord_guest_close(g);
    chord_guest *refused;
    CHECK(chord_guest_open(plain, &(chord_guest_options){.module = module32, .call_ns_max = 1}, &refused, &err) ==
              CHORD_INVALID &&
          refused == NULL);
}

/* A start function is a call as well. */
static void check_start(void)
{
    static const struct {
        const char *name, *wat;
    } STARTS[] = {
        {"loops.wasm", "(module (func $s (loop (br 0))) (start $s))"},
        {"waits.wasm", "(module (import \"chord_host_v1\" \"wait\" (func $wait (param i32 i32 i64) (result i32)))"
                       " (import \"env\" \"memory\" (memory 1 1 shared))"
                       "(func $s (drop (call $wait (i32.const 0) (i32.const 0) (i64.const -1)))) (start $s))"},
    };
    for (size_t i = 0; i < CHORD_COUNT(STARTS); i++) {
        chord_guest *g;
        uint64_t start_ns = chord_clock_ns();
        const char *path = put_wat(STARTS[i].name, STARTS[i].wat);
        CHECK(chord_guest_open(host, &(chord_guest_options){.module = path, .call_ns_max = 50000000}, &g, &err) ==
                  CHORD_CANCELLED &&
              g == NULL);
        CHECK(strstr(err.text, STARTS[i].name) != NULL && since_ms(start_ns) < FOREVER_MS);
    }
    /* threads before there is a main instance: each would start the next on its own stack */
    const char *path = put_wat(
        "starts.wasm", "(module (import \"chord_host_v1\" \"thread_start\" (func $start (param i32) (result i32)))"
                       " (import \"env\" \"memory\" (memory 1 1 shared))"
                       "(global $g (mut i32) (i32.const 0))"
                       "(func $s (global.set $g (call $start (i32.const 0)))) (start $s)"
                       " (func (export \"code\") (result i32) global.get $g)"
                       "(func (export \"chord_thread_main\") (param i32) unreachable))");
    uint64_t code;
    chord_guest *g = guest_open(host, (chord_guest_options){.module = path});
    CHECK_OK(chord_guest_call(g, "code", NULL, 0, &code, &err));
    CHECK((int32_t)code == CHORD_HOST_INVALID);
    chord_guest_close(g);
    CHECK(witness_lives(&other));
}

/* Wasmtime's own wait cannot be ended: such a module is not taken, and what only looks like it is. */
static void check_native_wait(void)
{
    static const struct {
        const char *body;
        chord_status status;
    } BODIES[] = {
        /* as lld writes it: it does not sleep then */
        {"(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))", CHORD_OK},
        {"(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0x7fffffffffffffff)))", CHORD_UNSUPPORTED},
        {"(local.set 0 (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))", CHORD_UNSUPPORTED},
        {"(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (local.get 1)))", CHORD_UNSUPPORTED},
        {"(drop (memory.atomic.wait64 offset=8 (i32.const 0) (i64.const 0) (i64.const -2)))", CHORD_UNSUPPORTED},
        {"(block (loop (drop (f64.const 1)) (drop (v128.const i32x4 1 2 3 4))"
         " (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))))",
         CHORD_UNSUPPORTED},
        {"(drop (i32.const 254)) (block (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))) (atomic.fence)"
         "(drop (v128.const i32x4 0x000201fe 0x000302fe 0x000201fe 0x000302fe))"
         " (drop (f64.const 0x1.201fe000201fep+1)) (drop (i64.const 0x7e027f01fe0201fe))"
         "(drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 0 0) (v128.load (i32.const 0))))"
         "(v128.store8_lane 3 (i32.const 0) (v128.const i64x2 0 0))"
         " (drop (i8x16.extract_lane_s 3 (v128.load8_splat (i32.const 1))))"
         "(drop (i32x4.relaxed_trunc_f32x4_s (v128.load64_zero (i32.const 0))))"
         " (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))"
         "(memory.copy (i32.const 0) (i32.const 8) (i32.const 1))"
         " (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d)"
         "(drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))"
         " (drop (i64.atomic.rmw32.cmpxchg_u offset=300 (i32.const 0) (i64.const 1) (i64.const 1)))"
         "(block (block (br_table 0 1 0 1 (i32.const 0)))) (drop (select (result funcref) (ref.null func)"
         " (ref.func $f) (i32.const 1))) (drop (ref.is_null (ref.null extern)))"
         "(table.set 0 (i32.const 0) (ref.func $f)) (drop (table.grow 0 (ref.null func) (i32.const 1)))"
         " (table.fill 0 (i32.const 1) (ref.null func) (i32.const 1))"
         "(call_indirect (i32.const 0)) (drop (i32.trunc_sat_f64_s (f64.const 2)))"
         " (drop (i32.extend8_s (i32.const 200))) (drop (memory.grow (i32.const 0)))",
         CHORD_OK},
    };
    for (size_t i = 0; i < CHORD_COUNT(BODIES); i++) {
        char wat[4096];
        chord_guest *g = NULL;
        snprintf(
            wat, sizeof wat,
            "(module (import \"env\" \"memory\" (memory 1 1 shared)) (table 1 10 funcref) (data $d \"abc\") (func $f)"
            " (elem (i32.const 0) $f) (elem declare func $f)"
            "(func (export \"go\") (local i32 i64 v128 funcref) %s))",
            BODIES[i].body);
        /* with the shared memory's 0 at 0, each of them would sleep */
        const char *path = put_wat("waits_by_itself.wasm", wat);
        chord_status status = chord_guest_open(host, &(chord_guest_options){.module = path}, &g, &err);
        CHECK_SAY(status == BODIES[i].status && (status == CHORD_OK || strstr(err.text, "memory.atomic.wait") != NULL),
                  "%zu: %d %s", i, status, err.text);
        if (status == CHORD_OK) CHECK_OK(chord_guest_call(g, "go", NULL, 0, NULL, &err));
        chord_guest_close(g);
        CHECK_OK(chord_guest_open(plain, &(chord_guest_options){.module = path}, &g, &err));
        chord_guest_close(g);
    }
}

/* A thread computes with a bank that the main one shows, copies and closes meanwhile. */
static void check_bank_users(bool wide)
{
    const uint64_t page = 65536, bytes = 5 * page;
    chord_guest *g = open_on(plain, wide, 0);
    chord_host_rows job = {.acts = 8 * page,
                           .out = 16 * page,
                           .out_stride = 4096,
                           .type = 8,
                           .columns = 64,
                           .rows = 4096,
                           .act_kind = 1,
                           .tokens = 1,
                           .tokens_max = 1,
                           .bank = 1};
    memcpy(chord_guest_bytes(g, 4096, sizeof job), &job, sizeof job);
    CHECK_ASK(g, 0, "bank_open", bytes);
    int64_t thread = ASK(g, "thread_start", 9 | 1000000 << 8), refused = 0, closed = 0;
    uint64_t end_ns = chord_clock_ns() + 120000000000; /* on a busy machine the thread may be long in coming */
    for (int i = 0; i < 2000 || ((refused == 0 || closed == 0) && chord_clock_ns() < end_ns); i++) {
        int64_t code = i % 16 == 0 ? ASK(g, "bank_show", 0, 64 * page) : 0; /* INVALID: in use */
        CHECK(code == CHORD_HOST_OK || code == CHORD_HOST_INVALID);
        code = ASK(g, "bank_read", 0, 0, 128 * page, page);
        CHECK(code == CHORD_HOST_OK || code == CHORD_HOST_RANGE);
        code = ASK(g, "bank_close", 0);
        CHECK(code == CHORD_HOST_OK || code == CHORD_HOST_INVALID);
        refused += code != CHORD_HOST_OK;
        closed += code == CHORD_HOST_OK;
        if (code == CHORD_HOST_OK) CHECK_ASK(g, 0, "bank_open", bytes);
    }
    CHECK(refused > 0 && closed > 0);
    memset(chord_guest_bytes(g, 4096, sizeof job), 0, sizeof job); /* the rest of their calls is soon refused */
    CHECK_ASK(g, 0, "thread_join", (uint64_t)thread);
    CHECK_ASK(g, CHORD_HOST_OK, "bank_close", 0);
    chord_guest_close(g);
    CHECK(witness_lives(&other));
}

/* A job of rows that would take an hour is ended too. */
static void check_long_rows(void)
{
    chord_guest *g = open_on(host, false, 100000000);
    chord_host_rows job = {.weights = 65536,
                           .acts = 1 << 21,
                           .out = 65536,
                           .out_stride = 0,
                           .type = 8,
                           .columns = 32,
                           .rows = 1u << 15,
                           .act_kind = 1,
                           .tokens = 8192,
                           .tokens_max = 8192};
    uint64_t args[] = {0}, result, start_ns = chord_clock_ns();
    memcpy(chord_guest_bytes(g, 0, sizeof job), &job, sizeof job);
    chord_status status = CHORD_OK;
    for (int i = 0; i < 1000 && status == CHORD_OK; i++) status = chord_guest_call(g, "rows", args, 1, &result, &err);
    CHECK_SAY(status == CHORD_CANCELLED || result == 0, "%s", err.text);
    CHECK(since_ms(start_ns) < FOREVER_MS);
    chord_guest_close(g);
}

int main(void)
{
    folder_open();
    CHECK_OK(chord_guard_install(&err));
    host = host_open((chord_host_options){.interruptible = true});
    plain = host_open((chord_host_options){0});
    model = kept(put_model("model.gguf"));
    char *narrow = widened(THREADS, false), *wide = widened(THREADS, true);
    module32 = kept(put_module("threads32.wasm",
                               &(module_plan){.memory = SHARED32, .pages = 256, .pages_max = 256, .extra = narrow}));
    module64 = kept(put_module("threads64.wasm",
                               &(module_plan){.memory = SHARED64, .pages = 256, .pages_max = 256, .extra = wide}));
    free(narrow), free(wide);
    other = witness_open(plain, model);
    for (int i = 0; i < 2; i++) {
        check_lives(host, i == 1);
        check_lives(plain, i == 1);
        check_traps(host, i == 1);
        check_traps(plain, i == 1);
        check_close(host, true, i == 1);
        check_close(plain, false, i == 1);
        check_for_ever(i == 1);
        check_bank_users(i == 1);
    }
    check_cancelled();
    check_start();
    check_native_wait();
    check_long_rows();
    CHECK(witness_lives(&other));
    chord_guest_close(other.guest);
    chord_host_close(plain);
    chord_host_close(host);
    folder_close();
    return check_done();
}
