/* vocab_merges.c - tokenizer.ggml.merges: which two symbols join, in which order.
 *
 * A merge is a rule about texts. Mostly its parts and what it makes are tokens; where they are not (a vocabulary that was
 * cut, rules for texts that another rule turns into a token), the text gets a number behind the tokens, so that the rule
 * holds all the same. Such texts are kept only while the merges are read. */
#include "text/vocab_inner.h"

/* Texts that are no tokens: number count + i is kept[i]; slots is an open hash of places + 1. */
typedef struct kept_text {
    const char *text;
    size_t len;
} kept_text;
typedef struct stranger_list {
    chord_arena arena;
    kept_text *kept;
    uint32_t count, cap, *slots, slot_count;
} stranger_list;

/* ---- texts that are no tokens ------------------------------------------------------------------- */

static uint32_t *stranger_slot(const chord_vocab *v, const stranger_list *l, const char *text, size_t len)
{
    uint32_t at = chord_vocab_slot_of(chord_name_hash(v->heap, text, len), l->slot_count);
    for (;; at = at + 1 == l->slot_count ? 0 : at + 1) {
        uint32_t place = l->slots[at] - 1;
        if (l->slots[at] == 0) return &l->slots[at];
        if (l->kept[place].len == len && memcmp(l->kept[place].text, text, len) == 0) return &l->slots[at];
    }
}

static chord_status grow_strangers(const chord_vocab *v, stranger_list *l, chord_error *err)
{
    uint32_t cap = l->cap == 0 ? 64 : l->cap * 2;
    kept_text *kept = chord_arena_get(&l->arena, cap * sizeof *kept);
    uint32_t *slots = chord_arena_get(&l->arena, 2ull * cap * sizeof *slots);
    if (kept == NULL || slots == NULL) return chord_arena_fail(&l->arena, err);
    if (l->count > 0) memcpy(kept, l->kept, l->count * sizeof *kept);
    l->kept = kept;
    l->cap = cap;
    l->slots = slots;
    l->slot_count = 2 * cap;
    for (uint32_t i = 0; i < l->count; i++) *stranger_slot(v, l, kept[i].text, kept[i].len) = i + 1;
    return CHORD_OK;
}

static chord_status symbol_of(const chord_vocab *v, stranger_list *l, const char *text, size_t len, uint32_t *out,
                              chord_error *err)
{
    int32_t token = chord_vocab_find(v, text, len);
    *out = (uint32_t)token;
    if (token >= 0) return CHORD_OK;
    /* Such numbers are forgotten, and texts begin as characters; bytes keep theirs. */
    if (v->pretoken->flags & CHORD_PRETOKEN_CHARACTERS && chord_character_bytes(text[0]) >= len)
        return chord_fail(err, CHORD_UNSUPPORTED, "a merge joins the character '%.*s', which is no token", (int)len,
                          text);
    if (l->count == l->cap) CHORD_TRY(grow_strangers(v, l, err));
    uint32_t *slot = stranger_slot(v, l, text, len);
    if (*slot == 0) {
        char *copy = chord_arena_get(&l->arena, len);
        if (copy == NULL) return chord_arena_fail(&l->arena, err);
        memcpy(copy, text, len);
        l->kept[l->count] = (kept_text){copy, len};
        *slot = ++l->count;
    }
    *out = v->count + *slot - 1;
    return CHORD_OK;
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* whole: scratch for the text that the two parts make. */
static chord_status read_merge(chord_vocab *v, stranger_list *l, uint32_t rank, const char *text, size_t len,
                               char *whole, chord_error *err)
{
    size_t space = 1; /* a first space belongs to the left part */
    while (space < len && text[space] != ' ') space++;
    if (space + 1 >= len) return CHORD_OK; /* without two parts it never applies */
    size_t second = len - space - 1;
    chord_pair pair;
    memcpy(whole, text, space);
    memcpy(whole + space, text + space + 1, second);
    CHORD_TRY(symbol_of(v, l, whole, space, &pair.left, err));
    CHORD_TRY(symbol_of(v, l, whole + space, second, &pair.right, err));
    CHORD_TRY(symbol_of(v, l, whole, space + second, &v->merged[rank], err));
    v->merges[rank] = pair;
    uint32_t *slot = chord_vocab_merge_slot(v, pair);
    /* Said twice: the first one counts. */
    if (*slot == 0) *slot = (uint32_t)(chord_vocab_hash_pair(v, pair) & 0xFF) << 24 | (rank + 1);
    return CHORD_OK;
}

static chord_status read_all(chord_vocab *v, stranger_list *l, chord_gguf_walk *walk, chord_buffer *whole,
                             chord_error *err)
{
    for (uint32_t rank = 0; rank < walk->value->count; rank++) {
        const char *text;
        size_t len;
        CHORD_TRY(chord_gguf_walk_text(walk, &text, &len, err));
        whole->len = 0;
        CHORD_TRY(chord_buffer_append(whole, text, len, err)); /* room */
        CHORD_TRY(read_merge(v, l, rank, text, len, whole->data, err));
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        char spelled[4];
        size_t len = chord_bpe_spell((uint8_t)byte, spelled);
        if (v->byte_token[byte] >= 0 || l->count == 0) continue;
        uint32_t slot = *stranger_slot(v, l, spelled, len);
        if (slot > 0) v->byte_symbol[byte] = v->count + slot - 1;
    }
    return CHORD_OK;
}

chord_status chord_vocab_read_merges(chord_vocab *v, chord_gguf_walk *walk, chord_error *err)
{
    stranger_list strangers = {0};
    chord_buffer whole;
    chord_arena_init(&strangers.arena, v->heap, UINT64_MAX / 2, "merges of texts that are no tokens");
    chord_buffer_init(&whole, v->heap, SIZE_MAX / 2);
    chord_status status = read_all(v, &strangers, walk, &whole, err);
    chord_buffer_free(&whole);
    chord_arena_free(&strangers.arena);
    return status;
}
