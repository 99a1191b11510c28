/* Pinned tiles in banks: each is read once, then seen through a window, two at a time, or found in its bank, whatever
 * part of the list a pass uses and whatever fails. */
#include "pager_fixture.h"

#define BANK_BYTES 131072u
#define WINDOWS_BYTES (2 * BANK_BYTES + (2u << 20))

static chord_error err;

static chord_bank_use use;

static chord_pager_config banked_config(const fixture *f, uint64_t pinned_bytes)
{
    chord_pager_config config = fixture_config(
        f, CHORD_POLICY_PLAN, (use == CHORD_BANK_USE_WINDOWS ? WINDOWS_BYTES : 0) + 8 * f->largest_slot + pinned_bytes);
    config.bank_bytes = BANK_BYTES;
    config.bank_use = use;
    config.pack = true;
    return config;
}

/* A tile as it lies: in memory, or in its bank. */
static void read_tile(const chord_tile *t, const chord_view *view, uint8_t *copy)
{
    if (view->data != NULL) memcpy(copy, view->data, t->bytes);
    else chord_bank_read(view->bank, view->bank_at, copy, t->bytes);
    for (uint32_t b = 0; view->packed && b < t->bytes; b++) copy[b] ^= 0xff;
}

/* Keeps a tile where it is wanted, inverted as if packed. Some formats cannot be packed: they are copied, but not into
 * banks that are read in panels. */
static void keep_tile(const fixture *f, chord_pager *pager, uint32_t tile, const chord_view *view, uint8_t *copy)
{
    bool invert = tile % 3 != 0;
    uint32_t bytes = f->tiles[tile].bytes;
    CHECK(view->data != NULL && view->any_form == (use != CHORD_BANK_USE_COPIES) &&
          view->home == (use == CHORD_BANK_USE_WINDOWS ? CHORD_HOME_OWN : CHORD_HOME_BANK));
    if (!invert && !view->any_form) return;
    for (uint32_t b = 0; invert && b < bytes; b++) copy[b] ^= 0xff;
    if (view->home == CHORD_HOME_OWN) memcpy(view->own, copy, bytes);
    else chord_bank_write(view->bank, view->bank_at, copy, bytes);
    chord_pager_keep(pager, tile, invert);
}

/* A pass as the forward pass makes it: two tiles held. */
static void run_keeping_pass(const fixture *f, chord_pager *pager, const uint32_t *list, uint32_t count)
{
    uint8_t copy[32768];
    chord_view view[2];
    CHECK_OK(chord_pager_pass_begin(pager, list, count, &err));
    for (uint32_t i = 0; i < count; i += 2) {
        uint32_t held = count - i < 2 ? 1 : 2;
        for (uint32_t k = 0; k < held; k++) CHECK_OK(chord_pager_pin(pager, list[i + k], &view[k], &err));
        for (uint32_t k = 0; k < held; k++) {
            read_tile(&f->tiles[list[i + k]], &view[k], copy);
            CHECK_SAY(tile_is_right(f, list[i + k], copy), "tile %u", list[i + k]);
            if (view[k].home != CHORD_HOME_NONE) keep_tile(f, pager, list[i + k], &view[k], copy);
        }
        for (uint32_t k = 0; k < held; k++) chord_pager_release(pager, list[i + k]);
    }
    CHECK_OK(chord_pager_pass_end(pager, &err));
}

static uint64_t bytes_read(chord_pager *pager)
{
    chord_pager_stats stats;
    settle(pager);
    chord_pager_stats_get(pager, &stats);
    return stats.bytes_read;
}

