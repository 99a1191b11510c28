/* part.h - a file on its way: NAME.part, sparse, and NAME.part.state, which says which of its blocks are there.
 *
 * A block's bit is set when its bytes were written, and once more when they are known to be on the disk. Whoever goes on with
 * it trusts the first kind as long as the system has not been started anew since (what a killed process wrote is not lost),
 * else the second: so a kill costs the blocks under way, and a power failure nothing that is not on the disk. */
#ifndef FETCH_PART_H
#define FETCH_PART_H

#include "inner.h"

#define FETCH_BLOCK_BYTES (4u << 20)

typedef struct fetch_part {
    int fd, state_fd;
    char path[FETCH_PATH_BYTES]; /* of the whole file, later */
    uint64_t bytes;
    uint32_t blocks;
    uint8_t *written, *synced; /* a bit for each block */
    uint8_t *snapshot;
} fetch_part;

/* identity: whose bytes these are; a part of another one begins anew. fresh: in any case. */
chord_status fetch_part_open(fetch_part *p, const char *path, uint64_t bytes, const char *identity, bool fresh,
                             chord_error *err);
void fetch_part_close(fetch_part *p);
bool fetch_part_has(const fetch_part *p, uint32_t block);
uint64_t fetch_part_block_bytes(const fetch_part *p, uint32_t block);
chord_status fetch_part_write(fetch_part *p, uint64_t at, const void *bytes, size_t len, chord_error *err);
chord_status fetch_part_read(const fetch_part *p, uint64_t at, void *bytes, size_t len, chord_error *err);
/* All of the block was written. Under the lock of whoever owns the part, as fetch_part_snapshot and fetch_part_forget. */
void fetch_part_mark(fetch_part *p, uint32_t block);
/* Asks the system to bring it to the disk. */
void fetch_part_flush(const fetch_part *p, uint32_t block);
/* What is marked at the snapshot is on the disk when fetch_part_sync, without the lock, comes back; from fetch_part_settle on,
 * with it, that counts after a power failure, too. */
void fetch_part_snapshot(fetch_part *p);
chord_status fetch_part_sync(fetch_part *p, chord_error *err);
void fetch_part_settle(fetch_part *p);
/* Nothing of it is there any more. */
chord_status fetch_part_forget(fetch_part *p, chord_error *err);
/* All is there: it gets its name. */
chord_status fetch_part_finish(fetch_part *p, chord_error *err);
/* It was wrong. */
void fetch_part_drop(fetch_part *p);
/* How much of a part there is; false: there is none. */
bool fetch_part_peek(const char *path, uint64_t *have_bytes, uint64_t *bytes);

/* The folders above path. */
void fetch_make_folders(const char *path);

#endif
