/* Many sessions stepped together from one thread: every text, hash and end is what the session has alone, whenever it joins
 * and whoever leaves, and who is cancelled or at fault is so alone. A past that was copied goes on as if it had been
 * evaluated. Tiny models, and SmolLM2 where it is. */
#include "base/base.h"
#include "check.h"
#include "chord.h"
#include "models.h"
#include "tiny_model.h"

#define SESSIONS 6
#define PROMPT_MAX 90
#define TEXT_MAX 1024
#define STEPS_MAX 2000

static tiny_model tiny;
static chord_error err;
static chord_runtime *runtime;
static chord_model *model;

/* Of its own: a token's embedding is no row of it. */
static void add_output(tiny_model *m) { tiny_add(m, "output.weight", TINY_Q8_0, TINY_EMBEDDING, TINY_VOCABULARY); }

static void open_model(uint32_t chunk_tokens, uint32_t sessions)
{
    chord_source source = {.read = gb_read, .size_bytes = tiny.b.len, .ud = &tiny.b};
    chord_runtime_options options = {.budget_bytes = 64ull << 20, .threads = 2};
    chord_model_options model_options = {.context_tokens = 128,
                                         .sessions_max = sessions,
                                         .chunk_tokens = chunk_tokens,
                                         .policy = CHORD_POLICY_NONE,
                                         .mode = CHORD_MODE_PAGED};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
}

static void close_model(void)
{
    chord_model_close(model);
    chord_runtime_close(runtime);
}

/* ---- what a session is asked, and what it says -------------------------------------------------------------------- */

static const char *const STOPS[] = {"w", "ab"};
typedef struct question {
    uint32_t prompt_tokens, joins; /* at which step */
    chord_generate_options options;
    int32_t prompt[PROMPT_MAX];
} question;
typedef struct answer {
    char text[TEXT_MAX];
    size_t len;
    uint32_t tokens, last; /* last: the step of its last piece */
    chord_generate_result result;
    chord_status status;
} answer;

static void make_questions(question *q)
{
    static const uint32_t LENGTHS[SESSIONS] = {1, 40, 7, 90, 13, 64}, JOINS[SESSIONS] = {0, 0, 3, 0, 9, 20};
    static const chord_generate_options OPTIONS[SESSIONS] = {
        {.max_tokens = 25, .ignore_end = true},
        {.max_tokens = 12, .sampling = {.temperature = 1.5f, .seed = 3, .top_k = 50}},
        {.max_tokens = 40, .sampling = {.temperature = 4, .seed = 9}, .stops = STOPS, .stop_count = 2},
        {.ignore_end = true, .sampling = {.temperature = 0.9f, .seed = 5, .top_p = 0.9f, .repeat_penalty = 1.2f}},
        {.max_tokens = 1},
        {.max_tokens = 30, .ignore_end = true, .want_logprobs = true, .sampling = {.temperature = 3, .seed = 11}},
    };
    for (uint32_t i = 0; i < SESSIONS; i++) {
        q[i] = (question){.prompt_tokens = LENGTHS[i], .joins = JOINS[i], .options = OPTIONS[i]};
        for (uint32_t t = 0; t < LENGTHS[i]; t++) q[i].prompt[t] = (int32_t)((t * 31 + i * 57 + t * t) % 256);
    }
}

static bool take(void *ud, const chord_piece *piece)
{
    answer *a = ud;
    CHECK(a->len + piece->len < TEXT_MAX);
    memcpy(a->text + a->len, piece->text, piece->len);
    a->len += piece->len;
    a->tokens += piece->token >= 0;
    return true;
}

static void answer_alone(const question *q, answer *a)
{
    chord_session *session = NULL;
    *a = (answer){0};
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_sync(session, q->prompt, q->prompt_tokens, NULL, &err));
    CHECK_OK(chord_session_generate(session, &q->options, take, a, &a->result, &err));
    chord_session_close(session);
}

static void check_same(const answer *a, const answer *b, uint32_t i)
{
    CHECK_SAY(a->status == CHORD_OK && a->result.logits_hash == b->result.logits_hash, "session %u", i);
    CHECK_SAY(a->tokens == b->tokens && a->result.tokens == b->result.tokens, "session %u", i);
    CHECK_SAY(a->result.stop_reason == b->result.stop_reason, "session %u", i);
    CHECK_SAY(a->len == b->len && memcmp(a->text, b->text, a->len) == 0, "session %u: '%s' '%s'", i, a->text, b->text);
}