/* All tiles in banks: the second pass reads nothing. Half of them: only the others. */
static void check_passes(const fixture *f)
{
    uint64_t unpacked = 0; /* bytes of tiles that stay in no bank that is copied from */
    for (uint32_t i = 0; use == CHORD_BANK_USE_COPIES && i < f->tile_count; i += 3) unpacked += f->tiles[i].bytes;
    for (int half = 0; half < 2; half++) {
        chord_pager_config config = banked_config(f, half != 0 ? f->slot_bytes / 2 + BANK_BYTES
                                                               : 2 * f->slot_bytes + BANK_BYTES);
        chord_pager_plan plan;
        chord_pager *pager;
        CHECK_OK(chord_pager_plan_make(&config, &plan, &err));
        CHECK(half != 0 ? plan.pinned_tiles < f->tile_count && plan.pinned_tiles > 4
                        : plan.pinned_tiles == f->tile_count);
        config.no_prefetch = half == 0; /* exact counts need readers that do not run ahead into the next pass */
        CHECK_OK(chord_pager_open(&config, &pager, &err));
        run_keeping_pass(f, pager, f->all, f->tile_count);
        uint64_t first = bytes_read(pager);
        for (int pass = 0; pass < 5; pass++) run_keeping_pass(f, pager, f->all, f->tile_count);
        uint64_t later = bytes_read(pager) - first;
        if (half == 0) CHECK(first == f->tile_bytes && later == 5 * unpacked);
        else
            CHECK(later >= 5 * plan.streamed_bytes_per_pass - f->tile_bytes &&
                  later <= 6 * (plan.streamed_bytes_per_pass + unpacked));
        chord_pager_close(pager);
    }
}

/* Passes over parts of the list, in any number, with tiles that are kept and tiles that are not. */
static void check_parts(const fixture *f)
{
    chord_pager_config config = banked_config(f, f->slot_bytes / 2 + BANK_BYTES);
    chord_pager *pager;
    uint32_t list[TILES_MAX];
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    for (int pass = 0; pass < 60; pass++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < f->tile_count; i++)
            if (random_below(3) != 0) list[count++] = i;
        run_keeping_pass(f, pager, list, count);
    }
    chord_pager_close(pager);
}

static void check_failures(fixture *f)
{
    fixture_make_faulty(f, 5, 12, 100000); /* each read is tried twice, and four readers share the failures */
    chord_pager_config config = banked_config(f, f->slot_bytes + 2 * BANK_BYTES);
    chord_pager *pager;
    uint32_t failed = 0;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    for (int pass = 0; pass < 30; pass++) {
        CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
        for (uint32_t i = 0; i < f->tile_count; i++) {
            chord_view view;
            chord_status status = chord_pager_pin(pager, i, &view, &err);
            CHECK(status == CHORD_OK || status == CHORD_IO);
            if (status != CHORD_OK) {
                failed++;
                break;
            }
            CHECK_SAY(tile_is_right(f, i, view.data), "tile %u", i);
            if (view.home != CHORD_HOME_NONE) {
                memcpy(view.own, view.data, f->tiles[i].bytes);
                chord_pager_keep(pager, i, false);
            }
            chord_pager_release(pager, i);
        }
        CHECK_OK(chord_pager_pass_end(pager, &err));
    }
    CHECK(failed > 0 && failed < 30);
    chord_pager_close(pager);
}

/* A heap with room for the ring but not for the banks says so and leaves nothing behind. */
static void check_budget(const fixture *f)
{
    chord_pager_config config = banked_config(f, f->slot_bytes + 2 * BANK_BYTES);
    chord_pager *pager;
    CHECK_OK(chord_heap_open(config.memory_bytes / 2, &config.heap, &err));
    CHECK(chord_pager_open(&config, &pager, &err) == CHORD_BUDGET && pager == NULL);
    CHECK(chord_heap_used_bytes(config.heap) == 0);
    chord_heap_close(config.heap);
}

/* More held tiles than windows could need a bank whose window is taken. */
static void check_holding(const fixture *f)
{
    chord_pager_config config = banked_config(f, f->slot_bytes);
    chord_pager_plan plan;
    config.hold_max = 3;
    CHECK(chord_pager_plan_make(&config, &plan, &err) == CHORD_INVALID);
}

int main(void)
{
    fixture f;
    alarm(CHECK_FOREVER_S);
    fixture_open(&f, 47, 3000, 30000);
    for (use = CHORD_BANK_USE_WINDOWS; use <= CHORD_BANK_USE_IN_PLACE; use++) {
        check_passes(&f);
        check_parts(&f);
    }
    use = CHORD_BANK_USE_WINDOWS;
    check_budget(&f);
    check_holding(&f);
    check_failures(&f);
    fixture_close(&f);
    return check_done();
}
