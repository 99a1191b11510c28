/* lookup.c - what followed where the text's end stood before. */
#include "draft/draft.h"

#define PLACES_MAX 4u
#define SAME_MAX 16u /* a longer agreement says no more */

typedef struct place {
    uint32_t end, same; /* tokens[end - 1] is like the text's last; so many agree */
} place;

static uint32_t agreement(const int32_t *tokens, uint32_t end, uint32_t count)
{
    uint32_t same = 0;
    while (same < end && same < SAME_MAX && tokens[end - 1 - same] == tokens[count - 1 - same]) same++;
    return same;
}

/* The best places, the best first: longer agreements before shorter ones, later places before earlier ones. */
static uint32_t find_places(const int32_t *tokens, uint32_t count, place *places)
{
    uint32_t found = 0;
    for (uint32_t end = count - 1; end > 0; end--) {
        if (tokens[end - 1] != tokens[count - 1]) continue;
        place here = {.end = end, .same = agreement(tokens, end, count)};
        uint32_t at = found < PLACES_MAX ? found++ : PLACES_MAX;
        for (; at > 0 && places[at - 1].same < here.same; at--)
            if (at < PLACES_MAX) places[at] = places[at - 1];
        if (at < PLACES_MAX) places[at] = here;
    }
    return found;
}

void chord_draft_lookup(chord_draft_tree *tree, const chord_draft_gate *gate, const int32_t *tokens, uint32_t count,
                        uint32_t length_max)
{
    place places[PLACES_MAX];
    uint32_t found = count > 1 ? find_places(tokens, count, places) : 0;
    for (uint32_t p = 0; p < found; p++) {
        uint32_t node = CHORD_DRAFT_ROOT, period = count - places[p].end;
        for (uint32_t i = 0; i < length_max; i++) { /* past the text's end it goes round */
            node = chord_draft_add(tree, gate, node, tokens[places[p].end + i % period], CHORD_DRAFT_LOOKUP,
                                   places[p].same + i);
            if (node == CHORD_DRAFT_ROOT) break;
        }
    }
}
