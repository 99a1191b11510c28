/* kept_libc.c - what was evaluated once is found again: each 64 tokens of a text whose keys and values are whole are kept by the
 * tokens themselves and those before them, also when no sequence has them any more. Blocks that are kept for nobody make room
 * when somebody needs one, those used least lately first, and of a text its end before its beginning.
 *
 * A block that is kept is not written to: who wants to gets another one (kv.c). Windows let go of blocks one by one; then a
 * text can be gone on with only where those are left that are seen from there. States of recurrent layers cannot be cut into
 * blocks, so of models that have some nothing is kept. All with the network's mutex held. */
#include "model/model_inner.h"

#define COUNT_MAX (1u << 30)

static uint32_t heads_count(uint32_t count)
{
    uint32_t heads = 1;
    while (heads < count) heads *= 2;
    return heads;
}

static uint64_t entry_bytes(const chord_blueprint *p)
{
    return chord_align_up(sizeof(chord_kept) + p->caches * sizeof(uint32_t), 8);
}

/* Each has a block of a cache without window, if there is one. */
uint32_t chord_kept_count(const chord_blueprint *p, const chord_kv_needs *needs)
{
    bool has_cache = false;
    for (uint32_t k = 0; k < p->caches; k++) {
        uint32_t every = chord_cache_of(p, k).every;
        if (every > 1) return 0;
        has_cache = has_cache || every == 1;
    }
    if (!has_cache || needs->drafts || p->h.recurrence.floats != 0) return 0;
    uint64_t tokens = needs->tokens != 0 ? needs->tokens : (uint64_t)needs->sessions * needs->context_tokens;
    return (uint32_t)chord_min_u64(chord_ceil_div(tokens, CHORD_KV_BLOCK), COUNT_MAX);
}

/* The text of a session, and of a branch what it adds. */
static uint64_t text_bytes(uint32_t context_tokens) { return chord_align_up(context_tokens * sizeof(int32_t), 64); }
#define BRANCH_TEXT_BYTES (CHORD_BRANCH_TOKENS * sizeof(int32_t))

uint64_t chord_kept_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    uint64_t count = chord_kept_count(p, needs);
    if (count == 0) return 0;
    uint64_t texts = needs->sessions * text_bytes(needs->context_tokens) + needs->branches * BRANCH_TEXT_BYTES;
    return chord_align_up(count * entry_bytes(p) + heads_count((uint32_t)count) * sizeof(uint32_t), 64) + texts;
}

bool chord_network_keeps(const chord_network *net) { return net->kept.count != 0; }

chord_kept *chord_kept_at(const chord_network *net, uint32_t number)
{
    return (chord_kept *)(void *)(net->kept.memory + number * net->kept.bytes);
}

void chord_kept_open(chord_network *net, const chord_kv_needs *needs, uint8_t *memory)
{
    chord_kept_index *x = &net->kept;
    x->count = chord_kept_count(&net->print, needs);
    x->newest = x->oldest = x->free = CHORD_KEPT_NONE;
    if (x->count == 0) return;
    x->memory = memory;
    x->bytes = entry_bytes(&net->print);
    x->heads = (uint32_t *)(void *)(memory + x->count * x->bytes);
    x->mask = heads_count(x->count) - 1;
    for (uint32_t i = 0; i <= x->mask; i++) x->heads[i] = CHORD_KEPT_NONE;
    for (uint32_t i = x->count; i-- > 0; x->free = i) chord_kept_at(net, i)->next = x->free;
    memory += chord_align_up(x->count * x->bytes + (x->mask + 1ull) * sizeof(uint32_t), 64);
    for (uint32_t s = 0; s < needs->sessions + needs->branches; s++) {
        net->sequences[s].tokens = (int32_t *)(void *)memory;
        memory += s < needs->sessions ? text_bytes(needs->context_tokens) : BRANCH_TEXT_BYTES;
    }
}

/* ---- finding -------------------------------------------------------------------------------------------------------- */

uint64_t chord_kept_key(uint64_t above, const int32_t *tokens)
{
    chord_hash hash;
    chord_hash_start(&hash);
    chord_hash_add(&hash, &above, sizeof above);
    chord_hash_add(&hash, tokens, CHORD_KV_BLOCK * sizeof *tokens);
    return chord_hash_end(&hash);
}

