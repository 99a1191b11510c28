/* The mapped way: tiles where they lie in the file, packed copies within the memory given, and a file that shrinks
 * under it. */
#include "pager_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>

static chord_error err;
static char paths[SHARDS][64];

static void write_shard(const fixture *f, uint32_t s)
{
    FILE *file = fopen(paths[s], "w");
    CHECK(file != NULL && fwrite(f->bytes[s], 1, f->shard_bytes[s], file) == f->shard_bytes[s]);
    fclose(file);
}

static void open_files(fixture *f)
{
    for (uint32_t s = 0; s < SHARDS; s++) {
        snprintf(paths[s], sizeof paths[s], "/tmp/chord-mapped-%d-%u", (int)getpid(), s);
        write_shard(f, s);
        chord_store_close(f->stores[s]);
        CHECK_OK(chord_store_open_file(f->heap, paths[s], &f->stores[s], &err));
    }
}

/* A stand-in for packing: every byte inverted. */
static bool is_packed(const fixture *f, uint32_t tile, const uint8_t *data)
{
    const chord_tile *t = &f->tiles[tile];
    for (uint32_t i = 0; i < t->bytes; i++)
        if (data[i] != (uint8_t)~f->bytes[t->shard][t->offset + i]) return false;
    return true;
}

/* A pass that packs what may be packed; gives how many tiles are packed at its end, UINT32_MAX when it failed. */
static uint32_t packing_pass(const fixture *f, chord_pager *pager, bool expect_right)
{
    uint32_t packed = 0;
    CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
    for (uint32_t i = 0; i < f->tile_count; i++) {
        chord_view view;
        CHECK_OK(chord_pager_pin(pager, i, &view, &err));
        if (expect_right) CHECK(view.packed ? is_packed(f, i, view.data) : tile_is_right(f, i, view.data));
        CHECK(!view.packed || view.home == CHORD_HOME_NONE);
        if (view.home != CHORD_HOME_NONE) {
            CHECK(view.home == CHORD_HOME_OWN && view.own != view.data);
            for (uint32_t k = 0; k < f->tiles[i].bytes; k++) view.own[k] = (uint8_t)~view.data[k];
            chord_pager_keep(pager, i, true);
        }
        packed += view.packed || view.home != CHORD_HOME_NONE;
        chord_pager_release(pager, i);
    }
    return chord_pager_pass_end(pager, &err) == CHORD_OK ? packed : UINT32_MAX;
}

static void check_passes(const fixture *f)
{
    chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, f->tile_bytes + 100000);
    chord_pager_plan plan;
    chord_pager *pager;
    config.mapped = true;
    CHECK_OK(chord_pager_plan_make(&config, &plan, &err));
    CHECK(plan.pinned_tiles == f->tile_count && plan.ring_slots == 0 && plan.streamed_bytes_per_pass == 0);
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK(chord_heap_used_bytes(f->heap) < 65536); /* nothing is packed, nothing is taken */
    for (int pass = 0; pass < 2; pass++) CHECK(packing_pass(f, pager, true) == 0);
    chord_pager_close(pager);

    config.pack = true;
    uint64_t before = chord_process_bytes();
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK(chord_process_bytes() < before + CHORD_MIB); /* reserved, not resident */
    bool packed;
    CHECK(tile_is_right(f, 3, fixture_peek(pager, 3, &packed)) && !packed);
    for (int pass = 0; pass < 3; pass++) CHECK(packing_pass(f, pager, true) == f->tile_count);
    CHECK(is_packed(f, 3, fixture_peek(pager, 3, &packed)) && packed);
    chord_pager_stats stats;
    chord_pager_stats_get(pager, &stats);
    CHECK(stats.hits == 3 * f->tile_count && stats.bytes_read == 0);
    chord_pager_close(pager);

    config.memory_bytes = f->tile_bytes / 2; /* own memory for some of them only */
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK(chord_heap_used_bytes(f->heap) <= config.memory_bytes + 65536);
    uint32_t some = packing_pass(f, pager, true);
    CHECK(some > f->tile_count / 3 && some < f->tile_count);
    CHECK(packing_pass(f, pager, true) == some);
    chord_pager_close(pager);
}

static void check_shrinking(const fixture *f)
{
    chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, f->tile_bytes + 100000);
    chord_pager *pager;
    config.mapped = true;
    config.pack = true;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK(truncate(paths[1], (off_t)f->shard_bytes[1] / 2) == 0);
    CHECK(packing_pass(f, pager, false) == UINT32_MAX);
    CHECK_SAY(err.status == CHORD_IO && strstr(err.text, paths[1]), "%s", err.text);
    CHECK(packing_pass(f, pager, false) == UINT32_MAX); /* still short: said again, nothing made of zeros is kept */
    write_shard(f, 1);
    CHECK(packing_pass(f, pager, true) == f->tile_count);
    CHECK(packing_pass(f, pager, true) == f->tile_count);
    atomic_bool called_off = true;
    chord_pager_heed(pager, &called_off);
    chord_view view;
    CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
    CHECK(chord_pager_pin(pager, 0, &view, &err) == CHORD_CANCELLED);
    chord_pager_close(pager);
}

/* A pass that is left without an end: what it packed of a file that had shrunk is not kept either. */
static void check_unended(const fixture *f)
{
    chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, f->tile_bytes + 100000);
    chord_pager *pager;
    config.mapped = true;
    config.pack = true;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK(truncate(paths[1], 0) == 0);
    CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
    for (uint32_t i = 0; i < f->tile_count; i++) {
        chord_view view;
        CHECK_OK(chord_pager_pin(pager, i, &view, &err));
        for (uint32_t k = 0; k < f->tiles[i].bytes; k++) view.own[k] = (uint8_t)~view.data[k];
        chord_pager_keep(pager, i, true);
        chord_pager_release(pager, i);
    }
    write_shard(f, 1);
    CHECK(packing_pass(f, pager, true) == f->tile_count);
    chord_pager_close(pager);
}

int main(void)
{
    fixture f;
    alarm(CHECK_FOREVER_S);
    fixture_open(&f, 30, 50000, 200000);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, f.tile_bytes);
    chord_pager *pager;
    config.mapped = true;
    CHECK(chord_pager_open(&config, &pager, &err) == CHORD_UNSUPPORTED &&
          pager == NULL); /* bytes in memory cannot be mapped */
    CHECK_OK(chord_guard_install(&err));
    open_files(&f);
    check_passes(&f);
    check_shrinking(&f);
    check_unended(&f);
    fixture_close(&f);
    for (uint32_t s = 0; s < SHARDS; s++) unlink(paths[s]);
    return check_done();
}
