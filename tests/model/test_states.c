/* What recurrent layers carry: whatever was cut, copied, cancelled or failed before, a text's logits are those of a sequence
 * that is alone; and where a text can be cut. */
#include "model/model_inner.h"

#include "check.h"
#include "family_models.h"

#include <stdlib.h>
#include <unistd.h>

#define SESSIONS 3u
#define CONTEXT 140u

static chord_error err;
static fm_model m;
static atomic_bool failing;

typedef struct setup {
    chord_heap *heap;
    chord_store *store;
    chord_gguf *gguf;
    chord_pool *pool;
    chord_readers *readers;
    chord_network *net;
    chord_network_config config;
    chord_model_options options;
} setup;

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    (void)ud;
    if (atomic_load(&failing)) return CHORD_IO;
    memcpy(dst, m.b.bytes + offset, len);
    return CHORD_OK;
}

/* Each pass reads every tile. */
static void open_network(setup *s, uint32_t sessions)
{
    chord_source source = {.read = read_bytes, .size_bytes = m.b.len};
    s->options = (chord_model_options){.context_tokens = CONTEXT,
                                       .sessions_max = sessions,
                                       .chunk_tokens = 48,
                                       .policy = CHORD_POLICY_NONE,
                                       .mode = CHORD_MODE_PAGED};
    CHECK_OK(chord_heap_open(64 << 20, &s->heap, &err));
    CHECK_OK(chord_store_open_callback(s->heap, &source, &s->store, &err));
    CHECK_OK(chord_gguf_open(s->heap, s->store, &s->gguf, &err));
    CHECK_OK(chord_pool_open(s->heap, 2, &s->pool, &err));
    CHECK_OK(chord_readers_open(s->heap, 1, &s->readers, &err));
    s->config = (chord_network_config){.heap = s->heap,
                                       .gguf = s->gguf,
                                       .pool = s->pool,
                                       .readers = s->readers,
                                       .options = &s->options,
                                       .branches = 2,
                                       .budget_bytes = 48 << 20};
    CHECK_OK(chord_network_open(&s->config, &s->net, &err));
}

static void close_network(setup *s)
{
    chord_network_close(s->net);
    chord_readers_close(s->readers);
    chord_pool_close(s->pool);
    chord_gguf_close(s->gguf);
    chord_store_close(s->store);
    CHECK(chord_heap_used_bytes(s->heap) == 0);
    chord_heap_close(s->heap);
}

static bool take_hash(void *ud, size_t i, const float *row, size_t width)
{
    (void)i;
    *(uint64_t *)ud = chord_hash_of(row, width * sizeof *row);
    return true;
}

static int32_t token_at(uint32_t text, uint32_t position) { return (int32_t)(3 + (position * 7 + text * 31) % 200); }

/* The next `count` tokens of a text. */
typedef struct part {
    int32_t tokens[CONTEXT];
    uint64_t hash; /* of the last position's logits */
    chord_forward_args args;
} part;

static void set_part(part *p, const chord_sequence *s, uint32_t text, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) p->tokens[i] = token_at(text, chord_sequence_length(s) + i);
    p->hash = 0;
    p->args = (chord_forward_args){
        .tokens = p->tokens, .count = count, .first_wanted = count - 1, .on_row = take_hash, .ud = &p->hash};
}

static uint64_t grow(chord_network *net, chord_sequence *s, uint32_t text, uint32_t count)
{
    part p;
    set_part(&p, s, text, count);
    CHECK_OK(chord_network_forward(net, s, &p.args, &err));
    return p.hash;
}

static uint64_t hashes[SESSIONS][CONTEXT + 1]; /* [text][n]: of a text of n positions, alone, token by token */

static void hash_alone(void)
{
    for (uint32_t text = 0; text < SESSIONS; text++) {
        setup s;
        chord_sequence *sequence;
        open_network(&s, 1);
        CHECK_OK(chord_sequence_open(s.net, &sequence, &err));
        for (uint32_t n = 1; n <= CONTEXT; n++) hashes[text][n] = grow(s.net, sequence, text, 1);
        chord_sequence_close(s.net, sequence);
        close_network(&s);
    }
}

