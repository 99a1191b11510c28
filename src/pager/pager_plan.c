/* pager_plan.c - what a number of bytes buys: which tiles stay, how long the ring is; and the memory for it. */
#include "pager/pager_inner.h"

uint64_t pager_slot_bytes(const chord_pager_config *config, uint32_t tile)
{
    const chord_tile *t = &config->tiles[tile];
    /* A plan may be made before the stores are known. */
    if (config->stores == NULL) return chord_align_up(t->bytes, 4096) + 2 * 4096;
    return chord_store_slot_bytes(config->stores[t->shard], t->bytes);
}

typedef struct sums {
    uint64_t slot_bytes, read_bytes; /* of all tiles */
    uint64_t made_slot_bytes;        /* of those that are made when they are read */
    uint64_t largest;                /* slot */
} sums;

/* Reading it takes more than it has: the last to be read again. */
static bool is_made(const chord_pager_config *config, uint32_t tile)
{
    return pager_read_bytes(config, tile) > config->tiles[tile].bytes;
}

static sums sum_up(const chord_pager_config *config)
{
    sums s = {0};
    for (uint32_t i = 0; i < config->tile_count; i++) {
        uint64_t bytes = pager_slot_bytes(config, i);
        s.slot_bytes += bytes;
        if (is_made(config, i)) s.made_slot_bytes += bytes;
        s.read_bytes += pager_read_bytes(config, i);
        s.largest = chord_max_u64(s.largest, bytes);
    }
    return s;
}

/* Tiles that share memory evenly. */
typedef struct spread {
    uint64_t memory_bytes, slot_bytes, passed, pinned;
} spread;

/* A tile is due when the pinned bytes have fallen half a tile behind their even share of the way so far. */
static bool is_due(spread *s, uint64_t bytes)
{
    double share = (double)s->memory_bytes / (double)s->slot_bytes;
    s->passed += bytes;
    bool due = (double)s->pinned + (double)bytes / 2 <= share * (double)s->passed &&
               s->pinned + bytes <= s->memory_bytes;
    if (due) s->pinned += bytes;
    return due;
}

/* Walks the tiles, and pins those that are due, and besides the first that fit into rest_bytes. Tiles that are made come
 * before the others. Gives the bytes that are left of memory_bytes. */
static uint64_t spread_pins(const chord_pager_config *config, const sums *all, uint64_t memory_bytes,
                            uint64_t rest_bytes, uint8_t *pins, chord_pager_plan *plan)
{
    uint64_t made_bytes = chord_min_u64(memory_bytes, all->made_slot_bytes);
    spread made = {.memory_bytes = made_bytes, .slot_bytes = all->made_slot_bytes},
           others = {.memory_bytes = memory_bytes - made_bytes, .slot_bytes = all->slot_bytes - all->made_slot_bytes};
    uint64_t pinned = 0, streamed = all->read_bytes;
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->tile_count; i++) {
        uint64_t bytes = pager_slot_bytes(config, i);
        bool due = is_due(is_made(config, i) ? &made : &others, bytes), extra = !due && bytes <= rest_bytes;
        if (extra) rest_bytes -= bytes;
        if (pins != NULL) pins[i] = due || extra;
        if (!due && !extra) continue;
        pinned += bytes;
        streamed -= pager_read_bytes(config, i);
        count++;
    }
    plan->pinned_bytes = pinned;
    plan->pinned_tiles = count;
    plan->streamed_bytes_per_pass = streamed;
    return memory_bytes - pinned;
}

/* Four reads in flight beside what an operation holds, when that is a small part of the memory. */
static uint32_t ring_slots(const chord_pager_config *config, uint64_t slot_bytes)
{
    uint32_t least = config->hold_max + 2, most = least + CHORD_READERS_DEFAULT;
    uint64_t eighth = config->memory_bytes / 8 / slot_bytes;
    return eighth <= least ? least : eighth >= most ? most : (uint32_t)eighth;
}

/* What may be mapped of the page cache at a time, an eighth of the memory at most: giving it back costs all threads an
 * interrupt, so it is more than an operation holds. None where that is too little. */
#define WINDOW_BYTES_MAX (16 * CHORD_MIB)

static uint64_t window_bytes(const chord_pager_config *config, uint64_t slot_bytes)
{
    uint64_t least = config->hold_max * (slot_bytes + CHORD_MAP_ALONG_BYTES), eighth = config->memory_bytes / 8;
    if (!config->window || eighth < least) return 0;
    return chord_max_u64(chord_min_u64(eighth, WINDOW_BYTES_MAX), least);
}

static void lay_out_plan(const chord_pager_config *config, const sums *all, uint8_t *pins, pager_layout *out)
{
    chord_pager_plan *plan = &out->plan;
    if (config->memory_bytes >= all->slot_bytes) {
        if (pins != NULL) memset(pins, 1, config->tile_count);
        plan->pinned_bytes = all->slot_bytes;
        plan->pinned_tiles = config->tile_count;
        return;
    }
    plan->ring_slots = ring_slots(config, all->largest);
    out->windows_bytes = window_bytes(config, all->largest);
    plan->ring_bytes = plan->ring_slots * all->largest + out->windows_bytes;
    uint64_t left = config->memory_bytes - plan->ring_bytes;
    uint64_t rest = spread_pins(config, all, left, 0, NULL, plan);
    spread_pins(config, all, left, rest, pins, plan);
}

/* Pins live in whole banks, of which the end may stay empty; the ring is there in any case, since every tile
 * comes through it once. */
