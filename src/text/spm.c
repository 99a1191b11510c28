/* spm.c - SentencePiece: characters join as long as their text is a token, the best score first. */
#include "text/vocab_inner.h"

/* Scores as numbers that sort the other way round: the lowest is the best score. */
static uint32_t priority_of_score(float score)
{
    uint32_t bits;
    score += 0.0f; /* -0 and 0 are equal */
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

static uint32_t token_priority(const chord_merger *m, uint32_t left, uint32_t right)
{
    uint32_t start = m->value[left], after = m->next[right];
    uint32_t len = m->value[after] - start; /* value[count] is the text's end */
    if (len > m->vocab->token_bytes_max) return CHORD_NO_PRIORITY;
    int32_t token = chord_vocab_find(m->vocab, m->text + start, len);
    return token < 0 ? CHORD_NO_PRIORITY : priority_of_score(m->vocab->scores[token]);
}

size_t chord_escape_spaces(const char *text, size_t len, bool space_first, char *out)
{
    size_t bytes = 0;
    for (size_t i = 0; i < len + space_first; i++) {
        char c = i < space_first ? ' ' : text[i - space_first];
        if (c == ' ') {
            if (out != NULL) memcpy(out + bytes, CHORD_SPACE_MARK, 3);
            bytes += 3;
        } else {
            if (out != NULL) out[bytes] = c;
            bytes++;
        }
    }
    return bytes;
}

size_t chord_character_bytes(char first)
{
    static const uint8_t length_by_lead[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
    return length_by_lead[(uint8_t)first >> 4];
}

static uint32_t cut(const char *text, size_t len, uint32_t *starts)
{
    uint32_t count = 0;
    for (size_t at = 0; at < len; at += chord_character_bytes(text[at])) {
        if (starts != NULL) starts[count] = (uint32_t)at;
        count++;
    }
    if (starts != NULL) starts[count] = (uint32_t)len;
    return count;
}

static void put_symbol(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink)
{
    int32_t token = chord_vocab_find(v, text, len);
    if (token >= 0) {
        chord_id_put(sink, token);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        int32_t byte = v->byte_token[(uint8_t)text[i]];
        if (byte < 0) byte = v->unknown;
        if (byte >= 0) chord_id_put(sink, byte);
    }
}

static chord_status encode_escaped(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                   chord_error *err)
{
    chord_merger m = {.vocab = v, .text = text, .priority_of = token_priority};
    CHORD_TRY(chord_merger_reserve(&m, cut(text, len, NULL), err));
    cut(text, len, m.value);
    chord_merger_run(&m);
    for (uint32_t i = 0; i != m.count; i = m.next[i])
        put_symbol(v, text + m.value[i], m.value[m.next[i]] - m.value[i], sink);
    chord_merger_free(&m);
    return CHORD_OK;
}

chord_status chord_spm_encode(const chord_vocab *v, const char *text, size_t len, bool space_first, chord_id_sink *sink,
                              chord_error *err)
{
    size_t bytes = chord_escape_spaces(text, len, space_first, NULL);
    void *escaped;
    CHORD_TRY(chord_alloc(v->heap, bytes, "tokenising a text", &escaped, err));
    chord_escape_spaces(text, len, space_first, escaped);
    chord_status status = encode_escaped(v, escaped, bytes, sink, err);
    chord_free(v->heap, escaped);
    return status;
}
