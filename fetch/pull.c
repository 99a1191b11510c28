/* pull.c - a file's way into the cache: its beginning, its keeper, those who read it, its end. */
#include "pull.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_BYTES (256u << 10)
#define SYNC_BLOCKS 64u /* so many are brought to the disk at a time */
#define LOOK_NS 100000000ull

/* ---- one at a time ------------------------------------------------------------------------------------------- */

static bool is_there(const char *path)
{
    struct stat there;
    return stat(path, &there) == 0 && S_ISREG(there.st_mode);
}

static void show_other(const fetch *f, const fetch_job *job)
{
    fetch_progress progress = {.what = job->what, .parts = 1, .total_bytes = job->bytes, .waits = true};
    (void)fetch_part_peek(job->path, &progress.done_bytes, &progress.total_bytes);
    if (f->options.progress != NULL) f->options.progress(f->options.ud, &progress);
}

/* Another process may be at it: then this one waits, and looks on. */
static chord_status take_lock(const fetch *f, const fetch_job *job, int *fd, chord_error *err)
{
    fetch_make_folders(job->lock);
    *fd = open(job->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0) return chord_fail_os(err, CHORD_IO, errno, "cannot write %.200s", job->lock);
    for (bool told = false; flock(*fd, LOCK_EX | LOCK_NB) != 0; told = true) {
        if (errno != EWOULDBLOCK && errno != EINTR) return CHORD_OK; /* a file system without locks */
        if (!told) fetch_note(f, "%s: another process brings it; waiting", job->what);
        show_other(f, job);
        if (!fetch_sleep(f, LOOK_NS)) return fetch_fail_stopped(err);
    }
    return CHORD_OK;
}

/* ---- beginning ----------------------------------------------------------------------------------------------------- */

static void take_blocks(fetch_pull *p)
{
    for (uint32_t i = 0; i < p->part.blocks; i++) {
        p->blocks[i] = fetch_part_has(&p->part, i) ? FETCH_BLOCK_HERE : FETCH_BLOCK_FREE;
        p->here += p->blocks[i] == FETCH_BLOCK_HERE;
    }
}

static chord_status open_part(fetch_pull *p, chord_error *err)
{
    char identity[448];
    const fetch_job *job = &p->job;
    if (job->sha256[0] != '\0') snprintf(identity, sizeof identity, "sha256 %s", job->sha256);
    else snprintf(identity, sizeof identity, "etag %s", p->origin.etag);
    CHORD_TRY(fetch_part_open(&p->part, job->path, p->origin.bytes, identity, !p->origin.ranges, err));
    p->blocks = calloc(p->part.blocks, 1);
    p->hash_bytes = malloc(HASH_BYTES);
    if (p->blocks == NULL || p->hash_bytes == NULL)
        return chord_fail(err, CHORD_NO_MEMORY, "no memory for the blocks of %.200s", job->what);
    take_blocks(p);
    return CHORD_OK;
}

static void keep(void *ud);

static chord_status start_threads(fetch_pull *p, chord_error *err)
{
    p->multi = p->f->library.multi_init();
    if (p->multi == NULL) return chord_fail(err, CHORD_NO_MEMORY, "libcurl has no memory");
    CHORD_TRY(fetch_sum_start(&p->sum, p->f, err));
    CHORD_TRY(chord_thread_start(p->f->heap, "fetch", fetch_carry, p, &p->carrier, err));
    return chord_thread_start(p->f->heap, "fetch-keep", keep, p, &p->keeper, err);
}

static chord_status open_locked(fetch_pull *p, bool needs_ranges, chord_error *err)
{
    CHORD_TRY(fetch_origin_find(p->f, &p->job, &p->asking, &p->origin, err));
    if (needs_ranges && !p->origin.ranges)
        return chord_fail(err, CHORD_UNSUPPORTED, "%.200s: this server gives no parts of files", p->job.what);
    p->job.bytes = p->origin.bytes;
    CHORD_TRY(open_part(p, err));
    return start_threads(p, err);
}

