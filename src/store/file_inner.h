/* file_inner.h - what Linux adds to a plain file: direct reads, and a look into the page cache. */
#ifndef CHORD_FILE_INNER_H
#define CHORD_FILE_INNER_H

#include "store/store.h"

/* The file open as fd once more with O_DIRECT, and the alignment its reads need; -1 where the file system refuses. */
int chord_file_open_direct(const char *path, int fd, uint32_t *align);
/* How much of [offset, offset + len) lies in the page cache. A kernel that does not say (before 6.5) gives NONE:
 * asking for the bytes without waiting would start readahead, and they would be read twice. */
typedef enum chord_cached { CHORD_CACHED_NONE, CHORD_CACHED_SOME, CHORD_CACHED_ALL } chord_cached;
chord_cached chord_file_cached(int fd, uint64_t offset, uint64_t len);
/* Reads from the page cache only: bytes got from the front of the range. */
size_t chord_file_read_cached(int fd, uint64_t offset, void *dst, size_t len);

#endif
