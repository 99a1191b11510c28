/* pager_asked_hopes.c - tiles that are read before anybody asks for them, since somebody thinks that he will. A wrong hope
 * costs a read and the place of what was worth least, so hopes give way to all that is certain. */
#include "pager/pager_asked_inner.h"

#define HOPES_IN_FLIGHT 4u  /* what is asked for meanwhile waits for these at most */
#define HOPES_LATELY 64u    /* hopes that the share of right ones is taken of, about */
#define HOPES_WORTH (HOPES_ALL / 4)
#define HOPELESS_TURNS 16u /* from one try to the next, where most were wrong */

/* How many more may be hoped for now. */
static uint32_t room(chord_asked *a)
{
    uint32_t most = a->config.hopes_max, ring = (a->slot_count - a->ring_first) / 4;
    if (most > ring) most = ring;
    if (a->hopes_right < HOPES_WORTH) most = a->hopeless_turns++ % HOPELESS_TURNS == 0 && most > 0;
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
    if (a->wanted_count > 0 || a->hopes_in_flight >= HOPES_IN_FLIGHT) return NULL;
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

static void note(chord_asked *a, bool right)
{
    a->stats.hoped_used += right;
    a->hopes_right -= a->hopes_right / HOPES_LATELY;
    if (right) a->hopes_right += HOPES_ALL / HOPES_LATELY;
}

static void end_hopes(chord_asked *a, bool known)
{
    for (uint32_t i = 0; i < a->hoped_count; i++) {
        asked_slot *slot = &a->slots[a->hoped[i]];
        if (!slot->hoped) continue; /* it could not be read, or made room */
        bool right = slot->asked || slot->users > 0 || slot->used;
        if (known) note(a, right);
        slot->hoped = false;
        slot->fresh = slot->fresh && right;
        asked_list(a, slot);
    }
    a->hope_count = a->hoped_count = 0;
}

void asked_settle_hopes(chord_asked *a) { end_hopes(a, true); }
void asked_drop_hopes(chord_asked *a) { end_hopes(a, false); }