static void begin(chord_session *session, const question *q)
{
    CHECK_OK(chord_session_feed(session, q->prompt, q->prompt_tokens, NULL, &err));
    CHECK_OK(chord_generate_start(session, &q->options, &err));
}

/* All questions at once, each from its step on. cancel_at: the step before which session 1 is cancelled. */
static void answer_together(const question *q, answer *answers, uint32_t count, uint32_t cancel_at)
{
    chord_session *sessions[SESSIONS] = {0};
    bool over[SESSIONS] = {0};
    uint32_t left = count;
    for (uint32_t i = 0; i < count; i++) {
        CHECK_OK(chord_session_open(model, &sessions[i], &err));
        answers[i] = (answer){0};
    }
    for (uint32_t at = 0; left > 0 && at < STEPS_MAX; at++) {
        chord_step steps[SESSIONS];
        uint32_t who[SESSIONS], n = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (at == q[i].joins) begin(sessions[i], &q[i]);
            if (at < q[i].joins || over[i]) continue;
            steps[n].session = sessions[i];
            who[n++] = i;
        }
        if (at == cancel_at) chord_session_cancel(sessions[1]);
        CHECK_OK(chord_sessions_step(steps, n, &err));
        for (uint32_t k = 0; k < n; k++) {
            answer *a = &answers[who[k]];
            a->status = steps[k].status;
            CHECK(steps[k].status == CHORD_OK || (steps[k].over && !steps[k].has_piece && steps[k].error.text[0] != 0));
            if (steps[k].has_piece) (void)take(a, &steps[k].piece);
            if (!steps[k].over) continue;
            over[who[k]] = true;
            a->last = at;
            left--;
            chord_generate_result_get(sessions[who[k]], &a->result);
        }
    }
    CHECK(left == 0);
    for (uint32_t i = 0; i < count; i++) chord_session_close(sessions[i]);
}

/* ---- the checks ------------------------------------------------------------------------------------------------- */

static void check_answers(uint32_t chunk_tokens)
{
    question q[SESSIONS];
    answer alone[SESSIONS], together[SESSIONS];
    open_model(chunk_tokens, SESSIONS);
    make_questions(q);
    for (uint32_t i = 0; i < SESSIONS; i++) answer_alone(&q[i], &alone[i]);
    answer_together(q, together, SESSIONS, STEPS_MAX);
    for (uint32_t i = 0; i < SESSIONS; i++) check_same(&together[i], &alone[i], i);
    /* who decodes gives a piece in each step, whatever prompts stand beside it; the last has held-back text with it */
    if (chunk_tokens >= SESSIONS) CHECK(together[0].last == together[0].result.tokens - 1);
    CHECK(alone[2].result.stop_reason == CHORD_STOP_TEXT && alone[3].result.stop_reason == CHORD_STOP_CONTEXT);

    answer_together(q, together, SESSIONS, 6);
    CHECK(together[1].status == CHORD_CANCELLED && together[1].last == 6);
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (i != 1) check_same(&together[i], &alone[i], i);
    close_model();
}

/* So many passes as the longest needs, not as all do one after the other. */
static void check_passes(void)
{
    question q[SESSIONS];
    answer a[SESSIONS];
    chord_session *session = NULL;
    chord_stats stats;
    chord_step step;
    open_model(64, SESSIONS);
    make_questions(q);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        q[i].prompt_tokens = 8;
        q[i].joins = 0;
        q[i].options = (chord_generate_options){.max_tokens = 10, .ignore_end = true};
    }
    answer_together(q, a, SESSIONS, STEPS_MAX);
    for (uint32_t i = 0; i < SESSIONS; i++) CHECK(a[i].last == 9 && a[i].result.tokens == 10);

    CHECK_OK(chord_session_open(model, &session, &err)); /* counters of a session that was stepped */
    begin(session, &q[0]);
    step = (chord_step){.session = session};
    for (step.over = false; !step.over;) CHECK_OK(chord_sessions_step(&step, 1, &err));
    chord_session_stats(session, &stats);
    CHECK(stats.passes == 10 && stats.prompt_tokens == 8 && stats.output_tokens == 10 && stats.decode_ns > 0);
    CHECK_OK(chord_sessions_step(&step, 1, &err));
    CHECK(step.over && !step.has_piece && step.status == CHORD_OK); /* and then nothing more */
    chord_session_stats(session, &stats);
    CHECK(stats.passes == 10);
    chord_session_close(session);
    close_model();
}

