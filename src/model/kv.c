/* kv.c - sequences: for each cache a table of blocks, which come from the network's pools as the sequence grows, and go back
 * when it is cut or closed. Layers that are no attention have none (states.c). Whoever writes to a block that others have, or
 * that is kept, gets a copy of it first. */
#include "model/model_inner.h"

/* ---- who may have a block: with the mutex held ------------------------------------------------------------------ */

/* Of those who have a block in common all but one need a copy before they write to it. That one is the first, unless `than`,
 * who asks and is not counted, has the block, too. */
static bool stays_with(const chord_network *net, const chord_sequence *s, const chord_sequence *than, uint32_t k,
                       uint32_t at)
{
    const uint8_t *block = s->kv[k].table[at];
    if (than != s && than->kv[k].table[at] == block) return false;
    const chord_sequence *first = net->sequences;
    while (first != s && first->kv[k].table[at] != block) first++;
    return first == s;
}

/* Blocks that the sequence will need before it has what it has reserved; a branch, what it may need. */
static uint32_t owed_to(const chord_network *net, const chord_sequence *s, const chord_sequence *than, uint32_t k)
{
    const chord_kv *kv = &s->kv[k];
    uint32_t every = chord_cache_of(&net->print, k).every, owed = 0;
    if (kv->blocks == 0 || s->reserved <= s->length) return 0;
    uint32_t first = s->length / every / CHORD_KV_BLOCK;
    uint32_t end = (uint32_t)chord_ceil_div(s->reserved / every, CHORD_KV_BLOCK);
    end = (uint32_t)chord_min_u64(end, (uint64_t)first + kv->blocks);
    for (uint32_t i = first; i < end; i++) {
        uint32_t at = i % kv->blocks;
        const uint8_t *block = kv->table[at];
        owed += block == NULL || (*chord_pool_owners(&net->kv_pools[k], block) > 1 && !stays_with(net, s, than, k, at));
    }
    return owed;
}

static uint64_t owed_to_others(const chord_network *net, const chord_sequence *than, uint32_t k)
{
    uint64_t owed = 0;
    for (uint32_t i = 0; i < net->sequence_count; i++) {
        const chord_sequence *s = &net->sequences[i];
        bool to_come = i >= net->session_count && s->length == 0; /* a branch that nobody has yet */
        if (to_come) owed += s->kv[k].blocks != 0 ? CHORD_BRANCH_BLOCKS : 0;
        else if (s != than) owed += owed_to(net, s, than, k);
    }
    return owed;
}

static uint64_t room_of(const chord_network *net, uint32_t k)
{
    return (uint64_t)net->kv_pools[k].free_count + net->kv_pools[k].kept_count;
}

bool chord_sequence_own(chord_network *net, chord_sequence *s, uint32_t k, uint32_t index, bool fresh)
{
    chord_kv_pool *pool = &net->kv_pools[k];
    uint8_t **entry = &s->kv[k].table[index % s->kv[k].blocks], *before = *entry;
    bool alone = before != NULL && *chord_pool_owners(pool, before) == 1;
    if (alone && *chord_pool_keeper(pool, before) == CHORD_KEPT_NONE) return true;
    bool room = alone ? room_of(net, k) > 0 : room_of(net, k) > owed_to_others(net, s, k);
    if (!room && alone) chord_kept_forget(net, k, before);
    if (!room) return alone;
    if (pool->free_count == 0) (void)chord_kept_release(net, k);
    uint8_t *block = chord_pool_take(pool);
    if (before != NULL && !fresh) memcpy(block, before, (size_t)pool->block_bytes);
    chord_pool_give(pool, entry);
    *entry = block;
    return true;
}

bool chord_sequence_adopt(chord_network *net, chord_sequence *s, uint32_t k, uint32_t index, uint8_t *block)
{
    chord_kv_pool *pool = &net->kv_pools[k];
    bool idle = *chord_pool_owners(pool, block) == 0;
    if (idle && room_of(net, k) <= owed_to_others(net, s, k)) return false;
    chord_pool_share(pool, &s->kv[k].table[index % s->kv[k].blocks], block);
    return true;
}

