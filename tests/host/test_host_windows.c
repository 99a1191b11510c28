/* Files and banks in windows of the guest's memory: contents, overlaps, a file that shrinks while it is
 * mapped, what they cost. */
#define _GNU_SOURCE
#include "host_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define PAGE 65536ull
#define LARGE_BYTES (80ull << 20)

static chord_host *host;
static witness other;

/* A model with one tensor of 80 MiB whose words count up. */
static const char *put_large(const char *name)
{
    gguf_builder b = {0};
    const char *path = in_folder(name);
    gb_start(&b, 3);
    gb_value_text(&b, "general.architecture", "llama");
    gb_tensor(&b, "large", 0, LARGE_BYTES / 4096, 1024, LARGE_BYTES);
    size_t data = gb_finish(&b);
    for (uint64_t i = 0; i < LARGE_BYTES / 4; i++) {
        uint32_t word = (uint32_t)(i * 2654435761u);
        memcpy(b.bytes + data + 4 * i, &word, 4);
    }
    put_file(path, b.bytes, b.len);
    gb_free(&b);
    return path;
}

static const char SUM[] =
    "(func (export \"sum\") (param i32 i32) (result i32) (local i32)"
    " (loop (local.set 2 (i32.add (local.get 2) (i32.load (local.get 0))))"
    "  (local.set 0 (i32.add (local.get 0) (i32.const 4)))"
    "  (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 4))))) local.get 2)"
    "(func (export \"sum_and_unmap\") (param i32 i32) (result i32)"
    " (drop (i32.load (local.get 0))) (call $file_unmap (local.get 0) (local.get 1)))"
    "(func (export \"chord_thread_main\") (param i32) (local i32)"
    " (loop (local.set 1 (i32.add (local.get 1) (i32.const 4096)))"
    "  (drop (i32.load (i32.add (i32.const 65536) (i32.rem_u (local.get 1) (i32.const 1048576)))))"
    "  (br_if 0 (i32.eqz (i32.atomic.load (i32.const 64))))))";

static chord_guest *open_guest(memory_kind kind, const char *model, unsigned pages)
{
    module_plan plan = {.memory = kind, .pages = pages, .pages_max = pages, .extra = SUM};
    return guest_open(host, (chord_guest_options){.module = put_module("windows.wasm", &plan), .model = model});
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* The name belongs to another file once the guest is open: its windows go on showing the one it opened. */
static void check_replaced(void)
{
    size_t len;
    const char *model = kept(put_model("replaced.gguf")), *later = kept(in_folder("later.gguf"));
    uint8_t *truth = get_file(model, &len);
    chord_guest *g = open_guest(SHARED32, model, 64);
    uint8_t *others = calloc(1, len);
    put_file(later, others, len);
    if (rename(later, model) != 0) perror(model), exit(1);
    CHECK_ASK(g, 0, "file_prefetch", 0, 0, 4096);
    CHECK_ASK(g, 0, "file_map", 0, 0, len, PAGE, (len + 2 * PAGE - 1) / PAGE * PAGE);
    const uint8_t *seen = chord_guest_bytes(g, PAGE, len);
    CHECK(seen != NULL && memcmp(seen, truth, len) == 0);
    chord_guest_close(g);
    free(others);
    free(truth);
}

static void check_contents(memory_kind kind, const char *model)
{
    size_t len;
    uint8_t *truth = get_file(model, &len);
    chord_guest *g = open_guest(kind, model, 1400);
    uint64_t best_ns = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        uint64_t offset = 12345 + 4096ull * i, bytes = 64ull << 20, start_ns = chord_clock_ns();
        int64_t skip = ASK(g, "file_map", 0, offset, bytes, PAGE, bytes + PAGE);
        best_ns = chord_min_u64(best_ns, chord_clock_ns() - start_ns);
        CHECK(skip == (int64_t)(offset % 4096));
        if (i % 5 == 0) CHECK(memcmp(chord_guest_bytes(g, PAGE + (uint64_t)skip, bytes), truth + offset, bytes) == 0);
    }
    printf("64 MiB mapped in %.1f us (best of 20, memory kind %d)\n", (double)best_ns / 1e3, kind);
    CHECK(best_ns < 20000000);
    chord_guest_stats stats;
    chord_guest_stats_get(g, &stats);
    CHECK(stats.mapped_bytes >= 64ull << 20 && stats.mapped_bytes <= (64ull << 20) + 4096);
    uint64_t last = len & ~4095ull; /* the end of the file, and what its page has beyond */
    CHECK_ASK(g, 0, "file_map", 0, last, len - last, 1300 * PAGE, PAGE);
    CHECK(memcmp(chord_guest_bytes(g, 1300 * PAGE, len - last), truth + last, len - last) == 0);
    const uint8_t *beyond = chord_guest_bytes(g, 1300 * PAGE, PAGE);
    for (uint64_t i = len - last; i < PAGE; i++)
        if (beyond[i] != 0) CHECK_SAY(false, "byte %llu beyond the file", (unsigned long long)i);
    CHECK_ASK(g, 0, "file_unmap", PAGE, (64ull << 20) + PAGE);
    const uint64_t *zeros = chord_guest_bytes(g, PAGE, 64ull << 20);
    bool zero = true;
    for (uint64_t i = 0; i < (8ull << 20); i++) zero = zero && zeros[i] == 0;
    CHECK(zero);
    free(truth);
    chord_guest_close(g);
}

