/* Answers of a form: whatever the model would rather say, guesses or not, alone or in company. */
#include "chord.h"

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static chord_error err;
static chord_runtime *runtime;
static chord_model *model;

typedef struct answer {
    char text[512];
    size_t len;
    chord_generate_result result;
} answer;

static bool keep(void *ud, const chord_piece *piece)
{
    answer *a = ud;
    if (a->len + piece->len < sizeof a->text) memcpy(a->text + a->len, piece->text, piece->len);
    a->len += piece->len;
    return true;
}

static chord_grammar *grammar_of(const char *text)
{
    chord_grammar *g = NULL;
    chord_grammar_kind kind = text[0] == '{' ? CHORD_GRAMMAR_JSON_SCHEMA : CHORD_GRAMMAR_GBNF;
    CHECK_OK(chord_grammar_open(model, kind, text, strlen(text), NULL, &g, &err));
    return g;
}

static chord_generate_options options_of(const chord_grammar *g, uint64_t seed, uint32_t drafts)
{
    return (chord_generate_options){.max_tokens = 200,
                                    .sampling = {.temperature = seed == 0 ? 0.0f : 1.5f, .seed = seed},
                                    .draft_tokens = drafts,
                                    .grammar = g};
}

static void sync(chord_session *session, const char *prompt)
{
    int32_t ids[64];
    size_t count;
    CHECK_OK(chord_tokenize(model, prompt, strlen(prompt), CHORD_TOKENIZE_RAW, ids, 64, &count, &err));
    CHECK_OK(chord_session_sync(session, ids, count, NULL, &err));
}

static void ask(chord_session *session, const chord_grammar *g, uint64_t seed, uint32_t drafts, answer *out)
{
    chord_generate_options options = options_of(g, seed, drafts);
    *out = (answer){0};
    sync(session, "once more, and once more, and once");
    CHECK_OK(chord_session_generate(session, &options, keep, out, &out->result, &err));
}

/* Some of the digits between brackets, several times. */
static bool is_list(const char *text)
{
    size_t groups = 0;
    for (; *text == '['; groups++) {
        for (text++; *text >= '0' && *text <= '9'; text++) {}
        if (*text++ != ']') return false;
    }
    return *text == '\0' && groups >= 3 && groups <= 6;
}

static const char LIST[] = "root ::= (\"[\" [0-9]{0,4} \"]\"){3,6}", WORDS[] = "{\"enum\":[\"alpha\",\"beta\",true]}";

static void check_forms(void)
{
    chord_session *session;
    chord_grammar *list = grammar_of(LIST), *words = grammar_of(WORDS);
    CHECK_OK(chord_session_open(model, &session, &err));
    for (uint64_t seed = 0; seed < 8; seed++) {
        answer plain, guessed;
        ask(session, list, seed, 0, &plain);
        CHECK_SAY(is_list(plain.text) && plain.result.stop_reason == CHORD_STOP_END, "seed %d: %s", (int)seed,
                  plain.text);
        ask(session, list, seed, 16, &guessed);
        CHECK_SAY(strcmp(plain.text, guessed.text) == 0 && plain.result.logits_hash == guessed.result.logits_hash,
                  "seed %d: %s, with guesses %s", (int)seed, plain.text, guessed.text);
        ask(session, words, seed, 0, &plain);
        CHECK_SAY(strcmp(plain.text, "\"alpha\"") == 0 || strcmp(plain.text, "\"beta\"") == 0 ||
                      strcmp(plain.text, "true") == 0,
                  "seed %d: %s", (int)seed, plain.text);
    }
    chord_session_close(session);
    chord_grammar_close(list);
    chord_grammar_close(words);
}

