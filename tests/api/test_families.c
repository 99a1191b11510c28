/* Each architecture computes what the reference runtime does, on a model of noise where every step shows (golden/families.txt), and gives one
 * set of bits with any budget, number of threads, chunk, and way to come to the same text.
 *
 *     test_families --write FOLDER    writes the models, for golden/make_families.py and scripts/compare-families
 *     test_families --list            their names, and how many tokens of a text they are given
 *     test_families --hashes          prints golden/family_hashes.txt: our own bits, so that a change of them is seen */
#include "check.h"
#include "chord.h"
#include "family_models.h"

#include <math.h>

#define TOKENS 128 /* unless a model says otherwise */
#define TOKENS_MAX 256
#define TARGETS_MAX 43   /* at half the tokens, and every third from there */
#define MEDIAN_MAX 0.004 /* our cache has 16 bits; a step that is wrong moves this by more */

static fm_model m;
static int32_t tokens[TOKENS_MAX];
static size_t token_count; /* that are evaluated */
static size_t streamed;    /* runs whose weights did not all fit */
static float plain[TOKENS_MAX * FM_VOCABULARY], other[TOKENS_MAX * FM_VOCABULARY];

typedef struct sink {
    float *rows;
    size_t first; /* position of rows[0] */
} sink;

static bool keep_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    const sink *s = ud;
    memcpy(s->rows + (position - s->first) * vocabulary, logits, vocabulary * sizeof *logits);
    return true;
}

static size_t family_tokens(const fm_family *family) { return family->tokens != 0 ? family->tokens : TOKENS; }

/* How to come to the logits of `tokens`. */
typedef struct way {
    const char *name;
    bool least; /* the smallest share of the budget that works: weights stream */
    uint32_t threads, chunk;
    size_t cut, first; /* the text comes in two parts; logits are wanted from here on */
    bool copied;       /* the second part goes on in another session, with the first one's past */
} way;

static chord_status evaluate(chord_session **sessions, const way *w, float *rows, chord_error *err)
{
    size_t cut = w->cut;
    sink before = {rows, 0}, after = {rows + cut * FM_VOCABULARY, 0};
    chord_session *last = sessions[w->copied];
    chord_status status = CHORD_OK;
    if (cut != 0)
        status = chord_session_logits(sessions[0], tokens, cut, w->first < cut ? w->first : cut, keep_row, &before,
                                      err);
    if (status == CHORD_OK && w->copied) status = chord_session_copy(last, sessions[0], err);
    if (status != CHORD_OK) return status;
    return chord_session_logits(last, tokens + cut, token_count - cut, w->first > cut ? w->first - cut : 0, keep_row,
                                &after, err);
}

static chord_status with_model(chord_model *model, const way *w, float *rows, chord_error *err)
{
    chord_session *sessions[2] = {NULL, NULL};
    chord_model_info info;
    chord_status status = chord_session_open(model, &sessions[0], err);
    if (status == CHORD_OK && w->copied) status = chord_session_open(model, &sessions[1], err);
    if (status == CHORD_OK) status = evaluate(sessions, w, rows, err);
    chord_model_describe(model, &info);
    streamed += info.plan.streamed_bytes_per_pass > 0;
    chord_session_close(sessions[0]);
    chord_session_close(sessions[1]);
    return status;
}

/* least: in the smallest share that works. */
static chord_status open_model(chord_runtime *runtime, const way *w, chord_model **model, chord_error *err)
{
    chord_source source = {.read = gb_read, .size_bytes = m.b.len, .ud = &m.b};
    chord_model_options options = {.context_tokens = (uint32_t)family_tokens(m.family),
                                   .chunk_tokens = w->chunk,
                                   .sessions_max = w->copied ? 2 : 1};
    chord_status status = CHORD_BUDGET;
    if (!w->least) return chord_model_open(runtime, &source, &options, model, err);
    for (options.share_bytes = 512 << 10; status == CHORD_BUDGET; options.share_bytes += 128 << 10)
        status = chord_model_open(runtime, &source, &options, model, err);
    return status;
}

