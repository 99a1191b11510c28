/* pull.h - one file on its way into the cache, by two threads: the carrier brings blocks over several connections, the keeper
 * hashes them in their order and sees to it that they reach the disk. Others may read it meanwhile: a block that somebody
 * waits for comes before all others. */
#ifndef FETCH_PULL_H
#define FETCH_PULL_H

#include "origin.h"
#include "part.h"
#include "sum.h"

#define FETCH_AHEAD_SLOTS 4 /* connections for what nobody waits for */
#define FETCH_SLOTS 6

typedef enum fetch_block { FETCH_BLOCK_FREE, FETCH_BLOCK_WANTED, FETCH_BLOCK_BUSY, FETCH_BLOCK_HERE } fetch_block;

typedef enum fetch_verdict {
    FETCH_GOOD,
    FETCH_NO_RANGES, /* all of the file came in place of a part */
    FETCH_CHANGED,   /* of another file */
    FETCH_WRONG,     /* not what was asked for */
    FETCH_REFUSED,   /* a status that is no answer */
    FETCH_NOT_KEPT   /* the disk did not take it */
} fetch_verdict;

typedef struct fetch_pull fetch_pull;

/* A connection and what it brings. */
typedef struct fetch_slot {
    fetch_pull *pull;
    fetch_transfer transfer;
    bool running;
    uint32_t block, end_block; /* what it is at: [block, end_block) are not here yet */
    uint64_t at, end;          /* and of these which bytes: what breaks off goes on there */
    uint64_t start_ns, not_before_ns;
    uint32_t address; /* by which the request went, of p->address */
    fetch_verdict verdict;
    fetch_patience patience;
    chord_error error;
} fetch_slot;

struct fetch_pull {
    const fetch *f;
    fetch_job job;
    fetch_origin origin;
    fetch_part part;
    fetch_transfer asking; /* for addresses */
    int lock_fd;
    chord_mutex mutex;
    chord_cond moved;
    /* under the mutex: */
    uint8_t *blocks; /* fetch_block, each */
    uint32_t wanted, here, hashed, cursor;
    bool ahead, over, was_read;
    chord_error error;    /* status CHORD_OK: none */
    uint32_t hash_round;  /* counts beginnings anew */
    fetch_pull *follower; /* begins to bring ahead when this one is here */
    uint64_t came_bytes;
    /* the carrier's: */
    void *multi;
    fetch_slot slots[FETCH_SLOTS];
    uint32_t run_blocks, changes;
    uint32_t address, asked_anew; /* which it is; how often it was asked for without a byte in between */
    /* the keeper's: */
    fetch_sum sum;
    uint8_t *hash_bytes;
    uint32_t synced;
    char sha256[65]; /* when all was hashed */
    uint64_t start_ns;
    chord_thread *carrier, *keeper;
};

/* Waits for its turn where another process brings the file; *out NULL: it is there by now. ahead: all of it is to come.
 * needs_ranges: CHORD_UNSUPPORTED where the server gives no parts. */
chord_status fetch_pull_open(const fetch *f, const fetch_job *job, bool ahead, bool needs_ranges, fetch_pull **out,
                             chord_error *err);
/* Bytes, as soon as they are there. From any thread. */
chord_status fetch_pull_read(fetch_pull *p, uint64_t offset, void *bytes, size_t len, chord_error *err);
void fetch_pull_go_ahead(fetch_pull *p);
/* `next` begins to come ahead when p is here. It must live longer. */
void fetch_pull_follow(fetch_pull *p, fetch_pull *next);
void fetch_pull_progress(fetch_pull *p, fetch_progress *out);
/* Until all is there, hashed, and has its name; `part` of `parts` is what is shown. */
chord_status fetch_pull_finish(fetch_pull *p, uint32_t part, uint32_t parts, chord_error *err);
void fetch_pull_close(fetch_pull *p);

/* The carrier's thread. */
void fetch_carry(void *pull);
/* From any thread: it fails, and whoever waits for it is told. */
void fetch_pull_fail(fetch_pull *p, const chord_error *why);

#endif
