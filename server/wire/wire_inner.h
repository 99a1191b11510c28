/* wire_inner.h - connections, from inside. */
#ifndef SERVER_WIRE_INNER_H
#define SERVER_WIRE_INNER_H

#include "wire/wire.h"

/* A connection, while it is there. All but fd is guarded by the watch's mutex. */
typedef struct wire_connection {
    struct wire_connection *next, *before;
    int fd;
    uint64_t deadline_ns; /* by then something must have happened; 0: we are at work ourselves */
    bool asks, gone;      /* a request is on its way; nobody waits for its answer any more */
    void (*on_gone)(void *ud);
    void *ud;
} wire_connection;

/* watch.c: the library sees a client that goes only when it writes, and a thread that waits for tokens does not write. */
typedef struct wire_watch {
    chord_mutex mutex;
    chord_cond moved;
    chord_thread *thread;
    chord_heap *heap;
    wire_connection *first;
    uint32_t count, idle_seconds;
    bool stopping;
} wire_watch;
chord_status wire_watch_start(wire_watch *watch, chord_heap *heap, uint32_t idle_seconds, chord_error *err);
void wire_watch_stop(wire_watch *watch);
void wire_watch_add(wire_watch *watch, wire_connection *c);
void wire_watch_remove(wire_watch *watch, wire_connection *c);
/* Within `times` of the seconds that things may take there is to be news; 0: none is expected. */
void wire_watch_expect(wire_watch *watch, wire_connection *c, uint32_t times);
/* A request begins, or ends. */
void wire_watch_asks(wire_watch *watch, wire_connection *c, bool asks);
bool wire_watch_on_gone(wire_watch *watch, wire_connection *c, void (*gone)(void *ud), void *ud);
bool wire_watch_is_gone(wire_watch *watch, wire_connection *c);
uint32_t wire_watch_count(wire_watch *watch);
void wire_watch_drain(wire_watch *watch, uint64_t wait_ns);

#endif
