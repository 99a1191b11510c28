/* vocab_find.c - what a vocabulary has is found: tokens by their text, merges by their pair; and short metadata. */
#include "text/vocab_inner.h"

chord_status chord_vocab_short_text(const chord_gguf *gguf, const char *key, char *out, size_t cap, chord_error *err)
{
    const chord_gguf_value *v = chord_gguf_find(gguf, key);
    out[0] = 0;
    if (v == NULL) return CHORD_OK;
    if (v->type != CHORD_GGUF_STRING)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' is of type %s, a string was expected", key,
                          chord_gguf_type_name(v->type));
    if (v->length >= cap) return CHORD_OK;
    CHORD_TRY(chord_store_read(chord_gguf_store(gguf, 0), v->offset, out, (size_t)v->length, err));
    out[v->length] = 0;
    return CHORD_OK;
}

uint32_t *chord_vocab_text_slot(const chord_vocab *v, uint64_t hash, const char *text, size_t len)
{
    uint32_t at = chord_vocab_slot_of(hash, v->slot_count), tag = (uint32_t)hash & 0xFF;
    for (;; at = at + 1 == v->slot_count ? 0 : at + 1) {
        uint32_t slot = v->slots[at], id = (slot & 0xFFFFFF) - 1;
        if (slot == 0) return &v->slots[at];
        if (slot >> 24 == tag && chord_vocab_len(v, id) == len && memcmp(v->text + v->start[id], text, len) == 0)
            return &v->slots[at];
    }
}

int32_t chord_vocab_find_summed(const chord_vocab *v, const char *text, size_t len, uint64_t sum)
{
    return (int32_t)(*chord_vocab_text_slot(v, chord_name_end(sum), text, len) & 0xFFFFFF) - 1;
}

int32_t chord_vocab_find(const chord_vocab *v, const char *text, size_t len)
{
    if (len == 0 || len > v->token_bytes_max) return -1;
    return chord_vocab_find_summed(v, text, len, chord_name_sum(v->secret, text, len));
}

uint64_t chord_vocab_hash_pair(const chord_vocab *v, chord_pair pair)
{
    return chord_name_end(chord_name_add(chord_name_add(0, pair.left, v->secret), pair.right, v->secret));
}

uint32_t *chord_vocab_merge_slot(const chord_vocab *v, chord_pair pair)
{
    uint64_t hash = chord_vocab_hash_pair(v, pair);
    uint32_t at = chord_vocab_slot_of(hash, v->merge_slot_count), tag = (uint32_t)hash & 0xFF;
    for (;; at = at + 1 == v->merge_slot_count ? 0 : at + 1) {
        uint32_t slot = v->merge_slots[at], rank = (slot & 0xFFFFFF) - 1;
        if (slot == 0) return &v->merge_slots[at];
        if (slot >> 24 == tag && v->merges[rank].left == pair.left && v->merges[rank].right == pair.right)
            return &v->merge_slots[at];
    }
}

uint32_t chord_vocab_merge_rank(const chord_vocab *v, uint32_t left, uint32_t right)
{
    uint32_t slot = *chord_vocab_merge_slot(v, (chord_pair){left, right});
    return slot == 0 ? CHORD_NO_PRIORITY : (slot & 0xFFFFFF) - 1;
}
