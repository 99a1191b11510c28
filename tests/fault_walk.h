/* fault_walk.h - a piece of work, done again and again while each of its allocations, reads and thread starts fails in turn:
 * an error with a sentence each time, and nothing leaks. Builds with CHORD_FAULTS only. */
#ifndef CHORD_TESTS_FAULT_WALK_H
#define CHORD_TESTS_FAULT_WALK_H

#include "base/base.h"

#include "check.h"

/* What work made is gone when it returns. */
static inline void walk_faults(chord_status (*work)(void *ud, chord_error *err), void *ud)
{
    for (unsigned long long n = 1;; n++) {
        chord_error err = {0};
        uint64_t before = chord_fault_live_blocks();
        chord_fault_arm(n);
        chord_status status = work(ud, &err);
        bool fired = chord_fault_fired();
        chord_fault_arm(0);
        CHECK_SAY(chord_fault_live_blocks() == before, "step %llu leaks", n);
        if (!fired) {
            CHECK(status == CHORD_OK);
            printf("%llu steps failed in turn\n", n - 1);
            return;
        }
        CHECK_SAY(status == CHORD_OK || err.text[0] != '\0', "step %llu fails without a sentence", n);
    }
}

#endif
