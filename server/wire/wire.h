/* wire.h - HTTP, as far as it is no matter of ours: libmicrohttpd with a thread for each connection, which may therefore wait
 * in a handler; who may ask; who has gone. */
#ifndef SERVER_WIRE_H
#define SERVER_WIRE_H

#include "base/base.h"

/* ---- where one listens -------------------------------------------------------------------------------- */

typedef struct wire_place {
    const char *host;      /* an address or a name */
    uint32_t port;         /* 0: any that is free */
    const char *unix_path; /* NULL: TCP. Of a socket that systemd hands over neither counts */
} wire_place;
typedef struct wire_listener {
    int fd;
    bool loopback;  /* only this machine can reach it */
    bool local;     /* a unix socket */
    char name[160]; /* "http://127.0.0.1:8080", "unix:/run/chord.sock" */
    const char *unlink_path;
} wire_listener;
chord_status wire_listen(const wire_place *place, wire_listener *out, chord_error *err);
/* Closes it, where nobody did before; a unix socket leaves its name. */
void wire_unlisten(wire_listener *listener);
/* One datagram for the manager that started us, where one did (sd_notify): "READY=1". */
void wire_notify(const char *state);

/* ---- who may ask ---------------------------------------------------------------------------------------- */

#define WIRE_KEY_BYTES 128
typedef struct wire_guard {
    char (*keys)[WIRE_KEY_BYTES]; /* padded with zero bytes; NULL: whoever comes may ask */
    size_t key_count;
    const char *const *origins; /* pages from there may ask besides those of this machine; "*": all */
    size_t origin_count;
    bool loopback, local; /* of the listener */
} wire_guard;
typedef struct wire_caller {
    const char *method, *path, *host, *origin, *authorization, *api_key; /* NULL: no such header */
} wire_caller;
typedef enum wire_verdict { WIRE_MAY, WIRE_BAD_HOST, WIRE_BAD_ORIGIN, WIRE_BAD_KEY } wire_verdict;
wire_verdict wire_guard_ask(const wire_guard *guard, const wire_caller *caller);

/* ---- requests ------------------------------------------------------------------------------------------- */

typedef struct wire wire;
typedef struct wire_request {
    const char *method, *path; /* the path decoded, without what follows '?' */
    chord_buffer body;
    struct wire_exchange *exchange; /* wire.c */
} wire_request;

/* An answer that grows. next: adds what there is to `out`, waiting for it at most so long; false: that was all. end: once,
 * also when the client is gone. */
typedef struct wire_stream {
    const char *type;
    const char *idle; /* sent when nothing came for so long: what readers skip */
    uint64_t idle_ns;
    bool (*next)(void *ud, uint64_t wait_ns, chord_buffer *out);
    void (*end)(void *ud);
    void *ud;
} wire_stream;

/* Of the request; NULL: no such header. */
const char *wire_request_header(const wire_request *request, const char *name);
/* One of these is called once by the handler; of bodies all that was written is taken. */
void wire_reply(wire_request *request, uint32_t status, const char *type, chord_buffer *body);
void wire_reply_stream(wire_request *request, const wire_stream *stream);
/* For the reply: a header, before it. */
void wire_header(wire_request *request, const char *name, const char *value);
/* Called at most once, from another thread, when the client goes before it has its answer; NULL: no more. Returns false: it
 * is gone already. */
bool wire_on_gone(wire_request *request, void (*gone)(void *ud), void *ud);

typedef struct wire_config {
    wire_listener *listener;
    wire_guard guard;
    chord_heap *heap; /* bodies and what is sent */
    uint64_t body_bytes_max;
    uint32_t connections_max;
    uint32_t idle_seconds; /* for a request to come, for its body, for a reader to read */
    void (*handle)(void *ud, wire_request *request);
    /* What a request gets that comes no further: the body of an error of this status. */
    void (*refuse)(void *ud, wire_request *request, uint32_t status, const char *sentence);
    void *ud;
} wire_config;
chord_status wire_open(const wire_config *config, wire **out, chord_error *err);
void wire_stop_listening(wire *w);
/* Waits until no request is on its way, at most so long. */
void wire_drain(wire *w, uint64_t wait_ns);
uint32_t wire_connections(wire *w);
/* Ends all connections and waits for their threads. */
void wire_close(wire *w);
/* What one connection takes besides what the heap counts: its stack, and the library's memory. */
uint64_t wire_connection_bytes(void);

#endif