/* The embedding of one token is no number: who uses it hears of it, the others of the same pass do not. */
static void check_one_at_fault(void)
{
    enum { AT_FAULT = 300 };
    uint8_t *row = tiny.b.bytes + tiny.data + tiny.tensors[0].offset + AT_FAULT * (TINY_EMBEDDING / 32 * 34), saved[2];
    question q[SESSIONS];
    answer alone[SESSIONS], together[SESSIONS];
    memcpy(saved, row, 2);
    memcpy(row, (uint8_t[]){0x00, 0x7E}, 2); /* the scale is NaN */
    open_model(64, SESSIONS);
    make_questions(q);
    for (uint32_t i = 0; i < SESSIONS; i++) q[i].options.max_tokens = 3;
    for (uint32_t i = 0; i < SESSIONS; i++) answer_alone(&q[i], &alone[i]);
    q[1].prompt[5] = AT_FAULT;
    answer_together(q, together, SESSIONS, STEPS_MAX);
    CHECK(together[1].status == CHORD_CORRUPT && together[1].tokens == 0);
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (i != 1) check_same(&together[i], &alone[i], i);
    memcpy(row, saved, 2);
    close_model();
}

/* Copies of an evaluated prompt go on with other seeds, and nothing of it is evaluated again. */
static void check_copies(void)
{
    question q[SESSIONS];
    answer alone, a;
    chord_session *from = NULL, *to = NULL;
    chord_stats stats;
    open_model(16, 3);
    make_questions(q);
    q[3].options.max_tokens = 20;
    CHECK_OK(chord_session_open(model, &from, &err));
    CHECK_OK(chord_session_open(model, &to, &err));
    CHECK_OK(chord_session_sync(to, q[5].prompt, q[5].prompt_tokens, NULL, &err)); /* it is to be forgotten */
    CHECK_OK(chord_session_sync(from, q[3].prompt, q[3].prompt_tokens, NULL, &err));
    for (uint64_t seed = 0; seed < 4; seed++) {
        q[3].options.sampling.seed = seed;
        answer_alone(&q[3], &alone);
        CHECK_OK(chord_session_copy(to, from, &err));
        chord_session_stats_reset(to);
        a = (answer){0};
        CHECK_OK(chord_session_generate(to, &q[3].options, take, &a, &a.result, &err));
        check_same(&a, &alone, (uint32_t)seed);
        chord_session_stats(to, &stats);
        CHECK(stats.passes == 19 && stats.prompt_tokens == 0); /* the first token was drawn from what `from` had */
    }
    a = (answer){0}; /* what copies wrote is not the original's */
    CHECK_OK(chord_session_generate(from, &q[3].options, take, &a, &a.result, &err));
    check_same(&a, &alone, 9);
    CHECK_OK(chord_session_copy(to, to, &err));
    chord_session_close(from);
    chord_session_close(to);
    close_model();
}

/* A bound of rows: so many passes more, the same text; what is left is told. */
static void check_bounded_rows(void)
{
    question q[SESSIONS];
    answer alone, a = {0};
    chord_session *session = NULL;
    chord_step step;
    chord_stats stats;
    open_model(64, 1);
    make_questions(q);
    q[3].options.max_tokens = 5;
    answer_alone(&q[3], &alone);
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_salt(session, 1, &err)); /* what was read alone is not found again */
    begin(session, &q[3]); /* 90 tokens */
    chord_session_limit_rows(session, 7);
    step = (chord_step){.session = session};
    for (uint32_t i = 1; i <= 12; i++) {
        CHECK_OK(chord_sessions_step(&step, 1, &err));
        CHECK_SAY(!step.has_piece && step.prompt_left == 90 - 7 * i, "step %u: %u are left", i, step.prompt_left);
    }
    chord_session_limit_rows(session, 0);
    for (step.over = false; !step.over;) {
        CHECK_OK(chord_sessions_step(&step, 1, &err));
        CHECK(step.has_piece && step.prompt_left == 0);
        take(&a, &step.piece);
    }
    chord_generate_result_get(session, &a.result);
    check_same(&a, &alone, 3);
    chord_session_stats(session, &stats);
    CHECK(stats.passes == 12 + 5);
    chord_session_close(session);
    close_model();
}

/* ---- the likeliest tokens beside each that is drawn ----------------------------------------------------------------- */

typedef struct row_check {
    uint32_t count;
    chord_candidate top[CHORD_TOP_MAX];
    float logprob;
    int32_t token;
} row_check;