/* Answers of the host written into a window: the guest's copy changes, the file does not. */
static void check_answers_in_windows(memory_kind kind, const char *model)
{
    size_t len, after;
    uint8_t *truth = get_file(model, &len);
    chord_guest *g = open_guest(kind, model, 64);
    for (int i = 0; i < 3; i++) {
        CHECK_ASK(g, 0, "file_map", 0, 0, 8192, PAGE, PAGE);
        CHECK(ASK(g, "file_size", 77) == CHORD_HOST_INVALID);
        CHECK(ASK(g, "error_text", PAGE, 64) > 0);
        CHECK(strncmp(chord_guest_bytes(g, PAGE, 64), "file 77", 7) == 0);
        CHECK_ASK(g, 0, "tensor_at", 0, 0, PAGE + 100);
        CHECK_ASK(g, 0, "file_read", 0, 100, PAGE + 300, 2000);
        CHECK(memcmp(chord_guest_bytes(g, PAGE + 300, 2000), truth + 100, 2000) == 0);
        CHECK(ASK(g, "file_fetch", 0, 4096, 1000, PAGE, PAGE) >= 0);
        uint64_t args[] = {PAGE, 42};
        CHECK_OK(chord_guest_call(g, "poke", args, 2, NULL, &err));
        CHECK_ASK(g, 42, "peek", PAGE);
    }
    uint8_t *now = get_file(model, &after);
    CHECK(after == len && memcmp(now, truth, len) == 0);
    free(now), free(truth);
    chord_guest_close(g);
}

static void check_overlaps(const char *model)
{
    chord_guest *g = open_guest(SHARED32, model, 256);
    CHECK_ASK(g, 0, "file_map", 0, 0, 2 * PAGE, 10 * PAGE, 2 * PAGE);
    CHECK_ASK(g, 0, "file_map", 0, 0, 2 * PAGE, 13 * PAGE, 2 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 1, 11 * PAGE, PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 1, 9 * PAGE, 2 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 1, 9 * PAGE, 9 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 5 * PAGE, 10 * PAGE, 5 * PAGE); /* over its own and another */
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 1, 10 * PAGE, PAGE);            /* smaller than what is there */
    CHECK_ASK(g, CHORD_HOST_RANGE, "file_map", 0, 0, 1, 10 * PAGE + 4096, PAGE);
    CHECK_ASK(g, CHORD_HOST_RANGE, "file_map", 0, 0, 1, 10 * PAGE, PAGE + 4096);
    CHECK_ASK(g, CHORD_HOST_RANGE, "file_map", 0, 0, 1, 255 * PAGE, 2 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 1, 20 * PAGE, 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 4095, PAGE, 20 * PAGE, PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_unmap", 11 * PAGE, PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_unmap", 10 * PAGE, PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_unmap", 0, 256 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_unmap", 30 * PAGE, PAGE);
    CHECK_ASK(g, 0, "file_unmap", 10 * PAGE, 2 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_unmap", 10 * PAGE, 2 * PAGE);
    int placed = 0; /* no more than so many at once */
    for (; placed < 1000; placed++)
        if (ASK(g, "file_map", 0, 0, 1, (20ull + (unsigned)placed % 230) * PAGE, PAGE) < 0) break;
    CHECK(placed == 1000); /* again and again in the same place */
    CHECK(witness_lives(&other));
    chord_guest_close(g);
    g = open_guest(SHARED32, model, 400);
    for (placed = 0; placed < 400; placed++)
        if (ASK(g, "file_map", 0, 0, 1, (unsigned)placed * PAGE, PAGE) < 0) break;
    CHECK(placed == 256);
    CHECK_ASK(g, CHORD_HOST_LIMIT, "file_map", 0, 0, 1, 399 * PAGE, PAGE);
    chord_guest_close(g);
}

/* ---- a file that shrinks ----------------------------------------------------------------------------------------- */

