/* Turns come in order of arrival, one at a time; a waiter gives up when its flag is raised; who has the turn cannot wait
 * for itself. */
#include "base/base.h"

#include "check.h"

#include <unistd.h>

#define WAITERS 6

static chord_error err;
static chord_heap *heap;

typedef struct waiter {
    chord_turns *turns;
    chord_thread *thread;
    atomic_bool given_up;
    atomic_int *inside, *arrived, *wrong;
    int place; /* when it had its turn, from 1; 0: it never had */
    chord_status status;
} waiter;

static void wait_for_turn(void *ud)
{
    waiter *w = ud;
    chord_turn mine;
    chord_error own = {0};
    w->status = chord_turns_enter(w->turns, &mine, &own);
    if (w->status == CHORD_OK) w->status = chord_turns_take(w->turns, &mine, &w->given_up, &own);
    if (w->status != CHORD_OK) {
        chord_turns_leave(w->turns, &mine);
        return;
    }
    if (atomic_fetch_add(w->inside, 1) != 0) atomic_fetch_add(w->wrong, 1);
    w->place = atomic_fetch_add(w->arrived, 1) + 1;
    atomic_fetch_sub(w->inside, 1);
    chord_turns_give(w->turns, &mine);
    chord_turns_leave(w->turns, &mine);
}

/* How many stand in the line, the one whose turn it is included. */
static int in_line(chord_turns *turns)
{
    int n = 0;
    chord_mutex_lock(&turns->mutex);
    for (const chord_turn *t = turns->first; t != NULL; t = t->next) n++;
    chord_mutex_unlock(&turns->mutex);
    return n;
}

static void check_order(uint32_t gives_up)
{
    chord_turns turns;
    chord_turn mine, again;
    atomic_int inside = 0, arrived = 0, wrong = 0;
    waiter all[WAITERS] = {0};
    chord_turns_init(&turns);
    CHECK_OK(chord_turns_enter(&turns, &mine, &err));
    CHECK(chord_turns_enter(&turns, &again, &err) == CHORD_INVALID);
    CHECK_OK(chord_turns_take(&turns, &mine, NULL, &err));
    CHECK(chord_turns_enter(&turns, &again, &err) == CHORD_INVALID);
    for (uint32_t i = 0; i < WAITERS; i++) {
        all[i].turns = &turns;
        all[i].inside = &inside;
        all[i].arrived = &arrived;
        all[i].wrong = &wrong;
        CHECK_OK(chord_thread_start(heap, "waiter", wait_for_turn, &all[i], &all[i].thread, &err));
        while (in_line(&turns) != (int)i + 2) usleep(100);
    }
    CHECK(atomic_load(&arrived) == 0);
    if (gives_up < WAITERS) {
        atomic_store(&all[gives_up].given_up, true);
        chord_turns_look(&turns);
        chord_thread_join(heap, all[gives_up].thread); /* before the turn is free */
        CHECK(all[gives_up].status == CHORD_CANCELLED && in_line(&turns) == WAITERS);
    }
    chord_turns_give(&turns, &mine);
    CHECK(chord_turns_enter(&turns, &again, &err) == CHORD_INVALID); /* inside, though it is another's turn */
    chord_turns_leave(&turns, &mine);
    int place = 0;
    for (uint32_t i = 0; i < WAITERS; i++) {
        if (i == gives_up) continue;
        chord_thread_join(heap, all[i].thread);
        CHECK(all[i].status == CHORD_OK && all[i].place == ++place);
    }
    CHECK(atomic_load(&wrong) == 0);
    chord_turns_free(&turns);
}

static void check_raised_before(void)
{
    chord_turns turns;
    chord_turn mine;
    atomic_bool raised = true;
    chord_turns_init(&turns);
    CHECK_OK(chord_turns_enter(&turns, &mine, &err));
    CHECK(chord_turns_take(&turns, &mine, &raised, &err) == CHORD_CANCELLED);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(chord_turns_take(&turns, &mine, NULL, &err)); /* it left the line */
        chord_turns_give(&turns, &mine);
    }
    chord_turns_leave(&turns, &mine);
    chord_turns_free(&turns);
}

int main(void)
{
    CHECK_OK(chord_heap_open(CHORD_MIB, &heap, &err));
    check_order(WAITERS);
    check_order(0);
    check_order(3);
    check_order(WAITERS - 1);
    check_raised_before();
    chord_heap_close(heap);
    return check_done();
}