/* A text can be cut one token back, eight before the end of the last part of more than eight, and nowhere else. */
static void check_cuts(void)
{
    setup s;
    chord_sequence *text, *copy;
    open_network(&s, 2);
    CHECK_OK(chord_sequence_open(s.net, &text, &err));
    CHECK_OK(chord_sequence_open(s.net, &copy, &err));
    CHECK(!chord_network_can_guess(s.net) && chord_sequence_branch(s.net, text, 0) == NULL);
    CHECK(grow(s.net, text, 0, 40) == hashes[0][40]);
    for (uint32_t n = 41; n <= 45; n++) CHECK(grow(s.net, text, 0, 1) == hashes[0][n]);
    CHECK(chord_sequence_branch(s.net, text, 45) == NULL);
    CHECK(chord_sequence_cut(s.net, text, 45) == 45 && chord_sequence_cut(s.net, text, 44) == 44);
    CHECK(grow(s.net, text, 1, 1) != hashes[0][45]);
    CHECK(chord_sequence_copy(s.net, copy, text, 43) == 32);
    CHECK(grow(s.net, copy, 0, 9) == hashes[0][41]);
    CHECK(chord_sequence_copy(s.net, copy, text, 31) == 0 && chord_sequence_length(copy) == 0);
    CHECK(chord_sequence_cut(s.net, text, 43) == 32);
    CHECK(chord_sequence_cut(s.net, text, 32) == 32);
    CHECK(grow(s.net, text, 0, 20) == hashes[0][52]);
    CHECK(chord_sequence_cut(s.net, text, 51) == 44 && grow(s.net, text, 0, 3) == hashes[0][47]);
    CHECK(chord_sequence_cut(s.net, text, 30) == 0 && grow(s.net, text, 2, 3) == hashes[2][3]);
    chord_sequence_close(s.net, text);
    chord_sequence_close(s.net, copy);
    close_network(&s);
}

/* Of a pass of few tokens some can be taken back, more than once, and the text goes on as if they had not been. */
static void check_taken_back(uint32_t before, uint32_t count)
{
    setup s;
    chord_sequence *text;
    open_network(&s, 1);
    CHECK_OK(chord_sequence_open(s.net, &text, &err));
    for (uint32_t right = 1; right < count; right += CHECK_EVERY(1, 3, 5)) {
        (void)chord_sequence_cut(s.net, text, 0);
        for (uint32_t i = 0; i < before / 2 + count; i++) (void)grow(s.net, text, 2, 2); /* all states are others */
        CHECK(chord_sequence_cut(s.net, text, 0) == 0);
        if (before != 0) CHECK(grow(s.net, text, 0, before) == hashes[0][before]);
        part p;
        set_part(&p, text, 0, count);
        for (uint32_t i = right; i < count; i++) p.tokens[i] = token_at(1, before + i); /* wrong ones */
        CHECK_OK(chord_network_forward(s.net, text, &p.args, &err));
        uint32_t length = chord_sequence_cut(s.net, text, before + right);
        CHECK_SAY(length == before + right, "%u of %u behind %u: cut to %u", right, count, before, length);
        if (right > 2) CHECK(chord_sequence_cut(s.net, text, before + right - 1) == before + right - 1);
        length = chord_sequence_length(text);
        CHECK(grow(s.net, text, 0, 5) == hashes[0][length + 5]);
    }
    chord_sequence_close(s.net, text);
    close_network(&s);
}

/* A pass that fails leaves what was: the same tokens once more, or others. */
static void check_failures(void)
{
    setup s;
    chord_sequence *text;
    open_network(&s, 1);
    CHECK_OK(chord_sequence_open(s.net, &text, &err));
    for (uint32_t n = 0; n + 20 <= CONTEXT; n += 20) {
        part p;
        CHECK(grow(s.net, text, 0, 1) == hashes[0][n + 1]);
        set_part(&p, text, 1, n % 40 == 0 ? 15 : 1);
        atomic_store(&failing, true);
        CHECK(chord_network_forward(s.net, text, &p.args, &err) == CHORD_IO);
        atomic_store(&failing, false);
        CHECK(chord_sequence_length(text) == n + 1 && grow(s.net, text, 0, 19) == hashes[0][n + 20]);
    }
    chord_sequence_close(s.net, text);
    close_network(&s);
}

/* Several in each pass, from one thread, among them one that is cancelled in the first layer. */
static chord_sequence *cancelled;
static chord_network *cancelled_net;

static void cancel_at_once(void *ud, uint64_t done, uint64_t total)
{
    (void)ud, (void)total;
    if (done > 1 && cancelled != NULL) chord_sequence_cancel(cancelled_net, cancelled);
}

static void check_company(void)
{
    setup s;
    chord_sequence *texts[SESSIONS];
    open_network(&s, SESSIONS);
    for (uint32_t i = 0; i < SESSIONS; i++) CHECK_OK(chord_sequence_open(s.net, &texts[i], &err));
    cancelled_net = s.net;
    for (uint32_t turn = 0; turn < 6; turn++) {
        static part parts[SESSIONS];
        chord_forward_call calls[SESSIONS];
        for (uint32_t i = 0; i < SESSIONS; i++) {
            set_part(&parts[i], texts[i], i, 1 + (turn * 5 + i * 9) % 14);
            calls[i] = (chord_forward_call){.sequence = texts[i], .args = &parts[i].args};
        }
        uint32_t before = chord_sequence_length(texts[1]);
        parts[0].args.on_progress = cancel_at_once;
        cancelled = turn % 2 != 0 ? texts[1] : NULL;
        CHECK_OK(chord_network_forward_all(s.net, calls, SESSIONS, &err));
        for (uint32_t i = 0; i < SESSIONS; i++) {
            bool off = cancelled == texts[i];
            CHECK(calls[i].status == (off ? CHORD_CANCELLED : CHORD_OK));
            CHECK(off || parts[i].hash == hashes[i][chord_sequence_length(texts[i])]);
        }
        CHECK(cancelled == NULL || chord_sequence_length(texts[1]) == before);
    }
    for (uint32_t i = 0; i < SESSIONS; i++) chord_sequence_close(s.net, texts[i]);
    close_network(&s);
}