static void check_shrinking(memory_kind kind)
{
    const char *model = put_large("shrinks.gguf");
    chord_guest *g = open_guest(kind, model, 1400);
    uint64_t args[] = {PAGE + (8u << 20), 4 << 20}, sum, window[] = {PAGE, 65u << 20};
    uint64_t bytes = 64ull << 20;
    CHECK_ASK(g, 0, "file_map", 0, 4096, bytes, PAGE, bytes + PAGE);
    CHECK_OK(chord_guest_call(g, "sum", args, 2, &sum, &err));
    CHECK(sum != 0);
    CHECK(truncate(model, 1 << 20) == 0);
    CHECK(chord_guest_call(g, "sum", args, 2, &sum, &err) == CHORD_IO && strstr(err.text, "shrinks.gguf") != NULL);
    CHECK(chord_guest_call(g, "sum", args, 2, &sum, &err) == CHORD_IO); /* zeros still stand there */
    /* the host as the one who reads, writes */
    CHECK(ASK_STATUS(g, CHORD_IO, "file_read", 0, 32 << 20, PAGE + (20u << 20), 65536));
    CHECK(ASK_STATUS(g, CHORD_IO, "error_text", PAGE + (30u << 20), 4096));
    CHECK(ASK_STATUS(g, CHORD_IO, "tensor_at", 0, 0, PAGE + (31u << 20)));
    CHECK(ASK_STATUS(g, CHORD_IO, "error_text", PAGE + (8u << 20), 4096)); /* where zeros stand already */
    CHECK(ASK_STATUS(g, CHORD_IO, "emit", PAGE + (40u << 20), 1 << 20));
    CHECK(chord_guest_call(g, "sum_and_unmap", window, 2, &sum, &err) == CHORD_IO); /* this call may have used them */
    CHECK_OK(chord_guest_call(g, "sum", args, 2, &sum, &err));
    CHECK(sum == 0);
    CHECK_ASK(g, 0, "file_map", 0, 0, 8192, PAGE, PAGE); /* what there still is */
    CHECK_OK(chord_guest_call(g, "peek", window, 1, &sum, &err));
    CHECK(sum == 0x46554747);
    CHECK_ASK(g, CHORD_HOST_IO, "file_read", 0, 32 << 20, 0, 65536);
    CHECK(ASK(g, "error_text", 0, 64) > 20);
    CHECK_ASK(g, CHORD_HOST_IO, "file_fetch", 0, 32 << 20, 4096, PAGE * 1100, PAGE);
    CHECK(witness_lives(&other));
    chord_guest_close(g);
}

/* Threads read in a window of lost pages while it is mapped and unmapped. */
static void check_shrinking_read_by_threads(void)
{
    const char *model = put_large("shrinks2.gguf");
    chord_guest *g = open_guest(SHARED32, model, 64);
    int threads[2];
    for (int i = 0; i < 2; i++) threads[i] = (int)ASK(g, "thread_start", 0);
    CHECK(truncate(model, 4096) == 0);
    uint64_t result, map[] = {0, 4096, 1 << 20, PAGE, 32 * PAGE}, unmap[] = {PAGE, 32 * PAGE};
    for (int i = 0; i < 2000; i++) {
        chord_status status = chord_guest_call(g, "file_map", map, 5, &result, &err);
        CHECK(status == CHORD_OK || status == CHORD_IO);
        status = chord_guest_call(g, "file_unmap", unmap, 2, &result, &err);
        CHECK((status == CHORD_OK || status == CHORD_IO) && result == 0);
    }
    *(volatile uint32_t *)chord_guest_bytes(g, 64, 4) = 1;
    for (int i = 0; i < 2; i++) CHECK_ASK(g, 0, "thread_join", (uint64_t)threads[i]);
    CHECK(witness_lives(&other));
    chord_guest_close(g);
}

/* ---- banks ------------------------------------------------------------------------------------------------------- */

