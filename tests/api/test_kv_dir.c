/* A folder of evaluated texts: a later model of the same file evaluates only what stands behind the last whole block, with the
 * hash of one that knew nothing; files that are damaged, foreign or gone cost time only, the folder stays within its bounds,
 * and several models may use one. */
#include "base/base.h"
#include "check.h"
#include "chord.h"
#include "family_models.h"
#ifdef CHORD_FAULTS
#include "fault_walk.h"
#endif

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTEXT 256u
#define PROMPT 200u
#define BLOCKS 3u /* whole ones of it */
#define MADE 5u

static fm_model m;
static chord_error err;
static int32_t tokens[CONTEXT];
static char folder[64], said[600];
static uint32_t said_count;

static void take_line(void *ud, chord_log_level level, const char *line)
{
    (void)ud;
    if (level != CHORD_LOG_WARN) return;
    said_count++;
    chord_format(said, sizeof said, "%s", line);
}

typedef struct opened {
    chord_runtime *runtime;
    chord_model *model;
    chord_session *session;
} opened;

static chord_status open_all(chord_model_options options, opened *o, chord_error *e)
{
    const chord_runtime_options runtime_options = {.budget_bytes = 256 << 20, .threads = 1, .log = take_line};
    chord_source source = {.read = gb_read, .size_bytes = m.b.len, .ud = &m.b};
    options.context_tokens = CONTEXT;
    *o = (opened){0};
    CHORD_TRY(chord_runtime_open(&runtime_options, &o->runtime, e));
    CHORD_TRY(chord_model_open(o->runtime, &source, &options, &o->model, e));
    return chord_session_open(o->model, &o->session, e);
}

static void close_all(opened *o)
{
    chord_session_close(o->session);
    chord_model_close(o->model);
    if (o->runtime != NULL) chord_runtime_close(o->runtime);
}

static chord_status answer(chord_session *session, uint32_t prompt, uint64_t *hash, size_t *reused, chord_error *e)
{
    const chord_generate_options how = {.max_tokens = MADE, .ignore_end = true};
    chord_generate_result result = {0};
    CHORD_TRY(chord_session_sync(session, tokens, prompt, reused, e));
    CHORD_TRY(chord_session_generate(session, &how, NULL, NULL, &result, e));
    *hash = result.logits_hash;
    return CHORD_OK;
}

/* What a new model says, and how much of the prompt it found. */
static uint64_t ask(chord_model_options options, uint32_t prompt, size_t *reused)
{
    opened o;
    uint64_t hash = 0;
    CHECK_OK(open_all(options, &o, &err));
    CHECK_OK(answer(o.session, prompt, &hash, reused, &err));
    close_all(&o);
    return hash;
}

/* ---- the folder's files ---------------------------------------------------------------------------------------- */

static uint32_t list(char names[][300], uint64_t *bytes)
{
    DIR *d = opendir(folder);
    const struct dirent *entry;
    uint32_t n = 0;
    *bytes = 0;
    while (d != NULL && (entry = readdir(d)) != NULL && n < 64) {
        struct stat info;
        if (entry->d_name[0] == '.') continue;
        chord_format(names[n], 300, "%s/%s", folder, entry->d_name);
        if (stat(names[n], &info) == 0) *bytes += (uint64_t)info.st_size;
        n++;
    }
    if (d != NULL) closedir(d);
    return n;
}

static uint32_t count_files(void)
{
    static char names[64][300];
    uint64_t bytes;
    return list(names, &bytes);
}

static void empty(void)
{
    static char names[64][300];
    uint64_t bytes;
    for (uint32_t n = list(names, &bytes); n > 0; n = list(names, &bytes))
        for (uint32_t i = 0; i < n; i++) unlink(names[i]);
}

