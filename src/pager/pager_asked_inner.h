/* pager_asked_inner.h - the slots for tiles that are asked for (pager_asked_slots.c) and what is done with them
 * (pager_asked.c).
 *
 *            claim               read              pin               last release
 *   EMPTY ----------> LOADING ----------> READY ----------> users > 0 ----------> READY
 *                        \--> EMPTY (failed: pin reads by itself, or says why it cannot)
 *
 * Invariants: a slot that is LOADING or has users is never taken; what readers brought and nobody has used yet is taken
 * by a pin that finds no other, never by a reader while it may still be wanted. */
#ifndef CHORD_PAGER_ASKED_INNER_H
#define CHORD_PAGER_ASKED_INNER_H

#include "pager/pager_inner.h"

typedef enum asked_state { ASKED_EMPTY, ASKED_LOADING, ASKED_READY } asked_state;

typedef struct asked_slot {
    chord_region memory; /* base NULL: none yet */
    uint64_t bytes;
    double worth; /* since it was last released */
    const uint8_t *data;
    uint32_t tile, users; /* tile: of a ring slot, PAGER_NONE: none */
    uint32_t place;       /* among those of its ring that may go; PAGER_NONE: it may not */
    uint32_t ring;        /* PAGER_NONE: none, it is one tile's */
    asked_state state;
    bool home;    /* of one tile for good */
    bool fresh;   /* claimed, and not pinned since */
    bool asked;   /* for, and not pinned since */
    bool hoped;   /* for, and not known yet whether rightly */
    bool packed;  /* by who held it */
    bool used;    /* released before */
    bool awaited; /* LOADING, and a pin waits for it */
} asked_slot;

/* Slots of one size, which tiles of that size share. */
#define ASKED_RINGS 8u
typedef struct asked_ring {
    uint64_t slot_bytes;
    uint32_t tiles;      /* that are not pinned */
    uint32_t first, end; /* slots */
    uint32_t empty_count;
    uint32_t *leaving, leaving_count; /* slots that may go: a heap, whose first is worth least */
} asked_ring;

struct chord_asked {
    chord_asked_config config;
    chord_slot_place place;
    chord_mutex *mutex; /* of the readers: guards everything below */
    chord_cond changed; /* a slot's state, or what readers stand back for */
    pager_client client;
    bool served, closing; /* by readers: from the first time that there is something to read ahead */
    asked_slot *slots;    /* home slots in order of their tiles, then the ring */
    uint32_t slot_count, ring_first, ring_count;
    asked_ring rings[ASKED_RINGS]; /* the smallest slots first */
    uint32_t *slot_of_tile;        /* PAGER_NONE: in none */
    uint32_t *leaving;             /* of all rings */
    bool *ahead_failed;            /* by tile: not to be read ahead before somebody asks for it again */
    uint32_t *wanted;              /* asked for, and not claimed yet; the oldest first */
    uint32_t wanted_count;
    uint32_t *hopes, hope_count;  /* hoped for, and not claimed yet; the likeliest first */
    uint32_t *hoped, hoped_count; /* their slots, until something is asked for */
    uint32_t in_flight, hopes_in_flight;
    uint64_t in_flight_since_ns;
    uint32_t last;    /* the tile that was pinned last, PAGER_NONE: none */
    uint32_t demands; /* reads that somebody waits for */
    uint64_t tick;
    chord_asked_stats stats;
};

/* pager_asked_hopes.c, with the mutex held */
asked_slot *asked_claim_hope(chord_asked *a); /* NULL: there is none that may be read now */
void asked_end_hopes(chord_asked *a);         /* those that have been asked for were right */

/* pager_asked_rings.c: how many slots there are, and then which is whose */
void asked_plan_slots(chord_asked *a);
void asked_place_slots(chord_asked *a);

/* pager_asked_slots.c, with the mutex held */
asked_ring *asked_ring_of(chord_asked *a, uint32_t tile); /* whose slots hold the tile */
asked_slot *asked_slot_of(chord_asked *a, uint32_t tile); /* NULL: in none */
void asked_wake_readers(chord_asked *a);
/* After a slot's state, users or marks have changed: it is in the list of those that may go, or not. */
void asked_list(chord_asked *a, asked_slot *slot);
void asked_empty(chord_asked *a, asked_slot *slot);                /* any -> EMPTY; a home slot stays its tile's */
void asked_claim(chord_asked *a, asked_slot *slot, uint32_t tile); /* EMPTY or READY -> LOADING */
/* A slot for this tile, which is in none or in an empty one of its own; NULL: none is free. */
asked_slot *asked_find_slot(chord_asked *a, uint32_t tile, bool ahead);
/* For a read ahead, claimed; NULL: the tile is there or on its way, could not be read, or no slot is free. */
asked_slot *asked_claim_ahead(chord_asked *a, uint32_t tile);

#endif
