/* pager_inner.h - the pager's parts: the plan (pager_plan.c), slots and claims (pager_slots.c), reader threads
 * (pager_readers.c), passes and pins (pager.c), the mapped way (pager_mapped.c), which has no slots at all, and the
 * banked one (pager_banked.c), whose slots are all of the ring. */
#ifndef CHORD_PAGER_INNER_H
#define CHORD_PAGER_INNER_H

#include "pager/pager.h"

#define PAGER_NONE UINT32_MAX
#define PAGER_HOLD_LIMIT 16u /* most tiles one operation may hold */

typedef enum slot_state { SLOT_EMPTY, SLOT_LOADING, SLOT_READY, SLOT_PINNED, SLOT_FAILED } slot_state;

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
    chord_error *failure; /* SLOT_FAILED: the reader's sentence */
} pager_slot;

typedef struct pager_reader {
    chord_pager *pager;
    chord_thread *thread;
    bool parked; /* its failure has not been taken yet, and holds the sentence */
    chord_error failure;
} pager_reader;

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

typedef struct pager_layout {
    chord_pager_plan plan;
    uint64_t slot_bytes; /* of a ring slot */
    bool banked;
    uint64_t windows_bytes; /* addresses for banks, with room to align them; 0: they are not shown */
} pager_layout;

struct chord_pager {
    chord_pager_config config;
    pager_layout layout;
    chord_region region;
    chord_mutex mutex; /* guards everything below */
    chord_cond work, ready;
    bool closing, pass_open, map_lost;
    const atomic_bool *called_off; /* NULL: nobody can */

    pager_slot *slots; /* home slots in order of their tiles, then the ring */
    uint32_t slot_count, ring_first;
    uint32_t *slot_of_tile; /* PAGER_NONE: not in memory */

    uint32_t *list;                        /* of this pass; the next one is taken to be the same */
    uint32_t list_count, pin_at, claim_at; /* claim_at runs to 2 * list_count: over this pass and the next */
    uint32_t ahead_max, expected_count;    /* slots that are expected */
    uint32_t held[PAGER_HOLD_LIMIT], held_count;
    uint64_t tick, pass_number;

    pager_reader *readers;
    uint32_t reader_count;
    chord_error own_failure; /* of a read that pin made itself */

    chord_pager_stats stats;
    uint32_t in_flight;
    uint64_t in_flight_since_ns;

    pager_place *places; /* by tile; NULL without banks */
    chord_bank **banks;
    uint32_t bank_count, shown[PAGER_WINDOWS]; /* bank in each window, PAGER_NONE: none */
    chord_region window_region;
    uint8_t *windows; /* NULL: banks are not shown */

    const uint8_t **maps; /* by shard; NULL when not mapped */
    pager_mapped_tile *mapped_tiles;
    uint64_t own_used_bytes;
};

/* pager_plan.c: pins (may be NULL) gets a byte for each tile, 1: pinned. */
chord_status pager_lay_out(const chord_pager_config *config, uint8_t *pins, pager_layout *out, chord_error *err);
uint64_t pager_slot_bytes(const chord_pager_config *config, uint32_t tile);

/* pager_slots.c: one function for each arrow of the diagram. All with the mutex held. */
pager_slot *pager_slot_of(chord_pager *pager, uint32_t tile); /* NULL: not in memory */
pager_slot *pager_claim_next(chord_pager *pager);             /* EMPTY -> LOADING; NULL: nothing to do now */
void pager_slot_loaded(chord_pager *pager, pager_slot *slot, uint8_t *data);
void pager_slot_failed(chord_pager *pager, pager_slot *slot, chord_error *failure);
void pager_slot_take_failure(chord_pager *pager, pager_slot *slot, chord_error *err); /* FAILED -> EMPTY */
void pager_slot_pin(chord_pager *pager, pager_slot *slot);
void pager_slot_release(chord_pager *pager, pager_slot *slot);
void pager_slot_drop(chord_pager *pager, pager_slot *slot); /* what was read ahead is not wanted any more */
void pager_slot_expect(chord_pager *pager, pager_slot *slot, bool next_pass);
void pager_slot_unexpect(chord_pager *pager, pager_slot *slot);

/* pager_banked.c */
chord_status pager_banked_open(chord_pager *pager, const uint8_t *pins, chord_error *err);
void pager_banked_close(chord_pager *pager);
bool pager_banked_has(const chord_pager *pager, uint32_t tile); /* the tile was kept: no read is needed */
/* The tile's place in its bank, which is brought into a window where banks are shown. */
chord_status pager_banked_find(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err);

/* pager_readers.c */
void pager_wake_readers(chord_pager *pager); /* something may be claimable now */
chord_status pager_readers_start(chord_pager *pager, chord_error *err);
void pager_readers_stop(chord_pager *pager);
/* Reads a LOADING slot's tile; the mutex is held on entry and on return, not meanwhile. False: failure holds the
 * sentence. */
bool pager_load(chord_pager *pager, pager_slot *slot, chord_error *failure);

/* pager_mapped.c */
chord_status pager_mapped_open(chord_pager *pager, chord_error *err);
void pager_mapped_close(chord_pager *pager);
void pager_mapped_view(const chord_pager *pager, uint32_t tile, chord_view *out);
uint8_t *pager_mapped_own(chord_pager *pager, uint32_t tile); /* NULL: there is none left */
void pager_mapped_packed(chord_pager *pager, uint32_t tile);
chord_status pager_mapped_pass_end(chord_pager *pager, chord_error *err);

#endif
