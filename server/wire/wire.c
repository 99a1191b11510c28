/* wire.c - libmicrohttpd's callbacks. A request is whole when its handler is called; the handler, and a stream's `next`, run
 * on the connection's own thread and may wait there. */
#include "wire/wire_inner.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define STACK_BYTES ((uint64_t)512 * 1024)
#define HEADER_BYTES ((size_t)32 * 1024) /* of the library, for each connection: what its headers may have */
#define KERNEL_BYTES ((uint64_t)32 * 1024)
#define STREAM_BLOCK 16384
#define HEADERS_MAX 12
#define HEADER_VALUE_MAX 256
#define UNSENT_SECONDS 30

struct wire {
    wire_config config;
    struct MHD_Daemon *daemon;
    wire_watch watch;
    bool listens;
};

/* A request and its answer. */
typedef struct wire_exchange {
    wire_request request;
    wire *w;
    wire_connection *connection;
    struct MHD_Connection *mhd;
    uint32_t refused; /* the status; 0: not yet */
    const char *why;
    chord_buffer out; /* the answer, or what of a stream is not sent yet */
    size_t sent;
    wire_stream stream;
    uint64_t moved_ns;
    bool streams, over;
    enum MHD_Result result;
    const char *names[HEADERS_MAX];
    char values[HEADERS_MAX][HEADER_VALUE_MAX];
    uint32_t header_count;
} wire_exchange;

uint64_t wire_connection_bytes(void) { return STACK_BYTES + HEADER_BYTES + KERNEL_BYTES; }

static const char *header(const wire_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, name);
}

const char *wire_request_header(const wire_request *r, const char *name) { return header(r->exchange, name); }

/* ---- answers -------------------------------------------------------------------------------------------- */

void wire_header(wire_request *r, const char *name, const char *value)
{
    wire_exchange *x = r->exchange;
    if (x->header_count == HEADERS_MAX || strlen(value) >= HEADER_VALUE_MAX) return;
    x->names[x->header_count] = name;
    memcpy(x->values[x->header_count++], value, strlen(value) + 1);
}

static void queue(wire_exchange *x, struct MHD_Response *response, uint32_t status, const char *type)
{
    if (response == NULL) return;
    if (type != NULL) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (uint32_t i = 0; i < x->header_count; i++) MHD_add_response_header(response, x->names[i], x->values[i]);
    if (x->streams) MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    x->result = MHD_queue_response(x->mhd, status, response);
    MHD_destroy_response(response);
}

void wire_reply(wire_request *r, uint32_t status, const char *type, chord_buffer *body)
{
    wire_exchange *x = r->exchange;
    chord_buffer_free(&x->out);
    x->out = *body;
    *body = (chord_buffer){.heap = x->out.heap, .len_max = x->out.len_max};
    void *data = x->out.data != NULL ? x->out.data : "";
    queue(x, MHD_create_response_from_buffer(x->out.len, data, MHD_RESPMEM_PERSISTENT), status, type);
}

/* Until there is something to send; what nobody waits for is not made. */
static void fill(wire_exchange *x)
{
    const wire_stream *s = &x->stream;
    x->sent = x->out.len = 0;
    while (x->out.len == 0 && !x->over && !wire_watch_is_gone(&x->w->watch, x->connection)) {
        uint64_t waited_ns = chord_clock_ns() - x->moved_ns;
        x->over = !s->next(s->ud, waited_ns < s->idle_ns ? s->idle_ns - waited_ns : 0, &x->out);
        if (x->out.len == 0 && !x->over && chord_clock_ns() - x->moved_ns >= s->idle_ns)
            x->over = chord_buffer_append(&x->out, s->idle, strlen(s->idle), NULL) != CHORD_OK;
    }
    x->moved_ns = chord_clock_ns();
}

static ssize_t read_stream(void *ud, uint64_t at, char *to, size_t max)
{
    wire_exchange *x = ud;
    (void)at;
    if (x->sent == x->out.len) {
        wire_watch_expect(&x->w->watch, x->connection, 0);
        fill(x);
        wire_watch_expect(&x->w->watch, x->connection, 1);
    }
    size_t n = x->out.len - x->sent < max ? x->out.len - x->sent : max;
    if (n == 0) return x->over ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    memcpy(to, x->out.data + x->sent, n);
    x->sent += n;
    return (ssize_t)n;
}