static chord_status run(const way *w, float *rows, chord_error *err)
{
    chord_runtime_options options = {.budget_bytes = 1ull << 30, .threads = w->threads};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_status status = chord_runtime_open(&options, &runtime, err);
    if (status == CHORD_OK) status = open_model(runtime, w, &model, err);
    if (status == CHORD_OK) status = with_model(model, w, rows, err);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return status;
}

/* ---- against the reference -------------------------------------------------------------------------- */

static double logprob(const float *row, int32_t token)
{
    double most = (double)row[0], sum = 0;
    for (uint32_t i = 1; i < FM_VOCABULARY; i++) most = fmax(most, (double)row[i]);
    for (uint32_t i = 0; i < FM_VOCABULARY; i++) sum += exp((double)row[i] - most);
    return (double)row[token] - most - log(sum);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static size_t targets_of(const fm_family *family) { return (family_tokens(family) / 2 + 1) / 3; }

static double median_apart(const double *want)
{
    double apart[TARGETS_MAX];
    size_t targets = targets_of(m.family);
    for (size_t i = 0; i < targets; i++) {
        size_t at = token_count / 2 + 3 * i;
        apart[i] = fabs(logprob(plain + at * FM_VOCABULARY, tokens[at + 1]) - want[i]);
    }
    qsort(apart, targets, sizeof *apart, by_size);
    return apart[targets / 2];
}

/* ---- one set of bits -------------------------------------------------------------------------------- */

static const way PLAIN = {.name = "plain", .threads = 1};
static const way WAYS[] = {{.name = "streamed", .least = true, .threads = 2},
                           {.name = "chunks", .threads = 3, .chunk = 7},
                           {.name = "streamed chunks", .least = true, .threads = 2, .chunk = 33},
                           {.name = "two parts", .threads = 1, .cut = 50},
                           {.name = "a copy", .threads = 2, .cut = 77, .copied = true},
                           {.name = "late rows", .threads = 2, .chunk = 40, .cut = 90, .first = 120}};

static void check_ways(size_t family)
{
    for (size_t i = family % CHECK_EVERY(1, 2, 1); i < sizeof WAYS / sizeof WAYS[0]; i += CHECK_EVERY(1, 2, 1)) {
        chord_error err = {0};
        size_t first = WAYS[i].first * FM_VOCABULARY, count = token_count * FM_VOCABULARY - first;
        memset(other, 0, sizeof other);
        CHECK_OK(run(&WAYS[i], other, &err));
        CHECK_SAY(memcmp(other + first, plain + first, count * sizeof *plain) == 0, "%s, %s", m.family->name,
                  WAYS[i].name);
    }
}

/* FNV-1a of all logits. */
static uint64_t hash_plain(void)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    const uint8_t *bytes = (const uint8_t *)plain;
    for (size_t i = 0; i < token_count * FM_VOCABULARY * sizeof *plain; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    return hash;
}

static void check_family(const fm_family *family, const double *want, uint64_t hash)
{
    chord_error err = {0};
    fm_build(&m, family);
    token_count = family_tokens(family);
    CHECK_OK(run(&PLAIN, plain, &err));
    CHECK_SAY(hash_plain() == hash, "%s has other bits than before", family->name);
    double apart = median_apart(want);
    CHECK_SAY(apart <= MEDIAN_MAX, "%s: half of the log-probabilities are more than %.4f off", family->name, apart);
    if (getenv("CHORD_TEST_VERBOSE") != NULL) printf("%-16s %.5f\n", family->name, apart);
    check_ways((size_t)(family - FM_FAMILIES));
    gb_free(&m.b);
}

#ifdef CHORD_FAULTS
#include "fault_walk.h"
static chord_status run_plain(void *ud, chord_error *err)
{
    (void)ud;
    return run(&PLAIN, other, err);
}

static void check_faults(const char *name)
{
    size_t f = 0;
    while (strcmp(FM_FAMILIES[f].name, name) != 0) f++;
    fm_build(&m, &FM_FAMILIES[f]);
    token_count = 9;
    walk_faults(run_plain, NULL);
    gb_free(&m.b);
}
#endif

static void read_tokens(FILE *golden)
{
    char name[64];
    CHECK(fscanf(golden, "%63s", name) == 1 && strcmp(name, "tokens") == 0);
    for (int i = 0; i < TOKENS_MAX; i++) CHECK(fscanf(golden, "%d", &tokens[i]) == 1);
}

/* A model with the weights of one before it has its bits. */
static void check_same(const fm_family *family, const unsigned long long *hash)
{
    for (size_t f = 0; f < FM_COUNT && family->as != NULL; f++)
        if (strcmp(FM_FAMILIES[f].name, family->as) == 0)
            CHECK_SAY(hash[f] == hash[family - FM_FAMILIES], "%s has other bits than %s", family->name, family->as);
}

/* "tokens ID...", then "NAME LOGPROB..." for each family; hashes: "NAME HASH". */
static void check_all(FILE *golden, FILE *hashes)
{
    char name[64];
    read_tokens(golden);
    for (size_t f = 0; f < FM_COUNT; f++) {
        double want[TARGETS_MAX];
        static unsigned long long hash[FM_COUNT];
        CHECK_SAY(fscanf(golden, "%63s", name) == 1 && strcmp(name, FM_FAMILIES[f].name) == 0, "%s has no golden line",
                  FM_FAMILIES[f].name);
        for (size_t i = 0; i < targets_of(&FM_FAMILIES[f]); i++) CHECK(fscanf(golden, "%lf", &want[i]) == 1);
        CHECK_SAY(fscanf(hashes, "%63s %llx", name, &hash[f]) == 2 && strcmp(name, FM_FAMILIES[f].name) == 0,
                  "%s has no hash", FM_FAMILIES[f].name);
        if (f % CHECK_EVERY(1, 1, 9) == 0) check_family(&FM_FAMILIES[f], want, hash[f]);
        check_same(&FM_FAMILIES[f], hash);
    }
}

static int write_all(const char *folder)
{
    for (size_t f = 0; f < FM_COUNT; f++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s.gguf", folder, FM_FAMILIES[f].name);
        fm_build(&m, &FM_FAMILIES[f]);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(m.b.bytes, 1, m.b.len, file) != m.b.len || fclose(file) != 0) return 1;
        gb_free(&m.b);
    }
    return 0;
}

