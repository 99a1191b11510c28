/* pager.h - which weight bytes are in memory, and when. Knows extents, not what a tensor means.
 *
 * A dense forward pass reads the same bytes in the same order, in a circle, where LRU is the worst policy: below
 * one full cycle it never hits. So residency is planned: as many tiles as the budget holds are pinned, spread
 * evenly over the pass, and the others stream through a ring of slots whose next reads are in flight while this
 * tile computes.
 *
 *            claim (reader)          read done              pin                    release
 *   EMPTY ------------------> LOADING ---------> READY <-----------> PINNED   READY/PINNED --> EMPTY (plan, none)
 *                                \--> FAILED (reported by pin, then EMPTY)     READY stays, evictable (lru)
 *
 * Invariants:
 *  - a pass is a list of tiles written before it starts; slots are claimed strictly in list order;
 *  - nobody waits for a tile while holding a later one; ring >= tiles an operation holds at once + 2;
 *  - cancel, failure and close wake every waiter, and close drains reads in flight;
 *  - after the end of a pass readers go on with the start of the next one (assumed to be the same list until told
 *    otherwise);
 *  - nothing is allocated after open. */
#ifndef CHORD_PAGER_H
#define CHORD_PAGER_H

#include "store/store.h"

/* A run of whole rows of one tensor: bytes [offset, offset + bytes) of a shard. */
typedef struct chord_tile {
    uint32_t shard, bytes;
    uint64_t offset;
} chord_tile;

/* How tiles in banks are computed: through windows; by copying packed panels out, so that only packed tiles live there;
 * or where they lie, by the host. */
typedef enum chord_bank_use { CHORD_BANK_USE_WINDOWS, CHORD_BANK_USE_COPIES, CHORD_BANK_USE_IN_PLACE } chord_bank_use;

/* Threads that read for any number of pagers, one read each at a time. They start with the first pager that streams:
 * fewer than wanted where the system refuses more. With none, and for a pager that reads nothing ahead, pin reads by
 * itself. Whatever the pagers of one set of readers share stands under one mutex. */
#define CHORD_READERS_DEFAULT 4u
#if defined(__wasm__)
#define CHORD_READERS_MOST CHORD_READERS_DEFAULT /* each is an instance more */
#else
#define CHORD_READERS_MOST 32u
#endif
typedef struct chord_readers chord_readers;
chord_status chord_readers_open(chord_heap *heap, uint32_t threads, chord_readers **out, chord_error *err);
/* Reads of so many bytes that keep a disk busy together. */
uint32_t chord_reads_at_once(uint64_t bytes);
/* From the next pager on so many threads, if the heap has room for what they take beyond those at opening: cost. */
void chord_readers_grow(chord_readers *readers, uint32_t threads);
uint64_t chord_readers_cost(chord_readers *readers, uint32_t threads);
void chord_readers_close(chord_readers *readers); /* after its pagers */

/* Where the memory for slots comes from. A region is zeroed, in memory, aligned to 4096, charged to the heap, and
 * written and read by any thread until it is closed. */
typedef struct chord_slot_place {
    chord_status (*open)(void *ud, chord_heap *heap, uint64_t bytes, chord_region *out, chord_error *err);
    void (*close)(void *ud, chord_heap *heap, chord_region *region);
    void *ud;
} chord_slot_place;

