/* Right bytes in every tile under every policy and budget, no more memory than given, and counters that can be
 * predicted. */
#include "pager_fixture.h"

static chord_error err;

typedef struct outcome {
    chord_pager_stats stats; /* of one pass, after two others */
    chord_pager_plan plan;
} outcome;

static outcome run(const fixture *f, chord_pager_config config)
{
    outcome out = {0};
    chord_pager *pager;
    uint64_t before = chord_heap_used_bytes(f->heap);
    CHECK_OK(chord_pager_plan_make(&config, &out.plan, &err));
    chord_pager_config early = config;
    chord_pager_plan plan;
    early.stores = NULL; /* as when the plan is made from the header alone */
    CHECK_OK(chord_pager_plan_make(&early, &plan, &err));
    CHECK(memcmp(&plan, &out.plan, sizeof plan) == 0);
    CHECK(plan.pinned_bytes + plan.ring_bytes <= config.memory_bytes);
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    uint64_t used = chord_heap_used_bytes(f->heap) - before;
    CHECK_SAY(used <= config.memory_bytes + 32768, "%" PRIu64 " bytes of %" PRIu64, used, config.memory_bytes);
    run_pass(f, pager, f->all, f->tile_count);
    run_pass(f, pager, f->all, f->tile_count);
    settle(pager);
    chord_pager_stats earlier, now;
    chord_pager_stats_get(pager, &earlier);
    run_pass(f, pager, f->all, f->tile_count);
    settle(pager);
    chord_pager_stats_get(pager, &now);
    chord_pager_stats_add(&out.stats, &now, &earlier);
    CHECK(chord_heap_used_bytes(f->heap) - before == used); /* nothing is allocated after open */
    chord_pager_close(pager);
    CHECK(chord_heap_used_bytes(f->heap) == before);
    CHECK(out.stats.hits + out.stats.misses == f->tile_count);
    CHECK(out.stats.prefetched_used + out.stats.prefetched_late <= out.stats.misses &&
          out.stats.prefetched_wasted == 0);
    return out;
}

static void check_policies(const fixture *f)
{
    static const uint32_t percents[] = {0, 30, 60, 90, 100};
    for (size_t i = 0; i < CHORD_COUNT(percents); i++)
        for (int way = 0; way < 6; way++) {
            uint64_t memory = chord_max_u64(f->slot_bytes * percents[i] / 100, 4 * f->largest_slot);
            chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, memory);
            config.no_prefetch = way == 1;
            config.prefetch_tiles = way == 2 ? 1 : way == 3 ? 3 : 0;
            config.readers = f->readers[way == 4 ? 1 : way == 5 ? 9 : CHORD_READERS_DEFAULT];
            outcome plan = run(f, config);
            CHECK(plan.stats.hits == plan.plan.pinned_tiles && plan.stats.evictions == 0);
            CHECK_SAY(plan.stats.bytes_read == plan.plan.streamed_bytes_per_pass,
                      "%" PRIu64 " bytes read, %" PRIu64 " planned", plan.stats.bytes_read,
                      plan.plan.streamed_bytes_per_pass);
            CHECK(percents[i] < 100 || (plan.plan.pinned_tiles == f->tile_count && plan.plan.ring_slots == 0));
            CHECK(way != 1 || plan.stats.prefetched_used + plan.stats.prefetched_late == 0);

            config.policy = CHORD_POLICY_LRU;
            outcome lru = run(f, config);
            if (lru.plan.ring_slots <
                f->tile_count) { /* a cycle longer than the cache: the oldest tile goes, and is the next one needed */
                CHECK_SAY(lru.stats.hits == 0, "%" PRIu64 " hits", lru.stats.hits);
                CHECK(lru.stats.bytes_read == f->tile_bytes && lru.stats.evictions == f->tile_count);
            }
            config.policy = CHORD_POLICY_NONE;
            outcome none = run(f, config);
            CHECK(none.stats.hits == 0 && none.stats.bytes_read == f->tile_bytes && none.plan.pinned_tiles == 0);
            CHECK(none.stats.prefetched_used + none.stats.prefetched_late == 0);
        }
    chord_pager_config config = fixture_config(f, CHORD_POLICY_LRU, (f->tile_count + 4) * f->largest_slot);
    outcome lru = run(f, config);
    CHECK(lru.stats.hits == f->tile_count && lru.stats.bytes_read == 0);
}

