/* What is thought of the next layer: how often it was right decides what is read ahead, and is learnt from each layer. What
 * is read ahead changes no result. */
#include "model/model_inner.h"

#include "check.h"
#include "family_models.h"

#define USED 2u

static uint32_t ids[2 * USED], hoped[2 * USED];

static void judge(chord_network *net, uint32_t thought_of, uint32_t layer)
{
    net->hopes.layer = thought_of;
    net->hopes.rows = 2;
    chord_experts_judge(net, layer, 2);
    CHECK(net->hopes.rows == 0); /* a thought is judged once */
}

/* ---- learning ---------------------------------------------------------------------------------- */

static void check_learning(void)
{
    static chord_network net;
    net.print.h.routing.used = USED;
    net.scratch.experts.ids = ids;
    net.scratch.experts.hoped = hoped;
    chord_hopes_open(&net.hopes);
    float *right = net.hopes.right, begin = right[0];
    CHECK(begin == 0.5f && right[CHORD_HOPE_RANKS - 1] == begin);
    /* the likeliest: right in the first row alone; the second: in both */
    memcpy(ids, (uint32_t[]){1, 5, 2, 9}, sizeof ids);
    memcpy(hoped, (uint32_t[]){5, 1, 7, 2}, sizeof hoped);
    judge(&net, 4, 3); /* of another layer */
    CHECK(right[0] == begin && right[1] == begin);
    judge(&net, 3, 3);
    CHECK(right[0] < begin && right[0] > begin - 0.01f && right[1] > begin + 0.01f && right[2] == begin);
    float once = right[1];
    chord_experts_judge(&net, 3, 2); /* nothing was thought */
    CHECK(right[1] == once);
    for (uint32_t i = 0; i < 200; i++) judge(&net, 3, 3);
    CHECK(right[0] > 0.45f && right[0] < 0.55f && right[1] > 0.95f);
    memcpy(ids, (uint32_t[]){3, 4, 3, 4}, sizeof ids);
    for (uint32_t i = 0; i < 200; i++) judge(&net, 3, 3);
    CHECK(right[0] < 0.05f && right[1] < 0.05f);
}

/* ---- a mixture of which half is in memory ---------------------------------------------------------- */

#define TOKENS 48u
#define READ_NS 300000

static fm_model m;
static chord_error err;

static bool keep_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    float *rows = ud;
    memcpy(rows + position * vocabulary, logits, vocabulary * sizeof *logits);
    return true;
}

/* Whole, or in the least budget in which half of the experts' memory is there. */
static chord_status open_network(chord_network_config config, bool whole, chord_network **net)
{
    for (config.budget_bytes = whole ? 64 * CHORD_MIB : CHORD_MIB;; config.budget_bytes += CHORD_MIB / 8) {
        chord_plan plan;
        CHORD_TRY(chord_network_plan(&config, &plan, &err));
        if (!plan.fits || (!whole && plan.expert_cache_bytes * 2 < plan.expert_bytes)) continue;
        return chord_network_open(&config, net, &err);
    }
}

/* One token at a time; with hopes all that is thought is believed, or nothing. */
static void run(const chord_network_config *config, bool whole, float believed, float *rows, chord_asked_stats *stats)
{
    chord_network *net;
    chord_sequence *sequence;
    CHECK_OK(open_network(*config, whole, &net));
    CHECK_OK(chord_sequence_open(net, &sequence, &err));
    for (uint32_t i = 0; i < TOKENS; i++) {
        int32_t token = (int32_t)(i * 7 % FM_VOCABULARY);
        chord_forward_args args = {
            .tokens = &token, .count = 1, .on_row = keep_row, .ud = rows + (uint64_t)i * FM_VOCABULARY};
        for (uint32_t r = 0; r < CHORD_HOPE_RANKS; r++) net->hopes.right[r] = believed;
        CHECK_OK(chord_network_forward(net, sequence, &args, &err));
    }
    chord_asked_stats_get(net->experts, stats);
    CHECK(whole == (net->expert_worth == NULL));
    chord_sequence_close(net, sequence);
    chord_network_close(net);
}

static void check_reads(void)
{
    static float plain[TOKENS * FM_VOCABULARY], other[TOKENS * FM_VOCABULARY];
    chord_heap *heap;
    chord_store *store;
    chord_gguf *gguf;
    chord_asked_stats without, with;
    chord_network_config config = {0};
    for (size_t f = 0; f < FM_COUNT; f++) {
        if (strcmp(FM_FAMILIES[f].name, "mixtral") != 0) continue;
        fm_build(&m, &FM_FAMILIES[f]);
        CHECK_OK(chord_heap_open(128 * CHORD_MIB, &heap, &err));
        CHECK_OK(chord_pool_open(heap, 2, &config.pool, &err));
        CHECK_OK(chord_readers_open(heap, CHORD_READERS_DEFAULT, &config.readers, &err));
        CHECK_OK(chord_store_open_memory(heap, m.b.bytes, m.b.len, "mixture", &store, &err));
        CHECK_OK(chord_store_open_faulty(heap, store, 0, 0, READ_NS, &store, &err)); /* late, but not wrong */
        CHECK_OK(chord_gguf_open(heap, store, &gguf, &err));
        config.heap = heap;
        config.gguf = gguf;
        run(&config, true, 1, plain, &without);
        run(&config, false, 0, other, &without);
        CHECK(memcmp(plain, other, sizeof plain) == 0 && without.hoped == 0 && without.evictions > 0);
        run(&config, false, 1, other, &with);
        CHECK(memcmp(plain, other, sizeof plain) == 0);
        CHECK_SAY(with.hoped > TOKENS / 4 && with.hoped_used > 0 && with.hoped_used < with.hoped,
                  "%" PRIu64 " hopes, %" PRIu64 " of them right", with.hoped, with.hoped_used);
        chord_gguf_close(gguf);
        chord_store_close(store);
        chord_readers_close(config.readers);
        chord_pool_close(config.pool);
        CHECK(chord_heap_used_bytes(heap) == 0);
        chord_heap_close(heap);
        gb_free(&m.b);
    }
}

int main(void)
{
    check_learning();
    check_reads();
    return check_done();
}