/* Anything, in any order. */
static void check_all_ways(void)
{
    setup s;
    chord_sequence *texts[SESSIONS];
    uint32_t seed = 11, of[SESSIONS] = {0, 1, 2};
    open_network(&s, SESSIONS);
    for (uint32_t i = 0; i < SESSIONS; i++) CHECK_OK(chord_sequence_open(s.net, &texts[i], &err));
    for (uint32_t turn = 0; turn < 150; turn++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t i = seed / 65536 % SESSIONS, dice = seed / 256 % 100, other = (i + 1 + dice % 2) % SESSIONS;
        uint32_t length = chord_sequence_length(texts[i]), count = dice % 3 == 0 ? 1 : 1 + dice % 31;
        if (dice < 20) {
            uint32_t part = chord_sequence_length(texts[other]) - chord_sequence_length(texts[other]) * dice / 99;
            CHECK(chord_sequence_copy(s.net, texts[i], texts[other], part) <= part);
            of[i] = of[other];
        } else if (dice < 45 || length + count > CONTEXT) {
            uint32_t part = length - length * (dice % 20) / 60;
            CHECK(chord_sequence_cut(s.net, texts[i], part) <= part);
        } else CHECK(grow(s.net, texts[i], of[i], count) == hashes[of[i]][length + count]);
    }
    for (uint32_t i = 0; i < SESSIONS; i++) chord_sequence_close(s.net, texts[i]);
    close_network(&s);
}

/* Each session has its states three times, branches have none; layers without keys have no blocks. */
static void check_plan(uint64_t state_floats, uint32_t attending)
{
    setup s;
    open_network(&s, 1);
    const chord_blueprint *p = &s.net->print;
    chord_kv_needs one = {.sessions = 1, .context_tokens = CONTEXT, .chunk_tokens = 48}, two = one, branched = one;
    two.sessions = 2, branched.branches = 1;
    uint64_t blocks = 3ull * attending * chord_kv_block_bytes(one.type, 2, m.shapes[0].head_dim, m.shapes[0].head_dim);
    uint64_t more = chord_kv_plan_bytes(p, &two) - chord_kv_plan_bytes(p, &one);
    CHECK(p->h.recurrence.floats == state_floats);
    const chord_recurrence *r = &p->h.recurrence;
    uint64_t row = (r->heads != 0 ? 2 : 1) * r->channels + 2ull * r->heads, spare = r->heads * (r->values + 2ull);
    uint64_t log = CHORD_LOG_ROWS * (r->floats / r->layer_floats * row + (spare > r->channels ? spare : r->channels)) *
                   4;
    CHECK_SAY(more == 3 * state_floats * 4 + log + blocks + 64, "%llu bytes for another session",
              (unsigned long long)more);
    CHECK(chord_kv_plan_bytes(p, &branched) - chord_kv_plan_bytes(p, &one) == blocks / 3 * 2 + 64);
    close_network(&s);
}

static void check_family(const char *name, uint64_t state_floats, uint32_t attending)
{
    size_t f = 0;
    while (strcmp(FM_FAMILIES[f].name, name) != 0) f++;
    fm_build(&m, &FM_FAMILIES[f]);
    hash_alone();
    check_cuts();
    check_taken_back(0, 5);
    check_taken_back(20, 8);
    check_taken_back(122, CHORD_LOG_ROWS);
    check_failures();
    check_company();
    check_all_ways();
    if (state_floats != 0) check_plan(state_floats, attending);
    gb_free(&m.b);
}

int main(void)
{
    alarm(CHECK_FOREVER_S);
    static const struct {
        const char *name;
        uint64_t state_floats; /* 0: its plan is no simple sum */
        uint32_t attending;
    } FAMILIES[] = {{"qwen35", 3 * (3ull * 256 + 4ull * 32 * 32), 1},
                    {"lfm2moe", 3 * (2ull * 64), 1},
                    {"nemotron_h", 2 * (3ull * 256 + 4ull * 32 * 32), 1},
                    {"falcon-h1", 0, 0},
                    {"deepseek4", 0, 0}};
    for (size_t i = 0; i < sizeof FAMILIES / sizeof FAMILIES[0]; i += CHECK_EVERY(1, 1, 2))
        check_family(FAMILIES[i].name, FAMILIES[i].state_floats, FAMILIES[i].attending);
    return check_done();
}
