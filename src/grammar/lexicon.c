/* lexicon.c - the tree of all tokens' bytes. */
#include "grammar/lexicon.h"

static uint32_t len_of(const chord_lexicon *x, uint32_t token) { return x->start[token + 1] - x->start[token]; }

/* ---- tokens in the order of their bytes ------------------------------------------------------------------- */

/* Equal ones by their numbers. */
static bool before(const void *ud, uint32_t a, uint32_t b)
{
    const chord_lexicon *x = ud;
    uint32_t a_len = len_of(x, a), b_len = len_of(x, b);
    int order = memcmp(x->bytes + x->start[a], x->bytes + x->start[b], a_len < b_len ? a_len : b_len);
    return order != 0 ? order < 0 : a_len != b_len ? a_len < b_len : a < b;
}

/* ---- the tree ------------------------------------------------------------------------------------------------- */

static uint32_t common(const chord_lexicon *x, uint32_t a, uint32_t b)
{
    uint32_t most = len_of(x, a) < len_of(x, b) ? len_of(x, a) : len_of(x, b), n = 0;
    while (n < most && x->bytes[x->start[a] + n] == x->bytes[x->start[b] + n]) n++;
    return n;
}

/* Goes over the sorted tokens; twigs is NULL to count them only. */
static uint32_t grow_twigs(chord_lexicon *x, const uint32_t *ids, uint32_t count, chord_twig *twigs)
{
    uint32_t open[CHORD_LEXICON_DEPTH], n = 0, depth = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = ids[i], len = len_of(x, id), shared = i > 0 ? common(x, ids[i - 1], id) : 0;
        if (i > 0 && shared == len && len_of(x, ids[i - 1]) == len) { /* the same bytes once more */
            x->same[id] = x->same[ids[i - 1]];
            x->same[ids[i - 1]] = (int32_t)id;
            continue;
        }
        for (; depth > shared; depth--)
            if (twigs != NULL) twigs[open[depth - 1]].end = n;
        for (; depth < len; depth++) {
            open[depth] = n;
            if (twigs != NULL)
                twigs[n] = (chord_twig){.token = -1, .depth = (uint16_t)depth, .byte = x->bytes[x->start[id] + depth]};
            n++;
        }
        if (twigs != NULL) twigs[n - 1].token = (int32_t)id;
    }
    for (; depth > 0; depth--)
        if (twigs != NULL) twigs[open[depth - 1]].end = n;
    return n;
}

static chord_status get(chord_lexicon *x, uint64_t bytes, void *out, chord_error *err)
{
    void *memory;
    CHORD_TRY(chord_alloc(x->heap, bytes, "the tokens of a grammar", &memory, err));
    memcpy(out, &memory, sizeof memory);
    return CHORD_OK;
}

/* One that has no text is known by its name. */
static chord_status read_token(const chord_vocab *vocab, int32_t token, chord_buffer *all, chord_error *err)
{
    static const char SPECIAL = (char)CHORD_LEXICON_SPECIAL;
    size_t before = all->len;
    CHORD_TRY(chord_vocab_decode(vocab, token, false, all, err));
    if (all->len > before) return CHORD_OK;
    CHORD_TRY(chord_buffer_append(all, &SPECIAL, 1, err));
    CHORD_TRY(chord_vocab_decode(vocab, token, true, all, err));
    if (all->len == before + 1) all->len = before;
    return CHORD_OK;
}

static chord_status read_bytes(chord_lexicon *x, const chord_vocab *vocab, chord_error *err)
{
    chord_buffer all;
    chord_status status = CHORD_OK;
    chord_buffer_init(&all, x->heap, SIZE_MAX / 2);
    for (uint32_t i = 0; i < x->vocabulary && status == CHORD_OK; i++) {
        x->start[i] = (uint32_t)all.len;
        status = read_token(vocab, (int32_t)i, &all, err);
        x->ends[i] = chord_vocab_is_end(vocab, (int32_t)i);
        if (x->ends[i]) all.len = x->start[i];
        x->same[i] = -1;
    }
    x->start[x->vocabulary] = (uint32_t)all.len;
    if (status == CHORD_OK) status = get(x, all.len + 1, &x->bytes, err);
    if (status == CHORD_OK && all.len > 0) memcpy(x->bytes, all.data, all.len);
    chord_buffer_free(&all);
    return status;
}

static chord_status build(chord_lexicon *x, const chord_vocab *vocab, chord_error *err)
{
    uint32_t *ids, count = 0;
    CHORD_TRY(get(x, (x->vocabulary + 1ull) * sizeof *x->start, &x->start, err));
    CHORD_TRY(get(x, x->vocabulary * sizeof *x->same, &x->same, err));
    CHORD_TRY(get(x, x->vocabulary, &x->ends, err));
    CHORD_TRY(read_bytes(x, vocab, err));
    CHORD_TRY(get(x, x->vocabulary * sizeof *ids, &ids, err));
    for (uint32_t i = 0; i < x->vocabulary; i++)
        if (len_of(x, i) > 0 && len_of(x, i) <= CHORD_LEXICON_DEPTH) ids[count++] = i;
    chord_sort(ids, count, before, x);
    x->twig_count = grow_twigs(x, ids, count, NULL);
    for (uint32_t i = 0; i < x->vocabulary; i++) x->same[i] = -1;
    chord_status status = get(x, (x->twig_count + 1ull) * sizeof *x->twigs, &x->twigs, err);
    if (status == CHORD_OK) (void)grow_twigs(x, ids, count, x->twigs);
    chord_free(x->heap, ids);
    return status;
}

chord_status chord_lexicon_open(chord_heap *heap, const chord_vocab *vocab, chord_lexicon **out, chord_error *err)
{
    void *memory;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_lexicon), "the tokens of a grammar", &memory, err));
    chord_lexicon *x = memory;
    x->heap = heap;
    x->vocabulary = chord_vocab_size(vocab);
    chord_status status = build(x, vocab, err);
    if (status == CHORD_OK) *out = x;
    else chord_lexicon_close(x);
    return status;
}

void chord_lexicon_close(chord_lexicon *x)
{
    if (x == NULL) return;
    chord_free(x->heap, x->twigs);
    chord_free(x->heap, x->same);
    chord_free(x->heap, x->start);
    chord_free(x->heap, x->bytes);
    chord_free(x->heap, x->ends);
    chord_free(x->heap, x);
}

size_t chord_lexicon_special(const chord_lexicon *x, const char *text, size_t len)
{
    size_t best = 0;
    uint32_t at = 0, end = x->twig_count;
    while (at < end && x->twigs[at].byte != CHORD_LEXICON_SPECIAL) at = x->twigs[at].end;
    for (size_t n = 0; at < end; n++) { /* at: a twig whose way the text has gone */
        if (x->twigs[at].token >= 0) best = n;
        end = x->twigs[at++].end;
        while (at < end && (n == len || x->twigs[at].byte != (uint8_t)text[n])) at = x->twigs[at].end;
    }
    return best;
}