static void put_byte(const char *path, uint64_t at, uint8_t flip)
{
    uint8_t byte = 0;
    int file = open(path, O_RDWR);
    CHECK(file >= 0 && pread(file, &byte, 1, (off_t)at) == 1);
    byte ^= flip;
    CHECK(pwrite(file, &byte, 1, (off_t)at) == 1);
    close(file);
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static void check_family(const char *name, chord_model_options options, bool kept)
{
    size_t reused = 0;
    uint64_t wanted = ask(options, PROMPT, &reused), shorter = ask(options, 150, &reused), hash;
    empty();
    options.kv_dir = folder;
    hash = ask(options, PROMPT, &reused);
    CHECK_SAY(hash == wanted && reused == 0, "%s: %zu are found in an empty folder", name, reused);
    CHECK_SAY(count_files() == (kept ? BLOCKS : 0), "%s: %u files", name, count_files());
    for (uint32_t again = 0; again < 2; again++) {
        hash = ask(options, PROMPT, &reused);
        CHECK_SAY(hash == wanted && reused == (kept ? BLOCKS * 64 : 0), "%s: %zu are found", name, reused);
        hash = ask(options, 150, &reused);
        CHECK_SAY(hash == shorter && reused == (kept ? 128 : 0), "%s: of the shorter text %zu", name, reused);
        options.chunk_tokens = 30;
    }
    options.kv_type = options.kv_type == CHORD_KV_F16 ? CHORD_KV_Q8_0 : CHORD_KV_F16;
    (void)ask(options, PROMPT, &reused);
    CHECK_SAY(reused == 0, "%s: %zu are found of another type", name, reused);
}

/* In one model: windows have let go, but files have not. */
static void check_come_back(void)
{
    opened o;
    size_t reused;
    uint64_t hash, wanted = ask((chord_model_options){0}, PROMPT, &reused);
    empty();
    CHECK_OK(open_all((chord_model_options){.kv_dir = folder, .chunk_tokens = 16}, &o, &err));
    CHECK_OK(answer(o.session, PROMPT, &hash, &reused, &err));
    for (uint32_t wait = 0; count_files() < BLOCKS && wait < 60000; wait++) usleep(10000);
    tokens[3]++;
    CHECK_OK(answer(o.session, PROMPT, &hash, &reused, &err));
    tokens[3]--;
    CHECK_OK(answer(o.session, PROMPT, &hash, &reused, &err));
    CHECK_SAY(hash == wanted && reused == BLOCKS * 64, "%zu are found", reused);
    close_all(&o);
}

static void check_damage(uint64_t wanted)
{
    static char names[64][300];
    uint64_t bytes;
    size_t reused;
    const chord_model_options options = {.kv_dir = folder};
    empty();
    (void)ask(options, PROMPT, &reused);
    uint64_t file_bytes = (list(names, &bytes), bytes / BLOCKS);
    for (uint64_t at = 0; at < file_bytes; at += at < 700 ? 13 : 3001) {
        uint32_t n = list(names, &bytes);
        CHECK(n == BLOCKS);
        said_count = 0;
        for (uint32_t i = 0; i < n; i++) put_byte(names[i], at, 0x20);
        uint64_t hash = ask(options, PROMPT, &reused);
        CHECK_SAY(hash == wanted && reused == 0, "byte %llu: %zu are found", (unsigned long long)at, reused);
        CHECK_SAY(at < 8 || (said_count == 1 && strstr(said, "damaged") != NULL), "byte %llu: %u times %s",
                  (unsigned long long)at, said_count, said);
        hash = ask(options, PROMPT, &reused); /* it was written anew */
        CHECK_SAY(hash == wanted && reused == BLOCKS * 64, "byte %llu: %zu", (unsigned long long)at, reused);
    }
    for (uint32_t i = 0, n = list(names, &bytes); i < n; i++) CHECK(truncate(names[i], 9 + i * 400) == 0);
    CHECK(ask(options, PROMPT, &reused) == wanted && reused == 0);
    list(names, &bytes);
    unlink(names[0]); /* whichever that is: what is left is the beginning of the text, or nothing */
    CHECK(ask(options, PROMPT, &reused) == wanted && reused < BLOCKS * 64 && count_files() == BLOCKS);
}

static void check_bounds(uint64_t wanted)
{
    static char names[64][300];
    uint64_t bytes, one;
    size_t reused;
    empty();
    (void)ask((chord_model_options){.kv_dir = folder}, 70, &reused);
    CHECK(list(names, &one) == 1);
    empty();
    said_count = 0;
    CHECK(ask((chord_model_options){.kv_dir = folder, .kv_dir_bytes = one - 1}, PROMPT, &reused) == wanted);
    CHECK_SAY(said_count == 1 && strstr(said, "not kept") != NULL && count_files() == 0, "%u: %s", said_count, said);
    for (uint32_t i = 0; i < 5; i++) {
        tokens[2] = (int32_t)i; /* another text each time */
        (void)ask((chord_model_options){.kv_dir = folder, .kv_dir_bytes = 4 * one}, PROMPT, &reused);
        uint32_t n = list(names, &bytes);
        CHECK_SAY(n > 0 && bytes <= 4 * one, "%u files of %llu bytes", n, (unsigned long long)bytes);
    }
    tokens[2] = (int32_t)(2 * 29 % 300);
    CHECK(said_count == 1);
}

/* The folder goes away under a model; one is no folder at all. */
static void check_gone(uint64_t wanted)
{
    opened o;
    char path[80];
    size_t reused;
    uint64_t hash;
    empty();
    said_count = 0;
    CHECK_OK(open_all((chord_model_options){.kv_dir = folder}, &o, &err));
    CHECK(rmdir(folder) == 0);
    CHECK_OK(answer(o.session, PROMPT, &hash, &reused, &err));
    CHECK(hash == wanted);
    close_all(&o);
    CHECK_SAY(said_count == 1 && strstr(said, "cannot be written") != NULL, "%u: %s", said_count, said);
    CHECK(ask((chord_model_options){.kv_dir = folder}, PROMPT, &reused) == wanted && count_files() == BLOCKS);

    chord_format(path, sizeof path, "%s/file", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    CHECK(open_all((chord_model_options){.kv_dir = path}, &o, &err) == CHORD_IO);
    CHECK_SAY(strstr(err.text, path) != NULL, "%s", err.text);
    close_all(&o);
    CHECK(open_all((chord_model_options){.kv_dir = folder, .drafts = true}, &o, &err) == CHORD_INVALID);
    close_all(&o);
}

static void *use_folder(void *ud)
{
    uint64_t *wanted = ud, hash = 0;
    chord_error e;
    for (uint32_t i = 0; i < 4; i++) {
        opened o;
        size_t reused;
        chord_model_options options = {.kv_dir = folder, .kv_dir_bytes = i % 2 * 300000};
        bool well = open_all(options, &o, &e) == CHORD_OK && answer(o.session, PROMPT, &hash, &reused, &e) == CHORD_OK;
        close_all(&o);
        if (!well || hash != *wanted) return "wrong";
    }
    return NULL;
}

static void check_company(uint64_t wanted)
{
    pthread_t threads[3];
    void *wrong;
    for (uint32_t round = 0; round < 2; round++) {
        empty();
        for (uint32_t i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, use_folder, &wanted) == 0);
        for (uint32_t i = 0; i < 3; i++) CHECK(pthread_join(threads[i], &wrong) == 0 && wrong == NULL);
    }
}

#ifdef CHORD_FAULTS
static uint64_t fault_wanted;

static chord_status with_folder(void *ud, chord_error *e)
{
    opened o;
    size_t reused;
    uint64_t hash = 0;
    (void)ud;
    chord_status status = open_all((chord_model_options){.kv_dir = folder}, &o, e);
    if (status == CHORD_OK) status = answer(o.session, PROMPT, &hash, &reused, e);
    close_all(&o);
    CHECK(status != CHORD_OK || hash == fault_wanted);
    return status;
}
#endif

static void build(const char *name)
{
    size_t f = 0;
    while (strcmp(FM_FAMILIES[f].name, name) != 0) f++;
    fm_build(&m, &FM_FAMILIES[f]);
}

int main(void)
{
    static const struct {
        const char *name;
        chord_model_options options;
        bool kept;
    } CASES[] = {{"llama", {0}, true},     {"llama", {.kv_type = CHORD_KV_Q8_0}, true},
                 {"gemma3", {0}, true},    {"gpt-oss", {0}, true},
                 {"deepseek2", {0}, true}, {"qwen35", {0}, false},
                 {"deepseek4", {0}, false}};
    alarm(CHECK_FOREVER_S);
    chord_format(folder, sizeof folder, "/tmp/chord-test-kv-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    for (uint32_t i = 0; i < CONTEXT; i++) tokens[i] = (int32_t)(i * 29 % 300);
    for (size_t i = 0; i < CHORD_COUNT(CASES); i++) {
        build(CASES[i].name);
        check_family(CASES[i].name, CASES[i].options, CASES[i].kept);
        if (strcmp(CASES[i].name, "gemma3") == 0) check_come_back();
        gb_free(&m.b);
    }
    build("llama");
    size_t reused;
    uint64_t wanted = ask((chord_model_options){0}, PROMPT, &reused);
    check_damage(wanted);
    check_bounds(wanted);
    check_gone(wanted);
    check_company(wanted);
#ifdef CHORD_FAULTS
    fault_wanted = wanted;
    empty();
    walk_faults(with_folder, NULL);
#endif
    gb_free(&m.b);
    empty();
    rmdir(folder);
    return check_done();
}
