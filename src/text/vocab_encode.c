/* vocab_encode.c - text to ids and ids to bytes.
 *
 * Special tokens are cut out of the text first: the longest everywhere, then the next shorter where there is room
 * left. What they cover is noted in bits, so that even a text full of them costs one pass for each length they have. */
#include "text/vocab_inner.h"

/* A place where special tokens match. lengths is a set over special_length, of as many words as the vocabulary has for
 * one; token is the one that won it, -1: none. */
typedef struct special_place {
    uint32_t at, end;
    int32_t token;
    uint64_t lengths[];
} special_place;

typedef struct specials {
    const chord_vocab *v;
    const char *text;
    size_t len;
    uint8_t refuse;      /* attributes that are not looked for */
    chord_buffer places; /* special_place, in the order of the text */
    uint8_t *covered;    /* a bit for each byte */
} specials;

static size_t place_bytes(const chord_vocab *v) { return sizeof(special_place) + v->special_words * sizeof(uint64_t); }
static size_t place_count(const specials *s) { return s->places.len / place_bytes(s->v); }

static special_place *place_at(const specials *s, size_t i)
{
    return (special_place *)(void *)(s->places.data + i * place_bytes(s->v));
}

static bool has(const uint64_t *set, uint32_t i) { return set[i / 64] >> i % 64 & 1; }

static bool is_covered(const specials *s, size_t at) { return s->covered[at / 8] >> (at % 8) & 1; }

static void cover(specials *s, size_t at, size_t end)
{
    for (; at < end; at++) s->covered[at / 8] |= (uint8_t)(1u << (at % 8));
}

static bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static const uint64_t *lengths_by_byte(const specials *s, size_t at)
{
    return s->v->special_by_byte + (uint8_t)s->text[at] * (uint64_t)s->v->special_words;
}

static bool is_empty(const uint64_t *set, uint32_t words)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < words; i++) all |= set[i];
    return all == 0;
}

/* Which special tokens match at `at`: into found, which is empty. */
static void find_lengths(const specials *s, size_t at, uint64_t *found)
{
    const chord_vocab *v = s->v;
    const uint64_t *wanted = lengths_by_byte(s, at);
    uint64_t sum = 0;
    uint32_t summed = 0;
    for (uint32_t i = v->special_length_count; i-- > 0;) { /* shortest first: a sum goes on from the one before */
        uint32_t length = v->special_length[i];
        if (!has(wanted, i)) continue;
        if (length > s->len - at) break;
        for (; summed < length; summed++) sum = chord_name_add(sum, (uint8_t)s->text[at + summed], v->secret);
        int32_t token = chord_vocab_find_summed(v, s->text + at, length, sum);
        uint8_t attr = token < 0 ? 0 : v->attr[token];
        if ((attr & CHORD_TOKEN_SPECIAL) && !(attr & s->refuse)) found[i / 64] |= 1ull << i % 64;
    }
}

static chord_status find_places(specials *s, chord_error *err)
{
    static const uint64_t none[64];
    uint32_t words = s->v->special_words;
    for (size_t at = 0; words > 0 && at < s->len; at++) {
        if (is_empty(lengths_by_byte(s, at), words)) continue;
        const special_place place = {.at = (uint32_t)at, .token = -1};
        size_t before = s->places.len, rest = words * sizeof(uint64_t);
        CHORD_TRY(chord_buffer_append(&s->places, &place, sizeof place, err));
        for (size_t n; rest > 0; rest -= n) {
            n = rest < sizeof none ? rest : sizeof none;
            CHORD_TRY(chord_buffer_append(&s->places, none, n, err));
        }
        uint64_t *found = ((special_place *)(void *)(s->places.data + before))->lengths;
        find_lengths(s, at, found);
        if (is_empty(found, words)) s->places.len = before;
    }
    return CHORD_OK;
}