static bool look_at_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    row_check *r = ud;
    (void)position;
    r->logprob = chord_logits_top(logits, vocabulary, r->token, r->top, &r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t better = 0;
        for (size_t t = 0; t < vocabulary; t++)
            better += logits[t] > logits[r->top[i].token] ||
                      (logits[t] == logits[r->top[i].token] && t < (size_t)r->top[i].token);
        CHECK_SAY(better == i, "candidate %u is the %u.", i, better);
    }
    return true;
}

static void check_likeliest(uint32_t draft_tokens)
{
    question q[SESSIONS];
    int32_t text[TEXT_MAX];
    chord_session *session = NULL, *other = NULL;
    chord_step step;
    open_model(64, 2);
    make_questions(q);
    uint32_t n = q[5].prompt_tokens;
    memcpy(text, q[5].prompt, n * sizeof *text);
    q[5].options.want_logprobs = false;
    q[5].options.draft_tokens = draft_tokens;
    q[5].options.top_logprobs = CHORD_TOP_MAX + 1;
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_open(model, &other, &err));
    CHECK_OK(chord_session_feed(session, text, n, NULL, &err));
    CHECK(chord_generate_start(session, &q[5].options, &err) == CHORD_INVALID);
    q[5].options.top_logprobs = 5;
    begin(session, &q[5]);
    step = (chord_step){.session = session};
    for (step.over = false; !step.over;) {
        CHECK_OK(chord_sessions_step(&step, 1, &err));
        if (!step.has_piece) continue;
        row_check row = {.count = 5, .token = step.piece.token};
        CHECK_OK(chord_session_sync(other, text, n - 1, NULL, &err));
        CHECK_OK(chord_session_logits(other, text + n - 1, 1, 0, look_at_row, &row, &err));
        CHECK(step.piece.top_count == 5 && memcmp(step.piece.top, row.top, 5 * sizeof row.top[0]) == 0);
        CHECK(step.piece.logprob == row.logprob);
        text[n++] = step.piece.token;
    }
    chord_session_close(session);
    chord_session_close(other);
    close_model();
}

static void step_again(void *ud, const chord_progress *progress)
{
    chord_step *step = ud;
    (void)progress;
    step->status = chord_sessions_step(step, 1, &step->error);
}

static void check_misuse(void)
{
    question q[SESSIONS];
    chord_session *sessions[3] = {0}, *other = NULL;
    chord_model *first = NULL;
    chord_runtime *first_runtime = runtime;
    make_questions(q);
    open_model(16, 1);
    first = model;
    first_runtime = runtime;
    CHECK_OK(chord_session_open(model, &other, &err));
    open_model(16, 3);
    for (int i = 0; i < 3; i++) CHECK_OK(chord_session_open(model, &sessions[i], &err));
    begin(sessions[0], &q[2]);
    CHECK(chord_sessions_step(NULL, 1, &err) == CHORD_INVALID);
    CHECK(chord_sessions_step(NULL, 0, &err) == CHORD_OK);
    CHECK(chord_sessions_step((chord_step[]){{0}}, 1, &err) == CHORD_INVALID);
    CHECK(chord_sessions_step((chord_step[]){{.session = sessions[0]}, {.session = other}}, 2, &err) == CHORD_INVALID);
    CHECK(strstr(err.text, "different models") != NULL);
    chord_step twice[] = {{.session = sessions[0]}, {.session = sessions[1]}, {.session = sessions[0]}};
    CHECK(chord_sessions_step(twice, 3, &err) == CHORD_INVALID);
    CHECK(chord_session_copy(sessions[0], other, &err) == CHORD_INVALID);

    chord_step from_callback = {.session = sessions[2]}, step = {.session = sessions[0]};
    begin(sessions[2], &q[2]);
    chord_session_on_progress(sessions[0], step_again, &from_callback);
    CHECK_OK(chord_sessions_step(&step, 1, &err));
    CHECK(step.has_piece && from_callback.status == CHORD_INVALID);
    chord_session_on_progress(sessions[0], NULL, NULL);
    CHECK_OK(chord_sessions_step(&from_callback, 1, &err)); /* the refused step has changed nothing */
    CHECK(from_callback.has_piece && from_callback.piece.token == step.piece.token);

    chord_step begun = {.session = sessions[1]}; /* nothing was fed; then no text was begun */
    CHECK_OK(chord_sessions_step(&begun, 1, &err));
    CHECK(begun.over && begun.status == CHORD_OK && !begun.has_piece);
    CHECK_OK(chord_generate_start(sessions[1], NULL, &err));
    CHECK_OK(chord_sessions_step(&begun, 1, &err));
    CHECK(begun.over && begun.status == CHORD_INVALID);
    for (int i = 0; i < 3; i++) chord_session_close(sessions[i]);
    close_model();
    chord_session_close(other);
    chord_model_close(first);
    chord_runtime_close(first_runtime);
}

