/* unigram.c - SentencePiece's Unigram: of all ways to cut a text into tokens the one with the best sum of scores. */
#include "text/vocab_inner.h"

/* The best way to a place in the text: the token that ends there, and where that token starts; once all are known,
 * along the best way, where the next one ends. */
typedef struct best_way {
    double score;
    uint32_t link;
    int32_t token;
} best_way;

static void offer(best_way *ways, uint32_t from, size_t to, int32_t token, double score)
{
    if (ways[from].score + score <= ways[to].score) return;
    ways[to] = (best_way){.score = ways[from].score + score, .link = from, .token = token};
}

/* All tokens that start at `at`; where none is its one character, the unknown token. */
static void offer_tokens(const chord_vocab *v, const char *text, size_t len, size_t at, size_t bytes, best_way *ways)
{
    bool single = false;
    chord_prefix p = chord_prefix_start(v, false);
    for (size_t end = at; end < len && chord_prefix_step(v, &p, text[end]);) {
        int32_t token = chord_prefix_token(v, &p);
        end++;
        if (token < 0) continue;
        single = single || end - at == bytes;
        offer(ways, (uint32_t)at, end, token, v->attr[token] & CHORD_TOKEN_USER ? 0 : (double)v->scores[token]);
    }
    if (!single) offer(ways, (uint32_t)at, at + bytes, v->unknown, (double)v->unknown_score);
}

/* Unknown tokens side by side are one. */
static void put_best(const chord_vocab *v, best_way *ways, size_t len, chord_id_sink *sink)
{
    uint32_t at = (uint32_t)len, after = at;
    while (at > 0) { /* turn the links round */
        uint32_t before = ways[at].link;
        ways[at].link = after;
        after = at;
        at = before;
    }
    for (int32_t last = -1;; after = ways[after].link) {
        int32_t token = ways[after].token;
        if (token >= 0 && !(token == v->unknown && token == last)) chord_id_put(sink, token);
        last = token;
        if (after == len) break;
    }
}

static chord_status encode_normalised(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                      chord_error *err)
{
    void *memory;
    if (len == 0) return CHORD_OK;
    if (len >= UINT32_MAX) return chord_fail(err, CHORD_INVALID, "a text of %zu bytes cannot be tokenised", len);
    CHORD_TRY(chord_alloc(v->heap, (len + 1ull) * sizeof(best_way), "tokenising a text", &memory, err));
    best_way *ways = memory;
    for (size_t i = 0; i <= len; i++) ways[i] = (best_way){.score = i == 0 ? 0 : -__DBL_MAX__, .token = v->unknown};
    for (size_t at = 0, bytes; at < len; at += bytes) {
        bytes = chord_character_bytes(text[at]);
        if (bytes > len - at) bytes = len - at;
        offer_tokens(v, text, len, at, bytes, ways);
    }
    put_best(v, ways, len, sink);
    chord_free(v->heap, memory);
    return CHORD_OK;
}

chord_status chord_unigram_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                  chord_error *err)
{
    chord_buffer normalised;
    chord_buffer_init(&normalised, v->heap, CHORD_VOCAB_TEXT_BYTES_MAX);
    chord_status status = chord_charsmap_normalise(v, text, len, &normalised, err);
    if (status == CHORD_OK) status = encode_normalised(v, normalised.data, normalised.len, sink, err);
    chord_buffer_free(&normalised);
    return status;
}
