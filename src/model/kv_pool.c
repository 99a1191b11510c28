/* kv_pool.c - the blocks of 64 positions that caches of keys and values are made of: how many a budget is to have, whose each
 * is. A layer has one cache; one whose older keys are made of several tokens has two. Sequences that were one text up to some
 * place share its blocks, and what was evaluated is kept when nobody has it any more (kept_libc.c). */
#include "model/model_inner.h"

chord_cache chord_cache_of(const chord_blueprint *p, uint32_t i)
{
    const chord_layer *layer = &p->layers[i % p->h.layers];
    if (i >= p->h.layers) return (chord_cache){layer, 0, layer->every};
    return (chord_cache){layer, layer->window, layer->kv_layer == i && chord_attends(layer)};
}

/* Those with a window keep the window, the largest chunk, and the block that the window's start cuts; layers that read
 * another's keep nothing. */
uint32_t chord_cache_blocks(const chord_blueprint *p, uint32_t i, uint32_t context_tokens, uint32_t chunk_tokens)
{
    chord_cache c = chord_cache_of(p, i);
    if (c.every == 0) return 0;
    uint64_t tokens = chord_ceil_div(context_tokens, c.every);
    if (c.window != 0) tokens = chord_min_u64(tokens, (uint64_t)c.window + chunk_tokens + CHORD_KV_BLOCK);
    return (uint32_t)chord_ceil_div(tokens, CHORD_KV_BLOCK);
}

uint32_t chord_cache_widest(const chord_network *net)
{
    uint32_t widest = 0;
    for (uint32_t k = 0; k < net->print.caches; k++) {
        uint32_t window = net->sequences[0].kv[k].blocks != 0 ? chord_cache_of(&net->print, k).window : 0;
        widest = window > widest ? window : widest;
    }
    return widest;
}

bool chord_cache_is_seen(const chord_network *net, uint32_t k, uint32_t blocks, uint32_t index)
{
    chord_cache c = chord_cache_of(&net->print, k);
    return net->sequences[0].kv[k].blocks != 0 && index >= chord_cache_oldest(&c, blocks * CHORD_KV_BLOCK);
}

_Static_assert(CHORD_BRANCH_TOKENS <= CHORD_KV_BLOCK, "a branch ends in the block after its first");

uint64_t chord_cache_block_bytes(const chord_blueprint *p, const chord_kv_needs *needs, uint32_t i)
{
    const chord_layer *layer = chord_cache_of(p, i).layer;
    return chord_kv_block_bytes(needs->type, layer->kv_heads, layer->head_dim, layer->value_dim);
}

/* Of a pool for so many positions. Each session's last block of keys made of several tokens is its own; windows have room for
 * as much again as sessions can hold, so that what they let go of is found. */
static uint64_t blocks_for_tokens(const chord_kv_needs *needs, chord_cache c, uint64_t blocks)
{
    uint64_t all = chord_ceil_div(needs->tokens, (uint64_t)c.every * CHORD_KV_BLOCK);
    if (c.window != 0) return chord_min_u64(all, 2ull * needs->sessions * blocks);
    return c.every == 1 ? all : all + needs->sessions;
}

/* Whole blocks of what sessions have in common stand once, unless a window lets go of them: each session writes to the block
 * in which it goes on by itself. */
uint64_t chord_pool_blocks(const chord_blueprint *p, const chord_kv_needs *needs, uint32_t i)
{
    uint64_t blocks = chord_cache_blocks(p, i, needs->context_tokens, needs->chunk_tokens);
    if (blocks == 0) return 0;
    chord_cache c = chord_cache_of(p, i);
    uint64_t branches = (uint64_t)needs->branches * CHORD_BRANCH_BLOCKS;
    if (needs->tokens != 0) return blocks_for_tokens(needs, c, blocks) + branches;
    uint64_t span = (uint64_t)c.every * CHORD_KV_BLOCK;
    uint64_t shared = blocks == chord_ceil_div(needs->context_tokens, span) ? needs->shared_tokens / span : 0;
    return shared + needs->sessions * (blocks - shared) + branches;
}

/* ---- whose a block is: with the mutex held ------------------------------------------------------------------- */

/* At the start of a block that is nobody's. */
typedef struct chord_kv_free {
    struct chord_kv_free *next;
} chord_kv_free;

uint32_t chord_pool_number(const chord_kv_pool *pool, const uint8_t *block)
{
    return (uint32_t)((uint64_t)(block - pool->blocks) / pool->block_bytes);
}

uint8_t *chord_pool_block(const chord_kv_pool *pool, uint32_t number)
{
    return pool->blocks + number * pool->block_bytes;
}

uint16_t *chord_pool_owners(const chord_kv_pool *pool, const uint8_t *block)
{
    return &pool->owners[chord_pool_number(pool, block)];
}

uint32_t *chord_pool_keeper(const chord_kv_pool *pool, const uint8_t *block)
{
    return &pool->keeper[chord_pool_number(pool, block)];
}

void chord_pool_put(chord_kv_pool *pool, uint8_t *block)
{
    chord_kv_free *link = (void *)block;
    link->next = pool->free;
    pool->free = link;
    pool->free_count++;
    *chord_pool_keeper(pool, block) = CHORD_KEPT_NONE;
}

uint8_t *chord_pool_take(chord_kv_pool *pool)
{
    chord_kv_free *link = pool->free;
    uint8_t *block = (uint8_t *)link;
    if (pool->free_count == 0) return NULL;
    if (link != NULL) {
        pool->free = link->next;
        *link = (chord_kv_free){0};
    } else {
        block = chord_pool_block(pool, pool->untouched++);
    }
    pool->free_count--;
    *chord_pool_owners(pool, block) = 1;
    return block;
}

void chord_pool_give(chord_kv_pool *pool, uint8_t **entry)
{
    uint8_t *block = *entry;
    *entry = NULL;
    if (block == NULL || --*chord_pool_owners(pool, block) != 0) return;
    if (*chord_pool_keeper(pool, block) != CHORD_KEPT_NONE) pool->kept_count++;
    else chord_pool_put(pool, block);
}

void chord_pool_share(chord_kv_pool *pool, uint8_t **to, uint8_t *block)
{
    if (block != NULL && (*chord_pool_owners(pool, block))++ == 0) pool->kept_count--;
    chord_pool_give(pool, to);
    *to = block;
}

void chord_pool_unkeep(chord_kv_pool *pool, uint8_t *block)
{
    *chord_pool_keeper(pool, block) = CHORD_KEPT_NONE;
    if (*chord_pool_owners(pool, block) != 0) return;
    pool->kept_count--;
    chord_pool_put(pool, block);
}
