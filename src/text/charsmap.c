/* charsmap.c - Unigram's normalisation: the longest prefix that a table knows is replaced, again and again.
 *
 * tokenizer.ggml.precompiled_charsmap has the bytes of its nodes in 4 bytes, the nodes, and replacements that end in a
 * zero. The nodes are an XOR-compressed double array: from node n, the byte c leads to base(n) ^ c, which is n's child
 * when it is labelled with c. A leaf's base leads on to the place of its replacement. */
#include "text/vocab_inner.h"

chord_status chord_charsmap_open(chord_vocab *v, chord_error *err)
{
    uint32_t bytes = 0;
    if (v->charsmap_bytes == 0) return CHORD_OK;
    if (v->charsmap_bytes >= 4) memcpy(&bytes, v->charsmap, 4);
    if (v->charsmap_bytes < 4 || bytes >= v->charsmap_bytes - 4)
        return chord_fail(err, CHORD_CORRUPT,
                          "'tokenizer.ggml.precompiled_charsmap' has %u bytes, its nodes alone are to have %u",
                          v->charsmap_bytes, bytes);
    v->charsmap_nodes = bytes / 4;
    v->charsmap_replacements = 4 + bytes;
    return CHORD_OK;
}

static chord_status read_node(const chord_vocab *v, uint32_t index, uint32_t *out, chord_error *err)
{
    if (index >= v->charsmap_nodes)
        return chord_fail(err, CHORD_CORRUPT, "'tokenizer.ggml.precompiled_charsmap' leads to node %u of %u", index,
                          v->charsmap_nodes);
    memcpy(out, v->charsmap + 4 + 4ull * index, 4);
    return CHORD_OK;
}

static uint32_t base_of(uint32_t node) { return (node >> 10) << ((node & 1u << 9) >> 6); }

/* The longest prefix of the text that the map knows: its bytes (0: none) and the place of its replacement. */
static chord_status find_prefix(const chord_vocab *v, const char *text, size_t len, size_t *bytes, uint32_t *place,
                                chord_error *err)
{
    uint32_t node, index;
    *bytes = 0;
    if (v->charsmap_nodes == 0) return CHORD_OK;
    CHORD_TRY(read_node(v, 0, &node, err));
    index = base_of(node);
    for (size_t at = 0; at < len && text[at] != 0; at++) {
        uint32_t byte = (uint8_t)text[at];
        index ^= byte;
        CHORD_TRY(read_node(v, index, &node, err));
        if ((node & (1u << 31 | 0xFF)) != byte) break;
        index ^= base_of(node);
        if (!(node >> 8 & 1)) continue;
        CHORD_TRY(read_node(v, index, place, err));
        *place &= UINT32_MAX >> 1;
        *bytes = at + 1;
    }
    return CHORD_OK;
}

static chord_status find_replacement(const chord_vocab *v, uint32_t place, const char **out, size_t *len,
                                     chord_error *err)
{
    uint32_t room = v->charsmap_bytes - v->charsmap_replacements;
    const char *text = (const char *)v->charsmap + v->charsmap_replacements;
    uint32_t end = place;
    while (end < room && text[end] != 0) end++;
    if (end >= room)
        return chord_fail(err, CHORD_CORRUPT,
                          "'tokenizer.ggml.precompiled_charsmap' has no replacement at %u of its %u bytes of them",
                          place, room);
    *out = text + place;
    *len = end - place;
    return CHORD_OK;
}

/* What stands for the text's beginning, and how many of its bytes that is. Beginnings of tokens that the user defined stay
 * as they are. */
static chord_status next_part(const chord_vocab *v, const char *text, size_t len, const char **out, size_t *out_len,
                              size_t *used, chord_error *err)
{
    chord_prefix user = chord_prefix_start(v, true);
    uint32_t place = 0;
    *out = text;
    *used = 0;
    while (*used < len && chord_prefix_step(v, &user, text[*used])) ++*used;
    *out_len = *used;
    if (*used > 0) return CHORD_OK;
    CHORD_TRY(find_prefix(v, text, len, used, &place, err));
    if (*used > 0) return find_replacement(v, place, out, out_len, err);
    *out_len = *used = chord_lenient_bytes(text, 0, len);
    if (*used > 0) return CHORD_OK;
    *out = "\xEF\xBF\xBD";
    *out_len = 3;
    *used = 1;
    return CHORD_OK;
}

typedef struct space_state {
    bool prefixed, within_word;
} space_state;

static chord_status append_part(const chord_vocab *v, space_state *s, const char *part, size_t len, chord_buffer *out,
                                chord_error *err)
{
    for (size_t i = 0; i < len; i++) {
        bool space = part[i] == ' ';
        if (space && !v->merge_spaces) CHORD_TRY(chord_buffer_append(out, CHORD_SPACE_MARK, 3, err));
        if (!space && !s->within_word && ((v->add_space_prefix && !s->prefixed) || v->merge_spaces)) {
            CHORD_TRY(chord_buffer_append(out, CHORD_SPACE_MARK, 3, err));
            s->prefixed = true;
        }
        if (!space) CHORD_TRY(chord_buffer_append(out, part + i, 1, err));
        s->within_word = !space;
    }
    return CHORD_OK;
}

chord_status chord_charsmap_normalise(const chord_vocab *v, const char *text, size_t len, chord_buffer *out,
                                      chord_error *err)
{
    space_state spaces = {0};
    for (size_t at = 0, used; at < len; at += used) {
        const char *part;
        size_t part_len;
        CHORD_TRY(next_part(v, text + at, len - at, &part, &part_len, &used, err));
        CHORD_TRY(append_part(v, &spaces, part, part_len, out, err));
    }
    return CHORD_OK;
}