/* What a form leaves no choice about is guessed: the same text in fewer passes. */
static void check_forced(void)
{
    static const char LONG[] =
        "{\"type\":\"object\",\"properties\":{\"a rather long name of a key\":{\"const\":\"and a long value\"}},"
        "\"required\":[\"a rather long name of a key\"],\"additionalProperties\":false}";
    chord_session *session;
    chord_grammar *g = grammar_of(LONG);
    chord_stats stats[2];
    answer made[2];
    CHECK_OK(chord_session_open(model, &session, &err));
    for (uint32_t i = 0; i < 2; i++) {
        chord_session_reset(session);
        chord_session_stats_reset(session);
        ask(session, g, 5, i * 16, &made[i]);
        chord_session_stats(session, &stats[i]);
    }
    CHECK_SAY(strcmp(made[0].text, made[1].text) == 0 && made[0].result.logits_hash == made[1].result.logits_hash,
              "%s, %s", made[0].text, made[1].text);
    CHECK(stats[0].accepted_tokens == 0 && stats[1].accepted_tokens * 2 > made[1].result.tokens);
    CHECK_SAY(stats[1].passes * 2 < stats[0].passes, "%d passes, %d with guesses", (int)stats[0].passes,
              (int)stats[1].passes);
    chord_session_close(session);
    chord_grammar_close(g);
}

/* Each with a form of its own, and one without: what they say alone. */
static void check_company(void)
{
    chord_session *sessions[3];
    chord_grammar *grammars[3] = {grammar_of(LIST), grammar_of(WORDS), NULL};
    chord_step steps[3] = {0};
    answer alone[3], made[3] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_OK(chord_session_open(model, &sessions[i], &err));
        ask(sessions[i], grammars[i], i + 1, 0, &alone[i]);
        chord_generate_options options = options_of(grammars[i], i + 1, 8);
        sync(sessions[i], "once more, and once more, and once");
        CHECK_OK(chord_generate_start(sessions[i], &options, &err));
        steps[i].session = sessions[i];
    }
    for (bool over = false; !over;) {
        CHECK_OK(chord_sessions_step(steps, 3, &err));
        over = true;
        for (uint32_t i = 0; i < 3; i++) {
            CHECK_SAY(steps[i].status == CHORD_OK, "%s", steps[i].error.text);
            if (steps[i].has_piece) keep(&made[i], &steps[i].piece);
            over = over && steps[i].over;
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        chord_generate_result_get(sessions[i], &made[i].result);
        CHECK_SAY(strcmp(made[i].text, alone[i].text) == 0 && made[i].result.logits_hash == alone[i].result.logits_hash,
                  "%u: %s, alone %s", i, made[i].text, alone[i].text);
        chord_session_close(sessions[i]);
        chord_grammar_close(grammars[i]);
    }
}

/* ---- masks that are made while passes run ------------------------------------------------------------------------- */

#define FORMS 3u
#define SEEDS 4u

static uint64_t late[FORMS][SEEDS]; /* hashes of a runtime with one thread: there masks are made behind the passes */

typedef struct owner {
    pthread_t thread;
    chord_session *session;
    const chord_grammar *const *grammars;
    uint32_t number;
    atomic_uint answers, cancelled, wrong;
} owner;

static chord_status answer_of(chord_session *s, const chord_grammar *g, uint64_t seed, uint32_t drafts, answer *out)
{
    static const int32_t PROMPT[] = {5, 6, 7, 8, 5, 6, 7};
    chord_error mine = {0};
    chord_generate_options options = options_of(g, seed, drafts);
    *out = (answer){0};
    options.max_tokens = 40;
    chord_status status = chord_session_feed(s, PROMPT, 7, NULL, &mine);
    if (status == CHORD_OK) status = chord_session_generate(s, &options, keep, out, &out->result, &mine);
    return status;
}

static void open_forms(chord_grammar **out)
{
    out[0] = grammar_of(LIST);
    out[1] = grammar_of(WORDS);
    out[2] = grammar_of("{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\",\"maxLength\":30},"
                        "\"n\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}},\"required\":[\"key\",\"n\"]}");
}

static void make_late(void)
{
    chord_session *session;
    chord_grammar *grammars[FORMS];
    answer made;
    open_forms(grammars);
    CHECK_OK(chord_session_open(model, &session, &err));
    for (uint32_t i = 0; i < FORMS * SEEDS; i++) {
        CHECK_OK(answer_of(session, grammars[i % FORMS], i / FORMS, 0, &made));
        late[i % FORMS][i / FORMS] = made.result.logits_hash;
        chord_session_reset(session);
    }
    chord_session_close(session);
    for (uint32_t i = 0; i < FORMS; i++) chord_grammar_close(grammars[i]);
}

