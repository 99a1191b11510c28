/* Blocks of the KV cache: sequences take them as they grow and give them back; whatever came and went before, the
 * logits are those of a sequence that is alone. */
#include "model/model_inner.h"

#include "check.h"
#include "tiny_model.h"

#include <stdlib.h>
#include <unistd.h>

#define SESSIONS 3u
#define BRANCHES 3u
#define CONTEXT 200u

static chord_error err;

typedef struct setup {
    chord_heap *heap;
    chord_store *store;
    chord_gguf *gguf;
    chord_pool *pool;
    chord_readers *readers;
    chord_network *net;
} setup;

static void open_network(setup *s, const tiny_model *m, uint32_t sessions)
{
    const chord_model_options options = {.context_tokens = CONTEXT, .sessions_max = sessions, .chunk_tokens = 48};
    CHECK_OK(chord_heap_open(64 << 20, &s->heap, &err));
    CHECK_OK(chord_store_open_memory(s->heap, m->b.bytes, m->b.len, "tiny", &s->store, &err));
    CHECK_OK(chord_gguf_open(s->heap, s->store, &s->gguf, &err));
    CHECK_OK(chord_pool_open(s->heap, 2, &s->pool, &err));
    CHECK_OK(chord_readers_open(s->heap, 1, &s->readers, &err));
    const chord_network_config config = {.heap = s->heap,
                                         .gguf = s->gguf,
                                         .pool = s->pool,
                                         .readers = s->readers,
                                         .options = &options,
                                         .branches = BRANCHES,
                                         .budget_bytes = 32 << 20};
    CHECK_OK(chord_network_open(&config, &s->net, &err));
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

/* Of all layers: in the lists, whose link is the first word of a free block, and kept for nobody. */
static uint32_t free_blocks(const chord_network *net)
{
    uint32_t all = 0;
    for (uint32_t l = 0; l < net->print.h.layers; l++) {
        const chord_kv_pool *pool = &net->kv_pools[l];
        uint32_t n = pool->count - pool->untouched, kept = 0; /* those that nobody has had yet are free, too */
        for (uint32_t b = pool->untouched; b < pool->count; b++) CHECK(pool->owners[b] == 0);
        for (void *at = pool->free; at != NULL; n++) memcpy(&at, at, sizeof at);
        for (uint32_t b = 0; b < pool->count; b++) kept += pool->owners[b] == 0 && pool->keeper[b] != CHORD_KEPT_NONE;
        CHECK_SAY(n == pool->free_count && kept == pool->kept_count, "%u and %u, counted %u and %u", n, kept,
                  pool->free_count, pool->kept_count);
        all += n + kept;
    }
    return all;
}

/* Entries that are kept are in the order of their use, parents behind their children, and hold what pools say that they keep. */
static void check_kept(const chord_network *net)
{
    uint32_t kept = 0, listed = 0, children = 0, unused = 0;
    for (uint32_t i = net->kept.oldest; i != CHORD_KEPT_NONE; i = chord_kept_at(net, i)->newer) {
        const chord_kept *e = chord_kept_at(net, i);
        for (uint32_t l = 0; l < net->print.h.layers; l++) {
            kept += e->blocks[l] != CHORD_KEPT_NONE;
            CHECK(e->blocks[l] == CHORD_KEPT_NONE || net->kv_pools[l].keeper[e->blocks[l]] == i);
        }
        CHECK(chord_kept_find(net, e->parent, e->above, e->tokens) == i);
        CHECK(e->parent == CHORD_KEPT_NONE || chord_kept_at(net, e->parent)->depth + 1 == e->depth);
        children += e->children;
        listed++;
        unused += e->parent != CHORD_KEPT_NONE;
    }
    CHECK_SAY(children == unused, "%u children, %u have a parent", children, unused);
    for (uint32_t l = 0; l < net->print.h.layers; l++)
        for (uint32_t b = 0; b < net->kv_pools[l].count; b++) kept -= net->kv_pools[l].keeper[b] != CHORD_KEPT_NONE;
    CHECK(kept == 0);
    for (uint32_t i = net->kept.free; i != CHORD_KEPT_NONE; i = chord_kept_at(net, i)->next) listed++;
    CHECK_SAY(listed == net->kept.count, "%u of %u entries", listed, net->kept.count);
}

static uint32_t blocks_of(const chord_network *net, uint32_t length)
{
    return net->print.h.layers * ((length + 63) / 64);
}

/* Blocks in the tables of all sequences, each counted once. */
static uint32_t blocks_in_use(const chord_network *net)
{
    static const uint8_t *seen[4096];
    uint32_t count = 0;
    for (uint32_t s = 0; s < net->sequence_count; s++)
        for (uint32_t l = 0; l < net->print.h.layers; l++)
            for (uint32_t b = 0; b < net->sequences[s].kv[l].blocks; b++) {
                const uint8_t *block = net->sequences[s].kv[l].table[b];
                uint32_t i = 0;
                while (i < count && seen[i] != block) i++;
                if (block != NULL && i == count) seen[count++] = block;
            }
    return count;
}

static bool take_hash(void *ud, size_t i, const float *row, size_t width)
{
    (void)i;
    *(uint64_t *)ud = chord_hash_of(row, width * sizeof *row);
    return true;
}

static int32_t token_at(uint32_t text, uint32_t position) { return (int32_t)(3 + (position * 7 + text * 31) % 200); }

/* Goes on with a text; gives the hash of the last position's logits. */
static uint64_t grow(chord_network *net, chord_sequence *s, uint32_t text, uint32_t count)
{
    int32_t tokens[CONTEXT];
    uint64_t hash = 0;
    for (uint32_t i = 0; i < count; i++) tokens[i] = token_at(text, chord_sequence_length(s) + i);
    chord_forward_args args = {
        .tokens = tokens, .count = count, .first_wanted = count - 1, .on_row = take_hash, .ud = &hash};
    CHECK_OK(chord_network_forward(net, s, &args, &err));
    return hash;
}

/* hashes[text][n]: of a text of n positions, alone. */
static void hash_alone(const tiny_model *m, uint64_t hashes[SESSIONS][CONTEXT + 1])
{
    for (uint32_t text = 0; text < SESSIONS; text++) {
        setup s;
        chord_sequence *sequence;
        open_network(&s, m, 1);
        CHECK_OK(chord_sequence_open(s.net, &sequence, &err));
        for (uint32_t n = 1; n <= CONTEXT; n++) hashes[text][n] = grow(s.net, sequence, text, 1);
        chord_sequence_close(s.net, sequence);
        close_network(&s);
    }
}

static void check_company(const tiny_model *m, uint64_t hashes[SESSIONS][CONTEXT + 1])
{
    setup s;
    chord_sequence *sequences[SESSIONS];
    uint32_t seed = 5;
    open_network(&s, m, SESSIONS);
    uint32_t all = free_blocks(s.net), used_most = 0, texts[SESSIONS] = {0, 1, 2};
    CHECK(all == SESSIONS * blocks_of(s.net, CONTEXT) + BRANCHES * 2 * s.net->print.h.layers);
    for (uint32_t i = 0; i < SESSIONS; i++) CHECK_OK(chord_sequence_open(s.net, &sequences[i], &err));
    CHECK(free_blocks(s.net) == all);
    uint64_t heap_used = chord_heap_used_bytes(s.heap);
    for (uint32_t turn = 0; turn < 600; turn++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t i = seed / 65536 % SESSIONS, dice = seed / 256 % 100, other = (i + 1 + dice % 2) % SESSIONS;
        chord_sequence *sequence = sequences[i];
        uint32_t length = chord_sequence_length(sequence), count = 1 + dice % 61;
        if (dice < 8) {
            chord_sequence_close(s.net, sequence);
            CHECK_OK(chord_sequence_open(s.net, &sequences[i], &err));
            texts[i] = i;
        } else if (dice < 25) {
            uint32_t part = chord_sequence_length(sequences[other]) * dice / 25;
            CHECK(chord_sequence_copy(s.net, sequence, sequences[other], part) == part);
            texts[i] = texts[other];
        } else if (dice < 40 || length + count > CONTEXT) {
            CHECK(chord_sequence_cut(s.net, sequence, length * dice / 100) == length * dice / 100);
        } else {
            CHECK(grow(s.net, sequence, texts[i], count) == hashes[texts[i]][length + count]);
        }
        uint32_t used = blocks_in_use(s.net);
        CHECK_SAY(free_blocks(s.net) == all - used, "turn %u: %u of %u are free, %u in use", turn, free_blocks(s.net),
                  all, used);
        if (turn % 10 == 0) check_kept(s.net);
        used_most = used > used_most ? used : used_most;
    }
    CHECK(used_most > all / 3 && chord_heap_used_bytes(s.heap) == heap_used);
    for (uint32_t i = 0; i < SESSIONS; i++) chord_sequence_close(s.net, sequences[i]);
    CHECK(free_blocks(s.net) == all);
    close_network(&s);
}

/* Branches go their own ways beside each other from every place of a text, and the text goes on as if they had not been;
 * or as one of them. */
static void check_branches(const tiny_model *m, uint64_t hashes[SESSIONS][CONTEXT + 1])
{
    setup s;
    chord_sequence *text, *branches[BRANCHES];
    open_network(&s, m, 1);
    uint32_t all = free_blocks(s.net);
    CHECK_OK(chord_sequence_open(s.net, &text, &err));
    for (uint32_t n = 1; n + 80 <= CONTEXT; n += 9) {
        uint32_t length = chord_sequence_length(text);
        CHECK(grow(s.net, text, 0, n > length ? n - length : 1) == hashes[0][chord_sequence_length(text)]);
        length = chord_sequence_length(text);
        for (uint32_t b = 0; b < BRANCHES; b++) {
            branches[b] = chord_sequence_branch(s.net, text, length);
            CHECK(branches[b] != NULL && chord_sequence_length(branches[b]) == length);
        }
        CHECK(chord_sequence_branch(s.net, text, length) == NULL);
        grow(s.net, branches[0], 1, 20);
        grow(s.net, branches[1], 2, CHORD_BRANCH_TOKENS);
        CHECK(grow(s.net, branches[2], 0, 7) == hashes[0][length + 7]);
        int32_t token = 1;
        chord_forward_args more = {.tokens = &token, .count = 1, .first_wanted = 1};
        CHECK(chord_network_forward(s.net, branches[1], &more, &err) == CHORD_FULL);
        CHECK(grow(s.net, text, 0, 3) == hashes[0][length + 3]);
        if (n % 2 == 0) CHECK(chord_sequence_copy(s.net, text, branches[2], length + 7) == length + 7);
        for (uint32_t b = 0; b < BRANCHES; b++) chord_sequence_close(s.net, branches[b]);
        CHECK(free_blocks(s.net) == all - blocks_of(s.net, chord_sequence_length(text)));
    }
    CHECK(chord_sequence_copy(s.net, text, text, chord_sequence_length(text) + 1) == 0);
    chord_sequence_close(s.net, text);
    CHECK(free_blocks(s.net) == all);
    close_network(&s);
}

/* A text that goes on before its branches leaves them the block that they had in common: there is one copy fewer to make than there are
 * branches, and room for all in the end of the context. */
static void check_text_first(const tiny_model *m, uint64_t hashes[SESSIONS][CONTEXT + 1])
{
    setup s;
    chord_sequence *text, *branches[BRANCHES];
    open_network(&s, m, 1);
    CHECK_OK(chord_sequence_open(s.net, &text, &err));
    grow(s.net, text, 0, CONTEXT - 10);
    for (uint32_t b = 0; b < BRANCHES; b++) branches[b] = chord_sequence_branch(s.net, text, CONTEXT - 10);
    CHECK(grow(s.net, text, 0, 10) == hashes[0][CONTEXT]);
    for (uint32_t b = 0; b < BRANCHES; b++) CHECK(grow(s.net, branches[b], 0, 10) == hashes[0][CONTEXT]);
    for (uint32_t b = 0; b < BRANCHES; b++) chord_sequence_close(s.net, branches[b]);
    chord_sequence_close(s.net, text);
    close_network(&s);
}

/* Equal keys are not enough: the tokens are compared, and those before them. */
static void check_tokens(const tiny_model *m)
{
    setup s;
    chord_sequence *text;
    int32_t tokens[CONTEXT];
    open_network(&s, m, 1);
    for (uint32_t i = 0; i < CONTEXT; i++) tokens[i] = token_at(0, i);
    CHECK_OK(chord_sequence_open(s.net, &text, &err));
    grow(s.net, text, 0, 130);
    chord_sequence_cut(s.net, text, 0);
    uint32_t first = chord_kept_find(s.net, CHORD_KEPT_NONE, 0, tokens);
    uint32_t second = chord_kept_find(s.net, first, 0, tokens + CHORD_KV_BLOCK);
    CHECK(first != CHORD_KEPT_NONE && second != CHORD_KEPT_NONE && first != second);
    CHECK(chord_kept_find(s.net, CHORD_KEPT_NONE, 1, tokens) == CHORD_KEPT_NONE);
    CHECK(chord_kept_find(s.net, CHORD_KEPT_NONE, chord_kept_at(s.net, first)->key, tokens + CHORD_KV_BLOCK) ==
          CHORD_KEPT_NONE);
    chord_kept_at(s.net, first)->tokens[5]++;
    CHECK(chord_kept_find(s.net, CHORD_KEPT_NONE, 0, tokens) == CHORD_KEPT_NONE);
    CHECK(chord_sequence_seek(s.net, text, tokens, 130) == 0);
    chord_kept_at(s.net, first)->tokens[5]--;
    CHECK(chord_sequence_seek(s.net, text, tokens, 127) == 64);
    CHECK(chord_sequence_seek(s.net, text, tokens, 130) == 128);
    CHECK(free_blocks(s.net) == s.net->kv_pools[0].count * s.net->print.h.layers - blocks_of(s.net, 128));
    chord_sequence_close(s.net, text);
    close_network(&s);
}

int main(void)
{
    static uint64_t hashes[SESSIONS][CONTEXT + 1];
    static tiny_model m;
    alarm(CHECK_FOREVER_S);
    tiny_build(&m);
    hash_alone(&m, hashes);
    check_company(&m, hashes);
    check_branches(&m, hashes);
    check_text_first(&m, hashes);
    check_tokens(&m);
    free(m.b.bytes);
    return check_done();
}