/* Keys that are equal by chance, or were made so, are told apart by the tokens. */
uint32_t chord_kept_find(const chord_network *net, uint32_t parent, uint64_t salt, const int32_t *tokens)
{
    const chord_kept_index *x = &net->kept;
    if (x->count == 0) return CHORD_KEPT_NONE;
    uint64_t above = parent != CHORD_KEPT_NONE ? chord_kept_at(net, parent)->key : salt;
    uint64_t key = chord_kept_key(above, tokens);
    uint32_t i = x->heads[key & x->mask];
    for (; i != CHORD_KEPT_NONE; i = chord_kept_at(net, i)->next) {
        const chord_kept *e = chord_kept_at(net, i);
        if (e->key == key && e->parent == parent && e->above == above &&
            memcmp(e->tokens, tokens, sizeof e->tokens) == 0)
            break;
    }
    return i;
}

/* ---- the order of use ----------------------------------------------------------------------------------------------- */

static void unlink_use(chord_network *net, uint32_t i)
{
    chord_kept_index *x = &net->kept;
    const chord_kept *e = chord_kept_at(net, i);
    *(e->newer != CHORD_KEPT_NONE ? &chord_kept_at(net, e->newer)->older : &x->newest) = e->older;
    *(e->older != CHORD_KEPT_NONE ? &chord_kept_at(net, e->older)->newer : &x->oldest) = e->newer;
}

static void link_newest(chord_network *net, uint32_t i)
{
    chord_kept_index *x = &net->kept;
    chord_kept *e = chord_kept_at(net, i);
    e->newer = CHORD_KEPT_NONE;
    e->older = x->newest;
    *(x->newest != CHORD_KEPT_NONE ? &chord_kept_at(net, x->newest)->newer : &x->oldest) = i;
    x->newest = i;
}

/* Parents are newer than their children. */
static void use(chord_network *net, uint32_t i)
{
    for (; i != CHORD_KEPT_NONE; i = chord_kept_at(net, i)->parent) {
        unlink_use(net, i);
        link_newest(net, i);
    }
}

void chord_kept_set_state(chord_network *net, uint32_t i, chord_kept_state state)
{
    chord_kept *e = chord_kept_at(net, i);
    net->kept.unsaved += (state != CHORD_KEPT_SAVED) - (e->state != CHORD_KEPT_SAVED);
    e->state = state;
    if (state != CHORD_KEPT_SAVED) chord_cond_wake_all(&net->kept.grown);
}

/* ---- letting go ------------------------------------------------------------------------------------------------------ */

static void unkeep(chord_network *net, chord_kept *e, uint32_t k)
{
    if (e->blocks[k] == CHORD_KEPT_NONE) return;
    chord_pool_unkeep(&net->kv_pools[k], chord_pool_block(&net->kv_pools[k], e->blocks[k]));
    e->blocks[k] = CHORD_KEPT_NONE;
}

/* A text of which this is a part is looked up anew from its beginning. */
static void drop_one(chord_network *net, uint32_t i)
{
    chord_kept_index *x = &net->kept;
    chord_kept *e = chord_kept_at(net, i);
    uint32_t *at = &x->heads[e->key & x->mask];
    while (*at != i) at = &chord_kept_at(net, *at)->next;
    *at = e->next;
    unlink_use(net, i);
    chord_kept_set_state(net, i, CHORD_KEPT_SAVED);
    e->key = 0; /* who knew it sees that it is gone */
    for (uint32_t k = 0; k < net->print.caches; k++) unkeep(net, e, k);
    if (e->parent != CHORD_KEPT_NONE) chord_kept_at(net, e->parent)->children--;
    for (uint32_t s = 0; s < net->session_count; s++)
        if (net->sequences[s].kept == i) {
            net->sequences[s].kept = CHORD_KEPT_NONE;
            net->sequences[s].noted = 0;
        }
    e->next = x->free;
    x->free = i;
}

