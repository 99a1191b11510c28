/* bpe.c - byte-pair encoding: a piece's bytes or characters are symbols, merges join them in the order of their ranks. */
#include "text/vocab_inner.h"

static bool has(const chord_vocab *v, uint8_t flag) { return (v->pretoken->flags & flag) != 0; }

static uint32_t rank_of(const chord_merger *m, uint32_t left, uint32_t right)
{
    return chord_vocab_merge_rank(m->vocab, m->value[left], m->value[right]);
}

typedef struct bpe_run {
    chord_merger merger;
    char *spelled; /* room for the longest token, and one byte spelled behind it */
    chord_id_sink *sink;
} bpe_run;

/* The token that is the whole piece, -1: there is none, or it is to be merged. */
static int32_t find_piece(const bpe_run *run, const char *piece, size_t len)
{
    const chord_vocab *v = run->merger.vocab;
    size_t bytes = 0;
    if (has(v, CHORD_PRETOKEN_GEMMA)) return piece[0] == '\n' ? chord_vocab_find(v, piece, len) : -1;
    if (!has(v, CHORD_PRETOKEN_WHOLE)) return -1;
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
        bool characters = has(v, CHORD_PRETOKEN_CHARACTERS);
        size_t bytes = characters ? 1 : chord_bpe_spell((uint8_t)piece[i], spelled);
        for (size_t k = 0; k < bytes; k++) {
            int32_t token = characters ? v->byte_token[(uint8_t)piece[i]] : chord_vocab_find(v, spelled + k, 1);
            if (token >= 0) chord_id_put(sink, token);
        }
    }
}

static size_t symbol_bytes(const chord_vocab *v, char first)
{
    return has(v, CHORD_PRETOKEN_CHARACTERS) ? chord_character_bytes(first) : 1;
}

/* The symbols a piece begins as; values NULL: only how many. */
static uint32_t cut_symbols(const chord_vocab *v, const char *piece, size_t len, uint32_t *values)
{
    uint32_t count = 0;
    for (size_t at = 0, bytes; at < len; at += bytes, count++) {
        bytes = symbol_bytes(v, piece[at]);
        if (values == NULL) continue;
        if (has(v, CHORD_PRETOKEN_CHARACTERS)) values[count] = (uint32_t)chord_vocab_find(v, piece + at, bytes);
        else values[count] = v->byte_symbol[(uint8_t)piece[at]];
    }
    return count;
}

static chord_status encode_piece(bpe_run *run, const char *piece, size_t len, chord_error *err)
{
    chord_merger *m = &run->merger;
    const chord_vocab *v = m->vocab;
    int32_t whole = find_piece(run, piece, len);
    if (whole >= 0) {
        chord_id_put(run->sink, whole);
        return CHORD_OK;
    }
    CHORD_TRY(chord_merger_reserve(m, cut_symbols(v, piece, len, NULL), err));
    cut_symbols(v, piece, len, m->value);
    chord_merger_run(m);
    size_t at = 0;
    for (uint32_t i = 0; i != m->count; i = m->next[i]) {
        size_t start = at;
        for (uint32_t k = i; k < m->next[i]; k++) at += symbol_bytes(v, piece[at]);
        if (m->value[i] < v->count) chord_id_put(run->sink, (int32_t)m->value[i]);
        else put_bytes(v, piece + start, at - start, run->sink);
    }
    return CHORD_OK;
}

static chord_status encode_pieces(bpe_run *run, uint32_t step, const char *text, size_t begin, size_t end,
                                  chord_error *err)
{
    const chord_pretoken *pretoken = run->merger.vocab->pretoken;
    if (step == CHORD_PRETOKEN_STEPS_MAX || pretoken->steps[step] == 0)
        return encode_piece(run, text + begin, end - begin, err);
    for (size_t at = begin; at < end;) {
        size_t piece_end = chord_pretoken_cut(pretoken->steps[step], text, begin, at, end);
        CHORD_ASSERT(piece_end > at && piece_end <= end);
        CHORD_TRY(encode_pieces(run, step + 1, text, at, piece_end, err));
        at = piece_end;
    }
    return CHORD_OK;
}

static chord_status encode_escaped(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                   chord_error *err)
{
    bool same;
    size_t bytes = chord_canonical_bytes(text, len, &same);
    uint64_t spelled_bytes = has(v, CHORD_PRETOKEN_WHOLE) ? v->token_bytes_max + 2ull : 0;
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

chord_status chord_bpe_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink, chord_error *err)
{
    void *escaped;
    if (!has(v, CHORD_PRETOKEN_SPACE_MARKS)) return encode_escaped(v, text, len, sink, err);
    size_t bytes = chord_escape_spaces(text, len, false, NULL);
    CHORD_TRY(chord_alloc(v->heap, bytes, "tokenising a text", &escaped, err));
    chord_escape_spaces(text, len, false, escaped);
    chord_status status = encode_escaped(v, escaped, bytes, sink, err);
    chord_free(v->heap, escaped);
    return status;
}
