/* Every kind of store gives the same bytes at any range, cold and warm, and says in a sentence what it cannot give. */
#define _GNU_SOURCE
#include "store/store.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_BYTES 9437331u /* 9 MiB and an unaligned tail */

static chord_heap *heap;
static chord_error err;
static uint8_t *truth;
static char folder[64], path[128];

/* Reads of the library come by here: `interruptions` of them are interrupted before one reads. */
static _Atomic uint32_t interruptions;
ssize_t pread(int fd, void *to, size_t len, off_t at)
{
    uint32_t left = interruptions;
    if (left != 0) {
        interruptions = left - 1;
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_pread64, fd, to, len, at);
}
ssize_t pread64(int fd, void *to, size_t len, off_t at) { return pread(fd, to, len, at); }

static uint32_t random_state = 12345;
static uint32_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static void write_file(const char *name, const void *bytes, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0);
    close(fd);
}

static void drop_cache(const char *name)
{
    int fd = open(name, O_RDONLY);
    fdatasync(fd); /* what is still to be written stays */
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

/* Pages of the file in the page cache, -1 where the kernel does not say. */
static int64_t cached_pages(const char *name)
{
    int fd = open(name, O_RDONLY);
    uint64_t range[2] = {0, FILE_BYTES}, answer[5];
    int64_t pages = syscall(451, fd, range, answer, 0) == 0 ? (int64_t)answer[0] : -1;
    close(fd);
    return pages;
}

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/chord-store-XXXXXX");
    if (mkdtemp(folder) == NULL) exit(1);
    snprintf(path, sizeof path, "%s/file", folder);
    truth = malloc(FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++) truth[i] = (uint8_t)(random_word() >> 24);
    write_file(path, truth, FILE_BYTES);
}

static void check_fetch(chord_store *store, uint64_t offset, size_t len)
{
    chord_region slot;
    uint8_t *data = NULL;
    CHECK_OK(chord_region_open(heap, chord_store_slot_bytes(store, len), "slot", false, false, &slot, &err));
    memset(slot.base, 0xCD, slot.bytes);
    CHECK_OK(chord_store_fetch(store, offset, len, slot.base, slot.bytes, &data, &err));
    CHECK(data >= (uint8_t *)slot.base && data + len <= (uint8_t *)slot.base + slot.bytes);
    CHECK_SAY(memcmp(data, truth + offset, len) == 0, "%s: %zu bytes at %" PRIu64, store->name, len, offset);
    memset(slot.base, 0xCD, slot.bytes);
    CHECK_OK(chord_store_fetch_device(store, offset, len, slot.base, slot.bytes, &data, &err));
    CHECK_SAY(memcmp(data, truth + offset, len) == 0, "%s: %zu bytes at %" PRIu64, store->name, len, offset);
    chord_region_close(heap, &slot);
}

static void check_reads(chord_store *store, int turns)
{
    static const uint32_t ends[][2] = {{0, FILE_BYTES},
                                       {0, 1},
                                       {FILE_BYTES - 1, 1},
                                       {FILE_BYTES - 300, 300},
                                       {FILE_BYTES - 4097, 4097},
                                       {FILE_BYTES / 4096 * 4096, FILE_BYTES % 4096},
                                       {FILE_BYTES / 4096 * 4096 - 5, 10},
                                       {FILE_BYTES - 2097152, 2097152},
                                       {511, 2},
                                       {4095, 2},
                                       {4096, 4096},
                                       {0, 0},
                                       {FILE_BYTES, 0},
                                       {1000001, 1048576}};
    uint8_t *copy = malloc(FILE_BYTES);
    CHECK(store->size_bytes == FILE_BYTES);
    for (size_t i = 0; i < CHORD_COUNT(ends) + (size_t)turns; i++) {
        uint64_t offset = random_word() % FILE_BYTES;
        size_t len = random_word() % (i % 2 != 0 ? 2000000 : 9000);
        if (i < CHORD_COUNT(ends)) {
            offset = ends[i][0];
            len = ends[i][1];
        }
        if (len > FILE_BYTES - offset) len = (size_t)(FILE_BYTES - offset);
        check_fetch(store, offset, len);
        CHECK_OK(chord_store_read(store, offset, copy, len, &err));
        CHECK(memcmp(copy, truth + offset, len) == 0);
    }
    CHECK(chord_store_read(store, FILE_BYTES - 1, copy, 2, &err) == CHORD_IO);
    CHECK(chord_store_read(store, FILE_BYTES + 1, copy, 0, &err) == CHORD_IO);
    CHECK(chord_store_read(store, UINT64_MAX - 1, copy, 4, &err) == CHORD_IO);
    CHECK_SAY(strstr(err.text, store->name) && strstr(err.text, "18446744073709551614") && strstr(err.text, "9437331"),
              "%s", err.text);
    free(copy);
}

