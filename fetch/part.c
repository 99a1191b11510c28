/* part.c - sparse files and their bits. */
#define _GNU_SOURCE
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAGIC "chordprt"
#define BOOT_BYTES 40
#define ENDING ".part"
#define STATE_ENDING ".part.state"

/* The state file begins with it; the two rows of bits follow. */
typedef struct head {
    char magic[8];
    uint64_t bytes, block_bytes;
    char boot[BOOT_BYTES]; /* which start of the system the first row is of */
    char identity[448];
} head;

static size_t row_bytes(const fetch_part *p) { return (p->blocks + 7) / 8; }

void fetch_make_folders(const char *path)
{
    char folder[FETCH_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *at = folder + 1; *at != '\0'; at++) {
        if (*at != '/') continue;
        *at = '\0';
        mkdir(folder, 0777);
        *at = '/';
    }
}

static void name(const char *path, const char *ending, char out[FETCH_PATH_BYTES])
{
    snprintf(out, FETCH_PATH_BYTES, "%.*s%s", (int)(FETCH_PATH_BYTES - sizeof STATE_ENDING), path, ending);
}

static void read_boot(char out[BOOT_BYTES])
{
    memset(out, 0, BOOT_BYTES);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (read(fd, out, BOOT_BYTES - 1) < 0) out[0] = '\0';
    close(fd);
}

