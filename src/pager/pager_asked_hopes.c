/* pager_asked_hopes.c - tiles that are read before anybody asks for them, since somebody thinks that he will. A wrong hope
 * costs a read and the place of what was worth least, so hopes give way to all that is certain. */
#include "pager/pager_asked_inner.h"

#define THREADS_FOR_A_HOPE 4u /* what is asked for meanwhile waits for a fourth of what may be in flight at most */

/* How many more may be hoped for now. */
static uint32_t room(const chord_asked *a)
{
    uint32_t most = (uint32_t)chord_min_u64(a->config.hopes_max, (a->slot_count - a->ring_first) / 4);
    return most > a->hoped_count ? most - a->hoped_count : 0;
}

static bool is_on_its_way(chord_asked *a, uint32_t tile)
{
    const asked_slot *slot = asked_slot_of(a, tile);
    return slot != NULL && slot->state != ASKED_EMPTY;
}

void chord_asked_hope(chord_asked *a, const uint32_t *list, uint32_t count)
{
    chord_mutex_lock(a->mutex);
    uint32_t most = a->served ? room(a) : 0;
    a->hope_count = 0;
    for (uint32_t i = 0; i < count && a->hope_count < most; i++)
        if (!is_on_its_way(a, list[i])) a->hopes[a->hope_count++] = list[i];
    if (a->hope_count > 0) asked_wake_readers(a);
    chord_mutex_unlock(a->mutex);
}

asked_slot *asked_claim_hope(chord_asked *a)
{
    asked_slot *slot = NULL;
    if (a->hopes_in_flight * THREADS_FOR_A_HOPE >= a->config.readers->count) return NULL;
    uint32_t taken = 0;
    while (taken < a->hope_count && slot == NULL) slot = asked_claim_ahead(a, a->hopes[taken++]);
    a->hope_count -= taken;
    memmove(a->hopes, a->hopes + taken, a->hope_count * sizeof *a->hopes);
    if (slot == NULL) return NULL;
    slot->hoped = true;
    a->hoped[a->hoped_count++] = (uint32_t)(slot - a->slots);
    a->stats.hoped++;
    return slot;
}

void asked_end_hopes(chord_asked *a)
{
    for (uint32_t i = 0; i < a->hoped_count; i++) {
        asked_slot *slot = &a->slots[a->hoped[i]];
        if (!slot->hoped) continue; /* it could not be read, or made room */
        bool right = slot->asked || slot->users > 0 || slot->used;
        a->stats.hoped_used += right;
        slot->hoped = false;
        slot->fresh = slot->fresh && right;
        asked_list(a, slot);
    }
    a->hope_count = a->hoped_count = 0;
}
