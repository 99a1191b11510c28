/* direct.c - reads that are requests. */
#include "direct.h"

#define CONNECTIONS 6
#define ADDRESSES_MAX 4

typedef struct connection {
    fetch_transfer transfer;
    bool taken;
} connection;

struct fetch_direct {
    const fetch *f;
    fetch_job job;
    chord_mutex mutex;
    chord_cond moved;
    fetch_origin origin; /* under the mutex, as what follows */
    uint64_t came_bytes;
    connection connections[CONNECTIONS];
};

/* One read, until all of it has come. */
typedef struct reading {
    const fetch_origin *origin;
    uint8_t *to;
    uint64_t at, end;
    bool good;
} reading;

static bool take_bytes(void *ud, const fetch_answer *a, const uint8_t *bytes, size_t len)
{
    reading *r = ud;
    r->good = a->status == 206 && a->has_range && a->range_first <= r->at && a->range_end == r->end &&
              a->of_bytes == r->origin->bytes && !a->compressed && !fetch_origin_differs(r->origin, a->etag);
    if (!r->good || len > r->end - r->at) return a->status != 200 && a->status != 206;
    memcpy(r->to, bytes, len);
    r->to += len;
    r->at += len;
    return true;
}

/* What is left of it, once more. */
static chord_status ask(fetch_direct *d, fetch_transfer *t, reading *r, const fetch_origin *o, chord_error *err)
{
    const char *token = d->job.token[0] != '\0' && fetch_same_origin(o->url, d->job.url) ? d->job.token : NULL;
    fetch_request request = {.url = o->url,
                             .ranged = true,
                             .first = r->at,
                             .end = r->end,
                             .if_range = o->strong ? o->etag : NULL,
                             .token = token,
                             .sink = take_bytes,
                             .ud = r};
    r->origin = o;
    r->good = false;
    return fetch_transfer_run(t, d->f, &request, err);
}

static chord_status fail_changed(const fetch_direct *d, const fetch_answer *a, chord_error *err)
{
    return chord_fail(err, CHORD_IO, "%.160s has changed on the server while it was used (%.60s, then %.60s)",
                      d->job.what, d->origin.etag, a->etag[0] != '\0' ? a->etag : "another size");
}

/* The address is no good any more: another thread may have asked already. */
static chord_status ask_anew(fetch_direct *d, fetch_transfer *t, fetch_origin *o, chord_error *err)
{
    fetch_origin now;
    chord_mutex_lock(&d->mutex);
    bool asked = strcmp(d->origin.url, o->url) != 0;
    *o = d->origin;
    chord_mutex_unlock(&d->mutex);
    if (asked) return CHORD_OK;
    CHORD_TRY(fetch_origin_find(d->f, &d->job, t, &now, err));
    if (!now.vouched && !fetch_origin_same(o, &now)) return fail_changed(d, &t->answer, err);
    chord_mutex_lock(&d->mutex);
    *o = d->origin = now;
    chord_mutex_unlock(&d->mutex);
    return CHORD_OK;
}

static bool is_address(long status) { return status >= 400 && status < 500 && status != 408 && status != 429; }

static chord_status read_with(fetch_direct *d, fetch_transfer *t, reading *r, chord_error *err)
{
    fetch_patience patience = {0};
    fetch_origin o;
    chord_mutex_lock(&d->mutex);
    o = d->origin;
    chord_mutex_unlock(&d->mutex);
    for (int addresses = 0;;) {
        uint64_t before = r->at, wait_ns = 0;
        chord_status status = ask(d, t, r, &o, err);
        const fetch_answer *a = &t->answer;
        if (status == CHORD_OK && r->at == r->end) return CHORD_OK;
        if (status == CHORD_CANCELLED) return status;
        if (status == CHORD_OK && (a->status == 200 || a->status == 206) && !r->good) return fail_changed(d, a, err);
        if (status == CHORD_OK && is_address(a->status)) {
            if (++addresses > ADDRESSES_MAX) return fetch_fail_status(a, d->job.what, err);
            CHORD_TRY(ask_anew(d, t, &o, err));
            continue;
        }
        if (status == CHORD_OK) (void)fetch_fail_status(a, d->job.what, err);
        if (r->at > before) patience = (fetch_patience){0};
        if (!fetch_try_again(&patience, d->f, status == CHORD_OK ? a : NULL, t->host, &wait_ns)) return err->status;
        if (!fetch_sleep(d->f, wait_ns)) return fetch_fail_stopped(err);
    }
}

/* ---- connections --------------------------------------------------------------------------------------------- */

static connection *take(fetch_direct *d)
{
    connection *found = NULL;
    chord_mutex_lock(&d->mutex);
    while (found == NULL) {
        for (uint32_t i = 0; i < CONNECTIONS && found == NULL; i++)
            if (!d->connections[i].taken) found = &d->connections[i];
        if (found == NULL) chord_cond_wait(&d->moved, &d->mutex);
    }
    found->taken = true;
    chord_mutex_unlock(&d->mutex);
    return found;
}

static void give(fetch_direct *d, connection *c, uint64_t came)
{
    chord_mutex_lock(&d->mutex);
    c->taken = false;
    d->came_bytes += came;
    chord_cond_wake_one(&d->moved);
    chord_mutex_unlock(&d->mutex);
}

chord_status fetch_direct_read(fetch_direct *d, uint64_t offset, void *bytes, size_t len, chord_error *err)
{
    reading r = {.to = bytes, .at = offset, .end = offset + len};
    if (len == 0) return CHORD_OK;
    connection *c = take(d);
    chord_status status = read_with(d, &c->transfer, &r, err);
    give(d, c, r.at - offset);
    return status;
}

chord_status fetch_direct_open(const fetch *f, const fetch_job *job, fetch_direct **out, chord_error *err)
{
    *out = NULL;
    fetch_direct *d = calloc(1, sizeof *d);
    if (d == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a download");
    d->f = f;
    d->job = *job;
    chord_mutex_init(&d->mutex);
    chord_cond_init(&d->moved);
    chord_status status = fetch_origin_find(f, job, &d->connections[0].transfer, &d->origin, err);
    if (status == CHORD_OK && !d->origin.ranges)
        status = chord_fail(
            err, CHORD_UNSUPPORTED,
            "%.200s: this server gives no parts of files, so each pass would bring all of it: leave --no-cache away",
            job->what);
    if (status == CHORD_OK) *out = d;
    else fetch_direct_close(d);
    return status;
}

uint64_t fetch_direct_bytes(const fetch_direct *d) { return d->origin.bytes; }

uint64_t fetch_direct_came(fetch_direct *d)
{
    chord_mutex_lock(&d->mutex);
    uint64_t came = d->came_bytes;
    chord_mutex_unlock(&d->mutex);
    return came;
}

void fetch_direct_close(fetch_direct *d)
{
    if (d == NULL) return;
    for (uint32_t i = 0; i < CONNECTIONS; i++) fetch_transfer_close(&d->connections[i].transfer);
    chord_cond_free(&d->moved);
    chord_mutex_free(&d->mutex);
    free(d);
}
