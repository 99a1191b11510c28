/* attention.c - who computes which partial, and in which order partials are folded (compute.h has the specification).
 *
 * A row is one query head of one token. Two ways with the same bits:
 *  - whole rows: a worker takes up to UNIT_ROWS rows of one kv head through all their blocks and folds as it goes. Each
 *    block is widened to f32 once for all rows of the unit, or read as it is when the rows are few.
 *  - split blocks: a few tokens against a long past, and kv heads that do not share out evenly. Workers compute
 *    partials of (kv head, block) for a round of blocks; whoever ends a kv head's round folds it in block order. */
#include "compute/kv_inner.h"
#include "compute/vector_ops.h"

#define UNIT_ROWS 128u /* most rows that share one widened block */
#define UNIT_ROWS_MIN 16u
#define SPLIT_TOKENS 8u    /* most tokens for which blocks are split */
#define SPLIT_SLOTS 64u    /* partials of one head held at a time */
#define SHARE_WORK 100000u /* multiply-adds below which a second thread does not pay */

typedef struct attention {
    const chord_compute *c;
    const chord_kv *kv;
    const chord_attention_args *args;
    const float *q;
    float *out;
    uint32_t group, rows;  /* query heads of one kv head; rows of one kv head: tokens * group */
    uint64_t stride;       /* floats of a partial: sums, m, l, padded */
    float *slots, *folded; /* split: (block of the round, row of any kv head), (row of any kv head) */
    uint32_t *finished;    /* split: blocks of the round that are done, by kv head */
    float *workers;        /* worker_floats each */
    uint64_t worker_floats;
    uint32_t unit_rows, units;
    uint64_t block_first, blocks; /* all blocks, or those of this round */
    bool far;                     /* kv is args->far */
} attention;

typedef struct desk {             /* one worker's memory */
    float *k, *v, *acc, *partial; /* widened block; UNIT_ROWS and CHORD_TILE_ROWS partials */
} desk;

static uint64_t partial_stride(uint32_t value_dim) { return chord_kv_dims_padded(value_dim) + 16u; }

static uint64_t worker_floats(uint32_t head_dim, uint32_t value_dim)
{
    return (uint64_t)CHORD_KV_BLOCK * (chord_kv_dims_padded(head_dim) + chord_kv_dims_padded(value_dim)) +
           (UNIT_ROWS + CHORD_TILE_ROWS) * partial_stride(value_dim);
}

static uint64_t split_floats(uint32_t threads, uint32_t value_dim, uint32_t heads)
{
    uint64_t partials = (uint64_t)(SPLIT_SLOTS + SPLIT_TOKENS) * heads * partial_stride(value_dim);
    return threads > 1 ? partials + chord_align_up(heads, 16) : 0;
}

uint64_t chord_attention_scratch_bytes(uint32_t threads, uint32_t head_dim, uint32_t value_dim, uint32_t heads)
{
    threads = threads > 0 ? threads : 1;
    return (split_floats(threads, value_dim, heads) + threads * worker_floats(head_dim, value_dim)) * sizeof(float);
}

static desk desk_of(const attention *a, uint32_t worker)
{
    desk d = {.k = a->workers + worker * a->worker_floats};
    d.v = d.k + (uint64_t)CHORD_KV_BLOCK * chord_kv_dims_padded(a->kv->head_dim);
    d.acc = d.v + (uint64_t)CHORD_KV_BLOCK * chord_kv_dims_padded(a->kv->value_dim);
    d.partial = d.acc + UNIT_ROWS * a->stride;
    return d;
}

/* The positions that a row sees: its own and those before it, within the window. */
static chord_share seen_by(const attention *a, uint32_t row)
{
    uint64_t end = (uint64_t)a->args->first + row / a->group + 1;
    if (a->far) return (chord_share){.first = 0, .end = end / a->args->every};
    if (a->args->chunks && a->args->window != 0)
        return (chord_share){.first = (end - 1) / a->args->window * a->args->window, .end = end};
    return (chord_share){.first = a->args->window && end > a->args->window ? end - a->args->window : 0, .end = end};
}

static bool sees(chord_share seen, uint64_t block)
{
    return seen.first < (block + 1) * CHORD_KV_BLOCK && seen.end > block * CHORD_KV_BLOCK;
}

/* The row's place among all heads of all tokens. */
static uint64_t place_of(const attention *a, uint32_t kv_head, uint32_t row)
{
    return (uint64_t)(row / a->group) * a->args->heads + (uint64_t)kv_head * a->group + row % a->group;
}

static const float *query(const attention *a, uint32_t kv_head, uint32_t row)
{
    return a->q + place_of(a, kv_head, row) * a->kv->head_dim;
}

static float *result(const attention *a, uint32_t kv_head, uint32_t row)
{
    return a->out + place_of(a, kv_head, row) * a->kv->value_dim;
}