/* Pinned bytes never part from their even share of the way by much more than a tile. */
static void check_spread(const fixture *f)
{
    for (uint32_t percent = 20; percent < 100; percent += 7) {
        chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, f->slot_bytes * percent / 100);
        chord_pager *pager;
        chord_pager_plan plan;
        if (chord_pager_plan_make(&config, &plan, NULL) != CHORD_OK) continue;
        CHECK_OK(chord_pager_open(&config, &pager, &err));
        run_pass(f, pager, f->all, f->tile_count);
        double passed = 0, pinned = 0, worst = 0;
        for (uint32_t i = 0; i < f->tile_count; i++) {
            bool packed;
            uint64_t bytes = chord_store_slot_bytes(f->stores[0], f->tiles[i].bytes);
            passed += (double)bytes;
            const uint8_t *data = fixture_peek(pager, i, &packed);
            if (data != NULL) pinned += (double)bytes;
            CHECK(data == NULL || (!packed && tile_is_right(f, i, data)));
            double away = pinned - passed * (double)plan.pinned_bytes / (double)f->slot_bytes;
            if (away < 0) away = -away;
            if (away > worst) worst = away;
        }
        CHECK_SAY(pinned == (double)plan.pinned_bytes && worst < 2.0 * (double)f->largest_slot, "%.0f away at %u %%",
                  worst, percent);
        CHECK(plan.pinned_bytes + plan.ring_bytes + f->largest_slot > config.memory_bytes); /* little is left over */
        chord_pager_close(pager);
    }
}

/* Two parts, the later one first. */
static void read_parts(const chord_view *view, uint64_t bytes)
{
    CHECK_OK(chord_view_read(view, bytes / 3, bytes - bytes / 3, &err));
    CHECK_OK(chord_view_read(view, 0, bytes / 3, &err));
}

/* What nobody reads ahead, and leaves with its release, comes unread where parts are wanted; all else has been read. */
static void check_parts(const fixture *f)
{
    for (int way = 0; way < 4; way++) {
        chord_pager_config config = fixture_config(f, way == 1 ? CHORD_POLICY_LRU : CHORD_POLICY_PLAN,
                                                   f->slot_bytes / 2);
        chord_pager *pager;
        uint64_t unread_bytes = 0;
        config.parts = way != 3;
        config.no_prefetch = way != 2;
        CHECK_OK(chord_pager_open(&config, &pager, &err));
        for (int pass = 0; pass < 3; pass++) {
            CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
            for (uint32_t i = 0; i < f->tile_count; i++) {
                chord_view view;
                CHECK_OK(chord_pager_pin(pager, i, &view, &err));
                if (view.unread != NULL) {
                    CHECK(!pager_slot_of(pager, i)->home);
                    memset(pager_slot_of(pager, i)->data, 0xA5, f->tiles[i].bytes); /* it may have been here before */
                    read_parts(&view, f->tiles[i].bytes);
                    unread_bytes += f->tiles[i].bytes;
                }
                CHECK(tile_is_right(f, i, view.data));
                chord_pager_release(pager, i);
            }
            CHECK_OK(chord_pager_pass_end(pager, &err));
        }
        chord_pager_stats now;
        chord_pager_plan plan;
        CHECK_OK(chord_pager_plan_make(&config, &plan, &err));
        chord_pager_stats_get(pager, &now);
        CHECK(way == 0 ? unread_bytes == 3 * plan.streamed_bytes_per_pass : unread_bytes == 0);
        CHECK(way != 0 || now.bytes_read == f->tile_bytes + 2 * plan.streamed_bytes_per_pass);
        chord_pager_close(pager);
    }
}

/* Tiles that are made of more bytes than they have are pinned before the others, and counted as what was read for them. */
static void check_made(const fixture *f)
{
    uint32_t read_bytes[64], made = 0;
    uint64_t made_slots = 0;
    CHECK(f->tile_count == CHORD_COUNT(read_bytes));
    for (uint32_t i = 0; i < f->tile_count; i++) {
        bool is_made = i % 3 == 1;
        read_bytes[i] = f->tiles[i].bytes * (is_made ? 3 : 1);
        made += is_made;
        made_slots += is_made ? chord_store_slot_bytes(f->stores[0], f->tiles[i].bytes) : 0;
    }
    for (uint32_t percent = 20; percent < 100; percent += 9) {
        chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, f->slot_bytes * percent / 100);
        config.read_bytes = read_bytes;
        outcome o = run(f, config);
        CHECK(o.stats.bytes_read == o.plan.streamed_bytes_per_pass);
        uint64_t left = 0; /* of made tiles, when they come first */
        chord_pager *pager;
        CHECK_OK(chord_pager_open(&config, &pager, &err));
        run_pass(f, pager, f->all, f->tile_count);
        uint32_t pinned[2] = {0};
        for (uint32_t i = 0; i < f->tile_count; i++) {
            bool packed;
            if (fixture_peek(pager, i, &packed) != NULL) pinned[i % 3 == 1]++;
            else left += i % 3 == 1;
        }
        chord_pager_close(pager);
        CHECK_SAY(pinned[1] == made || pinned[0] <= 1, "at %u %%: %u of %u made ones, %u others", percent, pinned[1],
                  made, pinned[0]);
        CHECK(o.plan.pinned_bytes < made_slots + 2 * f->largest_slot || left == 0);
    }
}

