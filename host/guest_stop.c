/* guest_stop.c - when a guest ends, and why. */
#include "guest_inner.h"

void guest_kill(chord_guest *guest, const char *why)
{
    pthread_mutex_lock(&guest->lock);
    if (!atomic_load(&guest->dying)) {
        chord_format(guest->death, sizeof guest->death, "%s", why);
        atomic_store_explicit(&guest->dying, true, memory_order_release);
    }
    pthread_mutex_unlock(&guest->lock);
}

/* Only an interruptible guest is ended for more than its death: others were promised to end by themselves. */
const char *guest_must_end(chord_guest *guest)
{
    if (atomic_load_explicit(&guest->dying, memory_order_acquire)) return guest->death;
    if (!guest->host->options.interruptible) return NULL;
    uint64_t end_ns = atomic_load_explicit(&guest->call_end_ns, memory_order_relaxed);
    if (end_ns != LIMIT_NS_NEVER && chord_clock_ns() > end_ns) atomic_store(&guest->over_time, true);
    if (atomic_load(&guest->over_time)) return "the call took longer than its time limit";
    return atomic_load(&guest->cancelled) ? "the guest was cancelled" : NULL;
}