/* Sessions come and go, with a text in the middle where they were cancelled. */
static void *own(void *ud)
{
    owner *o = ud;
    answer made;
    for (uint32_t i = o->number; i < o->number + FORMS * SEEDS * 2; i++) {
        uint32_t form = i % FORMS, seed = i / FORMS % SEEDS;
        chord_status status = answer_of(o->session, o->grammars[form], seed, i % 2 * 16, &made);
        if (status == CHORD_CANCELLED) atomic_fetch_add(&o->cancelled, 1);
        else if (status == CHORD_OK && made.result.logits_hash == late[form][seed]) atomic_fetch_add(&o->answers, 1);
        else atomic_fetch_add(&o->wrong, 1);
        chord_session_reset(o->session);
    }
    return NULL;
}

static void check_ahead(void)
{
    static owner owners[3];
    chord_grammar *grammars[FORMS];
    open_forms(grammars);
    for (uint32_t i = 0; i < 3; i++) {
        owners[i].grammars = (const chord_grammar *const *)grammars;
        owners[i].number = i;
        CHECK_OK(chord_session_open(model, &owners[i].session, &err));
        CHECK(pthread_create(&owners[i].thread, NULL, own, &owners[i]) == 0);
    }
    for (uint32_t i = 0; i < 20; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        chord_session_cancel(owners[i % 2].session); /* the third one's texts are all made */
    }
    for (uint32_t i = 0; i < 3; i++) {
        pthread_join(owners[i].thread, NULL);
        chord_session_close(owners[i].session);
        CHECK_SAY(atomic_load(&owners[i].wrong) == 0, "%u of %u's answers are wrong", atomic_load(&owners[i].wrong), i);
    }
    CHECK(atomic_load(&owners[2].answers) == FORMS * SEEDS * 2);
    for (uint32_t i = 0; i < FORMS; i++) chord_grammar_close(grammars[i]);
}

static void check_refusals(void)
{
    chord_model *without;
    chord_grammar *g;
    chord_source source = {.uri = CHORD_TESTS_DIR "/golden/tiny.gguf"};
    CHECK_OK(chord_model_open(runtime, &source, NULL, &without, &err));
    CHECK(chord_grammar_open(without, CHORD_GRAMMAR_GBNF, LIST, sizeof LIST - 1, NULL, &g, &err) == CHORD_INVALID);
    CHECK(chord_grammar_open(model, CHORD_GRAMMAR_GBNF, "root ::=", 8, NULL, &g, &err) == CHORD_OK);
    chord_grammar_close(g);
    CHECK(chord_grammar_open(model, CHORD_GRAMMAR_JSON_SCHEMA, "{\"not\":{}}", 10, NULL, &g, &err) ==
              CHORD_UNSUPPORTED &&
          g == NULL);
    CHECK(chord_grammar_open(model, (chord_grammar_kind)7, "x", 1, NULL, &g, &err) == CHORD_INVALID);
    CHECK(chord_grammar_open(model, CHORD_GRAMMAR_GBNF, NULL, 1, NULL, &g, &err) == CHORD_INVALID);
    chord_session *session;
    chord_grammar *ours = grammar_of(LIST);
    CHECK_OK(chord_session_open(without, &session, &err));
    chord_generate_options options = options_of(ours, 0, 0);
    CHECK(chord_generate_start(session, &options, &err) == CHORD_INVALID);
    chord_session_close(session);
    chord_grammar_close(ours);
    chord_model_close(without);
    chord_model_options no_text = {.grammars = true, .no_vocabulary = true};
    CHECK(chord_model_open(runtime, &source, &no_text, &without, &err) == CHORD_INVALID);
}

static void open_all(uint32_t threads)
{
    chord_runtime_options options = {.budget_bytes = 96u << 20, .threads = threads};
    chord_model_options model_options = {.context_tokens = 256, .sessions_max = 3, .grammars = true};
    chord_source source = {.uri = CHORD_TESTS_DIR "/golden/tiny.gguf"};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
}

static void close_all(void)
{
    chord_model_close(model);
    chord_runtime_close(runtime);
}

int main(void)
{
    open_all(1);
    make_late();
    close_all();
    open_all(2);
    check_forms();
    check_forced();
    check_company();
    check_ahead();
    check_refusals();
    close_all();
    return check_done();
}