void chord_sequence_unreserve(chord_network *net, chord_sequence *s)
{
    chord_mutex_lock(&net->mutex);
    s->reserved = 0;
    chord_mutex_unlock(&net->mutex);
}

/* Of a window all or none. */
static void give_blocks(chord_network *net, chord_sequence *s, uint32_t length)
{
    for (uint32_t k = 0; k < net->print.caches; k++) {
        chord_kv *kv = &s->kv[k];
        chord_cache c = chord_cache_of(&net->print, k);
        if (kv->blocks == 0 || (length != 0 && c.window != 0)) continue;
        uint32_t first = (uint32_t)chord_ceil_div(length / c.every, CHORD_KV_BLOCK);
        for (uint32_t i = first; i < kv->blocks; i++) chord_pool_give(&net->kv_pools[k], &kv->table[i]);
    }
}

static chord_status fail_full(const chord_network *net, uint32_t position, chord_error *err)
{
    if (net->kv_tokens != 0)
        return chord_fail(err, CHORD_FULL,
                          "no memory is left for the keys and values of position %u: all %u positions (kv_tokens) are "
                          "other sessions', or reserved for them",
                          position, net->kv_tokens);
    return chord_fail(err, CHORD_FULL,
                      "no memory is left for the keys and values of position %u: it was taken for %u "
                      "sessions that have the first %u positions in common",
                      position, net->session_count, net->shared_tokens);
}

chord_status chord_sequence_reach(chord_network *net, chord_sequence *s, uint32_t first, uint32_t length,
                                  chord_error *err)
{
    for (uint32_t k = 0; k < net->print.caches; k++) {
        uint32_t every = chord_cache_of(&net->print, k).every;
        if (s->kv[k].blocks == 0 || length / every == first / every) continue;
        for (uint32_t i = first / every / CHORD_KV_BLOCK; i <= (length / every - 1) / CHORD_KV_BLOCK; i++) {
            uint64_t start = (uint64_t)i * CHORD_KV_BLOCK * every;
            if (!chord_sequence_own(net, s, k, i, start >= first))
                return fail_full(net, (uint32_t)chord_max_u64(first, start), err);
        }
    }
    if (length > s->length_high) s->length_high = length;
    return CHORD_OK;
}

static chord_status reserve(chord_network *net, const chord_sequence *s, bool *later, chord_error *err)
{
    for (uint32_t k = 0; k < net->print.caches; k++) {
        uint64_t owed = owed_to(net, s, s, k), room = room_of(net, k), others = owed_to_others(net, s, k);
        if (owed + others <= room || owed == 0) continue;
        *later = true;
        return chord_fail(err, CHORD_FULL,
                          "there is no room for %u positions now: %" PRIu64 " more blocks of %u positions are needed, "
                          "%" PRIu64 " are free, and %" PRIu64 " of these are reserved for others",
                          s->reserved, owed, CHORD_KV_BLOCK, room, others);
    }
    return CHORD_OK;
}

chord_status chord_sequence_reserve(chord_network *net, chord_sequence *s, uint32_t tokens, bool *later,
                                    chord_error *err)
{
    *later = false;
    if (tokens > s->room)
        return chord_fail(err, CHORD_FULL, "%u positions can never be had: the context has %u", tokens, s->room);
    chord_mutex_lock(&net->mutex);
    uint32_t before = s->reserved;
    s->reserved = tokens;
    chord_status status = reserve(net, s, later, err);
    if (status != CHORD_OK) s->reserved = before;
    chord_mutex_unlock(&net->mutex);
    return status;
}

/* ---- sequences ------------------------------------------------------------------------------------- */

/* The first of sequences [first, end) that is free, empty; NULL: none. */
static chord_sequence *take_sequence(chord_network *net, uint32_t first, uint32_t end)
{
    chord_sequence *s = NULL;
    chord_mutex_lock(&net->mutex);
    for (uint32_t i = first; i < end && s == NULL; i++)
        if (!net->sequences[i].taken) s = &net->sequences[i];
    if (s != NULL) {
        s->taken = true;
        chord_states_forget(s, 0);
        s->length = s->length_high = s->length_low = 0;
        s->kept = CHORD_KEPT_NONE;
        s->noted = s->tokens_first = s->reserved = 0;
        s->origin = NULL;
        s->blind = false;
        s->salt = 0;
        s->room = net->context_tokens;
        s->counted = (chord_sequence_counts){0};
        atomic_store(&s->cancelled, false);
    }
    chord_mutex_unlock(&net->mutex);
    return s;
}