static void check_file(void)
{
    chord_store *store;
    CHECK_OK(chord_store_open_file(heap, path, &store, &err));
    printf("direct reads aligned to %u\n", store->align);
    check_reads(store, 60); /* warm: the file was just written */
    chord_store_close(store);

    drop_cache(path);
    int64_t before = cached_pages(path);
    CHECK_OK(chord_store_open_file(heap, path, &store, &err));
    int64_t fetches = 0;
    for (uint64_t at = 100; at + 500000 < FILE_BYTES; at += 500000, fetches += 2)
        check_fetch(store, at, 500000); /* cold, both ways; twice, since what is not aligned is no read of the device */
    int64_t pages = cached_pages(path);
    /* Where the way through the cache won, the page that a tile shares with its neighbour stays. */
    CHECK_SAY(pages <= before + fetches, "%lld pages stayed in the page cache, %lld were there", (long long)pages,
              (long long)before);
    for (int turn = 0; turn < 60; turn++) { /* partly cached */
        uint64_t offset = random_word() % (FILE_BYTES - 3000000);
        int fd = open(path, O_RDONLY);
        char byte[8192];
        for (int i = 0; i < 6; i++)
            CHECK(pread(fd, byte, sizeof byte, (off_t)(offset + random_word() % 1500000)) == sizeof byte);
        close(fd);
        check_fetch(store, offset, 1 + random_word() % 2000000);
        if (turn % 8 == 0) drop_cache(path);
    }
    drop_cache(path);
    check_reads(store, 40);
    chord_store_close(store);
}

/* A file system in memory: direct reads may be refused there. */
static void check_memory_files(void)
{
    char name[64];
    snprintf(name, sizeof name, "/dev/shm/chord-store-%d", (int)getpid());
    if (access("/dev/shm", W_OK) != 0) return;
    write_file(name, truth, FILE_BYTES);
    chord_store *store;
    CHECK_OK(chord_store_open_file(heap, name, &store, &err));
    check_reads(store, 20);
    chord_store_close(store);
    unlink(name);
}

static void check_sentences(void)
{
    static const struct {
        const char *name, *words;
    } cases[] = {{"missing", "No such file"},
                 {"", "is a directory"},
                 {"pipe", "not a regular file"},
                 {"empty", "is empty"},
                 {"locked", "denied"}};
    char name[128];
    snprintf(name, sizeof name, "%s/empty", folder);
    write_file(name, "", 0);
    snprintf(name, sizeof name, "%s/pipe", folder);
    CHECK(mkfifo(name, 0600) == 0);
    snprintf(name, sizeof name, "%s/locked", folder);
    write_file(name, "x", 1);
    CHECK(chmod(name, 0) == 0);
    for (size_t i = 0; i < CHORD_COUNT(cases); i++) {
        if (i == 4 && geteuid() == 0) continue; /* root may read everything */
        chord_store *store = (chord_store *)1;
        snprintf(name, sizeof name, "%s/%s", folder, cases[i].name);
        CHECK(chord_store_open_file(heap, name, &store, &err) != CHORD_OK && store == NULL);
        CHECK_SAY(strstr(err.text, name) && strstr(err.text, cases[i].words), "%s", err.text);
    }
}

/* The file becomes shorter while it is open. */
static void check_shrunk(void)
{
    char name[128];
    chord_store *store;
    uint8_t *data, byte[16];
    chord_region slot;
    snprintf(name, sizeof name, "%s/shrinks", folder);
    write_file(name, truth, 3000000);
    CHECK_OK(chord_store_open_file(heap, name, &store, &err));
    CHECK_OK(chord_region_open(heap, chord_store_slot_bytes(store, 1000000), "slot", false, false, &slot, &err));
    CHECK(truncate(name, 1500001) == 0);
    CHECK(chord_store_fetch(store, 1200000, 1000000, slot.base, slot.bytes, &data, &err) == CHORD_IO);
    CHECK_SAY(strstr(err.text, name) && strstr(err.text, "3000000") && strstr(err.text, "1500001"), "%s", err.text);
    CHECK(chord_store_read(store, 2000000, byte, sizeof byte, &err) == CHORD_IO);
    CHECK_OK(chord_store_fetch(store, 500000, 1000000, slot.base, slot.bytes, &data, &err));
    CHECK(memcmp(data, truth + 500000, 1000000) == 0);
    chord_region_close(heap, &slot);
    chord_store_close(store);
}

