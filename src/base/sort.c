/* sort.c - heap sort: in place, and never quadratic whatever names others chose. */
#include "base/base.h"

static void sift_down(uint32_t *ids, uint32_t at, uint32_t count, chord_before *before, const void *ud)
{
    uint32_t id = ids[at];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(ud, ids[child], ids[child + 1])) child++;
        if (!before(ud, id, ids[child])) break;
        ids[at] = ids[child];
    }
    ids[at] = id;
}

void chord_sort(uint32_t *ids, uint32_t count, chord_before *before, const void *ud)
{
    for (uint32_t i = count / 2; i-- > 0;) sift_down(ids, i, count, before, ud);
    for (uint32_t i = count; i-- > 1;) {
        uint32_t last = ids[i];
        ids[i] = ids[0];
        ids[0] = last;
        sift_down(ids, 0, i, before, ud);
    }
}
