/* pager_inner.h - the pager's parts, each above those before it: the plan (pager_plan.c), slots and claims
 * (pager_slots.c), the pass (pager_pass.c), reads (pager_load.c), the threads for them (pager_readers.c), the three
 * ways of pager_way.h, the door (pager.c). Beside them, over the same readers: pager_asked_inner.h. */
#ifndef CHORD_PAGER_INNER_H
#define CHORD_PAGER_INNER_H

#include "pager/pager_way.h"

#define PAGER_NONE UINT32_MAX
#define PAGER_ELSEWHERE (UINT32_MAX - 1) /* in place of a slot: the tile is kept where no read is needed */
#define PAGER_HOLD_LIMIT 16u             /* most tiles one operation may hold */

typedef enum slot_state { SLOT_EMPTY, SLOT_LOADING, SLOT_READY, SLOT_PINNED, SLOT_FAILED } slot_state;

/* The sentence of a read that failed, until it is taken. A read begins with one at hand, so there are never more
 * failures than reads at once. */
typedef struct pager_failure {
    chord_error error;
    bool taken;
} pager_failure;

/* Memory for one tile. A home slot belongs to one pinned tile for good; ring slots are passed around. */
typedef struct pager_slot {
    uint8_t *memory;
    uint8_t *data; /* the tile's first byte, since SLOT_READY */
    uint64_t bytes;
    uint64_t used_tick; /* lru: when it was last released */
    uint32_t tile;
    slot_state state;
    bool home;
    bool fresh;     /* read, and not pinned since: the coming pin is a miss */
    bool expected;  /* the list will ask for it: not to be evicted */
    bool next_pass; /* expected by the next pass, not by this one */
    bool doomed;    /* LOADING for nobody: EMPTY as soon as it is read */
    bool packed;
    bool unread;            /* nobody has read it: the holder will */
    pager_failure *failure; /* LOADING: for the reader's sentence; FAILED: it */
} pager_slot;

/* Who has reads to make. */
typedef struct pager_client {
    struct pager_client *next;
    uint32_t readers_inside;
    /* Makes the next read, letting go of the mutex meanwhile; false: there is none now, and the mutex was held. */
    bool (*read_next)(struct pager_client *client);
} pager_client;

struct chord_readers {
    chord_heap *heap;
    chord_mutex mutex;
    chord_cond work, served; /* something may be claimable; a reader came out of a client */
    pager_client *clients, *turn;
    bool closing, called; /* called: one of the idle is on its way to look for work */
    uint32_t paid, wanted, count,
        idle; /* threads: paid by whoever opened them; to be; that are; of these without work */
    chord_thread *threads[CHORD_READERS_MOST];
};

typedef struct pager_mapped_tile {
    uint8_t *own;            /* NULL: none yet */
    uint64_t packed_in_pass; /* number of the pass that packed it, 0: not packed */
} pager_mapped_tile;

/* Where a tile of a bank lies. */
typedef struct pager_place {
    uint32_t bank, offset; /* PAGER_NONE: in no bank */
    bool kept, packed;     /* it has been copied there */
} pager_place;

#define PAGER_WINDOWS 2u /* neighbouring tiles lie in the same bank or in neighbouring ones */

/* Bytes of a map that may have pages before this process. */
typedef struct pager_span {
    uint64_t first, end;
} pager_span;

typedef struct pager_layout {
    chord_pager_plan plan;
    uint64_t slot_bytes;  /* of a ring slot */
    uint64_t slots_bytes; /* of all slots together */
    uint32_t home_slots;
    bool banked;
    /* Part of ring_bytes. Addresses for banks, with room to align them, 0: they are not shown; or what is held of the page
     * cache, 0: nothing is. */
    uint64_t windows_bytes;
} pager_layout;

struct chord_pager {
    chord_pager_config config;
    pager_layout layout;
    const pager_way *way;
    chord_slot_place place;
    chord_region region; /* of the slots, or of what is packed beside a map */
    chord_mutex *mutex;  /* of the readers: guards everything below */
    chord_cond ready;
    bool pass_open, map_lost;
    const atomic_bool *called_off; /* NULL: nobody can */

    pager_slot *slots; /* home slots in order of their tiles, then the ring */
    uint32_t slot_count, ring_first;
    uint32_t *slot_of_tile; /* PAGER_NONE: not in memory, or PAGER_ELSEWHERE */

    uint32_t *list;                        /* of this pass; the next one is taken to be the same */
    uint32_t list_count, pin_at, claim_at; /* claim_at runs to 2 * list_count: over this pass and the next */
    uint32_t ahead_max, expected_count;    /* slots that are expected */
    uint32_t held[PAGER_HOLD_LIMIT], held_count;
    uint64_t tick, pass_number;

    pager_client client;
    bool served; /* by readers; else pin reads by itself */
    pager_failure *failures;
    uint32_t failure_count;

    chord_pager_stats stats;
    uint32_t in_flight;
    uint64_t in_flight_since_ns;

    pager_place *places; /* by tile; NULL without banks */
    chord_bank **banks;
    uint32_t bank_count, shown[PAGER_WINDOWS]; /* bank in each window, PAGER_NONE: none */
    chord_region window_region;
    uint8_t *windows; /* NULL: banks are not shown */