static void give_places(specials *s, uint32_t length_index)
{
    const chord_vocab *v = s->v;
    uint32_t length = v->special_length[length_index];
    for (size_t i = 0; i < place_count(s); i++) {
        special_place *place = place_at(s, i);
        if (!has(place->lengths, length_index)) continue;
        /* What is covered already is at least as long: it cannot lie between the two ends. */
        if (is_covered(s, place->at) || is_covered(s, place->at + length - 1)) continue;
        size_t end = place->at + length;
        place->token = chord_vocab_find(v, s->text + place->at, length);
        if (v->attr[place->token] & CHORD_TOKEN_STRIP_LEFT)
            while (place->at > 0 && is_ascii_space(s->text[place->at - 1]) && !is_covered(s, place->at - 1))
                place->at--;
        if (v->attr[place->token] & CHORD_TOKEN_STRIP_RIGHT)
            while (end < s->len && is_ascii_space(s->text[end]) && !is_covered(s, end)) end++;
        place->end = (uint32_t)end;
        cover(s, place->at, end);
    }
}

static chord_status cut_specials(specials *s, chord_error *err)
{
    void *covered;
    CHORD_TRY(find_places(s, err));
    if (place_count(s) == 0) return CHORD_OK;
    CHORD_TRY(chord_alloc(s->v->heap, s->len / 8 + 1, "tokenising a text", &covered, err));
    s->covered = covered;
    for (uint32_t i = 0; i < s->v->special_length_count; i++) give_places(s, i);
    return CHORD_OK;
}

static chord_status encode_plain(const specials *s, size_t at, size_t end, bool after_special, chord_id_sink *sink,
                                 chord_error *err)
{
    const chord_vocab *v = s->v;
    const char *text = s->text + at;
    size_t len = end - at;
    if (len == 0) return CHORD_OK;
    if (v->kind == CHORD_VOCAB_BPE) return chord_bpe_encode(v, text, len, sink, err);
    if (v->kind == CHORD_VOCAB_WORDPIECE) return chord_wordpiece_encode(v, text, len, sink, err);
    if (v->kind == CHORD_VOCAB_UNIGRAM) return chord_unigram_encode(v, text, len, sink, err);
    if (v->kind == CHORD_VOCAB_PLAMO) return chord_plamo_encode(v, text, len, sink, err);
    if (v->kind == CHORD_VOCAB_SENTENCEPIECE)
        return chord_spm_encode(v, text, len, v->add_space_prefix && after_special, sink, err);
    chord_rwkv_encode(v, text, len, sink);
    return CHORD_OK;
}

static chord_status encode_between(const specials *s, bool want_bos, chord_id_sink *sink, chord_error *err)
{
    size_t at = 0;
    bool after_special = true; /* the beginning counts as such */
    for (size_t i = 0; i < place_count(s); i++) {
        const special_place *place = place_at(s, i);
        if (place->token < 0) continue;
        if (want_bos && (place->at > 0 || place->token != s->v->bos)) chord_id_put(sink, s->v->bos);
        want_bos = false;
        CHORD_TRY(encode_plain(s, at, place->at, after_special, sink, err));
        chord_id_put(sink, place->token);
        after_special = true;
        at = place->end;
    }
    if (want_bos) chord_id_put(sink, s->v->bos);
    return encode_plain(s, at, s->len, after_special, sink, err);
}

