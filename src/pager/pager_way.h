/* pager_way.h - how tiles come to memory and stay there: one table for each way, chosen when the pager opens.
 *
 * pager.c keeps the pass (pager_pass.c: its list, where it stands, what it holds) and asks the way for the rest. All
 * but open and close are called with the mutex held; pin lets go of it while it waits. */
#ifndef CHORD_PAGER_WAY_H
#define CHORD_PAGER_WAY_H

#include "pager/pager.h"

typedef struct pager_way {
    /* pins: a byte for each tile, 1: the plan pins it. After a failure close is called all the same. */
    chord_status (*open)(chord_pager *pager, const uint8_t *pins, chord_error *err);
    void (*close)(chord_pager *pager);
    /* This list is the coming pass's; pager->list is still that of the one before. */
    chord_status (*pass_begin)(chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err);
    /* Nothing is held any more. */
    chord_status (*pass_end)(chord_pager *pager, chord_error *err);
    /* The tile at this place of the list, at or behind where the pass stands. */
    chord_status (*pin)(chord_pager *pager, uint32_t place, chord_view *out, chord_error *err);
    void (*keep)(chord_pager *pager, uint32_t tile, bool packed);
    void (*release)(chord_pager *pager, uint32_t tile);
} pager_way;

extern const pager_way pager_way_slots;  /* pager_slots_way.c: pinned tiles and a ring */
extern const pager_way pager_way_banked; /* pager_banked.c: a ring, and pinned tiles in banks */
extern const pager_way pager_way_mapped; /* pager_mapped.c: where they lie in the file, without slots */

#endif