typedef struct chord_pager_config {
    chord_heap *heap;
    chord_readers *readers;        /* outlive the pager; a plan needs none */
    const chord_slot_place *place; /* outlives the pager; NULL: memory of the heap's */
    chord_store *const *stores;    /* by shard; outlive the pager */
    uint32_t shards;
    const chord_tile *tiles;    /* in the order a full pass uses them; outlive the pager */
    const uint32_t *read_bytes; /* by tile: what reading it takes of the files; NULL: its bytes. Outlives the pager */
    uint32_t tile_count;
    uint64_t memory_bytes;   /* for pinned tiles and ring together */
    uint32_t hold_max;       /* tiles an operation holds at once */
    uint32_t prefetch_tiles; /* 0: as far as the ring reaches */
    bool no_prefetch;
    chord_policy policy;
    bool mapped; /* tiles are read where they lie in the file; memory_bytes may hold packed copies */
    bool window; /* streamed tiles that lie in the page cache may be used there, as far as memory_bytes allows */
    bool pack;   /* resident tiles may be packed: pinned ones in place, mapped ones elsewhere */
    bool parts;  /* a tile that nobody reads ahead may be pinned unread, so that several threads read it */
    /* 0: none. Pinned tiles live in banks of this size (base.h), where addresses do not reach all of them: each comes
     * through the ring once, and its holder copies or packs it into the bank */
    uint64_t bank_bytes;
    chord_bank_use bank_use;
} chord_pager_config;

/* What memory_bytes buys; no memory is touched. Errors with CHORD_BUDGET, naming the least that works, when it is
 * too small. */
typedef struct chord_pager_plan {
    uint64_t pinned_bytes, ring_bytes, streamed_bytes_per_pass, memory_bytes_min;
    uint32_t pinned_tiles, ring_slots;
} chord_pager_plan;
chord_status chord_pager_plan_make(const chord_pager_config *config, chord_pager_plan *out, chord_error *err);

typedef struct chord_pager chord_pager;
chord_status chord_pager_open(const chord_pager_config *config, chord_pager **out, chord_error *err);
void chord_pager_close(chord_pager *pager);

/* Tell what the coming pass uses: indices into tiles, ascending. The list is copied. Reads start at once. */
chord_status chord_pager_pass_begin(chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err);
/* Also after a failure or a cancel in mid-pass: releases what is held, forgets what was read ahead for the rest.
 * Mapped, or with a window: CHORD_IO when a page could not be read since the pass began (the guard put zeros there): the pass's
 * results are void. */
chord_status chord_pager_pass_end(chord_pager *pager, chord_error *err);

/* Where a held tile may be put to stay, by its holder, who then calls chord_pager_keep. */
typedef enum chord_home {
    CHORD_HOME_NONE,     /* nowhere, or it is there already */
    CHORD_HOME_IN_PLACE, /* where it lies, packed */
    CHORD_HOME_OWN,      /* in memory of its own */
    CHORD_HOME_BANK      /* in a bank: its rows are written there */
} chord_home;
/* A tile that is there until it is released. */
typedef struct chord_view {
    const uint8_t *data; /* the tile's bytes, NULL: they lie in the bank */
    /* NULL: they are there. Else there is room for them, and nothing in it yet: who computes a row reads it before, from here */
    chord_store *unread;
    uint64_t unread_at; /* where the tile begins there */
    bool packed;        /* not as the file has them */
    chord_home home;
    /* The home wants the tile in any form. Else packed, and for a bank in whole panels: from there it is only read in
     * such. */
    bool any_form;
    uint8_t *own;     /* with a home: where the rows may be packed. OWN: the home; else the tile's own bytes */
    chord_bank *bank; /* BANK, or data NULL */
    uint64_t bank_at;
} chord_view;
/* Waits until the tile is READY. One thread pins and releases; tiles of a pass in list order. Returns
 * CHORD_CANCELLED when the flag of chord_pager_heed is raised. */
chord_status chord_pager_pin(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err);
/* Where a tile lies that is in memory for good, and not in a bank; data NULL: it is not. The pass may stand anywhere, nothing
 * is held. Until the pass ends, for the thread that pins. */
void chord_pager_peek(chord_pager *pager, uint32_t tile, chord_view *out);
/* The held tile is at its home now, and stays there. */
void chord_pager_keep(chord_pager *pager, uint32_t tile, bool packed);
void chord_pager_release(chord_pager *pager, uint32_t tile);
/* Bytes [at, at + bytes) of a view that is unread. From any thread, parts at once. */
chord_status chord_view_read(const chord_view *view, uint64_t at, uint64_t bytes, chord_error *err);
/* The thread that pins stood still for so long while unread bytes came. */
void chord_pager_count_wait(chord_pager *pager, uint64_t ns);

