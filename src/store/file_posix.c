/* file_posix.c - a local file as a store.
 *
 * fetch brings a tile: what lies in the page cache is copied from there, the rest comes past the cache by
 * O_DIRECT. Where that is refused, or where the first cold tiles came faster through the cache, it is read
 * buffered and the pages are given back at once: the pager keeps what it wants to keep, and the cache would only
 * hold it twice. */
#define _GNU_SOURCE
#include "store/file_inner.h"
#include "store/file_plain_posix.h"
#include "store/store_inner.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define STEP_BYTES 262144u      /* how finely a partly cached tile is looked at */
#define TRIAL_BYTES_MIN 262144u /* smaller reads say nothing about a way's speed */
#define TRIALS 8u               /* cold reads measured, half of them each way */

enum way { WAY_DIRECT, WAY_BUFFERED, WAYS };

typedef struct file_store {
    chord_store store;
    int fd;        /* as any program reads */
    int plain_fd;  /* buffered, without readahead beyond what is asked for */
    int direct_fd; /* O_DIRECT, -1: refused */
    uint32_t direct_align;
    _Atomic bool no_direct; /* refused, or lost the comparison */
    _Atomic uint32_t trials_begun, trials_done;
    _Atomic uint64_t trial_bytes[WAYS], trial_ns[WAYS];
} file_store;

/* ---- plain reads ------------------------------------------------------------------------------ */

static chord_status file_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    file_store *self = (file_store *)store;
    return file_read_exact(&self->store, self->fd, offset, dst, len, err);
}

/* ---- cold reads ------------------------------------------------------------------------------- */

static chord_status read_buffered(file_store *self, uint64_t offset, uint8_t *dst, size_t len, chord_error *err)
{
    CHORD_TRY(file_read_exact(&self->store, self->plain_fd, offset, dst, len, err));
    posix_fadvise(self->plain_fd, (off_t)offset, (off_t)len, POSIX_FADV_DONTNEED);
    return CHORD_OK;
}

/* [first, end) by O_DIRECT; first and the slot's address of it are aligned, end is aligned or cut to what the file
 * has in whole units. False: this way is closed, nothing is said. */
static bool read_direct(file_store *self, uint64_t first, uint64_t end, uint8_t *dst, chord_status *status,
                        chord_error *err)
{
    uint64_t at = first;
    int failure = end > first ? file_read_all(self->direct_fd, &at, dst, (size_t)(end - first)) : 0;
    if (failure == EINVAL || failure == EOPNOTSUPP) return false;
    *status = failure == 0 ? CHORD_OK
                           : file_fail_read(&self->store, at, (size_t)(end - at), failure > 0 ? failure : 0, err);
    return true;
}

/* Which way this cold read goes; *trial: its time counts. */
static enum way choose_way(file_store *self, size_t len, bool *trial)
{
    *trial = false;
    if (atomic_load(&self->no_direct)) return WAY_BUFFERED;
    if (len < TRIAL_BYTES_MIN || atomic_load(&self->trials_begun) >= TRIALS) return WAY_DIRECT;
    uint32_t number = atomic_fetch_add(&self->trials_begun, 1);
    if (number >= TRIALS) return WAY_DIRECT;
    *trial = true;
    return number % 2 == 0 ? WAY_DIRECT : WAY_BUFFERED;
}

/* The last trial decides. Direct reads leave memory to others, so they must lose clearly. */
static void note_trial(file_store *self, enum way way, size_t len, uint64_t ns)
{
    atomic_fetch_add(&self->trial_bytes[way], len);
    atomic_fetch_add(&self->trial_ns[way], ns);
    if (atomic_fetch_add(&self->trials_done, 1) + 1 < TRIALS) return;
    double direct = (double)self->trial_bytes[WAY_DIRECT] / (double)(self->trial_ns[WAY_DIRECT] + 1);
    double buffered = (double)self->trial_bytes[WAY_BUFFERED] / (double)(self->trial_ns[WAY_BUFFERED] + 1);
    if (buffered > 1.15 * direct) atomic_store(&self->no_direct, true);
}

/* [at, end) of the file into slot, whose first byte is the file's byte slot_first (aligned). */
static chord_status read_cold(file_store *self, uint64_t slot_first, uint8_t *slot, uint64_t at, uint64_t end,
                              chord_error *err)
{
    bool trial;
    enum way way = choose_way(self, (size_t)(end - at), &trial);
    uint64_t start_ns = trial ? chord_clock_ns() : 0;
    chord_status status = CHORD_OK;
    if (way == WAY_DIRECT) {
        uint64_t first = chord_align_down(at, self->direct_align);
        uint64_t last = chord_min_u64(chord_align_up(end, self->direct_align),
                                      chord_align_down(self->store.size_bytes, self->direct_align));
        if (read_direct(self, first, last, slot + (first - slot_first), &status, err)) {
            /* The file's unaligned tail stays in the page cache: it is one page. */
            uint64_t tail = chord_max_u64(at, last);
            if (status == CHORD_OK && end > tail)
                status = file_read_exact(&self->store, self->fd, tail, slot + (tail - slot_first), (size_t)(end - tail),
                                         err);
        } else {
            atomic_store(&self->no_direct, true);
            way = WAY_BUFFERED;
        }
    }
    if (way == WAY_BUFFERED) status = read_buffered(self, at, slot + (at - slot_first), (size_t)(end - at), err);
    if (trial && status == CHORD_OK) note_trial(self, way, (size_t)(end - at), chord_clock_ns() - start_ns);
    return status;
}