static void lay_out_banked(const chord_pager_config *config, const sums *all, uint8_t *pins, pager_layout *out)
{
    chord_pager_plan *plan = &out->plan;
    out->banked = true;
    out->windows_bytes = config->bank_use == CHORD_BANK_USE_WINDOWS ? PAGER_WINDOWS * config->bank_bytes + 2 * CHORD_MIB
                                                                    : 0;
    plan->ring_slots = ring_slots(config, all->largest);
    plan->ring_bytes = plan->ring_slots * all->largest;
    uint64_t other = plan->ring_bytes + out->windows_bytes,
             left = config->memory_bytes > other ? config->memory_bytes - other : 0;
    uint64_t room = left / config->bank_bytes * (config->bank_bytes - all->largest);
    if (room > all->slot_bytes) room = all->slot_bytes;
    uint64_t rest = spread_pins(config, all, room, 0, NULL, plan);
    spread_pins(config, all, room, rest, pins, plan);
    plan->ring_bytes += out->windows_bytes;
}

static void lay_out_lru(const chord_pager_config *config, const sums *all, pager_layout *out)
{
    uint64_t slots = chord_min_u64(config->memory_bytes / all->largest, config->tile_count + 2ull * config->hold_max);
    out->plan.ring_slots = (uint32_t)slots;
    out->plan.ring_bytes = slots * all->largest;
    out->plan.streamed_bytes_per_pass = slots < config->tile_count ? all->read_bytes : 0;
}

static void lay_out_none(const chord_pager_config *config, const sums *all, pager_layout *out)
{
    out->plan.ring_slots = config->hold_max + 2;
    out->plan.ring_bytes = out->plan.ring_slots * all->largest;
    out->plan.streamed_bytes_per_pass = all->read_bytes;
}

static chord_status check_config(const chord_pager_config *config, chord_error *err)
{
    if (config->hold_max == 0 || config->hold_max > PAGER_HOLD_LIMIT)
        return chord_fail(err, CHORD_INVALID, "an operation may hold 1 to %u tiles, not %u", PAGER_HOLD_LIMIT,
                          config->hold_max);
    if (config->bank_bytes != 0 && config->hold_max > PAGER_WINDOWS)
        return chord_fail(err, CHORD_INVALID,
                          "with banks an operation may hold %u tiles, not %u: so many windows there are", PAGER_WINDOWS,
                          config->hold_max);
    for (uint32_t i = 0; i < config->tile_count; i++) {
        if (config->tiles[i].shard < config->shards && config->tiles[i].bytes > 0) continue;
        return chord_fail(err, CHORD_INVALID, "tile %u has %u bytes in shard %u of %u", i, config->tiles[i].bytes,
                          config->tiles[i].shard, config->shards);
    }
    return CHORD_OK;
}

chord_status pager_lay_out(const chord_pager_config *config, uint8_t *pins, pager_layout *out, chord_error *err)
{
    *out = (pager_layout){0};
    CHORD_TRY(check_config(config, err));
    sums all = sum_up(config);
    if (config->mapped || config->tile_count == 0) {
        out->plan.pinned_bytes = all.read_bytes; /* which are the tiles' */
        out->plan.pinned_tiles = config->tile_count;
        return CHORD_OK;
    }
    out->slot_bytes = all.largest;
    uint64_t ring_min = (config->hold_max + 2) * all.largest;
    /* Few tiles may take less than the ring would. */
    out->plan.memory_bytes_min = config->policy == CHORD_POLICY_PLAN ? chord_min_u64(ring_min, all.slot_bytes)
                                                                     : ring_min;
    if (config->memory_bytes < out->plan.memory_bytes_min)
        return chord_fail(err, CHORD_BUDGET,
                          "%" PRIu64 " bytes are left for weights, at least %" PRIu64
                          " are needed (%u tiles of %" PRIu64 ")",
                          config->memory_bytes, out->plan.memory_bytes_min, config->hold_max + 2, all.largest);
    if (config->bank_bytes > all.largest && config->policy == CHORD_POLICY_PLAN)
        lay_out_banked(config, &all, pins, out);
    else if (config->policy == CHORD_POLICY_PLAN) lay_out_plan(config, &all, pins, out);
    else if (config->policy == CHORD_POLICY_LRU) lay_out_lru(config, &all, out);
    else lay_out_none(config, &all, out);
    out->home_slots = out->banked ? 0 : out->plan.pinned_tiles;
    out->slots_bytes = out->plan.ring_bytes + (out->banked ? 0 : out->plan.pinned_bytes) - out->windows_bytes;
    return CHORD_OK;
}

chord_status chord_pager_plan_make(const chord_pager_config *config, chord_pager_plan *out, chord_error *err)
{
    pager_layout layout;
    chord_status status = pager_lay_out(config, NULL, &layout, err);
    *out = layout.plan;
    return status;
}

/* ---- where slots lie unless somebody else gives the memory -------------------------------------- */

/* Pages are had when readers first fill them, beside other work: taking some GB at once makes who opens a model wait for a
 * second. */
static chord_status open_memory(void *ud, chord_heap *heap, uint64_t bytes, chord_region *out, chord_error *err)
{
    (void)ud;
    return chord_region_open(heap, bytes, "memory for weights", false, true, out, err);
}

static void close_memory(void *ud, chord_heap *heap, chord_region *region)
{
    (void)ud;
    chord_region_close(heap, region);
}

const chord_slot_place pager_memory = {.open = open_memory, .close = close_memory};