static int print_hashes(FILE *golden)
{
    chord_error err = {0};
    read_tokens(golden);
    for (size_t f = 0; f < FM_COUNT; f++) {
        fm_build(&m, &FM_FAMILIES[f]);
        token_count = family_tokens(&FM_FAMILIES[f]);
        if (run(&PLAIN, plain, &err) != CHORD_OK) return 1;
        printf("%s %016llx\n", FM_FAMILIES[f].name, (unsigned long long)hash_plain());
        gb_free(&m.b);
    }
    return 0;
}

/* "NAME TOKENS MODEL": the model that the reference is asked. */
static int print_list(void)
{
    for (size_t f = 0; f < FM_COUNT; f++) {
        const fm_family *family = &FM_FAMILIES[f];
        printf("%s %zu %s\n", family->name, family_tokens(family), family->as != NULL ? family->as : family->name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) return print_list();
    if (argc == 3 && strcmp(argv[1], "--write") == 0) return write_all(argv[2]);
    FILE *golden = fopen(CHORD_TESTS_DIR "/golden/families.txt", "r");
    FILE *hashes = fopen(CHORD_TESTS_DIR "/golden/family_hashes.txt", "r");
    CHECK(golden != NULL);
    if (golden != NULL && argc == 2 && strcmp(argv[1], "--hashes") == 0) return print_hashes(golden);
    CHECK(hashes != NULL);
    if (golden == NULL || hashes == NULL) return check_done();
    check_all(golden, hashes);
    CHECK_SAY(streamed >= FM_COUNT / CHECK_EVERY(1, 2, 9), "only %zu runs streamed", streamed);
    fclose(golden);
    fclose(hashes);
#ifdef CHORD_FAULTS
    check_faults("gemma4-e");
    check_faults("gpt2");
    check_faults("gpt-oss");
    check_faults("nemotron_h_moe");
    check_faults("deepseek4");
#endif
    return check_done();
}
