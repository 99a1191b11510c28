/* file_plain_posix.h - the plain part of a file as a store, the same on every system that has pread: which files are
 * taken, and exact reads. */
#ifndef CHORD_FILE_PLAIN_POSIX_H
#define CHORD_FILE_PLAIN_POSIX_H

#include "store/store.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_READ_BYTES_MAX (1u << 30) /* one call never asks for more; Linux would cut it near 2 GiB */

static inline chord_status file_check_kind(const char *path, const struct stat *info, chord_error *err)
{
    if (S_ISDIR(info->st_mode)) return chord_fail(err, CHORD_IO, "%s is a directory", path);
    if (!S_ISREG(info->st_mode)) return chord_fail(err, CHORD_IO, "%s is not a regular file", path);
    if (info->st_size == 0) return chord_fail(err, CHORD_CORRUPT, "%s is empty", path);
    return CHORD_OK;
}

/* os_errno 0: the file ended at offset. */
static inline chord_status file_fail_read(const chord_store *store, uint64_t offset, size_t len, int os_errno,
                                          chord_error *err)
{
    if (os_errno != 0)
        return chord_fail_os(err, CHORD_IO, os_errno, "%s: cannot read %zu bytes at %" PRIu64, store->name, len,
                             offset);
    return chord_fail(err, CHORD_IO, "%s ends at %" PRIu64 ", it had %" PRIu64 " bytes when it was opened", store->name,
                      offset, store->size_bytes);
}

#define FILE_INTERRUPTIONS_MAX \
    10000u /* in a row: a file system that does nothing else would be waited for without end */

/* All of len. Interrupted and short reads go on where they stopped; 0: all was read, -1: the file ended, else errno. */
static inline int file_read_all(int fd, uint64_t *offset, uint8_t *dst, size_t len)
{
    uint32_t interruptions = 0;
    while (len > 0) {
        ssize_t got = pread(fd, dst, len < FILE_READ_BYTES_MAX ? len : FILE_READ_BYTES_MAX, (off_t)*offset);
        if (got < 0 && errno == EINTR && ++interruptions < FILE_INTERRUPTIONS_MAX) continue;
        if (got <= 0) return got < 0 ? errno : -1;
        interruptions = 0;
        *offset += (uint64_t)got;
        dst += got;
        len -= (size_t)got;
    }
    return 0;
}

static inline chord_status file_read_exact(const chord_store *store, int fd, uint64_t offset, void *dst, size_t len,
                                           chord_error *err)
{
    uint64_t at = offset;
    int failure = file_read_all(fd, &at, dst, len);
    if (failure == 0) return CHORD_OK;
    return file_fail_read(store, at, (size_t)(offset + len - at), failure > 0 ? failure : 0, err);
}

#endif