static void check_banks(const char *model)
{
    chord_guest *g = open_guest(SHARED32, model, 512);
    int64_t limit = ASK(g, "bank_limit");
    CHECK(limit > 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_open", 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_open", 4096);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_open", UINT32_MAX);
    CHECK_ASK(g, CHORD_HOST_MEMORY, "bank_open", 0xffff0000u);
    CHECK_ASK(g, CHORD_HOST_MEMORY, "bank_open", ((uint64_t)limit + PAGE) & ~(PAGE - 1));
    int64_t a = ASK(g, "bank_open", 4 * PAGE), b = ASK(g, "bank_open", 4 * PAGE), small = ASK(g, "bank_open", PAGE);
    CHECK(a >= 0 && b >= 0 && small >= 0 && a != b);
    CHECK_ASK(g, CHORD_HOST_RANGE, "bank_show", (uint64_t)a, 509 * PAGE);
    CHECK_ASK(g, CHORD_HOST_RANGE, "bank_show", (uint64_t)a, 8 * PAGE + 100);
    CHECK_ASK(g, CHORD_HOST_RANGE, "bank_show", (uint64_t)a, UINT32_MAX);
    CHECK_ASK(g, 0, "bank_show", (uint64_t)a, 8 * PAGE);
    memset(chord_guest_bytes(g, 8 * PAGE, 4 * PAGE), 'a', 4 * PAGE);
    memset(chord_guest_bytes(g, 12 * PAGE, PAGE), 'n', PAGE); /* a neighbour */
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_show", (uint64_t)b, 9 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_show", (uint64_t)small, 9 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_show", (uint64_t)small, 8 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 1, 8 * PAGE, 4 * PAGE); /* a file over a bank */
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 1, 11 * PAGE, 2 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_unmap", 8 * PAGE, 4 * PAGE);
    CHECK_ASK(g, 0, "file_map", 0, 0, 2 * PAGE, 20 * PAGE, 2 * PAGE);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_show", (uint64_t)b, 20 * PAGE); /* a bank over a file */
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_show", (uint64_t)b, 18 * PAGE);
    CHECK(((char *)chord_guest_bytes(g, 8 * PAGE, 1))[0] == 'a');
    uint64_t best_ns = UINT64_MAX;
    for (int i = 0; i < 100; i++) {
        uint64_t start_ns = chord_clock_ns();
        CHECK_ASK(g, 0, "bank_show", (uint64_t)(i % 2 == 0 ? b : a), 8 * PAGE);
        best_ns = chord_min_u64(best_ns, chord_clock_ns() - start_ns);
        char *at = chord_guest_bytes(g, 8 * PAGE, 4 * PAGE);
        if (i == 0) memset(at, 'b', 4 * PAGE);
        char wanted = i % 2 == 0 ? 'b' : 'a';
        bool same = true;
        for (uint64_t k = 0; k < 4 * PAGE; k += 61) same = same && at[k] == wanted;
        CHECK(same);
    }
    printf("a bank of 256 KiB takes another's place in %.1f us (best of 100)\n", (double)best_ns / 1e3);
    CHECK_ASK(g, 0, "bank_show", (uint64_t)a, 40 * PAGE); /* the same bank elsewhere */
    CHECK(((char *)chord_guest_bytes(g, 40 * PAGE, 1))[0] == 'a' &&
          ((char *)chord_guest_bytes(g, 8 * PAGE, 1))[0] == 0);
    CHECK_ASK(g, 0, "bank_close", (uint64_t)a); /* while it is shown */
    CHECK(((char *)chord_guest_bytes(g, 40 * PAGE, 1))[0] == 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_close", (uint64_t)a);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_show", (uint64_t)a, 8 * PAGE);
    CHECK_ASK(g, 0, "bank_show", (uint64_t)b, 8 * PAGE);
    CHECK(((char *)chord_guest_bytes(g, 8 * PAGE, 1))[0] == 'b' &&
          ((char *)chord_guest_bytes(g, 12 * PAGE, 1))[0] == 'n');
    chord_guest_stats stats;
    chord_guest_stats_get(g, &stats);
    CHECK(witness_lives(&other));
    chord_guest_close(g);
    g = open_guest(SHARED32, model, 64); /* no list without an end */
    int64_t last = 0, opened = 0;
    while (opened < 10000 && (last = ASK(g, "bank_open", PAGE)) >= 0) opened++;
    CHECK((last == CHORD_HOST_LIMIT || last == CHORD_HOST_MEMORY) && opened <= 4096);
    CHECK(witness_lives(&other));
    chord_guest_close(g);
}

int main(void)
{
    folder_open();
    CHECK_OK(chord_guard_install(&err));
    host = host_open((chord_host_options){0});
    const char *small = kept(put_model("model.gguf")), *large = kept(put_large("large.gguf"));
    other = witness_open(host, small);
    check_replaced();
    check_contents(OWN32, large);
    check_contents(SHARED32, large);
    check_answers_in_windows(OWN32, small);
    check_answers_in_windows(SHARED32, small);
    check_overlaps(large);
    check_banks(large);
    check_shrinking(OWN32);
    check_shrinking(SHARED32);
    check_shrinking_read_by_threads();
    CHECK(witness_lives(&other));
    chord_guest_close(other.guest);
    chord_host_close(host);
    folder_close();
    return check_done();
}