    const uint8_t **maps;    /* by shard; NULL when not mapped */
    bool in_cache;           /* streamed tiles that lie in the page cache are used there in this pass, not read */
    pager_span *touched;     /* by shard */
    uint64_t shown_bytes;    /* what came with tiles since all was given back */
    uint64_t mapped_bytes;   /* since the maps are new */
    const chord_store *lost; /* a page shown in this pass could not be read from it; NULL: none */
    pager_mapped_tile *mapped_tiles;
    uint64_t own_used_bytes;
};

static inline chord_status pager_get(chord_pager *pager, uint64_t bytes, void *out, chord_error *err)
{
    void *p;
    CHORD_TRY(chord_alloc(pager->config.heap, bytes, "the pager's lists", &p, err));
    memcpy(out, &p, sizeof p);
    return CHORD_OK;
}

/* pager_plan.c: pins (may be NULL) gets a byte for each tile, 1: pinned. */
chord_status pager_lay_out(const chord_pager_config *config, uint8_t *pins, pager_layout *out, chord_error *err);
uint64_t pager_slot_bytes(const chord_pager_config *config, uint32_t tile);
static inline uint64_t pager_read_bytes(const chord_pager_config *config, uint32_t tile)
{
    return config->read_bytes != NULL ? config->read_bytes[tile] : config->tiles[tile].bytes;
}
extern const chord_slot_place pager_memory; /* of the heap */

/* pager_slots.c: one function for each arrow of the diagram. All with the mutex held. */
void pager_wake_readers(chord_pager *pager);                      /* something may be claimable now */
bool pager_may_claim(const chord_pager *pager);                   /* false: certainly nothing is */
bool pager_is_elsewhere(const chord_pager *pager, uint32_t tile); /* no read is needed */
pager_slot *pager_slot_of(chord_pager *pager, uint32_t tile);     /* NULL: not in memory */
pager_slot *pager_claim_next(chord_pager *pager);                 /* EMPTY -> LOADING; NULL: nothing to do now */
void pager_slot_loaded(chord_pager *pager, pager_slot *slot, uint8_t *data);
void pager_slot_failed(chord_pager *pager, pager_slot *slot);
void pager_slot_take_failure(chord_pager *pager, pager_slot *slot, chord_error *err); /* FAILED -> EMPTY */
void pager_slot_pin(chord_pager *pager, pager_slot *slot);
void pager_slot_release(chord_pager *pager, pager_slot *slot);
void pager_slot_drop(chord_pager *pager, pager_slot *slot); /* what was read ahead is not wanted any more */
void pager_slot_expect(chord_pager *pager, pager_slot *slot, bool next_pass);
void pager_slot_unexpect(chord_pager *pager, pager_slot *slot);

/* pager_pass.c */
chord_status pager_check_list(const chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err);
bool pager_is_list(const chord_pager *pager, const uint32_t *list, uint32_t count); /* the one it has */
/* The tile's place in the list, at or behind where the pass is. */
chord_status pager_find_place(const chord_pager *pager, uint32_t tile, uint32_t *place, chord_error *err);
/* The pass stands before this place of its list, and claims are never behind the pass. */
void pager_go_to(chord_pager *pager, uint32_t place);
bool pager_is_held(const chord_pager *pager, uint32_t tile, uint32_t *at);
chord_status pager_check_called_off(const chord_pager *pager, chord_error *err);

/* pager_load.c: reads, counted; the mutex is held on entry and on return, not meanwhile. */
void pager_load(chord_pager *pager, pager_slot *slot); /* LOADING -> READY or FAILED */
bool pager_load_next(pager_client *client);            /* what a reader does */

/* pager_readers.c */
/* With the mutex held. False: there is no thread to serve the client, which did not join. */
bool pager_readers_join(chord_readers *readers, pager_client *client);
/* Something may be claimable. One reader at a time is called: who finds work calls the next before it reads. */
void pager_readers_call(chord_readers *readers);
void pager_readers_leave(chord_readers *readers, pager_client *client); /* waits for those inside */

/* pager_slots_way.c: what the banked way shares. */
chord_status pager_slots_open(chord_pager *pager, const uint8_t *pins, chord_error *err);
void pager_slots_close(chord_pager *pager);
chord_status pager_slots_pass_begin(chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err);
chord_status pager_slots_pass_end(chord_pager *pager, chord_error *err);
chord_status pager_slots_pin(chord_pager *pager, uint32_t place, chord_view *out, chord_error *err);
void pager_slots_keep(chord_pager *pager, uint32_t tile, bool packed);
void pager_slots_release(chord_pager *pager, uint32_t tile);
/* Tiles before this place are not wanted any more, and need not be read. */
void pager_slots_pass_over(chord_pager *pager, uint32_t place);

/* pager_window_posix.c: streamed tiles where they lie in the page cache. */
void pager_window_open(chord_pager *pager); /* without a map there is no window */
void pager_window_close(chord_pager *pager);
/* Whether this tile could be shown now. */
bool pager_window_has(const chord_pager *pager, uint32_t tile);
const uint8_t *pager_window_show(chord_pager *pager, uint32_t tile);
void pager_window_hide(chord_pager *pager); /* a shown tile was released */
chord_status pager_window_pass_end(chord_pager *pager, chord_error *err);

/* pager_mapped.c */
void pager_mapped_view(const chord_pager *pager, uint32_t tile, chord_view *out);

#endif