/* K and V panels of a block, as they lie or widened. */
static void open_block(const attention *a, const desk *d, uint32_t kv_head, uint64_t block, uint32_t rows,
                       chord_attention_tile *tile)
{
    const chord_kv *kv = a->kv;
    const uint8_t *memory = chord_kv_block(kv, kv_head, block);
    const uint8_t *v = memory + chord_kv_layout_of(kv->type, kv->head_dim, kv->value_dim).v;
    tile->half = kv->type == CHORD_KV_F16 && rows <= a->c->ops->direct_rows;
    tile->k = tile->half ? (const void *)memory : d->k;
    tile->v = tile->half ? (const void *)v : d->v;
    if (tile->half) return;
    if (kv->type == CHORD_KV_Q8_0) {
        a->c->ops->q8_to_f32(d->k, d->v, memory, kv->head_dim, kv->value_dim);
        return;
    }
    a->c->ops->f16_to_f32(d->k, (const void *)memory, (uint64_t)CHORD_KV_BLOCK * kv->head_dim);
    a->c->ops->f16_to_f32(d->v, (const void *)v, (uint64_t)CHORD_KV_BLOCK * chord_kv_dims_padded(kv->value_dim));
}

/* Fill the tile with rows from `row` on that see the block, and compute their partials. Returns the first row not
 * looked at; the rows taken are the tile->rows before it. */
static uint32_t attend_tile(const attention *a, chord_attention_tile *tile, uint32_t kv_head, uint64_t block,
                            uint32_t row, uint32_t end)
{
    uint64_t start = block * CHORD_KV_BLOCK;
    tile->rows = 0;
    for (; row < end && tile->rows < CHORD_TILE_ROWS; row++) {
        chord_share seen = seen_by(a, row);
        if (!sees(seen, block)) {
            if (tile->rows > 0) break;
            continue;
        }
        uint32_t r = tile->rows++;
        tile->q[r] = query(a, kv_head, row);
        tile->low[r] = (uint32_t)(chord_max_u64(seen.first, start) - start);
        tile->high[r] = (uint32_t)(chord_min_u64(seen.end, start + CHORD_KV_BLOCK) - start);
    }
    if (tile->rows > 0) a->c->ops->attend(tile);
    return row;
}

static chord_attention_tile tile_of(const attention *a)
{
    return (chord_attention_tile){.head_dim = a->kv->head_dim,
                                  .value_dim = a->kv->value_dim,
                                  .scale = a->args->scale,
                                  .softcap = a->args->softcap,
                                  .partial_stride = a->stride};
}

/* The first block that a row sees is taken as it is, or folded to the head's sink; those after it are folded in. */
static void take_partial(const attention *a, float *acc, const float *partial, uint32_t kv_head, uint32_t row,
                         uint64_t block)
{
    if (!a->far && block == seen_by(a, row).first / CHORD_KV_BLOCK) {
        if (a->args->sinks == NULL) {
            memcpy(acc, partial, a->stride * sizeof *acc);
            return;
        }
        uint32_t padded = chord_kv_dims_padded(a->kv->value_dim);
        memset(acc, 0, a->stride * sizeof *acc);
        acc[padded] = a->args->sinks[kv_head * a->group + row % a->group];
        acc[padded + 1] = 1.0f;
    }
    a->c->ops->fold(acc, partial, a->kv->value_dim);
}

/* ---- whole rows ---- */

static void fold_rows(const attention *a, const desk *d, uint32_t kv_head, uint32_t first, uint32_t end)
{
    chord_attention_tile tile = tile_of(a);
    tile.partial = d->partial;
    uint64_t block = seen_by(a, first).first / CHORD_KV_BLOCK;
    uint64_t block_end = chord_ceil_div(seen_by(a, end - 1).end, CHORD_KV_BLOCK);
    for (; block < block_end; block++) {
        open_block(a, d, kv_head, block, end - first, &tile);
        for (uint32_t row = first; row < end;) {
            row = attend_tile(a, &tile, kv_head, block, row, end);
            for (uint32_t r = 0; r < tile.rows; r++) {
                uint32_t taken = row - tile.rows + r;
                take_partial(a, d->acc + (taken - first) * a->stride, d->partial + r * a->stride, kv_head, taken,
                             block);
            }
        }
    }
}

static void attend_rows(const attention *a, const desk *d, uint32_t kv_head, uint32_t first, uint32_t end)
{
    fold_rows(a, d, kv_head, first, end);
    if (a->args->far != NULL) {
        attention far = *a;
        far.kv = a->args->far;
        far.far = true;
        fold_rows(&far, d, kv_head, first, end);
    }
    for (uint32_t row = first; row < end; row++)
        a->c->ops->finish(result(a, kv_head, row), d->acc + (row - first) * a->stride, a->kv->value_dim);
}

/* Units of late tokens, the long ones, come first. */
static void take_units(void *ud, uint32_t worker, chord_share share)
{
    attention *a = ud;
    desk d = desk_of(a, worker);
    for (uint64_t taken = share.first; taken < share.end; taken++) {
        uint32_t unit = a->units - 1 - (uint32_t)taken, kv_head = unit % a->kv->kv_heads;
        uint32_t first = unit / a->kv->kv_heads * a->unit_rows;
        attend_rows(a, &d, kv_head, first, (uint32_t)chord_min_u64(first + a->unit_rows, a->rows));
    }
}

