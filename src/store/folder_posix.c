/* folder_posix.c - a bounded folder of files that may be taken away. A file is written beside its name and renamed, so whoever
 * finds one finds it whole (but for a system that lost its power: what must be right has a checksum, so nothing is synced).
 * The time of change is that of use. How much lies there is added up when the folder opens, and looked at again when that is
 * too much, since other processes write and remove here, too. */
#define _GNU_SOURCE
#include "store/file_plain_posix.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#define DEFAULT_BYTES_MAX (16ull << 30)
#define OLDEST 128u           /* files removed after one look at all */
#define UNFINISHED_S 3600     /* what nobody finished writing in so long will not be finished */
#define UNFINISHED_SUFFIX "~" /* and has this behind its name */
#define NAME_BYTES (CHORD_FOLDER_NAME_BYTES + 64)

typedef struct old_file {
    int64_t used_ns;
    uint64_t bytes;
    char name[NAME_BYTES];
} old_file;

struct chord_folder {
    chord_heap *heap;
    int fd;
    chord_mutex mutex; /* guards what follows */
    uint64_t bytes_max, bytes;
    uint32_t written;
    old_file oldest[OLDEST]; /* the first the oldest */
    uint32_t oldest_count;
    char path[];
};

/* ---- a look at all files ------------------------------------------------------------------------------------ */

static int64_t changed_ns(const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void note_old(chord_folder *f, const char *name, const struct stat *info)
{
    int64_t used = changed_ns(info);
    uint32_t at = f->oldest_count;
    if (at == OLDEST && used >= f->oldest[OLDEST - 1].used_ns) return;
    if (at < OLDEST) f->oldest_count++;
    else at--;
    for (; at > 0 && f->oldest[at - 1].used_ns > used; at--) f->oldest[at] = f->oldest[at - 1];
    f->oldest[at] = (old_file){.used_ns = used, .bytes = (uint64_t)info->st_size};
    memcpy(f->oldest[at].name, name, strlen(name) + 1);
}

static bool is_unfinished(const char *name) { return strstr(name, UNFINISHED_SUFFIX) != NULL; }

/* Sums up, and finds those used least lately. */
static chord_status look(chord_folder *f, chord_error *err)
{
    int copy = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    f->bytes = f->oldest_count = 0;
    if (list == NULL) {
        int failure = errno;
        if (copy >= 0) close(copy);
        return chord_fail_os(err, CHORD_IO, failure, "%s cannot be listed", f->path);
    }
    while ((entry = readdir(list)) != NULL) {
        struct stat info;
        if (strncmp(entry->d_name, CHORD_FOLDER_PREFIX, strlen(CHORD_FOLDER_PREFIX)) != 0 ||
            strlen(entry->d_name) >= NAME_BYTES || fstatat(f->fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        if (is_unfinished(entry->d_name)) {
            if (now_ns() - changed_ns(&info) > UNFINISHED_S * 1000000000ll) unlinkat(f->fd, entry->d_name, 0);
            continue;
        }
        f->bytes += (uint64_t)info.st_size;
        note_old(f, entry->d_name, &info);
    }
    closedir(list);
    return CHORD_OK;
}

/* Room for so many bytes and a tenth of all, so that not every file needs a look. */
static chord_status make_room(chord_folder *f, uint64_t bytes, chord_error *err)
{
    if (bytes > f->bytes_max)
        return chord_fail(err, CHORD_FULL, "%s may have %" PRIu64 " bytes, a file of it has %" PRIu64, f->path,
                          f->bytes_max, bytes);
    if (f->bytes + bytes <= f->bytes_max) return CHORD_OK;
    uint64_t goal = chord_min_u64(f->bytes_max - bytes, f->bytes_max - f->bytes_max / 10);
    do {
        CHORD_TRY(look(f, err));
        for (uint32_t i = 0; i < f->oldest_count && f->bytes > goal; i++) {
            if (unlinkat(f->fd, f->oldest[i].name, 0) != 0 && errno != ENOENT)
                return chord_fail_os(err, CHORD_IO, errno, "%s/%s cannot be removed", f->path, f->oldest[i].name);
            f->bytes -= f->oldest[i].bytes;
        }
    } while (f->bytes > goal && f->oldest_count > 0);
    return CHORD_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

/* Only for who made it: texts lie there. */
static chord_status open_path(chord_folder *f, chord_error *err)
{
    if (mkdir(f->path, 0700) != 0 && errno != EEXIST)
        return chord_fail_os(err, CHORD_IO, errno, "the folder %s cannot be made", f->path);
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0) return chord_fail_os(err, CHORD_IO, errno, "the folder %s cannot be opened", f->path);
    return CHORD_OK;
}

static uint64_t default_bytes(const chord_folder *f)
{
    struct statvfs info;
    if (fstatvfs(f->fd, &info) != 0) return DEFAULT_BYTES_MAX;
    return chord_min_u64(DEFAULT_BYTES_MAX, (uint64_t)info.f_bavail * info.f_frsize / 10 + f->bytes);
}

chord_status chord_folder_open(chord_heap *heap, const char *path, uint64_t bytes_max, chord_folder **out,
                               chord_error *err)
{
    void *memory = NULL;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_folder) + strlen(path) + 1, "a folder", &memory, err));
    chord_folder *f = memory;
    f->heap = heap;
    f->fd = -1;
    memcpy(f->path, path, strlen(path) + 1);
    chord_mutex_init(&f->mutex);
    chord_status status = open_path(f, err);
    if (status == CHORD_OK) status = look(f, err);
    if (status != CHORD_OK) {
        chord_folder_close(f);
        return status;
    }
    f->bytes_max = bytes_max != 0 ? bytes_max : default_bytes(f);
    *out = f;
    return CHORD_OK;
}

