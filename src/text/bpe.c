/* bpe.c - byte-level byte-pair encoding: a piece's bytes are symbols, merges join them in the order of their ranks. */
#include "text/vocab_inner.h"

static uint32_t rank_of(const chord_merger *m, uint32_t left, uint32_t right)
{
    return chord_vocab_merge_rank(m->vocab, m->value[left], m->value[right]);
}

typedef struct bpe_run {
    chord_merger merger;
    char *spelled; /* room for the longest token, and one byte spelled behind it */
    chord_id_sink *sink;
} bpe_run;

/* The token that is the whole piece, -1: there is none. */
static int32_t find_piece(const bpe_run *run, const char *piece, size_t len)
{
    const chord_vocab *v = run->merger.vocab;
    size_t bytes = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes > v->token_bytes_max) return -1;
        bytes += chord_bpe_spell((uint8_t)piece[i], run->spelled + bytes);
    }
    return chord_vocab_find(v, run->spelled, bytes);
}

/* What merges made but no token is: the reference looks each byte of its spelling up, and drops those that are no token by
 * themselves, as the two of a spelled space. */
static void put_bytes(const chord_vocab *v, const char *piece, size_t len, chord_id_sink *sink)
{
    for (size_t i = 0; i < len; i++) {
        char spelled[4];
        size_t bytes = chord_bpe_spell((uint8_t)piece[i], spelled);
        for (size_t k = 0; k < bytes; k++) {
            int32_t token = chord_vocab_find(v, spelled + k, 1);
            if (token >= 0) chord_id_put(sink, token);
        }
    }
}

static chord_status encode_piece(bpe_run *run, const char *piece, size_t len, chord_error *err)
{
    chord_merger *m = &run->merger;
    const chord_vocab *v = m->vocab;
    int32_t whole = v->ignore_merges ? find_piece(run, piece, len) : -1;
    if (whole >= 0) {
        chord_id_put(run->sink, whole);
        return CHORD_OK;
    }
    CHORD_TRY(chord_merger_reserve(m, (uint32_t)len, err));
    for (uint32_t i = 0; i < len; i++) m->value[i] = v->byte_symbol[(uint8_t)piece[i]];
    chord_merger_run(m);
    for (uint32_t i = 0; i != m->count; i = m->next[i]) {
        if (m->value[i] < v->count) chord_id_put(run->sink, (int32_t)m->value[i]);
        else put_bytes(v, piece + i, m->next[i] - i, run->sink);
    }
    return CHORD_OK;
}

static chord_status encode_pieces(bpe_run *run, uint32_t step, const char *text, size_t at, size_t end,
                                  chord_error *err)
{
    const chord_pretoken *pretoken = run->merger.vocab->pretoken;
    if (step == CHORD_PRETOKEN_STEPS_MAX || pretoken->steps[step] == NULL)
        return encode_piece(run, text + at, end - at, err);
    while (at < end) {
        size_t piece_end = pretoken->steps[step](text, at, end);
        CHORD_ASSERT(piece_end > at && piece_end <= end);
        CHORD_TRY(encode_pieces(run, step + 1, text, at, piece_end, err));
        at = piece_end;
    }
    return CHORD_OK;
}

chord_status chord_bpe_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink, chord_error *err)
{
    bool same;
    size_t bytes = chord_canonical_bytes(text, len, &same);
    uint64_t spelled_bytes = v->ignore_merges ? v->token_bytes_max + 2ull : 0;
    void *scratch = NULL;
    if (!same || spelled_bytes > 0)
        CHORD_TRY(chord_alloc(v->heap, spelled_bytes + (same ? 0 : bytes), "tokenising a text", &scratch, err));
    bpe_run run = {.merger = {.vocab = v, .priority_of = rank_of}, .spelled = scratch, .sink = sink};
    if (!same) {
        char *canonical = (char *)scratch + spelled_bytes;
        chord_canonical_write(text, len, canonical);
        text = canonical;
    }
    chord_status status = encode_pieces(&run, 0, text, 0, bytes, err);
    chord_merger_free(&run.merger);
    chord_free(v->heap, scratch);
    return status;
}