chord_status chord_vocab_encode(const chord_vocab *v, const char *text, size_t len, chord_tokenize_mode mode,
                                int32_t *out, size_t cap, size_t *need, chord_error *err)
{
    bool plain = mode == CHORD_TOKENIZE_PLAIN;
    chord_id_sink sink = {.out = out, .cap = cap};
    specials s = {.v = v, .text = text, .len = len};
    *need = 0;
    if (len > CHORD_VOCAB_TEXT_BYTES_MAX)
        return chord_fail(err, CHORD_INVALID, "a text of %zu bytes cannot be tokenised, the limit is %u", len,
                          CHORD_VOCAB_TEXT_BYTES_MAX);
    s.refuse = plain ? CHORD_TOKEN_CONTROL | CHORD_TOKEN_UNKNOWN : 0;
    chord_buffer_init(&s.places, v->heap, SIZE_MAX / 2);
    chord_status status = cut_specials(&s, err);
    if (status == CHORD_OK) status = encode_between(&s, !plain && v->add_bos && v->bos >= 0, &sink, err);
    chord_free(v->heap, s.covered);
    chord_buffer_free(&s.places);
    if (status != CHORD_OK) return status;
    if (mode == CHORD_TOKENIZE_SPECIAL && v->add_eos && v->last >= 0) chord_id_put(&sink, v->last);
    *need = sink.count;
    if (sink.count > cap) return chord_fail(err, CHORD_SHORT, "%zu tokens do not fit in room for %zu", sink.count, cap);
    return CHORD_OK;
}

/* ---- back to bytes ------------------------------------------------------------------------------- */

/* "<0x41>" is the byte 0x41. */
static chord_status decode_byte(const char *text, size_t len, chord_buffer *out, chord_error *err)
{
    uint32_t high = len == 6 ? chord_hex_digit(text[3]) : 16, low = len == 6 ? chord_hex_digit(text[4]) : 16;
    if (high > 15 || low > 15) return chord_buffer_append(out, text, len, err);
    char byte = (char)(high << 4 | low);
    return chord_buffer_append(out, &byte, 1, err);
}

/* Text that spells no bytes throughout stands for itself. */
static chord_status decode_byte_level(const char *text, size_t len, chord_buffer *out, chord_error *err)
{
    size_t before = out->len;
    for (size_t at = 0; at < len;) {
        uint32_t code;
        at += chord_lenient_decode(text, at, len, &code);
        int32_t byte = chord_bpe_byte_of(code);
        char one = (char)byte;
        if (byte < 0) {
            out->len = before;
            return chord_buffer_append(out, text, len, err);
        }
        CHORD_TRY(chord_buffer_append(out, &one, 1, err));
    }
    return CHORD_OK;
}

static chord_status decode_marked_spaces(const char *text, size_t len, chord_buffer *out, chord_error *err)
{
    for (size_t at = 0; at < len;) {
        bool space = len - at >= 3 && memcmp(text + at, CHORD_SPACE_MARK, 3) == 0;
        CHORD_TRY(chord_buffer_append(out, space ? " " : text + at, 1, err));
        at += space ? 3 : 1;
    }
    return CHORD_OK;
}

chord_status chord_vocab_decode(const chord_vocab *v, int32_t token, bool special, chord_buffer *out, chord_error *err)
{
    if (token < 0 || (uint32_t)token >= v->count)
        return chord_fail(err, CHORD_INVALID, "token %d is not below the vocabulary's %u", token, v->count);
    uint8_t attr = v->attr[token];
    const char *text = v->text + v->start[token];
    size_t len = chord_vocab_len(v, (uint32_t)token);
    if (attr & (CHORD_TOKEN_CONTROL | CHORD_TOKEN_UNKNOWN))
        return special ? chord_buffer_append(out, text, len, err) : CHORD_OK;
    bool plain = v->kind == CHORD_VOCAB_RWKV || (v->kind == CHORD_VOCAB_PLAMO && !(attr & CHORD_TOKEN_BYTE));
    if (plain || attr & CHORD_TOKEN_USER) return chord_buffer_append(out, text, len, err);
    if (attr & CHORD_TOKEN_BYTE) return decode_byte(text, len, out, err);
    if (!(attr & CHORD_TOKEN_NORMAL)) return CHORD_OK;
    bool spells = v->kind == CHORD_VOCAB_BPE && !(v->pretoken->flags & CHORD_PRETOKEN_SPACE_MARKS);
    return spells ? decode_byte_level(text, len, out, err) : decode_marked_spaces(text, len, out, err);
}