static void check_minimum(const fixture *f)
{
    for (chord_policy policy = CHORD_POLICY_PLAN; policy <= CHORD_POLICY_NONE; policy++) {
        chord_pager_config config = fixture_config(f, policy, 1);
        chord_pager_plan plan;
        chord_pager *pager = (chord_pager *)1;
        CHECK(chord_pager_plan_make(&config, &plan, &err) == CHORD_BUDGET);
        CHECK(plan.memory_bytes_min == 4 * f->largest_slot);
        char number[32];
        chord_format(number, sizeof number, "%" PRIu64, plan.memory_bytes_min);
        CHECK_SAY(strstr(err.text, number) != NULL, "%s", err.text);
        config.memory_bytes = plan.memory_bytes_min - 1;
        CHECK(chord_pager_open(&config, &pager, &err) == CHORD_BUDGET && pager == NULL);
        config.memory_bytes++;
        CHECK_OK(chord_pager_open(&config, &pager, &err));
        chord_pager_close(pager);
    }
    chord_pager_config few = fixture_config(f, CHORD_POLICY_PLAN, 0);
    chord_pager_plan plan;
    few.tile_count = 2; /* all of them are less than a ring */
    few.memory_bytes = chord_store_slot_bytes(f->stores[0], f->tiles[0].bytes) +
                       chord_store_slot_bytes(f->stores[0], f->tiles[1].bytes);
    CHECK_OK(chord_pager_plan_make(&few, &plan, &err));
    CHECK(plan.memory_bytes_min == few.memory_bytes && plan.pinned_tiles == 2);
    few.memory_bytes--;
    CHECK(chord_pager_plan_make(&few, &plan, &err) == CHORD_BUDGET);
    chord_pager_close(NULL);
}

/* Lists that change from pass to pass, tiles left out, passes that end early, a cancel now and then: never a wrong
 * byte, never a wait without end. */
static void check_changes(const fixture *f)
{
    for (uint32_t turn = 0; turn < 120; turn++) {
        chord_policy policy = (chord_policy)(turn % 3);
        uint64_t memory = 4 * f->largest_slot + random_below((uint32_t)f->slot_bytes);
        chord_pager_config config = fixture_config(f, policy, memory);
        config.readers = f->readers[1 + random_below(5)];
        config.prefetch_tiles = random_below(2) * random_below(6);
        config.pack = true;
        chord_pager *pager;
        atomic_bool called_off = false;
        CHECK_OK(chord_pager_open(&config, &pager, &err));
        chord_pager_heed(pager, &called_off);
        for (uint32_t pass = 0; pass < 12; pass++) {
            uint32_t list[TILES_MAX], count = 0, shape = random_below(4), dice = random_below(100);
            for (uint32_t i = 0; i < f->tile_count; i++)
                if (shape == 0 || (shape == 1 && i + 5 < f->tile_count) || (shape == 2 && random_below(3) != 0) ||
                    (shape == 3 && i % 7 == 3))
                    list[count++] = i;
            CHECK_OK(chord_pager_pass_begin(pager, list, count, &err));
            uint32_t last = dice < 30 ? random_below(count + 1) : count, skip_one_in = dice % 3 == 0 ? 5 : 1000000;
            uint32_t held[2], held_count = 0;
            bool cancelled = false;
            for (uint32_t i = 0; i < last; i++) {
                if (random_below(skip_one_in) == 1) continue;
                chord_view view;
                if (dice == 99 && i >= 3) {
                    atomic_store(&called_off, true);
                    cancelled = true;
                }
                chord_status status = chord_pager_pin(pager, list[i], &view, &err);
                if (cancelled) {
                    CHECK(status == CHORD_CANCELLED);
                    break;
                }
                CHECK_SAY(status == CHORD_OK, "%s", err.text);
                CHECK(tile_is_right(f, list[i], view.data) &&
                      (view.home == CHORD_HOME_NONE || (view.home == CHORD_HOME_IN_PLACE && view.own == view.data)));
                held[held_count++] = list[i];
                if (held_count == 2 || random_below(2) == 0)
                    while (held_count > 0) chord_pager_release(pager, held[--held_count]);
            }
            if (random_below(4) != 0) CHECK_OK(chord_pager_pass_end(pager, &err)); /* or the next pass just begins */
            atomic_store(&called_off, false);
        }
        chord_pager_close(pager);
    }
}