/* Whoever runs the pass is called off by this flag, NULL: by none. It is the caller's and outlives the pass. */
void chord_pager_heed(chord_pager *pager, const atomic_bool *called_off);
/* From any thread, after a flag was raised: a pin that waits looks at it. */
void chord_pager_look(chord_pager *pager);

/* Bytes that are no tile's, on the calling thread, which stands still meanwhile: counted with the others. */
chord_status chord_pager_read(chord_pager *pager, uint32_t shard, uint64_t offset, size_t bytes, void *out,
                              chord_error *err);

typedef struct chord_pager_stats {
    uint64_t hits, misses, evictions, prefetched_used, prefetched_late, prefetched_wasted;
    uint64_t bytes_read, read_ns, stall_ns; /* read_ns: some read was in flight; stall_ns: pin waited */
    uint64_t bytes_in_cache;                /* of bytes_read: used where they lie in the page cache, without a read */
} chord_pager_stats;
void chord_pager_stats_get(const chord_pager *pager, chord_pager_stats *out);
/* sum += now - before; NULL: nothing was before */
void chord_pager_stats_add(chord_pager_stats *sum, const chord_pager_stats *now, const chord_pager_stats *before);
/* This pager takes the place of another one: the same flag is heeded, the counters go on where those ended. */
void chord_pager_succeed(chord_pager *pager, const chord_pager *before);

/* ---- tiles that are asked for ------------------------------------------------------------------------------------
 *
 * Where nobody knows before what a pass will use (experts that a router chooses, blocks of a remote store, layers that
 * a guest loads) there is no list to claim from. Some tiles are pinned, by how often they are used or as the owner
 * says; the others come into a ring of slots when they are asked for, several at once, and leave it by use: what was
 * used longest ago goes first. Any thread asks, pins and releases. A pin waits for a tile that is on its way and reads one
 * that is not; a read ahead that failed is made again by the pin, which then says why. */

/* What is asked for. read runs on any thread, several at once, and fills the slot; ahead: nobody waits for it yet.
 * *data gets the tile's first byte in the slot. */
typedef struct chord_asked_source {
    uint32_t count;                                  /* tiles */
    uint64_t (*bytes)(void *ud, uint32_t tile);      /* as they are counted */
    uint64_t (*slot_bytes)(void *ud, uint32_t tile); /* that read needs */
    chord_status (*read)(void *ud, uint32_t tile, uint8_t *slot, uint64_t slot_bytes, bool ahead, uint8_t **data,
                         chord_error *err);
    void *ud;
} chord_asked_source;
typedef struct chord_tile_set {
    chord_store *const *stores;
    const chord_tile *tiles;
    const uint32_t *read_bytes; /* as in chord_pager_config */
} chord_tile_set;
chord_asked_source chord_asked_tiles(const chord_tile_set *set, uint32_t count); /* set outlives it */

/* What memory_bytes buys: a ring of ring_least slots or more, and pins (a byte for each tile, 1: pinned) for the most
 * used of the tiles that were used at all. CHORD_BUDGET: the ring alone is too large. */
chord_status chord_asked_plan(const chord_asked_source *source, const uint64_t *uses, uint64_t memory_bytes,
                              uint32_t ring_least, uint8_t *pins, uint32_t *ring, chord_error *err);