chord_status chord_sequence_open(chord_network *net, chord_sequence **out, chord_error *err)
{
    *out = take_sequence(net, 0, net->session_count);
    if (*out != NULL) return CHORD_OK;
    return chord_fail(err, CHORD_FULL, "all %u sessions of this model are open; sessions_max was set when it opened",
                      net->session_count);
}

chord_sequence *chord_sequence_branch(chord_network *net, const chord_sequence *from, uint32_t length)
{
    chord_sequence *s = NULL;
    if (length < net->context_tokens && chord_network_can_guess(net))
        s = take_sequence(net, net->session_count, net->sequence_count);
    if (s == NULL) return NULL;
    s->room = (uint32_t)chord_min_u64(length + CHORD_BRANCH_TOKENS, net->context_tokens);
    s->origin = from->origin != NULL ? from->origin : from;
    if (chord_sequence_copy(net, s, from, length) == length) return s;
    chord_sequence_close(net, s);
    return NULL;
}

void chord_sequence_close(chord_network *net, chord_sequence *sequence)
{
    if (sequence == NULL) return;
    chord_mutex_lock(&net->mutex);
    give_blocks(net, sequence, 0);
    chord_kept_cut(net, sequence, 0);
    sequence->length = sequence->reserved = 0;
    sequence->taken = false;
    chord_mutex_unlock(&net->mutex);
}

uint32_t chord_sequence_length(const chord_sequence *sequence) { return sequence->length; }

/* True when every position that a query at `length` may look at still lies in the blocks of its window. */
static bool still_there(const chord_network *net, const chord_sequence *s, uint32_t length)
{
    for (uint32_t l = 0; l < net->print.h.layers; l++) {
        chord_cache c = chord_cache_of(&net->print, l);
        uint32_t blocks = s->kv[l].blocks, oldest = chord_cache_oldest(&c, length);
        if (c.window == 0 || blocks == 0 || length == 0 || s->length_high == 0) continue;
        if (oldest + blocks <= (s->length_high - 1) / CHORD_KV_BLOCK) return false;
        if (oldest < chord_cache_oldest(&c, s->length_low)) return false;
    }
    return true;
}

uint32_t chord_sequence_cut(chord_network *net, chord_sequence *s, uint32_t length)
{
    uint32_t left = s->length;
    if (length < left) {
        left = chord_states_cut(net, s, length);
        if (!still_there(net, s, left)) left = 0;
    }
    chord_states_forget(s, left);
    chord_mutex_lock(&net->mutex);
    s->length = left;
    if (left == 0) s->length_high = s->length_low = 0;
    give_blocks(net, s, left);
    chord_kept_cut(net, s, left);
    chord_mutex_unlock(&net->mutex);
    return left;
}

uint32_t chord_sequence_copy(chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length)
{
    if (length > from->length || !still_there(net, from, length)) length = 0;
    length = chord_states_length(net, from, length);
    chord_states_copy(net, to, from, length);
    chord_mutex_lock(&net->mutex);
    for (uint32_t k = 0; k < net->print.caches; k++) {
        chord_cache c = chord_cache_of(&net->print, k);
        uint32_t blocks = from->kv[k].blocks, used = blocks; /* of a window: a ring, wherever they are */
        if (blocks != 0 && (c.window == 0 || length == 0))
            used = (uint32_t)chord_ceil_div(length / c.every, CHORD_KV_BLOCK);
        for (uint32_t i = 0; i < blocks; i++)
            chord_pool_share(&net->kv_pools[k], &to->kv[k].table[i], i < used ? from->kv[k].table[i] : NULL);
    }
    chord_kept_copy(net, to, from, length);
    to->length = length;
    if (to->origin != NULL) to->reserved = to->room;
    to->length_low = length != 0 ? from->length_low : 0;
    to->length_high = length != 0 ? from->length_high : 0;
    chord_mutex_unlock(&net->mutex);
    return length;
}
