/* Sessions that are stepped together guess ahead: each text, log probability and hash is the one that is made alone and without
 * guesses, with every number of them, whoever stands beside; and so is all that comes after. */
#include "api/api_inner.h"

#include "check.h"
#include "tiny_model.h"

#define SESSIONS 5
#define CONTEXT 192
#define MADE CONTEXT
#define PROMPT_MAX 100
#define STEPS_MAX 4000

static tiny_model tiny;
static chord_error err;
static chord_runtime *runtime;
static chord_model *model, *draft;

static void open_model(uint32_t chunk_tokens, bool with_draft)
{
    chord_source source = {.read = gb_read, .size_bytes = tiny.b.len, .ud = &tiny.b};
    chord_runtime_options options = {.budget_bytes = 96ull << 20, .threads = 2};
    chord_model_options model_options = {.context_tokens = CONTEXT,
                                         .sessions_max = SESSIONS + 1,
                                         .chunk_tokens = chunk_tokens,
                                         .policy = CHORD_POLICY_NONE,
                                         .mode = CHORD_MODE_PAGED},
                        draft_options = model_options;
    draft_options.drafts = draft_options.no_vocabulary = true;
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    if (with_draft) CHECK_OK(chord_model_open(runtime, &source, &draft_options, &draft, &err));
    model_options.draft = draft;
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
}

static void close_model(void)
{
    chord_model_close(model);
    chord_model_close(draft);
    chord_runtime_close(runtime);
    draft = NULL;
}

/* ---- what a session is asked, and what it says -------------------------------------------------------------------- */

static const char *const STOPS[] = {"w", "ab"};
typedef struct question {
    uint32_t prompt_tokens, joins; /* at which step */
    chord_generate_options options;
    int32_t prompt[PROMPT_MAX];
} question;
typedef struct answer {
    int32_t tokens[MADE];
    float logprobs[MADE];
    char text[4 * MADE];
    uint32_t count;
    size_t len;
    chord_generate_result result;
    chord_stats stats;
    chord_status status;
} answer;

/* guesses: of each session; texts repeat themselves. */
static void make_questions(question *q, const uint32_t *guesses)
{
    static const uint32_t LENGTHS[SESSIONS] = {9, 40, 7, 90, 13}, JOINS[SESSIONS] = {0, 0, 3, 0, 9};
    static const chord_generate_options OPTIONS[SESSIONS] = {
        {.max_tokens = 70, .ignore_end = true},
        {.max_tokens = 50, .ignore_end = true, .sampling = {.temperature = 0.2f, .seed = 3, .top_k = 50}},
        {.max_tokens = 60, .sampling = {.temperature = 4, .seed = 9}, .stops = STOPS, .stop_count = 2},
        {.ignore_end = true, .sampling = {.repeat_penalty = 1.01f}},
        {.max_tokens = 61, .ignore_end = true, .sampling = {.temperature = 0.4f, .seed = 11}},
    };
    for (uint32_t i = 0; i < SESSIONS; i++) {
        q[i] = (question){.prompt_tokens = LENGTHS[i], .joins = JOINS[i], .options = OPTIONS[i]};
        q[i].options.draft_tokens = guesses[i];
        q[i].options.want_logprobs = true;
        for (uint32_t t = 0; t < LENGTHS[i]; t++) q[i].prompt[t] = (int32_t)(t % 6 * 31 + i * 7);
    }
}

static bool take(void *ud, const chord_piece *piece)
{
    answer *a = ud;
    CHECK(a->len + piece->len < sizeof a->text);
    memcpy(a->text + a->len, piece->text, piece->len);
    a->len += piece->len;
    if (piece->token < 0) return true;
    a->tokens[a->count] = piece->token;
    a->logprobs[a->count++] = piece->logprob;
    return true;
}

/* Rows and passes of the draft model cost nothing: all that can be guessed is. */
static void guess_always(chord_session *s)
{
    chord_draft_gate *gate = &s->drafts.gate;
    gate->fixed = true;
    gate->guess_ns = 0;
    gate->draft_ns = 1e3;
    for (uint32_t i = 0; i < CHORD_DRAFT_ROW_CLASSES; i++) gate->pass_ns[i] = 1e6;
    for (uint32_t i = 0; i < CHORD_DRAFT_COMPANY; i++) gate->company_ns[i] = 1e6;
}

