/* kv_seek_libc.c - a sequence takes up what was evaluated before of the text that it is to have: blocks that are kept in memory,
 * which it shares, or lie in files, which it reads. */
#include "model/model_inner.h"

static bool has_what_is_seen(const chord_network *net, const chord_kept *e, uint32_t blocks)
{
    for (uint32_t k = 0; k < net->print.caches; k++)
        if (chord_cache_is_seen(net, k, blocks, e->depth) && e->blocks[k] == CHORD_KEPT_NONE) return false;
    return true;
}

/* The text can be gone on with behind `last`: windows have not let go of what is seen from there. */
static bool is_whole(const chord_network *net, uint32_t last, uint32_t widest)
{
    uint32_t blocks = chord_kept_at(net, last)->depth + 1;
    for (uint32_t i = last; i != CHORD_KEPT_NONE; i = chord_kept_at(net, i)->parent) {
        const chord_kept *e = chord_kept_at(net, i);
        if ((e->depth + 1) * CHORD_KV_BLOCK + widest <= blocks * CHORD_KV_BLOCK) break;
        if (!has_what_is_seen(net, e, blocks)) return false;
    }
    return true;
}

/* How many blocks of the text are kept in memory; of these, how many can be gone on behind. */
static uint32_t look_up(chord_network *net, uint64_t salt, const int32_t *tokens, uint32_t most, uint32_t *known)
{
    uint32_t last = CHORD_KEPT_NONE, widest = chord_cache_widest(net);
    chord_mutex_lock(&net->mutex);
    for (*known = 0; *known < most; ++*known) {
        uint32_t next = chord_kept_find(net, last, salt, tokens + *known * CHORD_KV_BLOCK);
        if (next == CHORD_KEPT_NONE) break;
        last = next;
    }
    while (widest != 0 && last != CHORD_KEPT_NONE && !is_whole(net, last, widest))
        last = chord_kept_at(net, last)->parent;
    uint32_t blocks = last != CHORD_KEPT_NONE ? chord_kept_at(net, last)->depth + 1 : 0;
    chord_mutex_unlock(&net->mutex);
    return blocks;
}

/* Of a block those caches that a query behind all `blocks` looks at: shared where they are kept, else places to read them to.
 * The mutex is held. */
static bool take_block(chord_network *net, chord_sequence *s, uint32_t blocks, uint32_t index, uint8_t **to, bool *read)
{
    uint32_t i = chord_kept_find(net, s->kept, s->salt, s->tokens + index * CHORD_KV_BLOCK);
    if (s->noted != index) i = CHORD_KEPT_NONE;
    *read = false;
    for (uint32_t k = 0; k < net->print.caches; k++) {
        to[k] = NULL;
        if (!chord_cache_is_seen(net, k, blocks, index)) continue;
        uint32_t number = i != CHORD_KEPT_NONE ? chord_kept_at(net, i)->blocks[k] : CHORD_KEPT_NONE;
        if (number != CHORD_KEPT_NONE) {
            if (!chord_sequence_adopt(net, s, k, index, chord_pool_block(&net->kv_pools[k], number))) return false;
            continue;
        }
        if (!chord_sequence_own(net, s, k, index, true)) return false;
        to[k] = s->kv[k].table[index % s->kv[k].blocks];
        *read = true;
    }
    return true;
}

/* What was found in memory shall be known as used in the folder, too. */
static void count_block(chord_network *net, chord_sequence *s, bool read)
{
    chord_mutex_lock(&net->mutex);
    s->length += CHORD_KV_BLOCK;
    s->length_high = s->length;
    chord_kept_note(net, s);
    const chord_kept *e = s->kept != CHORD_KEPT_NONE && net->folder != NULL ? chord_kept_at(net, s->kept) : NULL;
    if (e != NULL && read) chord_kept_set_state(net, s->kept, CHORD_KEPT_SAVED);
    else if (e != NULL && e->state == CHORD_KEPT_SAVED) chord_kept_set_state(net, s->kept, CHORD_KEPT_USED);
    chord_mutex_unlock(&net->mutex);
}

static bool bring(chord_network *net, chord_sequence *s, uint32_t blocks, uint8_t **to)
{
    uint64_t above = s->salt;
    for (uint32_t i = 0; i < blocks; i++) {
        const int32_t *tokens = s->tokens + i * CHORD_KV_BLOCK;
        bool read = false, taken = true;
        if (i >= s->length / CHORD_KV_BLOCK) {
            chord_mutex_lock(&net->mutex);
            taken = take_block(net, s, blocks, i, to, &read);
            chord_mutex_unlock(&net->mutex);
            if (!taken || (read && !chord_kv_folder_read(net, above, tokens, i, to))) return false;
            count_block(net, s, read);
        }
        above = chord_kept_key(above, tokens);
    }
    return true;
}

/* The sequence's own past stays where no window is in the way: from its last whole block on. */
static void begin(chord_network *net, chord_sequence *s, const int32_t *tokens, uint32_t blocks)
{
    uint32_t stays = chord_cache_widest(net) != 0 ? 0 : s->length / CHORD_KV_BLOCK * CHORD_KV_BLOCK;
    chord_sequence_cut(net, s, stays);
    chord_mutex_lock(&net->mutex);
    memcpy(s->tokens, tokens, (size_t)blocks * CHORD_KV_BLOCK * sizeof *tokens);
    if (stays == 0) s->length_low = blocks * CHORD_KV_BLOCK;
    chord_mutex_unlock(&net->mutex);
}

uint32_t chord_sequence_seek(chord_network *net, chord_sequence *s, const int32_t *tokens, uint32_t limit)
{
    void *memory = NULL;
    uint32_t most = limit / CHORD_KV_BLOCK, known = 0;
    if (net->kept.count == 0 || most * CHORD_KV_BLOCK <= s->length) return s->length;
    uint32_t blocks = look_up(net, s->salt, tokens, most, &known);
    if (net->folder != NULL && blocks < most) {
        uint32_t reached = chord_kv_folder_reach(net, s->salt, tokens, most, known, blocks + 1);
        if (reached > blocks) blocks = reached;
    }
    if (blocks * CHORD_KV_BLOCK <= s->length) return s->length;
    if (chord_alloc(net->heap, net->print.caches * sizeof(uint8_t *), "a list of blocks", &memory, NULL) != CHORD_OK)
        return s->length;
    begin(net, s, tokens, blocks);
    bool brought = bring(net, s, blocks, memory);
    chord_free(net->heap, memory);
    /* what stands behind the length goes back, and all of it where windows do not have what is seen from there */
    return chord_sequence_cut(net, s, brought || chord_cache_widest(net) == 0 ? s->length : 0);
}

bool chord_sequence_salt(chord_network *net, chord_sequence *s, uint64_t salt)
{
    if (s->salt == salt) return false;
    chord_sequence_cut(net, s, 0);
    s->salt = salt;
    return true;
}
