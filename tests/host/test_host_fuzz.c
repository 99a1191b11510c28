/* Random sequences of calls over all imports, from guests of every kind and their threads: nothing crashes, nothing
 * hangs, nobody else notices.
 *
 *   test_host_fuzz [FIRST_SEED [SEQUENCES]]    without: seeds 1 to 2000. What fails names its seed. */
#define _GNU_SOURCE
#include "host_fixture.h"

#include <signal.h>

#define PAGE 65536ull
#define CALLS 40

static volatile uint64_t seed;
static uint64_t state;
static uint64_t draw(void)
{
    state += 0x9e3779b97f4a7c15ull;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static void on_death(int number)
{
    char line[64];
    int n = snprintf(line, sizeof line, "signal %d at seed %llu\n", number, (unsigned long long)seed);
    if (write(2, line, (size_t)n) != n) _exit(2);
    signal(number, SIG_DFL);
    raise(number);
}

/* A thread calls imports with what it finds in memory, which others are writing. */
static const char THREAD32[] =
    "(func $at (param i32 i32) (result i32) (i32.load (i32.add (i32.const 4096)"
    " (i32.and (i32.add (i32.mul (local.get 0) (i32.const 44)) (i32.mul (local.get 1) (i32.const 4)))"
    " (i32.const 0x3fffc)))))"
    "(func (export \"chord_thread_main\") (param i32) (local i32)"
    " (loop"
    "  (drop (call $file_read (call $at (local.get 0) (i32.const 0))"
    " (i64.extend_i32_u (call $at (local.get 0) (i32.const 1))) (call $at (local.get 0) (i32.const 2))"
    " (call $at (local.get 0) (i32.const 3))))"
    "  (drop (call $file_map (i32.const 0) (i64.const 0) (i64.const 8192)"
    " (i32.and (call $at (local.get 0) (i32.const 4)) (i32.const 0x3f0000)) (i32.const 65536)))"
    "  (drop (call $error_text (call $at (local.get 0) (i32.const 5)) (i32.const 100)))"
    "  (drop (call $file_unmap (i32.and (call $at (local.get 0) (i32.const 6)) (i32.const 0x3f0000))"
    " (i32.const 65536)))"
    "  (drop (call $bank_show (i32.and (call $at (local.get 0) (i32.const 7)) (i32.const 3))"
    " (i32.and (call $at (local.get 0) (i32.const 8)) (i32.const 0x3f0000))))"
    "  (drop (call $tensor_at (i32.const 0) (i64.const 1) (call $at (local.get 0) (i32.const 9))))"
    "  (drop (call $bank_read (i32.const 1) (i32.const 0) (i32.and (call $at (local.get 0) (i32.const 10))"
    " (i32.const 0x3fffff)) (i32.const 70000)))"
    "  (local.set 0 (i32.add (local.get 0) (i32.const 1)))"
    "  (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 60)))))";

typedef struct kind {
    module_plan plan;
    const char *path;
    chord_guest_options options;
} kind;

static uint64_t number(uint64_t end, bool wide)
{
    /* clang-format off */
    static const uint64_t FIXED[] = {
        0, 1, 2, 3, 4, 8, 16, 63, 64, 255, 256, 4095, 4096, 65535, 65536, 131072, 0x7fffffff, 0x80000000u, UINT32_MAX,
        UINT64_MAX, 1ull << 63, 1ull << 32, UINT64_MAX - 65535, UINT32_MAX - 65535};
    /* clang-format on */
    switch (draw() % 8) {
    case 0: return FIXED[draw() % CHORD_COUNT(FIXED)];
    case 1: return end - draw() % 9 + 4;
    case 2: return draw() % 64 * PAGE;
    case 3: return draw() % 64 * 64;
    case 4: return draw() % (end + 1);
    case 5: return wide ? draw() : draw() & UINT32_MAX;
    default: return draw() % 6;
    }
}

static void scribble(chord_guest *g)
{
    uint64_t at = draw() % 60 * PAGE, len = draw() % 4096;
    uint8_t *bytes = chord_guest_bytes(g, at, len);
    for (uint64_t i = 0; bytes != NULL && i < len; i++) bytes[i] = (uint8_t)draw();
}

/* A job that is nearly right. */
static void write_job(chord_guest *g)
{
    chord_host_rows job = {.weights = draw() % 32 * PAGE,
                           .acts = draw() % 32 * PAGE,
                           .out = draw() % 32 * PAGE,
                           .x = draw() % 32 * PAGE,
                           .out_stride = draw() % 300,
                           .type = (uint32_t)(draw() % 31),
                           .columns = (uint32_t)(draw() % 5 * 256),
                           .rows = (uint32_t)(draw() % 100),
                           .packed = (uint32_t)(draw() % 2),
                           .act_kind = (uint32_t)(draw() % 3),
                           .tokens = (uint32_t)(draw() % 9),
                           .tokens_max = (uint32_t)(draw() % 20),
                           .bank = draw() % 3 == 0 ? (uint32_t)(draw() % 4) : 0};
    if (draw() % 4 == 0) ((uint32_t *)(void *)&job)[draw() % (sizeof job / 4)] = (uint32_t)draw();
    void *to = chord_guest_bytes(g, 0, sizeof job);
    if (to != NULL) memcpy(to, &job, sizeof job);
}

static bool run_call(chord_guest *g, const import_row *row, bool wide)
{
    uint64_t args[8], result, end = 64 * PAGE;
    size_t n = strlen(row->import.takes);
    for (size_t i = 0; i < n; i++) args[i] = number(end, wide);
    if (strcmp(row->import.name, "rows") == 0 && draw() % 4 != 0) write_job(g), args[0] = 0;
    if (strcmp(row->import.name, "wait") == 0 && draw() % 8 != 0) args[2] = draw() % 100000;
    if (strncmp(row->import.name, "file_", 5) == 0 && row->import.takes[0] == 'i' && draw() % 4 != 0) args[0] = 0;
    if (strncmp(row->import.name, "bank_open", 9) == 0 && draw() % 4 != 0) args[0] = draw() % 8 * PAGE;
    chord_status status = chord_guest_call(g, row->import.name, args, n, &result, &err);
    CHECK_SAY(status == CHORD_OK || status == CHORD_CANCELLED || status == CHORD_CORRUPT, "seed %llu, %s: %d %s",
              (unsigned long long)seed, row->import.name, status, err.text);
    return status == CHORD_OK;
}

static void run_sequence(chord_host *host, const kind *k)
{
    import_row rows[IMPORTS_MAX];
    size_t count = list_imports(k->plan.env, k->plan.nn, rows);
    chord_guest *g = NULL;
    chord_guest_options options = k->options;
    options.budget_bytes = chord_process_bytes() + 256 * CHORD_MIB;
    chord_status status = chord_guest_open(host, &options, &g, &err);
    if (status == CHORD_CANCELLED) return; /* the machine is slow: starting took as long as calls may take */
    CHECK_OK(status);
    for (int i = 0; i < CALLS && g != NULL; i++) {
        if (draw() % 8 == 0) scribble(g);
        if (draw() % 64 == 0) {
            uint64_t pages = draw() % 8, result;
            if (chord_guest_call(g, "grow", &pages, 1, &result, &err) != CHORD_OK) break;
        }
        if (!run_call(g, &rows[draw() % count], plan_is_wide(&k->plan))) break;
    }
    chord_guest_close(g);
}

static void say_nothing(void *ud, chord_log_level level, const char *line) { (void)ud, (void)level, (void)line; }

int main(int argc, char **argv)
{
    const int deaths[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t sequences = argc > 2 ? strtoull(argv[2], NULL, 10) : argc > 1 ? 1 : 2000 / CHECK_EVERY(1, 2, 8);
    for (size_t i = 0; i < CHORD_COUNT(deaths); i++) signal(deaths[i], on_death);
    folder_open();
    CHECK_OK(chord_guard_install(&err));
    chord_host *host = host_open((chord_host_options){.interruptible = true, .cache_folder = in_folder("cache")});
    const char *model = kept(put_model("model.gguf"));
    const chord_nn_preload preload = {"a", model};
    kind kinds[] = {
        {.plan = {.memory = OWN32}},
        {.plan = {.memory = OWN64}},
        {.plan = {.memory = SHARED32, .extra = THREAD32}},
        {.plan = {.memory = SHARED64}},
        {.plan = {.memory = SHARED32, .extra = THREAD32}},
        {.plan = {.memory = SHARED32, .extra = THREAD32, .env = true}},
        {.plan = {.memory = OWN32, .env = true, .nn = true}},
    };
    for (size_t i = 0; i < CHORD_COUNT(kinds); i++) {
        char name[32];
        snprintf(name, sizeof name, "fuzz%zu.wasm", i);
        kinds[i].plan.pages = 64, kinds[i].plan.pages_max = 128;
        kinds[i].path = kept(put_module(name, &kinds[i].plan));
        kinds[i].options = (chord_guest_options){.module = kinds[i].path,
                                                 .model = model,
                                                 .call_ns_max = 40000000,
                                                 .threads = 2,
                                                 .on_log = say_nothing,
                                                 .memory64 = {.enabled = CHORD_ON},
                                                 .preloads = &preload,
                                                 .preload_count = 1};
    }
    witness other = witness_open(host, model);
    for (seed = first; seed < first + sequences; seed++) {
        state = seed;
        size_t which = draw() % 32;
        run_sequence(host, &kinds[which < 1 ? 6 : which % 6]);
        if (seed % 20 == 0 || sequences < 20) CHECK_SAY(witness_lives(&other), "seed %llu", (unsigned long long)seed);
    }
    CHECK(witness_lives(&other));
    chord_guest_close(other.guest);
    chord_host_close(host);
    folder_close();
    return check_done();
}