/* The end of the run that begins at: wholly cached, or not. A partly cached tile is looked at step by step. */
static uint64_t run_end(const file_store *self, uint64_t at, uint64_t end, bool *cached)
{
    chord_cached state = chord_file_cached(self->fd, at, end - at);
    *cached = state == CHORD_CACHED_ALL;
    if (state != CHORD_CACHED_SOME) return end;
    for (uint64_t first = at; at < end;) {
        uint64_t next = chord_min_u64(chord_align_down(at, STEP_BYTES) + STEP_BYTES, end);
        bool here = chord_file_cached(self->fd, at, next - at) == CHORD_CACHED_ALL;
        if (at == first) *cached = here;
        else if (here != *cached) return at;
        at = next;
    }
    return end;
}

static chord_status file_fetch(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                               uint8_t **data, chord_error *err)
{
    file_store *self = (file_store *)store;
    uint64_t first = chord_align_down(offset, self->direct_align), at = offset, end = offset + len;
    (void)slot_bytes;
    *data = (uint8_t *)slot + (offset - first);
    while (at < end) {
        bool cached;
        uint64_t next = run_end(self, at, end, &cached);
        if (cached) at += chord_file_read_cached(self->fd, at, (uint8_t *)slot + (at - first), (size_t)(next - at));
        if (at < next) CHORD_TRY(read_cold(self, first, slot, at, next, err));
        at = next;
    }
    return CHORD_OK;
}

static chord_status file_fetch_device(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                                      uint8_t **data, chord_error *err)
{
    file_store *self = (file_store *)store;
    uint64_t align = self->direct_align;
    chord_status status;
    if (!atomic_load(&self->no_direct) && offset % align == 0 && len % align == 0 &&
        read_direct(self, offset, offset + len, slot, &status, err)) {
        *data = slot;
        return status;
    }
    return file_fetch(store, offset, len, slot, slot_bytes, data, err);
}

/* ---- mapping ---------------------------------------------------------------------------------- */

static bool file_cached(chord_store *store, uint64_t offset, uint64_t len)
{
    return chord_file_cached(((file_store *)store)->fd, offset, len) == CHORD_CACHED_ALL;
}

static const void *file_map(chord_store *store, chord_error *err)
{
    void *base = store->size_bytes > SIZE_MAX
                     ? MAP_FAILED
                     : mmap(NULL, (size_t)store->size_bytes, PROT_READ, MAP_SHARED, ((file_store *)store)->fd, 0);
    if (base != MAP_FAILED) return base;
    chord_fail_os(err, CHORD_NO_MEMORY, errno, "cannot map %s, %" PRIu64 " bytes", store->name, store->size_bytes);
    return NULL;
}

static void file_unmap(chord_store *store, const void *base) { munmap((void *)base, (size_t)store->size_bytes); }

void chord_store_map_release(chord_store *store, const void *base, uint64_t offset, uint64_t len)
{
    uint64_t first = chord_align_down(offset, CHORD_MAP_ALONG_BYTES);
    uint64_t end = chord_min_u64(chord_align_up(offset + len, CHORD_MAP_ALONG_BYTES), store->size_bytes);
    if (end > first) madvise((uint8_t *)base + first, (size_t)(end - first), MADV_DONTNEED);
}

/* ---- open and close --------------------------------------------------------------------------- */

static void file_close(chord_store *store)
{
    file_store *self = (file_store *)store;
    if (self->fd >= 0) close(self->fd);
    if (self->plain_fd >= 0) close(self->plain_fd);
    if (self->direct_fd >= 0) close(self->direct_fd);
}

static const chord_store_ops file_ops = {.read = file_read,
                                         .fetch = file_fetch,
                                         .fetch_device = file_fetch_device,
                                         .cached = file_cached,
                                         .map = file_map,
                                         .unmap = file_unmap,
                                         .close = file_close};

int chord_store_file_descriptor(const chord_store *store)
{
    return store->ops == &file_ops ? ((const file_store *)store)->fd : -1;
}

static chord_status open_fds(file_store *self, const char *path, chord_error *err)
{
    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    self->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (self->fd < 0 || fstat(self->fd, &info) != 0) return chord_fail_os(err, CHORD_IO, errno, "cannot open %s", path);
    CHORD_TRY(file_check_kind(path, &info, err));
    self->store.size_bytes = (uint64_t)info.st_size;
    self->plain_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat again;
    if (self->plain_fd < 0 || fstat(self->plain_fd, &again) != 0)
        return chord_fail_os(err, CHORD_IO, errno, "cannot open %s a second time", path);
    if (again.st_dev != info.st_dev || again.st_ino != info.st_ino)
        return chord_fail(err, CHORD_IO, "%s was replaced while it was opened", path);
    posix_fadvise(self->plain_fd, 0, 0, POSIX_FADV_RANDOM);
    self->direct_align = 4096;
    self->direct_fd = chord_file_open_direct(path, self->fd, &self->direct_align);
    self->store.align = self->direct_align;
    atomic_store(&self->no_direct, self->direct_fd < 0);
    return CHORD_OK;
}

chord_status chord_store_open_file(chord_heap *heap, const char *path, chord_store **out, chord_error *err)
{
    CHORD_TRY(chord_store_new(heap, sizeof(file_store), path, &file_ops, out, err));
    file_store *self = (file_store *)*out;
    self->fd = self->plain_fd = self->direct_fd = -1;
    chord_status status = open_fds(self, path, err);
    if (status == CHORD_OK) return CHORD_OK;
    chord_store_close(*out);
    *out = NULL;
    return status;
}