typedef struct chord_asked_config {
    chord_heap *heap;
    chord_readers *readers;        /* outlive it */
    const chord_slot_place *place; /* for each slot; outlives it; NULL: memory of the heap's */
    chord_asked_source source;
    const uint8_t *pins; /* a byte for each tile; NULL: none */
    uint32_t ring;       /* slots for the others, as large as the largest: more than are held at once */
    bool by_size;        /* tiles are used equally often: what these slots take becomes some for each size */
    uint32_t ahead;      /* so many tiles behind the one that was pinned last, in a circle, are read unasked */
    uint32_t asked_max;  /* tiles that may be asked for and not be on their way yet */
    uint32_t hopes_max;  /* tiles that may be hoped for at once */
    /* By tile, the owner's memory; once it is open, chord_asked_value writes to it and readers look at it: what is worth
     * least leaves first. NULL: what was used longest ago. */
    double *worth;
    bool lazy; /* a slot's memory is taken when it is first used; else nothing is allocated after open */
} chord_asked_config;
typedef struct chord_asked chord_asked;
chord_status chord_asked_open(const chord_asked_config *config, chord_asked **out, chord_error *err);
void chord_asked_close(chord_asked *asked); /* nothing is held, nobody waits */

/* Reads those of the list that are neither there nor on their way, in this order, and gives how many that are; -1: too
 * much was asked for already, or there are no threads to read (pin then does). Tiles before that one are read. */
int32_t chord_asked_ask(chord_asked *asked, const uint32_t *list, uint32_t count);
/* What each of these is worth from now on. Of a tile that is there it counts once it has been held again. */
void chord_asked_value(chord_asked *asked, const uint32_t *list, uint32_t count, double worth);
/* In place of those hoped for before: tiles that will probably be in the list that is asked for next, the likeliest
 * first. They are read while nothing is left to read that was asked for, a few at a time. */
void chord_asked_hope(chord_asked *asked, const uint32_t *list, uint32_t count);
/* All of these are there. */
bool chord_asked_has(chord_asked *asked, const uint32_t *list, uint32_t count);
/* What was asked for and not pinned yet is no longer wanted. */
void chord_asked_forget(chord_asked *asked);
/* called_off: NULL, or whoever pins is called off by it (CHORD_CANCELLED). CHORD_BUDGET, CHORD_NO_MEMORY: no slot is
 * free for the tile, or there is no memory for it. */
chord_status chord_asked_pin(chord_asked *asked, uint32_t tile, const atomic_bool *called_off, const uint8_t **data,
                             chord_error *err);
void chord_asked_release(chord_asked *asked, uint32_t tile);
/* Who holds a tile may rearrange its bytes in their slot, and says so: they stay so until the tile leaves. */
void chord_asked_set_packed(chord_asked *asked, uint32_t tile);
/* Of a held tile; used: it was held before, since it is there. */
void chord_asked_form(chord_asked *asked, uint32_t tile, bool *packed, bool *used);
void chord_asked_look(chord_asked *asked); /* after a flag was raised */

/* Reads the first tiles into what slots are empty; gives how many are there then. */
chord_status chord_asked_fill(chord_asked *asked, uint32_t *there, chord_error *err);
/* Empties all slots that are not in use, gives their memory back, and tells how many tiles left. */
uint32_t chord_asked_clear(chord_asked *asked);

/* A source that reads in pieces lets reads that somebody waits for go first: those of pins, and others of its owner's,
 * who says when they begin and end. Before each piece of a read ahead; false: all is being closed. */
bool chord_asked_stand_back(chord_asked *asked, uint32_t tile);
void chord_asked_demand(chord_asked *asked, bool begins);

typedef struct chord_asked_stats {
    uint64_t hits, misses, evictions, read_ahead, errors; /* read_ahead: tiles read before they were pinned */
    uint64_t bytes_read, resident_bytes;                  /* resident: memory of the slots */
    uint64_t read_ns;                                     /* in which some read was in flight */
    uint64_t hoped, hoped_used;                           /* of read_ahead: in hope; of these: asked for afterwards */
} chord_asked_stats;
void chord_asked_stats_get(const chord_asked *asked, chord_asked_stats *out);
/* Returns when there is nothing to read ahead and nobody waits for a read. For tests, which count. */
void chord_asked_settle(chord_asked *asked);

#endif