/* ---- split blocks ---- */

static float *slot(const attention *a, uint64_t block, uint32_t kv_head, uint32_t row)
{
    return a->slots + (((block - a->block_first) * a->kv->kv_heads + kv_head) * a->rows + row) * a->stride;
}

static void attend_block(const attention *a, const desk *d, uint32_t kv_head, uint64_t block)
{
    chord_attention_tile tile = tile_of(a);
    open_block(a, d, kv_head, block, a->rows, &tile);
    for (uint32_t row = 0; row < a->rows;) {
        /* Slots of rows that do not see the block stay unused: a tile's partials go where its first row's does. */
        while (row < a->rows && !sees(seen_by(a, row), block)) row++;
        tile.partial = slot(a, block, kv_head, row);
        row = attend_tile(a, &tile, kv_head, block, row, a->rows);
    }
}

static void fold_round(const attention *a, uint32_t kv_head)
{
    uint64_t end = a->block_first + a->blocks;
    for (uint32_t row = 0; row < a->rows; row++) {
        float *acc = a->folded + ((uint64_t)kv_head * a->rows + row) * a->stride;
        chord_share seen = seen_by(a, row);
        for (uint64_t block = a->block_first; block < end; block++)
            if (sees(seen, block)) take_partial(a, acc, slot(a, block, kv_head, row), kv_head, row, block);
        bool whole = seen.end <= end * CHORD_KV_BLOCK && seen.end > a->block_first * CHORD_KV_BLOCK;
        if (whole) a->c->ops->finish(result(a, kv_head, row), acc, a->kv->value_dim);
    }
}

/* Who finishes a kv head's last block of the round folds them. */
static void take_blocks(void *ud, uint32_t worker, chord_share share)
{
    attention *a = ud;
    desk d = desk_of(a, worker);
    for (uint64_t taken = share.first; taken < share.end; taken++) {
        uint32_t kv_head = (uint32_t)(taken / a->blocks);
        attend_block(a, &d, kv_head, a->block_first + taken % a->blocks);
        if (__atomic_add_fetch(&a->finished[kv_head], 1, __ATOMIC_ACQ_REL) == a->blocks) fold_round(a, kv_head);
    }
}

static void attend_split(attention *a)
{
    uint64_t block_end = a->block_first + a->blocks, round = SPLIT_SLOTS / a->args->tokens;
    for (; a->block_first < block_end; a->block_first += a->blocks) {
        a->blocks = chord_min_u64(round, block_end - a->block_first);
        memset(a->finished, 0, a->kv->kv_heads * sizeof *a->finished);
        chord_pool_run(a->c->pool, a->blocks * a->kv->kv_heads, 1, take_blocks, a);
    }
}

void chord_attention(const chord_compute *c, float *out, const float *q, const chord_kv *kv,
                     const chord_attention_args *args, void *scratch)
{
    if (args->tokens == 0) return;
    uint32_t threads = c->pool ? chord_pool_threads(c->pool) : 1;
    attention a = {.c = c, .kv = kv, .args = args, .q = q, .out = out, .slots = scratch};
    a.group = args->heads / kv->kv_heads;
    a.stride = partial_stride(kv->value_dim);
    a.worker_floats = worker_floats(kv->head_dim, kv->value_dim);
    a.rows = args->tokens * a.group;
    a.folded = a.slots + (uint64_t)SPLIT_SLOTS * args->heads * a.stride;
    a.finished = (uint32_t *)(void *)(a.folded + (uint64_t)SPLIT_TOKENS * args->heads * a.stride);
    a.workers = a.slots + split_floats(threads, kv->value_dim, args->heads);
    a.block_first = seen_by(&a, 0).first / CHORD_KV_BLOCK;
    a.blocks = (seen_by(&a, a.rows - 1).end - 1) / CHORD_KV_BLOCK + 1 - a.block_first;

    uint64_t products = a.blocks * CHORD_KV_BLOCK * (kv->head_dim + kv->value_dim) * args->heads * args->tokens;
    bool alone = threads == 1 || products < SHARE_WORK;
    uint64_t slices = alone ? 1 : chord_ceil_div(4ull * threads, kv->kv_heads);
    uint64_t rows = chord_align_up(chord_ceil_div(a.rows, slices), CHORD_TILE_ROWS);
    a.unit_rows = (uint32_t)chord_min_u64(chord_max_u64(rows, UNIT_ROWS_MIN), UNIT_ROWS);
    a.units = (uint32_t)chord_ceil_div(a.rows, a.unit_rows) * kv->kv_heads;
    bool even = a.units >= 4 * threads || a.units % threads == 0;
    bool splits = !even && args->tokens <= SPLIT_TOKENS && a.blocks > 1 && args->far == NULL;
    if (!alone && splits) attend_split(&a);
    else chord_pool_run(alone ? NULL : c->pool, a.units, 1, take_units, &a);
}
