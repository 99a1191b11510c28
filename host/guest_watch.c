/* guest_watch.c - limits where the guest's own code does not look: it sleeps, waits for input, writes to who does not
 * read, or the host computes for it; or it was promised not to be ended in mid-loop, and its threads have grown their
 * memory beyond the budget. A thread looks at clock and memory. What can be cancelled is; what does not come back is
 * only told of, since no thread can end another. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <time.h>

#define LOOK_NS 5000000
#define GRACE_NS 250000000ull /* for the guest to notice by itself */

/* True: it has been over for longer than it takes to notice. */
static bool overdue(chord_guest *guest, char *sentence, size_t cap)
{
    uint64_t end_ns = atomic_load(&guest->call_end_ns), now_ns = chord_clock_ns();
    if (end_ns == 0 || now_ns <= end_ns) return false;
    atomic_store(&guest->over_time, true);
    guest_services_cancel(guest);
    chord_format(sentence, cap,
                 "%s took longer than the %.3f s it was given, and does not come back from a call of the system",
                 guest->options.module, (double)guest->options.call_ns_max / 1e9);
    return now_ns - end_ns >= GRACE_NS;
}

/* Who can be ended in mid-loop has a while for that: filling memory is one instruction. */
static bool oversized(chord_guest *guest, char *sentence, size_t cap)
{
    guest_check_budget(guest);
    uint64_t since_ns = atomic_load(&guest->over_budget_ns);
    if (since_ns == 0) return false;
    chord_format(sentence, cap, "%s", guest->death);
    return !guest->host->options.interruptible || chord_clock_ns() - since_ns >= GRACE_NS;
}

static void *watch(void *ud)
{
    chord_guest *guest = ud;
    const chord_guest_options *o = &guest->options;
    struct timespec pause = {.tv_nsec = LOOK_NS};
    char sentence[300];
    bool told = false;
    for (; !atomic_load(&guest->watch_ends); nanosleep(&pause, NULL)) {
        bool over = overdue(guest, sentence, sizeof sentence) || oversized(guest, sentence, sizeof sentence);
        if (!over || told || o->on_overdue == NULL) continue;
        told = true;
        o->on_overdue(o->ud, sentence);
    }
    return NULL;
}

chord_status guest_watch_start(chord_guest *guest, chord_error *err)
{
    if (guest->options.call_ns_max == 0 && guest->shared == NULL) return CHORD_OK;
    guest->watching = pthread_create(&guest->watcher, NULL, watch, guest) == 0;
    return guest->watching ? CHORD_OK : chord_fail(err, CHORD_IO, "no thread could be made that keeps the limits");
}

void guest_watch_stop(chord_guest *guest)
{
    if (!guest->watching) return;
    atomic_store(&guest->watch_ends, true);
    pthread_join(guest->watcher, NULL);
    guest->watching = false;
}