static chord_session *open_session(void)
{
    chord_session *s = NULL;
    CHECK_OK(chord_session_open(model, &s, &err));
    guess_always(s);
    return s;
}

static void answer_alone(const question *q, answer *a)
{
    chord_session *s = open_session();
    chord_generate_options options = q->options;
    *a = (answer){0};
    options.draft_tokens = 0;
    CHECK_OK(chord_session_sync(s, q->prompt, q->prompt_tokens, NULL, &err));
    CHECK_OK(chord_session_generate(s, &options, take, a, &a->result, &err));
    chord_session_stats(s, &a->stats);
    chord_session_close(s);
}

static void check_same(const answer *a, const answer *b, uint32_t i)
{
    CHECK_SAY(a->status == CHORD_OK && a->result.logits_hash == b->result.logits_hash, "session %u", i);
    CHECK_SAY(a->count == b->count && a->result.tokens == b->result.tokens, "session %u: %u, %u", i, a->count,
              b->count);
    CHECK_SAY(a->result.stop_reason == b->result.stop_reason, "session %u", i);
    CHECK(memcmp(a->tokens, b->tokens, a->count * sizeof *a->tokens) == 0);
    CHECK(memcmp(a->logprobs, b->logprobs, a->count * sizeof *a->logprobs) == 0);
    CHECK_SAY(a->len == b->len && memcmp(a->text, b->text, a->len) == 0, "session %u", i);
}

static void begin(chord_session *s, const question *q)
{
    CHECK_OK(chord_session_feed(s, q->prompt, q->prompt_tokens, NULL, &err));
    CHECK_OK(chord_generate_start(s, &q->options, &err));
}

/* Those whose turn it is make a step. Gives how many are over then. */
static uint32_t step(chord_session *const *sessions, const question *q, answer *answers, bool *over, uint32_t at)
{
    chord_step steps[SESSIONS];
    uint32_t who[SESSIONS], n = 0, ended = 0;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        if (at == q[i].joins && !over[i]) begin(sessions[i], &q[i]);
        if (at < q[i].joins || over[i]) continue;
        steps[n].session = sessions[i];
        who[n++] = i;
    }
    if (chord_sessions_step(steps, n, &err) != CHORD_OK) return 0; /* for lack of memory: no step was made */
    for (uint32_t k = 0; k < n; k++) {
        answer *a = &answers[who[k]];
        a->status = steps[k].status;
        if (steps[k].has_piece) (void)take(a, &steps[k].piece);
        if (!steps[k].over) continue;
        over[who[k]] = true;
        ended++;
        chord_generate_result_get(sessions[who[k]], &a->result);
        chord_session_stats(sessions[who[k]], &a->stats);
    }
    return ended;
}

static void answer_together(chord_session *const *sessions, const question *q, answer *answers)
{
    bool over[SESSIONS] = {0};
    uint32_t left = SESSIONS;
    memset(answers, 0, SESSIONS * sizeof *answers);
    for (uint32_t at = 0; left > 0 && at < STEPS_MAX; at++) left -= step(sessions, q, answers, over, at);
    CHECK(left == 0);
}

/* ---- the checks ------------------------------------------------------------------------------------------------- */

static uint64_t accepted;

static void check_counters(const answer *together, const answer *alone, const question *q)
{
    for (uint32_t i = 0; i < SESSIONS; i++) {
        const chord_stats *got = &together[i].stats, *plain = &alone[i].stats;
        CHECK(got->output_tokens == plain->output_tokens && got->accepted_tokens <= got->drafted_tokens);
        CHECK((q[i].options.draft_tokens > 0) || got->drafted_tokens == 0);
        accepted += got->accepted_tokens;
    }
}

