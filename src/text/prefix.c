/* prefix.c - tokens in the order of their bytes: which of them a text begins with is seen byte by byte. */
#include "text/vocab_inner.h"

static bool before(const void *ud, uint32_t a, uint32_t b)
{
    const chord_vocab *v = ud;
    uint32_t a_len = chord_vocab_len(v, a), b_len = chord_vocab_len(v, b);
    int order = memcmp(v->text + v->start[a], v->text + v->start[b], a_len < b_len ? a_len : b_len);
    return order != 0 ? order < 0 : a_len < b_len;
}

static uint32_t collect(const chord_vocab *v, uint8_t attr, uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < v->count; id++)
        if (v->attr[id] & attr && chord_vocab_len(v, id) > 0) out[count++] = id;
    chord_sort(out, count, before, v);
    return count;
}

void chord_prefix_index(chord_vocab *v)
{
    v->listed_count = collect(v, CHORD_TOKEN_LISTED, v->listed);
    v->user_count = v->kind == CHORD_VOCAB_UNIGRAM ? collect(v, CHORD_TOKEN_USER, v->listed + v->listed_count) : 0;
}

chord_prefix chord_prefix_start(const chord_vocab *v, bool user)
{
    uint32_t from = user ? v->listed_count : 0;
    return (chord_prefix){.ids = v->listed + from, .high = user ? v->user_count : v->listed_count};
}

/* The first of ids[low..high) whose byte at the depth is not below `byte`; those that end there come first. */
static uint32_t first_from(const chord_vocab *v, const chord_prefix *p, uint32_t byte)
{
    uint32_t low = p->low, high = p->high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, id = p->ids[middle];
        bool below = chord_vocab_len(v, id) == p->depth || (uint8_t)v->text[v->start[id] + p->depth] < byte;
        if (below) low = middle + 1;
        else high = middle;
    }
    return low;
}

bool chord_prefix_step(const chord_vocab *v, chord_prefix *p, char byte)
{
    uint32_t low = first_from(v, p, (uint8_t)byte);
    p->high = first_from(v, p, (uint8_t)byte + 1u);
    p->low = low;
    p->depth++;
    return p->low < p->high;
}

int32_t chord_prefix_token(const chord_vocab *v, const chord_prefix *p)
{
    return p->low < p->high && chord_vocab_len(v, p->ids[p->low]) == p->depth ? (int32_t)p->ids[p->low] : -1;
}

int32_t chord_prefix_longest(const chord_vocab *v, const char *text, size_t len, size_t *bytes)
{
    chord_prefix p = chord_prefix_start(v, false);
    int32_t longest = -1;
    for (size_t at = 0; at < len && chord_prefix_step(v, &p, text[at]); at++) {
        int32_t token = chord_prefix_token(v, &p);
        if (token < 0) continue;
        longest = token;
        *bytes = at + 1;
    }
    return longest;
}