static bool write_all(int fd, const void *bytes, size_t len, uint64_t at)
{
    for (const char *p = bytes; len > 0;) {
        ssize_t n = pwrite(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n, at += (uint64_t)n, len -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *bytes, size_t len, uint64_t at)
{
    for (char *p = bytes; len > 0;) {
        ssize_t n = pread(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n, at += (uint64_t)n, len -= (size_t)n;
    }
    return true;
}

static chord_status fail_write(const fetch_part *p, chord_error *err)
{
    return chord_fail_os(err, CHORD_IO, errno, "cannot write %.200s" ENDING, p->path);
}

/* ---- opening -------------------------------------------------------------------------------------------- */

static uint32_t bits(const uint8_t *row, size_t bytes)
{
    uint32_t n = 0;
    for (size_t i = 0; i < bytes; i++) n += (uint32_t)__builtin_popcount(row[i]);
    return n;
}

static chord_status check_room(const fetch_part *p, chord_error *err)
{
    struct statvfs room;
    uint64_t missing = (p->blocks - bits(p->written, row_bytes(p))) * (uint64_t)FETCH_BLOCK_BYTES;
    missing = chord_min_u64(missing, p->bytes);
    if (fstatvfs(p->fd, &room) != 0) return CHORD_OK;
    uint64_t has = (uint64_t)room.f_bavail * room.f_frsize;
    if (has >= missing) return CHORD_OK;
    return chord_fail(err, CHORD_IO, "%.200s: %.1f MiB are to come, and there is room for %.1f MiB", p->path,
                      (double)missing / (double)CHORD_MIB, (double)has / (double)CHORD_MIB);
}

/* Are there bits of these bytes that can be trusted? */
static bool load(fetch_part *p, const head *ours)
{
    head h;
    struct stat there;
    if (!read_all(p->state_fd, &h, sizeof h, 0) || memcmp(h.magic, ours->magic, sizeof h.magic) != 0 ||
        h.bytes != ours->bytes || h.block_bytes != ours->block_bytes ||
        memcmp(h.identity, ours->identity, sizeof h.identity) != 0)
        return false;
    if (fstat(p->fd, &there) != 0 || (uint64_t)there.st_size != p->bytes) return false;
    if (!read_all(p->state_fd, p->written, row_bytes(p), sizeof h) ||
        !read_all(p->state_fd, p->synced, row_bytes(p), sizeof h + row_bytes(p)))
        return false;
    if (h.boot[0] == '\0' || memcmp(h.boot, ours->boot, sizeof h.boot) != 0)
        memcpy(p->written, p->synced, row_bytes(p));
    return true;
}

static chord_status save_all(fetch_part *p, const head *h, chord_error *err)
{
    if (write_all(p->state_fd, h, sizeof *h, 0) && write_all(p->state_fd, p->written, row_bytes(p), sizeof *h) &&
        write_all(p->state_fd, p->synced, row_bytes(p), sizeof *h + row_bytes(p)))
        return CHORD_OK;
    return fail_write(p, err);
}

static chord_status open_files(fetch_part *p, chord_error *err)
{
    char file[FETCH_PATH_BYTES];
    fetch_make_folders(p->path);
    name(p->path, ENDING, file);
    p->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->fd < 0) return fail_write(p, err);
    name(p->path, STATE_ENDING, file);
    p->state_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    return p->state_fd < 0 ? fail_write(p, err) : CHORD_OK;
}

static chord_status open_rest(fetch_part *p, const char *identity, bool fresh, chord_error *err)
{
    head h = {.bytes = p->bytes, .block_bytes = FETCH_BLOCK_BYTES};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    snprintf(h.identity, sizeof h.identity, "%s", identity);
    read_boot(h.boot);
    CHORD_TRY(open_files(p, err));
    uint8_t *rows = calloc(3, row_bytes(p));
    if (rows == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for the blocks of %.200s", p->path);
    p->written = rows;
    p->synced = rows + row_bytes(p);
    p->snapshot = rows + 2 * row_bytes(p);
    bool known = !fresh && load(p, &h);
    if (!known) memset(rows, 0, 2 * row_bytes(p));
    CHORD_TRY(check_room(p, err));
    CHORD_TRY(save_all(p, &h, err)); /* before the file is cut: no bit is left of what it had */
    if (known) return CHORD_OK;
    if (ftruncate(p->fd, 0) == 0 && ftruncate(p->fd, (off_t)p->bytes) == 0) return CHORD_OK;
    return fail_write(p, err);
}

chord_status fetch_part_open(fetch_part *p, const char *path, uint64_t bytes, const char *identity, bool fresh,
                             chord_error *err)
{
    *p = (fetch_part){.fd = -1, .state_fd = -1, .bytes = bytes};
    p->blocks = (uint32_t)chord_ceil_div(bytes, FETCH_BLOCK_BYTES);
    if (strlen(path) + sizeof STATE_ENDING > sizeof p->path)
        return chord_fail(err, CHORD_INVALID, "%.200s is too long a name", path);
    snprintf(p->path, sizeof p->path, "%s", path);
    chord_status status = open_rest(p, identity, fresh, err);
    if (status != CHORD_OK) fetch_part_close(p);
    return status;
}

void fetch_part_close(fetch_part *p)
{
    if (p->fd >= 0) close(p->fd);
    if (p->state_fd >= 0) close(p->state_fd);
    free(p->written);
    p->fd = p->state_fd = -1;
    p->written = p->synced = NULL;
}

/* ---- blocks ------------------------------------------------------------------------------------------------ */

bool fetch_part_has(const fetch_part *p, uint32_t block) { return (p->written[block / 8] >> block % 8 & 1) != 0; }

uint64_t fetch_part_block_bytes(const fetch_part *p, uint32_t block)
{
    return chord_min_u64(FETCH_BLOCK_BYTES, p->bytes - (uint64_t)block * FETCH_BLOCK_BYTES);
}

chord_status fetch_part_write(fetch_part *p, uint64_t at, const void *bytes, size_t len, chord_error *err)
{
    return write_all(p->fd, bytes, len, at) ? CHORD_OK : fail_write(p, err);
}

chord_status fetch_part_read(const fetch_part *p, uint64_t at, void *bytes, size_t len, chord_error *err)
{
    errno = 0;
    if (read_all(p->fd, bytes, len, at)) return CHORD_OK;
    return chord_fail_os(err, CHORD_IO, errno, "cannot read %zu bytes at %" PRIu64 " of %.200s" ENDING, len, at,
                         p->path);
}

void fetch_part_mark(fetch_part *p, uint32_t block)
{
    p->written[block / 8] |= (uint8_t)(1u << block % 8);
    (void)write_all(p->state_fd, &p->written[block / 8], 1, sizeof(head) + block / 8); /* lost: it comes once more */
}

void fetch_part_flush(const fetch_part *p, uint32_t block)
{
    (void)sync_file_range(p->fd, (off_t)block * FETCH_BLOCK_BYTES, FETCH_BLOCK_BYTES, SYNC_FILE_RANGE_WRITE);
}

void fetch_part_snapshot(fetch_part *p) { memcpy(p->snapshot, p->written, row_bytes(p)); }

chord_status fetch_part_sync(fetch_part *p, chord_error *err)
{
    return fdatasync(p->fd) == 0 ? CHORD_OK : fail_write(p, err);
}

void fetch_part_settle(fetch_part *p)
{
    memcpy(p->synced, p->snapshot, row_bytes(p));
    (void)write_all(p->state_fd, p->synced, row_bytes(p), sizeof(head) + row_bytes(p)); /* lost: it comes once more */
}

chord_status fetch_part_forget(fetch_part *p, chord_error *err)
{
    memset(p->written, 0, 2 * row_bytes(p));
    return write_all(p->state_fd, p->written, 2 * row_bytes(p), sizeof(head)) ? CHORD_OK : fail_write(p, err);
}

/* ---- its end --------------------------------------------------------------------------------------------------- */

chord_status fetch_part_finish(fetch_part *p, chord_error *err)
{
    char file[FETCH_PATH_BYTES];
    if (fdatasync(p->fd) != 0) return fail_write(p, err);
    name(p->path, ENDING, file);
    if (rename(file, p->path) != 0) return chord_fail_os(err, CHORD_IO, errno, "cannot name %.200s", p->path);
    name(p->path, STATE_ENDING, file);
    (void)unlink(file);
    return CHORD_OK;
}

void fetch_part_drop(fetch_part *p)
{
    char file[FETCH_PATH_BYTES];
    name(p->path, STATE_ENDING, file); /* first: a part without bits begins anew */
    (void)unlink(file);
    name(p->path, ENDING, file);
    (void)unlink(file);
}

bool fetch_part_peek(const char *path, uint64_t *have_bytes, uint64_t *bytes)
{
    char file[FETCH_PATH_BYTES];
    uint8_t piece[4096];
    head h;
    uint64_t have = 0;
    name(path, STATE_ENDING, file);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool ours = read_all(fd, &h, sizeof h, 0) && memcmp(h.magic, MAGIC, sizeof h.magic) == 0 && h.block_bytes != 0;
    uint64_t row = ours ? (chord_ceil_div(h.bytes, h.block_bytes) + 7) / 8 : 0;
    for (uint64_t at = 0; at < row; at += sizeof piece) {
        size_t len = (size_t)chord_min_u64(sizeof piece, row - at);
        if (!read_all(fd, piece, len, sizeof h + at)) break;
        have += bits(piece, len) * h.block_bytes;
    }
    close(fd);
    if (!ours) return false;
    *bytes = h.bytes;
    *have_bytes = chord_min_u64(have, h.bytes);
    return true;
}