/* What a session keeps of a text that was guessed is what one has that made it token by token. */
static void check_afterwards(chord_session *const *sessions, const question *q, const answer *answers)
{
    for (uint32_t i = 0; i < SESSIONS; i++) {
        question next = {.prompt_tokens = q[i].prompt_tokens, .options = {.max_tokens = 12, .ignore_end = true}};
        answer alone = {0}, a = {0}, b = {0};
        uint32_t kept = answers[i].count / 2;
        size_t reused = 0;
        memcpy(next.prompt, q[i].prompt, sizeof next.prompt);
        if (next.prompt_tokens + kept > PROMPT_MAX) kept = PROMPT_MAX - next.prompt_tokens;
        memcpy(next.prompt + next.prompt_tokens, answers[i].tokens, kept * sizeof *answers[i].tokens);
        next.prompt_tokens += kept;
        answer_alone(&next, &alone);
        CHECK_OK(chord_session_sync(sessions[i], next.prompt, next.prompt_tokens, &reused, &err)); /* it is cut */
        CHECK(reused >= next.prompt_tokens - 1);
        chord_session *copy = open_session();
        CHECK_OK(chord_session_copy(copy, sessions[i], &err));
        next.options.draft_tokens = 7;
        CHECK_OK(chord_session_generate(copy, &next.options, take, &b, &b.result, &err));
        CHECK_OK(chord_session_generate(sessions[i], &next.options, take, &a, &a.result, &err));
        check_same(&a, &alone, i);
        check_same(&b, &alone, i);
        chord_session_close(copy);
    }
}

static uint64_t most_passes(const answer *answers)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < SESSIONS; i++) most = chord_max_u64(most, answers[i].stats.passes);
    return most;
}

static void check_answers(uint32_t chunk_tokens, bool with_draft)
{
    static const uint32_t GUESSES[][SESSIONS] = {{0, 0, 0, 0, 0}, {16, 16, 16, 16, 16}, {1, 0, 32, 4, 8}};
    static answer alone[SESSIONS], together[SESSIONS];
    question q[SESSIONS];
    chord_session *sessions[SESSIONS];
    uint64_t passes[CHORD_COUNT(GUESSES)];
    open_model(chunk_tokens, with_draft);
    make_questions(q, GUESSES[0]);
    for (uint32_t i = 0; i < SESSIONS; i++) answer_alone(&q[i], &alone[i]);
    accepted = 0;
    for (size_t g = 0; g < CHORD_COUNT(GUESSES); g++) {
        make_questions(q, GUESSES[g]);
        for (uint32_t i = 0; i < SESSIONS; i++) sessions[i] = open_session();
        answer_together(sessions, q, together);
        for (uint32_t i = 0; i < SESSIONS; i++) check_same(&together[i], &alone[i], i);
        check_counters(together, alone, q);
        passes[g] = most_passes(together);
        check_afterwards(sessions, q, together);
        for (uint32_t i = 0; i < SESSIONS; i++) chord_session_close(sessions[i]);
    }
    printf("chunks of %u: %llu accepted, %llu passes of %llu\n", chunk_tokens, (unsigned long long)accepted,
           (unsigned long long)passes[1], (unsigned long long)passes[0]);
    if (chunk_tokens == 1) CHECK(accepted == 0); /* there are no rows for guesses */
    if (chunk_tokens >= 64) CHECK(accepted > 100 && passes[1] < passes[0] && passes[2] < passes[0]);
    close_model();
}

/* Who is alone in a step is helped by the draft model, too; who is not is not. */
static void check_draft_model(void)
{
    static const uint32_t GUESSES[SESSIONS] = {16, 16, 16, 16, 16};
    static answer alone, a;
    question q[SESSIONS];
    open_model(64, true);
    make_questions(q, GUESSES);
    answer_alone(&q[0], &alone);
    chord_session *s = open_session();
    chord_step one = {.session = s};
    begin(s, &q[0]);
    for (a = (answer){0}; !one.over;) {
        CHECK_OK(chord_sessions_step(&one, 1, &err));
        if (one.has_piece) (void)take(&a, &one.piece);
    }
    chord_generate_result_get(s, &a.result);
    chord_session_stats(s, &a.stats);
    check_same(&a, &alone, 0);
    CHECK(a.stats.draft_passes > 0 && a.stats.draft_accepted_tokens > 30);
    chord_session_close(s);
    close_model();
}