chord_status fetch_pull_open(const fetch *f, const fetch_job *job, bool ahead, bool needs_ranges, fetch_pull **out,
                             chord_error *err)
{
    *out = NULL;
    fetch_pull *p = calloc(1, sizeof *p);
    if (p == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a download");
    p->f = f;
    p->job = *job;
    p->ahead = ahead;
    p->part.fd = p->part.state_fd = -1;
    p->start_ns = chord_clock_ns();
    for (uint32_t i = 0; i < FETCH_SLOTS; i++) p->slots[i].pull = p;
    chord_mutex_init(&p->mutex);
    chord_cond_init(&p->moved);
    chord_status status = take_lock(f, job, &p->lock_fd, err);
    bool here = status == CHORD_OK && !job->replaces && is_there(job->path);
    if (status == CHORD_OK && !here) status = open_locked(p, needs_ranges, err);
    if (status == CHORD_OK && !here) *out = p;
    else fetch_pull_close(p);
    return status;
}

/* ---- the keeper ------------------------------------------------------------------------------------------------------- */

void fetch_pull_go_ahead(fetch_pull *p)
{
    chord_mutex_lock(&p->mutex);
    p->ahead = true;
    p->f->library.multi_wakeup(p->multi);
    chord_mutex_unlock(&p->mutex);
}

static chord_status hash_block(fetch_pull *p, uint32_t block, chord_error *err)
{
    uint64_t at = (uint64_t)block * FETCH_BLOCK_BYTES, end = at + fetch_part_block_bytes(&p->part, block);
    for (; at < end; at += HASH_BYTES) {
        size_t len = (size_t)chord_min_u64(HASH_BYTES, end - at);
        CHORD_TRY(fetch_part_read(&p->part, at, p->hash_bytes, len, err));
        fetch_sum_add(&p->sum, p->hash_bytes, len);
    }
    return CHORD_OK;
}

typedef enum keeper_task { KEEPER_HASH, KEEPER_ANEW, KEEPER_SYNC, KEEPER_END } keeper_task;

/* Waits until there is something to do. *block: to hash; *round: which beginning it belongs to. */
static keeper_task next_task(fetch_pull *p, uint32_t *block, uint32_t *round)
{
    keeper_task task = KEEPER_END;
    chord_mutex_lock(&p->mutex);
    for (;;) {
        uint32_t blocks = p->part.blocks;
        if (p->over || p->error.status != CHORD_OK || p->hashed == blocks) break;
        task = KEEPER_ANEW;
        if (*round != p->hash_round) break;
        task = KEEPER_SYNC;
        if (p->here >= p->synced + SYNC_BLOCKS) break;
        task = KEEPER_HASH;
        if (p->blocks[p->hashed] == FETCH_BLOCK_HERE) break;
        task = KEEPER_END;
        chord_cond_wait(&p->moved, &p->mutex);
    }
    *block = p->hashed;
    if (task == KEEPER_SYNC) {
        fetch_part_snapshot(&p->part);
        p->synced = p->here;
    }
    *round = p->hash_round;
    chord_mutex_unlock(&p->mutex);
    return task;
}

/* Unless all began anew meanwhile. */
static void count_hashed(fetch_pull *p, uint32_t round)
{
    chord_mutex_lock(&p->mutex);
    bool whole = round == p->hash_round && ++p->hashed == p->part.blocks;
    if (whole) fetch_sum_end(&p->sum, p->sha256);
    fetch_pull *follower = whole ? p->follower : NULL;
    chord_cond_wake_all(&p->moved);
    chord_mutex_unlock(&p->mutex);
    if (follower != NULL) fetch_pull_go_ahead(follower);
}

static chord_status sync_part(fetch_pull *p, uint32_t round, chord_error *err)
{
    CHORD_TRY(fetch_part_sync(&p->part, err));
    chord_mutex_lock(&p->mutex);
    if (round == p->hash_round) fetch_part_settle(&p->part);
    chord_mutex_unlock(&p->mutex);
    return CHORD_OK;
}

static void keep(void *ud)
{
    fetch_pull *p = ud;
    chord_error err;
    chord_status status = CHORD_OK;
    uint32_t block, round = 0;
    for (keeper_task task; status == CHORD_OK && (task = next_task(p, &block, &round)) != KEEPER_END;) {
        if (task == KEEPER_SYNC) status = sync_part(p, round, &err);
        if (task == KEEPER_ANEW) {
            p->synced = 0;
            status = fetch_sum_start(&p->sum, p->f, &err);
        }
        if (task != KEEPER_HASH) continue;
        status = hash_block(p, block, &err);
        if (status == CHORD_OK) count_hashed(p, round);
    }
    if (status != CHORD_OK) fetch_pull_fail(p, &err);
}

/* ---- those who read ------------------------------------------------------------------------------------------------------ */

static chord_status wait_for_block(fetch_pull *p, uint32_t block, chord_error *err)
{
    chord_status status = CHORD_OK;
    chord_mutex_lock(&p->mutex);
    while (p->blocks[block] != FETCH_BLOCK_HERE && status == CHORD_OK) {
        if (p->error.status != CHORD_OK) {
            *err = p->error;
            status = err->status;
            break;
        }
        if (p->over || atomic_load(&p->f->readers_over) || fetch_stopped(p->f)) status = fetch_fail_stopped(err);
        if (p->blocks[block] == FETCH_BLOCK_FREE) {
            p->blocks[block] = FETCH_BLOCK_WANTED;
            p->wanted++;
            p->f->library.multi_wakeup(p->multi);
        }
        chord_cond_wait_for(&p->moved, &p->mutex, LOOK_NS);
    }
    p->was_read = true;
    chord_mutex_unlock(&p->mutex);
    return status;
}

chord_status fetch_pull_read(fetch_pull *p, uint64_t offset, void *bytes, size_t len, chord_error *err)
{
    if (len == 0) return CHORD_OK;
    uint32_t first = (uint32_t)(offset / FETCH_BLOCK_BYTES), last = (uint32_t)((offset + len - 1) / FETCH_BLOCK_BYTES);
    for (uint32_t block = first; block <= last; block++) CHORD_TRY(wait_for_block(p, block, err));
    return fetch_part_read(&p->part, offset, bytes, len, err);
}

void fetch_pull_follow(fetch_pull *p, fetch_pull *next)
{
    chord_mutex_lock(&p->mutex);
    bool here = p->hashed == p->part.blocks;
    p->follower = next;
    chord_mutex_unlock(&p->mutex);
    if (here) fetch_pull_go_ahead(next);
}

void fetch_pull_progress(fetch_pull *p, fetch_progress *out)
{
    chord_mutex_lock(&p->mutex);
    uint64_t done = chord_min_u64((uint64_t)p->here * FETCH_BLOCK_BYTES, p->part.bytes);
    *out = (fetch_progress){.what = p->job.what,
                            .parts = 1,
                            .done_bytes = done,
                            .total_bytes = p->part.bytes,
                            .came_bytes = p->came_bytes,
                            .came_ns = chord_clock_ns() - p->start_ns};
    chord_mutex_unlock(&p->mutex);
}

/* ---- its end ---------------------------------------------------------------------------------------------------------------- */

static chord_status wait_for_all(fetch_pull *p, uint32_t part, uint32_t parts, chord_error *err)
{
    for (;;) {
        fetch_progress progress;
        fetch_pull_progress(p, &progress);
        progress.part = part;
        progress.parts = parts;
        if (p->f->options.progress != NULL) p->f->options.progress(p->f->options.ud, &progress);
        chord_mutex_lock(&p->mutex);
        bool whole = p->hashed == p->part.blocks;
        bool failed = p->error.status != CHORD_OK;
        if (failed) *err = p->error;
        if (!whole && !failed) chord_cond_wait_for(&p->moved, &p->mutex, LOOK_NS);
        chord_mutex_unlock(&p->mutex);
        if (failed) return err->status;
        if (whole) return CHORD_OK;
        if (fetch_stopped(p->f)) return fetch_fail_stopped(err);
    }
}

chord_status fetch_pull_finish(fetch_pull *p, uint32_t part, uint32_t parts, chord_error *err)
{
    fetch_pull_go_ahead(p);
    CHORD_TRY(wait_for_all(p, part, parts, err));
    if (p->job.sha256[0] != '\0' && strcmp(p->sha256, p->job.sha256) != 0) {
        fetch_part_drop(&p->part);
        return chord_fail(err, CHORD_CORRUPT,
                          "%.120s: what came has SHA-256 %s, it should be %s: it was thrown away, try again",
                          p->job.what, p->sha256, p->job.sha256);
    }
    return fetch_part_finish(&p->part, err);
}

void fetch_pull_close(fetch_pull *p)
{
    if (p == NULL) return;
    chord_mutex_lock(&p->mutex);
    p->over = true;
    chord_cond_wake_all(&p->moved);
    if (p->multi != NULL) p->f->library.multi_wakeup(p->multi);
    chord_mutex_unlock(&p->mutex);
    if (p->carrier != NULL) chord_thread_join(p->f->heap, p->carrier);
    if (p->keeper != NULL) chord_thread_join(p->f->heap, p->keeper);
    for (uint32_t i = 0; i < FETCH_SLOTS; i++) fetch_transfer_close(&p->slots[i].transfer);
    fetch_transfer_close(&p->asking);
    if (p->multi != NULL) p->f->library.multi_cleanup(p->multi);
    fetch_sum_close(&p->sum);
    fetch_part_close(&p->part);
    if (p->lock_fd >= 0) close(p->lock_fd);
    chord_cond_free(&p->moved);
    chord_mutex_free(&p->mutex);
    free(p->blocks);
    free(p->hash_bytes);
    free(p);
}