static void check_misuse(const fixture *f)
{
    chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, f->slot_bytes / 2);
    chord_pager *pager;
    chord_view view;
    uint32_t wrong[2] = {5, 5}, beyond = f->tile_count;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK(chord_pager_pass_begin(pager, wrong, 2, &err) == CHORD_INVALID);
    CHECK(chord_pager_pass_begin(pager, &beyond, 1, &err) == CHORD_INVALID);
    CHECK(chord_pager_pin(pager, 0, &view, &err) == CHORD_INVALID); /* no pass */
    CHECK_OK(chord_pager_pass_begin(pager, f->all, 10, &err));
    CHECK_OK(chord_pager_pin(pager, 4, &view, &err));
    CHECK(chord_pager_pin(pager, 3, &view, &err) == CHORD_INVALID &&
          chord_pager_pin(pager, 10, &view, &err) == CHORD_INVALID);
    CHECK_OK(chord_pager_pin(pager, 6, &view, &err));
    CHECK(chord_pager_pin(pager, 7, &view, &err) == CHORD_INVALID); /* more than it may hold */
    CHECK_OK(chord_pager_pass_end(pager, &err));                    /* releases what is held */
    run_pass(f, pager, f->all, f->tile_count);
    chord_pager_close(pager);
    config.hold_max = 0;
    CHECK(chord_pager_open(&config, &pager, &err) == CHORD_INVALID);
    config = fixture_config(f, CHORD_POLICY_PLAN, 0);
    config.tile_count = 0;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK_OK(chord_pager_pass_begin(pager, NULL, 0, &err));
    CHECK_OK(chord_pager_pass_end(pager, &err));
    chord_pager_close(pager);
}

/* A pinned tile that was packed in place stays packed. */
static void check_packing(const fixture *f)
{
    chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, f->slot_bytes / 2);
    chord_pager *pager;
    uint32_t packed_count = 0;
    config.pack = true;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    for (int pass = 0; pass < 3; pass++) {
        CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
        for (uint32_t i = 0; i < f->tile_count; i++) {
            chord_view view;
            bool packed;
            CHECK_OK(chord_pager_pin(pager, i, &view, &err));
            if (view.packed) {
                CHECK(pass > 0 && view.data[0] == (uint8_t)~f->bytes[f->tiles[i].shard][f->tiles[i].offset]);
                CHECK(fixture_peek(pager, i, &packed) == view.data && packed);
            } else {
                CHECK(tile_is_right(f, i, view.data) && (view.home == CHORD_HOME_NONE || pass == 0));
                if (view.home != CHORD_HOME_NONE) {
                    view.own[0] = (uint8_t)~view.own[0];
                    chord_pager_keep(pager, i, true);
                    packed_count++;
                }
            }
            chord_pager_release(pager, i);
        }
        CHECK_OK(chord_pager_pass_end(pager, &err));
    }
    chord_pager_plan plan;
    CHECK_OK(chord_pager_plan_make(&config, &plan, &err));
    CHECK(packed_count == plan.pinned_tiles && packed_count > 0);
    chord_pager_close(pager);
}

#ifdef CHORD_HARDTEST
static void check_scribbling(const fixture *f)
{
    chord_pager_config config = fixture_config(f, CHORD_POLICY_NONE, f->slot_bytes / 2);
    chord_pager *pager;
    chord_view view;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
    CHECK_OK(chord_pager_pin(pager, 0, &view, &err));
    chord_pager_release(pager, 0);
    CHECK(view.data[0] == 0xA5 && view.data[f->tiles[0].bytes - 1] == 0xA5);
    chord_pager_close(pager);
}
#endif

int main(void)
{
    fixture f;
    alarm(CHECK_FOREVER_S);
    fixture_open(&f, 37, 3000, 30000);
    check_policies(&f);
    check_minimum(&f);
    check_changes(&f);
    check_misuse(&f);
    check_packing(&f);
#ifdef CHORD_HARDTEST
    check_scribbling(&f);
#endif
    fixture_close(&f);
    fixture_open(&f, 64, 20000, 24000);
    check_spread(&f);
    check_parts(&f);
    check_made(&f);
    fixture_close(&f);
    return check_done();
}