/* What was guessed has an embedding that is no number: that is the guess's fault, and nobody hears of it. */
static void check_guess_at_fault(void)
{
    enum { AT_FAULT = 300 };
    static const uint32_t GUESSES[SESSIONS] = {16, 16, 0, 0, 0};
    static answer alone[2], together[2];
    uint8_t *row = tiny.b.bytes + tiny.data + tiny.tensors[0].offset + AT_FAULT * (TINY_EMBEDDING / 32 * 34);
    question q[SESSIONS];
    chord_session *sessions[2];
    chord_step steps[2];
    memcpy(row, (uint8_t[]){0x00, 0x7E}, 2); /* the scale is NaN */
    open_model(64, false);
    make_questions(q, GUESSES);
    for (int i = 0; i < 2; i++) {
        q[i].options.sampling = (chord_sampling){0};
        answer_alone(&q[i], &alone[i]);
        sessions[i] = steps[i].session = open_session();
        begin(sessions[i], &q[i]);
        together[i] = (answer){0};
    }
    for (bool over[2] = {false}; !over[0] || !over[1];) {
        CHECK_OK(chord_sessions_step(steps, 2, &err));
        for (int i = 0; i < 2; i++) {
            together[i].status = steps[i].status;
            if (steps[i].has_piece) (void)take(&together[i], &steps[i].piece);
            if (steps[i].has_piece && together[i].count == 1) { /* as if the text had gone on so before */
                sessions[i]->tokens[0] = together[i].tokens[0];
                sessions[i]->tokens[1] = AT_FAULT;
            }
            over[i] = steps[i].over || over[i];
        }
    }
    for (int i = 0; i < 2; i++) {
        chord_generate_result_get(sessions[i], &together[i].result);
        chord_session_stats(sessions[i], &together[i].stats);
        check_same(&together[i], &alone[i], (uint32_t)i);
        CHECK(together[i].stats.drafted_tokens > 0);
        chord_session_close(sessions[i]);
    }
    close_model();
}

#ifdef CHORD_FAULTS
/* Every allocation and read in turn fails once: each answer is right or says why not, and the next ones are whole. */
static void check_faults(void)
{
    static const uint32_t GUESSES[SESSIONS] = {16, 16, 16, 16, 16};
    static answer alone[SESSIONS], together[SESSIONS];
    question q[SESSIONS];
    chord_session *sessions[SESSIONS];
    uint64_t walked = 0, failed = 0;
    open_model(64, false);
    make_questions(q, GUESSES);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        q[i].options.max_tokens = 6;
        q[i].joins = 0;
        answer_alone(&q[i], &alone[i]);
        sessions[i] = open_session();
    }
    for (bool fired = true; fired; walked++) {
        for (uint32_t i = 0; i < SESSIONS; i++) chord_session_reset(sessions[i]);
        chord_fault_arm(walked + 1);
        answer_together(sessions, q, together);
        fired = chord_fault_fired();
        chord_fault_arm(0);
        for (uint32_t i = 0; i < SESSIONS; i++) {
            if (together[i].status == CHORD_OK) check_same(&together[i], &alone[i], i);
            else failed++;
        }
    }
    printf("%llu faults in steps, %llu failures\n", (unsigned long long)walked, (unsigned long long)failed);
    CHECK(walked > 20 && failed > 0);
    for (uint32_t i = 0; i < SESSIONS; i++) chord_session_close(sessions[i]);
    close_model();
}
#endif

/* Of its own: a token's embedding is no row of it. */
static void add_output(tiny_model *m) { tiny_add(m, "output.weight", TINY_Q8_0, TINY_EMBEDDING, TINY_VOCABULARY); }

int main(void)
{
    tiny_build(&tiny);
    for (uint32_t chunk = 1; chunk <= 64; chunk *= 4) check_answers(chunk, false);
    check_answers(64, true);
    check_draft_model();
#ifdef CHORD_FAULTS
    check_faults();
#endif
    gb_free(&tiny.b);
    tiny = (tiny_model){0};
    tiny_build_more(&tiny, NULL, add_output);
    check_guess_at_fault();
    gb_free(&tiny.b);
    return check_done();
}