#ifdef CHORD_FAULTS
/* Every allocation and read in turn fails once: each answer is right or says why not, and the next ones are whole. */
static void check_faults(void)
{
    question q[SESSIONS];
    answer alone[3];
    chord_session *sessions[3] = {0};
    uint64_t walked = 0, failed = 0;
    open_model(16, 3);
    make_questions(q);
    for (uint32_t i = 0; i < 3; i++) {
        q[i].options.max_tokens = 4;
        answer_alone(&q[i], &alone[i]);
    }
    for (uint32_t i = 0; i < 3; i++) CHECK_OK(chord_session_open(model, &sessions[i], &err));
    for (bool fired = true; fired; walked++) {
        chord_step steps[3] = {0};
        answer together[3] = {0};
        uint32_t left = 3;
        for (uint32_t i = 0; i < 3; i++) {
            chord_session_reset(sessions[i]);
            begin(sessions[i], &q[i]);
            steps[i].session = sessions[i];
        }
        chord_fault_arm(walked + 1);
        while (left > 0) {
            if (chord_sessions_step(steps, 3, &err) != CHORD_OK) {
                failed++; /* no step was made: once more */
                continue;
            }
            for (uint32_t i = 0; i < 3; i++) {
                bool was_over = together[i].last != 0;
                if (was_over) continue;
                if (steps[i].has_piece) (void)take(&together[i], &steps[i].piece);
                together[i].status = steps[i].status;
                if (!steps[i].over) continue;
                together[i].last = 1;
                left--;
                chord_generate_result_get(sessions[i], &together[i].result);
            }
        }
        fired = chord_fault_fired();
        chord_fault_arm(0);
        for (uint32_t i = 0; i < 3; i++) {
            if (together[i].status == CHORD_OK) check_same(&together[i], &alone[i], i);
            else failed++;
        }
    }
    printf("%llu faults in steps, %llu failures\n", (unsigned long long)walked, (unsigned long long)failed);
    CHECK(walked > 20 && failed > 0);
    for (uint32_t i = 0; i < 3; i++) chord_session_close(sessions[i]);
    close_model();
}
#endif

/* Different questions to a real model in its own words. */
static void check_real_model(void)
{
    static const char *const TEXTS[] = {"Once upon a time", "The capital of France is", "1 2 3 4 5 6 7 8 9",
                                        "def f(x):"};
    char path[1024];
    question q[SESSIONS] = {0};
    answer alone[SESSIONS], together[SESSIONS];
    if (!model_path("smollm2", path, sizeof path)) return;
    chord_source source = {.uri = path};
    chord_runtime_options options = {.budget_bytes = 160ull << 20, .threads = 2};
    chord_model_options model_options = {.context_tokens = 128, .sessions_max = 4};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
    for (uint32_t i = 0; i < 4; i++) {
        size_t need;
        CHECK_OK(chord_tokenize(model, TEXTS[i], strlen(TEXTS[i]), CHORD_TOKENIZE_RAW, q[i].prompt, PROMPT_MAX, &need,
                                &err));
        q[i].prompt_tokens = (uint32_t)need;
        q[i].joins = 2 * i;
        q[i].options = (chord_generate_options){.max_tokens = 6 + i, .sampling = {.temperature = (float)i, .seed = i}};
        answer_alone(&q[i], &alone[i]);
    }
    answer_together(q, together, 4, STEPS_MAX);
    for (uint32_t i = 0; i < 4; i++) check_same(&together[i], &alone[i], i);
    close_model();
}

int main(void)
{
    tiny_build_more(&tiny, NULL, add_output);
    for (uint32_t chunk = 1; chunk <= 64; chunk *= 4) check_answers(chunk);
    check_passes();
    check_one_at_fault();
    check_copies();
    check_bounded_rows();
    check_likeliest(0);
    check_likeliest(8);
    check_misuse();
#ifdef CHORD_FAULTS
    check_faults();
#endif
    check_real_model();
    gb_free(&tiny.b);
    return check_done();
}