void wire_reply_stream(wire_request *r, const wire_stream *stream)
{
    wire_exchange *x = r->exchange;
    x->stream = *stream;
    x->streams = true;
    x->moved_ns = chord_clock_ns();
    queue(x, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, x, NULL), MHD_HTTP_OK,
          stream->type);
}

bool wire_on_gone(wire_request *r, void (*gone)(void *ud), void *ud)
{
    return wire_watch_on_gone(&r->exchange->w->watch, r->exchange->connection, gone, ud);
}

/* ---- who may ask ---------------------------------------------------------------------------------------- */

static void refuse_later(wire_exchange *x, uint32_t status, const char *why)
{
    if (x->refused != 0) return;
    x->refused = status;
    x->why = why;
}

static void ask_guard(wire_exchange *x)
{
    wire_caller caller = {.method = x->request.method,
                          .path = x->request.path,
                          .host = header(x, "Host"),
                          .origin = header(x, "Origin"),
                          .authorization = header(x, "Authorization"),
                          .api_key = header(x, "x-api-key")};
    wire_verdict verdict = wire_guard_ask(&x->w->config.guard, &caller);
    if (verdict == WIRE_BAD_HOST)
        refuse_later(x, MHD_HTTP_FORBIDDEN, "the Host header names another machine than this one");
    if (verdict == WIRE_BAD_ORIGIN)
        refuse_later(x, MHD_HTTP_FORBIDDEN, "pages from there may not ask here (--cors-origin)");
    if (caller.origin != NULL && verdict != WIRE_BAD_ORIGIN && verdict != WIRE_BAD_HOST) {
        wire_header(&x->request, "Access-Control-Allow-Origin", caller.origin);
        wire_header(&x->request, "Vary", "Origin");
    }
    if (verdict != WIRE_BAD_KEY) return;
    wire_header(&x->request, "WWW-Authenticate", "Bearer");
    refuse_later(x, MHD_HTTP_UNAUTHORIZED, "an API key is needed: Authorization: Bearer KEY, or x-api-key: KEY");
}

