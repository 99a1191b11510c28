/* Stop strings against what a tiny model makes, with some of its tokens declared special: those have no text, but a stop
 * string may spell them. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

#define MADE 24

static tiny_model tiny;
static uint64_t seed;
static const char *wanted; /* a text whose special tokens are written out; NULL: none */

/* type 3: a control token */
static void set_type(int32_t token, uint32_t type)
{
    static const char KEY[] = "tokenizer.ggml.token_type";
    for (size_t at = 0; at < tiny.b.len; at++)
        if (memcmp(tiny.b.bytes + at, KEY, sizeof KEY - 1) == 0) {
            memcpy(tiny.b.bytes + at + sizeof KEY - 1 + 16 + 4 * (size_t)token, &type, 4);
            return;
        }
}

typedef struct made {
    int32_t tokens[MADE];
    char text[MADE * 16];
    size_t count, len;
    chord_stop_reason reason;
    uint64_t hash;
} made;

static bool take(void *ud, const chord_piece *piece)
{
    made *m = ud;
    if (piece->token >= 0) m->tokens[m->count++] = piece->token;
    memcpy(m->text + m->len, piece->text, piece->len);
    m->len += piece->len;
    m->text[m->len] = '\0';
    return true;
}

static void generate(const char *const *stops, size_t stop_count, made *out)
{
    chord_error err = {0};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_source source = {.read = gb_read, .size_bytes = tiny.b.len, .ud = &tiny.b};
    chord_runtime_options options = {.budget_bytes = 48ull << 20, .threads = 1};
    chord_model_options model_options = {.context_tokens = 64};
    chord_generate_options how = {.max_tokens = MADE,
                                  .ignore_end = true,
                                  .sampling = {.temperature = 5, .seed = seed},
                                  .stops = stops,
                                  .stop_count = stop_count,
                                  .specials = &wanted,
                                  .special_count = wanted != NULL};
    chord_generate_result result = {0};
    int32_t prompt[] = {72, 101, 108};
    *out = (made){0};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_sync(session, prompt, 3, NULL, &err));
    CHECK_OK(chord_session_generate(session, &how, take, out, &result, &err));
    out->reason = result.stop_reason;
    out->hash = result.logits_hash;
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
}

/* Ends after so many tokens with this text. */
static void check_stop(const char *stop, size_t tokens, const char *text)
{
    made m;
    generate(&stop, 1, &m);
    CHECK_SAY(m.reason == CHORD_STOP_TEXT && m.count == tokens && strcmp(m.text, text) == 0,
              "'%s': reason %d after %zu tokens, not %zu: '%s', not '%s'", stop, (int)m.reason, m.count, tokens, m.text,
              text);
}

static void check_no_stop(const char *stop, const made *free_run)
{
    made m;
    generate(&stop, 1, &m);
    CHECK_SAY(m.reason == CHORD_STOP_LENGTH && m.hash == free_run->hash && strcmp(m.text, free_run->text) == 0,
              "'%s' changes the text: '%s', not '%s'", stop, m.text, free_run->text);
}

/* Of the tiny vocabulary's words. */
static void name_of(int32_t token, char out[16]) { snprintf(out, 16, "w%d", token); }

/* Three words in a row, the middle one nowhere else and early; 0: there are none. */
static size_t find_words(const made *m, char names[3][16])
{
    for (size_t at = 1; at + 1 < MADE; at++) {
        if (m->tokens[at - 1] <= 256 || m->tokens[at] <= 256 || m->tokens[at + 1] <= 256) continue;
        for (size_t i = 0; i < 3; i++) name_of(m->tokens[at - 1 + i], names[i]);
        const char *first = strstr(m->text, names[1]);
        bool apart = strcmp(names[0], names[1]) != 0 && strcmp(names[1], names[2]) != 0;
        if (apart && first != NULL && first - m->text < 60 && strstr(first + 1, names[1]) == NULL) return at;
    }
    return 0;
}

int main(void)
{
    made plain, special;
    char name[3][16], joined[64], text[64];
    size_t at = 0;
    tiny_build(&tiny);
    for (seed = 1; seed < 300 && at == 0; seed++) {
        generate(NULL, 0, &plain);
        at = plain.len == strlen(plain.text) ? find_words(&plain, name) : 0;
        if (at != 0) break;
    }
    CHECK(at != 0 && plain.count == MADE && plain.reason == CHORD_STOP_LENGTH);
    if (at == 0) return check_done();

    set_type(plain.tokens[at], 3);
    generate(NULL, 0, &special);
    CHECK(special.hash == plain.hash && special.len < plain.len); /* the same tokens; one has no text now */
    size_t before = (size_t)(strstr(plain.text, name[1]) - plain.text);
    snprintf(text, sizeof text, "%.*s", (int)before, plain.text);
    check_stop(name[1], at + 1, text);
    snprintf(joined, sizeof joined, "%s%s", name[1], name[2]);
    check_stop(joined, at + 2, text);
    text[before - 1] = '\0';
    snprintf(joined, sizeof joined, "%c%s", name[0][strlen(name[0]) - 1], name[1]);
    check_stop(joined, at + 1, text);
    /* as if it were not there, as before */
    snprintf(joined, sizeof joined, "%c%s", name[0][strlen(name[0]) - 1], name[2]);
    check_stop(joined, at + 2, text);
    /* half of it, or more than is said, is no match; what was held back for it comes */
    snprintf(joined, sizeof joined, "%.*s", (int)strlen(name[1]) - 1, name[1]);
    if (strstr(special.text, joined) == NULL) check_no_stop(joined, &special);
    snprintf(joined, sizeof joined, "%s no such text", name[1]);
    check_no_stop(joined, &special);
    snprintf(joined, sizeof joined, "%s%s no such text", name[0], name[1]);
    check_no_stop(joined, &special);
    /* written out for who looks for it, alone or as a part, and no other */
    snprintf(joined, sizeof joined, "<%s>", name[1]);
    wanted = joined;
    generate(NULL, 0, &special);
    CHECK(special.hash == plain.hash && strcmp(special.text, plain.text) == 0);
    size_t upto = before + strlen(name[1]);
    snprintf(text, sizeof text, "%.*s", (int)upto, plain.text);
    check_stop(name[2], at + 2, text); /* what stands before a stop string, too */
    wanted = "w no such token";
    generate(NULL, 0, &special);
    CHECK(special.hash == plain.hash && special.len < plain.len && strstr(special.text, name[1]) == NULL);
    gb_free(&tiny.b);
    return check_done();
}
