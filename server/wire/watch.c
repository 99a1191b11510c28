/* watch.c - looks at all connections four times a second: who has gone, and who takes too long. */
#define _GNU_SOURCE
#include "wire/wire_inner.h"

#include <poll.h>
#include <sys/socket.h>

#define LOOK_NS 250000000ull
#define SECOND_NS 1000000000ull

static bool has_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* The mutex is held. Told once. */
static void tell_gone(wire_connection *c)
{
    void (*on_gone)(void *ud) = c->on_gone;
    c->gone = true;
    c->on_gone = NULL;
    if (on_gone != NULL) on_gone(c->ud);
}

/* The socket is shut, not closed: the connection's own thread does that when it notices. */
static void look_at(wire_connection *c, uint64_t now_ns)
{
    if (c->asks && !c->gone && has_gone(c->fd)) tell_gone(c);
    if (c->deadline_ns == 0 || now_ns < c->deadline_ns) return;
    c->deadline_ns = 0;
    shutdown(c->fd, SHUT_RDWR);
    if (!c->gone) tell_gone(c);
}

static void look(void *ud)
{
    wire_watch *watch = ud;
    chord_mutex_lock(&watch->mutex);
    while (!watch->stopping) {
        uint64_t now_ns = chord_clock_ns();
        for (wire_connection *c = watch->first; c != NULL; c = c->next) look_at(c, now_ns);
        chord_cond_wait_for(&watch->moved, &watch->mutex, LOOK_NS);
    }
    chord_mutex_unlock(&watch->mutex);
}

chord_status wire_watch_start(wire_watch *watch, chord_heap *heap, uint32_t idle_seconds, chord_error *err)
{
    *watch = (wire_watch){.heap = heap, .idle_seconds = idle_seconds};
    chord_mutex_init(&watch->mutex);
    chord_cond_init(&watch->moved);
    return chord_thread_start(heap, "chord-watch", look, watch, &watch->thread, err);
}

void wire_watch_stop(wire_watch *watch)
{
    chord_mutex_lock(&watch->mutex);
    watch->stopping = true;
    chord_cond_wake_all(&watch->moved);
    chord_mutex_unlock(&watch->mutex);
    if (watch->thread != NULL) chord_thread_join(watch->heap, watch->thread);
    chord_cond_free(&watch->moved);
    chord_mutex_free(&watch->mutex);
}

static void expect(wire_watch *watch, wire_connection *c, uint32_t times)
{
    c->deadline_ns = times > 0 ? chord_clock_ns() + (uint64_t)times * watch->idle_seconds * SECOND_NS : 0;
}

void wire_watch_add(wire_watch *watch, wire_connection *c)
{
    chord_mutex_lock(&watch->mutex);
    c->next = watch->first;
    if (c->next != NULL) c->next->before = c;
    watch->first = c;
    watch->count++;
    expect(watch, c, 1);
    chord_mutex_unlock(&watch->mutex);
}

void wire_watch_remove(wire_watch *watch, wire_connection *c)
{
    chord_mutex_lock(&watch->mutex);
    if (c->next != NULL) c->next->before = c->before;
    if (c->before != NULL) c->before->next = c->next;
    else watch->first = c->next;
    watch->count--;
    chord_mutex_unlock(&watch->mutex);
}

void wire_watch_expect(wire_watch *watch, wire_connection *c, uint32_t times)
{
    chord_mutex_lock(&watch->mutex);
    expect(watch, c, times);
    chord_mutex_unlock(&watch->mutex);
}

void wire_watch_asks(wire_watch *watch, wire_connection *c, bool asks)
{
    chord_mutex_lock(&watch->mutex);
    c->asks = asks;
    c->on_gone = NULL;
    expect(watch, c, asks ? 2 : 1);
    if (!asks) chord_cond_wake_all(&watch->moved);
    chord_mutex_unlock(&watch->mutex);
}

bool wire_watch_on_gone(wire_watch *watch, wire_connection *c, void (*gone)(void *ud), void *ud)
{
    chord_mutex_lock(&watch->mutex);
    bool here = !c->gone;
    c->on_gone = here ? gone : NULL;
    c->ud = ud;
    chord_mutex_unlock(&watch->mutex);
    return here;
}

bool wire_watch_is_gone(wire_watch *watch, wire_connection *c)
{
    chord_mutex_lock(&watch->mutex);
    bool gone = c->gone;
    chord_mutex_unlock(&watch->mutex);
    return gone;
}

uint32_t wire_watch_count(wire_watch *watch)
{
    chord_mutex_lock(&watch->mutex);
    uint32_t count = watch->count;
    chord_mutex_unlock(&watch->mutex);
    return count;
}

static bool anybody_asks(const wire_watch *watch)
{
    for (const wire_connection *c = watch->first; c != NULL; c = c->next)
        if (c->asks && !c->gone) return true;
    return false;
}

void wire_watch_drain(wire_watch *watch, uint64_t wait_ns)
{
    uint64_t until_ns = chord_clock_ns() + wait_ns, now_ns;
    chord_mutex_lock(&watch->mutex);
    while (anybody_asks(watch) && (now_ns = chord_clock_ns()) < until_ns)
        chord_cond_wait_for(&watch->moved, &watch->mutex, until_ns - now_ns);
    chord_mutex_unlock(&watch->mutex);
}
