/* plamo.c - PLaMo 2: of all ways to cut a text into tokens the cheapest one, worked out from the text's end; a character
 * that no token covers costs much and falls apart into its bytes. */
#include "text/vocab_inner.h"

#define UNKNOWN_SCORE (-10000000)
#define WORST_SCORE (-20000000)

/* From a place to the text's end: what it costs, and the token to begin with (-1: a character's bytes), of so many bytes. */
typedef struct best_rest {
    int64_t cost;
    int32_t token;
    uint32_t bytes;
} best_rest;

/* Scores count in ten-thousandths, rounded away from zero. */
static int32_t score_of(const chord_vocab *v, int32_t token)
{
    double score = (double)v->scores[token] * 1e4;
    if (!(score > WORST_SCORE && score < INT32_MAX)) return WORST_SCORE;
    return (int32_t)(score < 0 ? score - 0.5 : score + 0.5);
}

static chord_status choose(const chord_vocab *v, const char *text, size_t len, size_t at, best_rest *rests,
                           chord_error *err)
{
    chord_prefix p = chord_prefix_start(v, false);
    size_t bytes = chord_character_bytes(text[at]);
    best_rest best = {.cost = rests[at + bytes].cost - UNKNOWN_SCORE, .token = -1, .bytes = (uint32_t)bytes};
    for (size_t end = at; end < len && chord_prefix_step(v, &p, text[end]);) {
        int32_t token = chord_prefix_token(v, &p), score = token < 0 ? WORST_SCORE : score_of(v, token);
        end++;
        if (token >= 0 && score == UNKNOWN_SCORE)
            return chord_fail(err, CHORD_UNSUPPORTED,
                              "the text has token %d in it, whose score of -1000 marks what is no token", token);
        if (score <= WORST_SCORE || rests[end].cost - score > best.cost) continue;
        best = (best_rest){.cost = rests[end].cost - score, .token = token, .bytes = (uint32_t)(end - at)};
    }
    rests[at] = best;
    return CHORD_OK;
}

static void put_best(const chord_vocab *v, const char *text, size_t len, const best_rest *rests, chord_id_sink *sink)
{
    for (size_t at = 0; at < len; at += rests[at].bytes) {
        if (rests[at].token >= 0) {
            chord_id_put(sink, rests[at].token);
            continue;
        }
        for (size_t i = 0; i < rests[at].bytes; i++) chord_id_put(sink, v->byte_token[(uint8_t)text[at + i]]);
    }
}

/* text is canonical UTF-8. */
static chord_status encode_canonical(const chord_vocab *v, const char *text, size_t len, best_rest *rests,
                                     chord_id_sink *sink, chord_error *err)
{
    rests[len].cost = 0;
    for (size_t at = len; at-- > 0;)
        if (((uint8_t)text[at] & 0xC0) != 0x80) CHORD_TRY(choose(v, text, len, at, rests, err));
    put_best(v, text, len, rests, sink);
    return CHORD_OK;
}

chord_status chord_plamo_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                chord_error *err)
{
    bool same;
    void *memory;
    size_t bytes = chord_canonical_bytes(text, len, &same);
    CHORD_TRY(chord_alloc(v->heap, (bytes + 1ull) * sizeof(best_rest) + bytes, "tokenising a text", &memory, err));
    best_rest *rests = memory;
    char *canonical = (char *)(rests + bytes + 1);
    chord_canonical_write(text, len, canonical);
    size_t mark = bytes >= 3 && memcmp(canonical, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* a byte order mark is no text */
    chord_status status = encode_canonical(v, canonical + mark, bytes - mark, rests, sink, err);
    chord_free(v->heap, memory);
    return status;
}