/* With all that stand behind it, which without it are never found. */
static void drop(chord_network *net, uint32_t i)
{
    chord_kept_at(net, i)->doomed = true;
    bool family = chord_kept_at(net, i)->children != 0;
    for (uint32_t c = net->kept.newest; c != CHORD_KEPT_NONE && family; c = chord_kept_at(net, c)->older) {
        chord_kept *e = chord_kept_at(net, c);
        if (e->parent != CHORD_KEPT_NONE && chord_kept_at(net, e->parent)->doomed) e->doomed = true;
    }
    for (uint32_t c = net->kept.oldest, newer; c != CHORD_KEPT_NONE && family; c = newer) {
        newer = chord_kept_at(net, c)->newer;
        if (c != i && chord_kept_at(net, c)->doomed) drop_one(net, c);
    }
    drop_one(net, i);
}

bool chord_kept_release(chord_network *net, uint32_t k)
{
    const chord_kv_pool *pool = &net->kv_pools[k];
    if (pool->kept_count == 0) return false;
    for (uint32_t i = net->kept.oldest; i != CHORD_KEPT_NONE; i = chord_kept_at(net, i)->newer) {
        chord_kept *e = chord_kept_at(net, i);
        if (e->blocks[k] == CHORD_KEPT_NONE || pool->owners[e->blocks[k]] != 0) continue;
        if (chord_cache_of(&net->print, k).window != 0) unkeep(net, e, k);
        else drop(net, i);
        return true;
    }
    return false;
}

void chord_kept_forget(chord_network *net, uint32_t k, const uint8_t *block)
{
    uint32_t keeper = *chord_pool_keeper(&net->kv_pools[k], block);
    if (keeper == CHORD_KEPT_NONE) return;
    if (chord_cache_of(&net->print, k).window != 0) unkeep(net, chord_kept_at(net, keeper), k);
    else drop(net, keeper);
}

/* ---- keeping --------------------------------------------------------------------------------------------------------- */

static bool is_part_of(const chord_network *net, const chord_sequence *s, uint32_t i)
{
    uint32_t part = s->kept;
    while (part != i && part != CHORD_KEPT_NONE) part = chord_kept_at(net, part)->parent;
    return part == i;
}

/* The one used least lately makes room. CHORD_KEPT_NONE: all are this text's own. */
static uint32_t take_entry(chord_network *net, const chord_sequence *s)
{
    chord_kept_index *x = &net->kept;
    if (x->free == CHORD_KEPT_NONE) {
        use(net, s->kept);
        if (is_part_of(net, s, x->oldest)) return CHORD_KEPT_NONE;
        drop(net, x->oldest);
    }
    uint32_t i = x->free;
    x->free = chord_kept_at(net, i)->next;
    return i;
}

/* Of a block of the sequence's text; NULL: a window has let go of it, or there is no such cache. */
static uint8_t **entry_of(const chord_network *net, const chord_sequence *s, uint32_t k, uint32_t block)
{
    const chord_kv *kv = &s->kv[k];
    chord_cache c = chord_cache_of(&net->print, k);
    if (kv->blocks == 0) return NULL;
    bool overwritten = (s->length_high - 1) / CHORD_KV_BLOCK >= block + kv->blocks;
    if (c.window != 0 && (overwritten || block < chord_cache_oldest(&c, s->length_low))) return NULL;
    return &kv->table[block % kv->blocks];
}

/* One that is kept already stands for the sequence's own: they are the same bytes. */
static void join(chord_network *net, chord_sequence *s, uint32_t i, uint32_t block)
{
    chord_kept *e = chord_kept_at(net, i);
    for (uint32_t k = 0; k < net->print.caches; k++) {
        chord_kv_pool *pool = &net->kv_pools[k];
        uint8_t **entry = entry_of(net, s, k, block);
        if (entry == NULL || *entry == NULL) continue;
        if (e->blocks[k] != CHORD_KEPT_NONE) {
            chord_pool_share(pool, entry, chord_pool_block(pool, e->blocks[k]));
        } else if (*chord_pool_keeper(pool, *entry) == CHORD_KEPT_NONE) {
            *chord_pool_keeper(pool, *entry) = i;
            e->blocks[k] = chord_pool_number(pool, *entry);
        }
    }
}