/* A browser asks first whether its page may. */
static void answer_preflight(wire_exchange *x)
{
    const char *wanted = header(x, "Access-Control-Request-Headers");
    chord_buffer nothing;
    chord_buffer_init(&nothing, x->w->config.heap, 1);
    if (wanted != NULL) wire_header(&x->request, "Access-Control-Allow-Headers", wanted);
    wire_header(&x->request, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    wire_header(&x->request, "Access-Control-Max-Age", "600");
    wire_reply(&x->request, MHD_HTTP_NO_CONTENT, NULL, &nothing);
}

/* ---- requests ------------------------------------------------------------------------------------------- */

static wire_connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static enum MHD_Result begin(wire *w, struct MHD_Connection *mhd, const char *path, const char *method, void **state)
{
    void *memory;
    wire_connection *c = connection_of(mhd);
    if (c == NULL || chord_alloc(w->config.heap, sizeof(wire_exchange), "a request", &memory, NULL) != CHORD_OK)
        return MHD_NO;
    wire_exchange *x = *state = memory;
    x->w = w;
    x->mhd = mhd;
    x->connection = c;
    x->request = (wire_request){.method = method, .path = path, .exchange = x};
    chord_buffer_init(&x->request.body, w->config.heap, w->config.body_bytes_max);
    chord_buffer_init(&x->out, w->config.heap, SIZE_MAX / 2);
    wire_watch_asks(&w->watch, c, true);
    ask_guard(x);
    const char *length = header(x, "Content-Length");
    if (length != NULL && strtoull(length, NULL, 10) > w->config.body_bytes_max)
        refuse_later(x, MHD_HTTP_CONTENT_TOO_LARGE, "the request's body is larger than this server takes");
    return MHD_YES;
}

/* What is too much is read and dropped: only then does the client look for an answer. */
static void take_body(wire_exchange *x, const char *data, size_t len)
{
    chord_buffer *body = &x->request.body;
    if (x->refused != 0) return;
    if (len > x->w->config.body_bytes_max - body->len)
        refuse_later(x, MHD_HTTP_CONTENT_TOO_LARGE, "the request's body is larger than this server takes");
    else if (chord_buffer_append(body, data, len, NULL) != CHORD_OK)
        refuse_later(x, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory is free for the request's body");
    if (x->refused != 0) chord_buffer_free(body);
}

static enum MHD_Result on_request(void *ud, struct MHD_Connection *mhd, const char *path, const char *method,
                                  const char *version, const char *data, size_t *len, void **state)
{
    wire *w = ud;
    wire_exchange *x = *state;
    (void)version;
    if (x == NULL) return begin(w, mhd, path, method, state);
    if (*len > 0) {
        take_body(x, data, *len);
        *len = 0;
        return MHD_YES;
    }
    wire_watch_expect(&w->watch, x->connection, 0);
    x->result = MHD_NO;
    if (x->refused != 0) w->config.refuse(w->config.ud, &x->request, x->refused, x->why);
    else if (chord_text_equal(method, "OPTIONS")) answer_preflight(x);
    else w->config.handle(w->config.ud, &x->request);
    wire_watch_expect(&w->watch, x->connection, 1);
    return x->result;
}

static void on_completed(void *ud, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode why)
{
    wire *w = ud;
    wire_exchange *x = *state;
    (void)mhd;
    (void)why;
    if (x == NULL) return;
    wire_watch_asks(&w->watch, x->connection, false);
    if (x->streams) x->stream.end(x->stream.ud);
    chord_buffer_free(&x->request.body);
    chord_buffer_free(&x->out);
    chord_free(w->config.heap, x);
    *state = NULL;
}

static void on_connection(void *ud, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    wire *w = ud;
    void *memory;
    unsigned unsent_ms = UNSENT_SECONDS * 1000;
    wire_connection *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (c != NULL) wire_watch_remove(&w->watch, c);
        chord_free(w->config.heap, c);
        *context = NULL;
        return;
    }
    if (chord_alloc(w->config.heap, sizeof *c, "a connection", &memory, NULL) != CHORD_OK) return;
    c = *context = memory;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unsent_ms, sizeof unsent_ms);
    wire_watch_add(&w->watch, c);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static void keep_quiet(void *ud, const char *format, va_list args)
{
    (void)ud;
    (void)format;
    (void)args;
}

static chord_status start(wire *w, chord_error *err)
{
    const wire_config *c = &w->config;
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
    w->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, w, MHD_OPTION_EXTERNAL_LOGGER, keep_quiet, NULL,
                                 MHD_OPTION_LISTEN_SOCKET, c->listener->fd, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)c->connections_max,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADER_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
                                 (size_t)STACK_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_completed, w,
                                 MHD_OPTION_NOTIFY_CONNECTION, on_connection, w, MHD_OPTION_END);
    if (w->daemon == NULL) return chord_fail(err, CHORD_NO_MEMORY, "the HTTP server does not start");
    w->listens = true;
    return CHORD_OK;
}

chord_status wire_open(const wire_config *config, wire **out, chord_error *err)
{
    void *memory;
    CHORD_TRY(chord_alloc(config->heap, sizeof(wire), "the HTTP server", &memory, err));
    wire *w = memory;
    w->config = *config;
    chord_status status = wire_watch_start(&w->watch, config->heap, config->idle_seconds, err);
    if (status == CHORD_OK) status = start(w, err);
    if (status == CHORD_OK) *out = w;
    else wire_close(w);
    return status;
}

void wire_stop_listening(wire *w)
{
    if (w->listens) MHD_quiesce_daemon(w->daemon);
    w->listens = false;
    wire_unlisten(w->config.listener);
}

void wire_drain(wire *w, uint64_t wait_ns) { wire_watch_drain(&w->watch, wait_ns); }

uint32_t wire_connections(wire *w) { return wire_watch_count(&w->watch); }

void wire_close(wire *w)
{
    if (w->daemon != NULL) {
        wire_stop_listening(w);
        MHD_stop_daemon(w->daemon);
    }
    wire_watch_stop(&w->watch);
    chord_free(w->config.heap, w);
}