static chord_status serve(void *ud, uint64_t offset, void *dst, size_t len)
{
    if (ud != NULL) return CHORD_CORRUPT;
    memcpy(dst, truth + offset, len);
    return CHORD_OK;
}

static void check_other_kinds(void)
{
    chord_store *store;
    CHECK_OK(chord_store_open_memory(heap, truth, FILE_BYTES, "bytes", &store, &err));
    check_reads(store, 10);
    CHECK(!chord_store_can_map(store) && chord_store_map(store, &err) == NULL && strstr(err.text, "bytes") != NULL);
    chord_store_close(store);

    chord_source source = {.read = serve, .size_bytes = FILE_BYTES};
    CHECK_OK(chord_store_open_callback(heap, &source, &store, &err));
    check_reads(store, 10);
    chord_store_close(store);
    source.ud = &source;
    CHECK_OK(chord_store_open_callback(heap, &source, &store, &err));
    uint8_t byte[4];
    CHECK(chord_store_read(store, 77, byte, 4, &err) == CHORD_IO && strstr(err.text, "77") &&
          strstr(err.text, "malformed file"));
    chord_store_close(store);
    source.size_bytes = 0;
    CHECK(chord_store_open_callback(heap, &source, &store, &err) == CHORD_INVALID && store == NULL);
    chord_store_close(NULL);
}

static void check_faulty(void)
{
    chord_store *inner, *store;
    chord_region slot;
    uint8_t *data, byte[4];
    CHECK_OK(chord_store_open_file(heap, path, &inner, &err));
    CHECK_OK(chord_store_open_faulty(heap, inner, 0, 0, 0, &store, &err));
    check_reads(store, 10);
    chord_store_close(store);

    CHECK_OK(chord_store_open_file(heap, path, &inner, &err));
    CHECK_OK(chord_store_open_faulty(heap, inner, 2, 2, 0, &store, &err));
    CHECK_OK(chord_region_open(heap, chord_store_slot_bytes(store, 5000), "slot", false, false, &slot, &err));
    CHECK_OK(chord_store_read(store, 10, byte, 4, &err));
    CHECK(chord_store_fetch(store, 4242, 5000, slot.base, slot.bytes, &data, &err) == CHORD_IO); /* both attempts */
    CHECK_SAY(strstr(err.text, path) && strstr(err.text, "4242") && strstr(err.text, "Input/output error") &&
                  err.os_errno == 5,
              "%s", err.text);
    CHECK_OK(chord_store_fetch(store, 4242, 5000, slot.base, slot.bytes, &data, &err));
    chord_store_close(store);

    CHECK_OK(chord_store_open_file(heap, path, &inner, &err));
    CHECK_OK(chord_store_open_faulty(heap, inner, 1, 1, 20000000, &store, &err));
    uint64_t start_ns = chord_clock_ns();
    /* the second attempt saves it */
    CHECK_OK(chord_store_fetch(store, 4242, 5000, slot.base, slot.bytes, &data, &err));
    CHECK(memcmp(data, truth + 4242, 5000) == 0 && chord_clock_ns() - start_ns >= 40000000);
    chord_store_close(store);
    chord_region_close(heap, &slot);
}

/* A read goes on when it was interrupted, but not for ever. */
static void check_interrupted(void)
{
    uint8_t bytes[4096];
    chord_store *store;
    CHECK_OK(chord_store_open_file(heap, path, &store, &err));
    interruptions = 100;
    CHECK_OK(chord_store_read(store, 4242, bytes, sizeof bytes, &err));
    CHECK(interruptions == 0 && memcmp(bytes, truth + 4242, sizeof bytes) == 0);
    interruptions = UINT32_MAX;
    CHECK(chord_store_read(store, 4242, bytes, sizeof bytes, &err) == CHORD_IO);
    CHECK_SAY(strstr(err.text, "4096 bytes at 4242") != NULL, "%s", err.text);
    CHECK(interruptions > UINT32_MAX - 100000);
    interruptions = 0;
    chord_store_close(store);
}

int main(void)
{
    CHECK_OK(chord_heap_open(64 << 20, &heap, &err));
    begin();
    check_file();
    check_memory_files();
    check_sentences();
    check_shrunk();
    check_other_kinds();
    check_faulty();
    check_interrupted();
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
    free(truth);
    return check_done();
}