void chord_folder_close(chord_folder *f)
{
    if (f == NULL) return;
    if (f->fd >= 0) close(f->fd);
    chord_mutex_free(&f->mutex);
    chord_free(f->heap, f);
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

int chord_folder_find(chord_folder *f, const char *name, uint64_t *bytes)
{
    struct stat info;
    int file = openat(f->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (file < 0) return -1;
    if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) && !chord_fault_now()) {
        *bytes = (uint64_t)info.st_size;
        return file;
    }
    close(file);
    return -1;
}

void chord_folder_leave(int file) { close(file); }

chord_status chord_folder_read(int file, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    int failure = chord_fault_now() ? EIO : file_read_all(file, &offset, dst, len);
    if (failure == 0) return CHORD_OK;
    return chord_fail_os(err, CHORD_IO, failure > 0 ? failure : 0, "%zu bytes at %" PRIu64 " cannot be read", len,
                         offset);
}

void chord_folder_ahead(int file) { (void)posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED); }

/* Who may not change the time has no say in what stays. */
void chord_folder_use(int file, uint32_t ago_s)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
    clock_gettime(CLOCK_REALTIME, &times[1]);
    times[1].tv_sec -= ago_s;
    (void)futimens(file, times);
}

static int write_part(int file, const chord_folder_part *part)
{
    const uint8_t *at = part->bytes;
    for (size_t left = part->len; left > 0;) {
        ssize_t n = write(file, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : ENOSPC;
        at += n;
        left -= (size_t)n;
    }
    return 0;
}

static int write_parts(chord_folder *f, const char *beside, const char *name, const chord_folder_part *parts,
                       uint32_t count, uint32_t ago_s)
{
    int file = openat(f->fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), failure = 0;
    if (file < 0) return errno;
    for (uint32_t i = 0; i < count && failure == 0; i++) failure = write_part(file, &parts[i]);
    if (failure == 0 && chord_fault_now()) failure = ENOSPC;
    chord_folder_use(file, ago_s);
    if (close(file) != 0 && failure == 0) failure = errno;
    if (failure == 0 && renameat(f->fd, beside, f->fd, name) != 0) failure = errno;
    if (failure != 0) (void)unlinkat(f->fd, beside, 0);
    return failure;
}

chord_status chord_folder_write(chord_folder *f, const char *name, const chord_folder_part *parts, uint32_t count,
                                uint32_t ago_s, chord_error *err)
{
    char beside[NAME_BYTES];
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) bytes += parts[i].len;
    chord_mutex_lock(&f->mutex);
    uint32_t number = f->written++;
    chord_status status = make_room(f, bytes, err);
    f->bytes += status == CHORD_OK ? bytes : 0;
    chord_mutex_unlock(&f->mutex);
    CHORD_TRY(status);
    chord_format(beside, sizeof beside, "%s" UNFINISHED_SUFFIX "%llx-%llx-%x", name,
                 (unsigned long long)chord_process_id(), (unsigned long long)(uintptr_t)f, number);
    int failure = write_parts(f, beside, name, parts, count, ago_s);
    if (failure == 0) return CHORD_OK;
    return chord_fail_os(err, CHORD_IO, failure, "%s/%s cannot be written", f->path, name);
}

void chord_folder_remove(chord_folder *f, const char *name) { (void)unlinkat(f->fd, name, 0); }