/* A copy of a text of another salt has blocks that are kept under that. */
static bool is_kept_elsewhere(const chord_network *net, const chord_sequence *s, uint32_t block)
{
    for (uint32_t k = 0; k < net->print.caches; k++) {
        uint8_t **entry = entry_of(net, s, k, block);
        if (entry != NULL && chord_cache_of(&net->print, k).window == 0 &&
            *chord_pool_keeper(&net->kv_pools[k], *entry) != CHORD_KEPT_NONE)
            return true;
    }
    return false;
}

static uint32_t add(chord_network *net, chord_sequence *s, uint32_t block, const int32_t *tokens)
{
    chord_kept_index *x = &net->kept;
    if (is_kept_elsewhere(net, s, block)) return CHORD_KEPT_NONE;
    uint32_t i = take_entry(net, s), parent = s->kept;
    if (i == CHORD_KEPT_NONE) return i;
    chord_kept *e = chord_kept_at(net, i);
    uint64_t above = parent != CHORD_KEPT_NONE ? chord_kept_at(net, parent)->key : s->salt;
    *e = (chord_kept){.key = chord_kept_key(above, tokens), .above = above, .parent = parent, .depth = block};
    memcpy(e->tokens, tokens, sizeof e->tokens);
    for (uint32_t k = 0; k < net->print.caches; k++) e->blocks[k] = CHORD_KEPT_NONE;
    if (parent != CHORD_KEPT_NONE) chord_kept_at(net, parent)->children++;
    e->next = x->heads[e->key & x->mask];
    x->heads[e->key & x->mask] = i;
    link_newest(net, i);
    chord_kept_set_state(net, i, net->folder != NULL ? CHORD_KEPT_NEW : CHORD_KEPT_SAVED);
    return i;
}

void chord_kept_note(chord_network *net, chord_sequence *s)
{
    if (s->tokens == NULL || s->origin != NULL || s->blind) return;
    uint32_t before = s->kept;
    while ((s->noted + 1) * CHORD_KV_BLOCK <= s->length) {
        const int32_t *tokens = s->tokens + s->noted * CHORD_KV_BLOCK;
        uint32_t i = chord_kept_find(net, s->kept, s->salt, tokens);
        if (i == CHORD_KEPT_NONE) i = add(net, s, s->noted, tokens);
        s->blind = i == CHORD_KEPT_NONE;
        if (s->blind) break;
        join(net, s, i, s->noted);
        s->kept = i;
        s->noted++;
    }
    if (s->kept != before) use(net, s->kept);
}

/* ---- a text, as it grows and is cut ----------------------------------------------------------------------------------- */

void chord_kept_record(chord_network *net, chord_sequence *s, const int32_t *tokens, uint32_t count)
{
    (void)net;
    if (s->tokens != NULL) memcpy(s->tokens + (s->length - s->tokens_first), tokens, count * sizeof *tokens);
}

void chord_kept_cut(chord_network *net, chord_sequence *s, uint32_t length)
{
    if (s->noted > 0 && length / CHORD_KV_BLOCK < s->noted) use(net, s->kept);
    while (s->noted > length / CHORD_KV_BLOCK) {
        s->kept = chord_kept_at(net, s->kept)->parent;
        s->noted--;
    }
    s->blind = s->blind && length != 0;
}

/* A branch knows what it has added; that goes behind the text which it left. */
static void copy_branch(chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length)
{
    uint32_t first = from->tokens_first;
    chord_kept_cut(net, to, (uint32_t)chord_min_u64(first, length));
    to->blind = (to->blind || from->origin != to) && length != 0;
    if (length > first) memcpy(to->tokens + first, from->tokens, (length - first) * sizeof *to->tokens);
}

void chord_kept_copy(chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length)
{
    if (to->tokens == NULL) return;
    if (to->origin != NULL) {
        to->tokens_first = length;
    } else if (from->origin != NULL) {
        copy_branch(net, to, from, length);
    } else if (to == from) {
        chord_kept_cut(net, to, length);
    } else {
        memcpy(to->tokens, from->tokens, length * sizeof *to->tokens);
        bool same = to->salt == from->salt;
        to->kept = same ? from->kept : CHORD_KEPT_NONE;
        to->noted = same ? from->noted : 0;
        to->blind = from->blind;
        chord_kept_cut(net, to, length);
    }
}
