/* origin.c - the end of the redirects. */
#include "origin.h"

static bool take_nothing(void *ud, const fetch_answer *answer, const uint8_t *bytes, size_t len)
{
    (void)ud, (void)bytes, (void)len;
    return answer->status != 200 && answer->status != 206; /* what is an error comes to its end */
}

static chord_status check_linked(const fetch_job *job, const fetch_linked *l, fetch_origin *o, chord_error *err)
{
    size_t quoted = l->etag[0] == '"' ? 1 : 0, len = strcspn(l->etag + quoted, "\"");
    bool has_sum = len == 64 && job->sha256[0] != '\0';
    o->vouched = has_sum && strncmp(l->etag + quoted, job->sha256, 64) == 0;
    if (has_sum && !o->vouched)
        return chord_fail(err, CHORD_IO, "%.200s: the hub's list has another SHA-256 than its file: try again",
                          job->what);
    if ((l->bytes != 0 && l->bytes != o->bytes) || (job->bytes != 0 && job->bytes != o->bytes))
        return chord_fail(err, CHORD_IO, "%.200s has %" PRIu64 " bytes there, %" PRIu64 " were announced", job->what,
                          o->bytes, job->bytes != 0 ? job->bytes : l->bytes);
    return CHORD_OK;
}

chord_status fetch_origin_find(const fetch *f, const fetch_job *job, fetch_transfer *t, fetch_origin *o,
                               chord_error *err)
{
    fetch_request r = {.url = job->url,
                       .ranged = true,
                       .end = 1,
                       .token = job->token[0] != '\0' ? job->token : NULL,
                       .sink = take_nothing};
    *o = (fetch_origin){0};
    CHORD_TRY(fetch_ask(t, f, &r, o->url, err));
    const fetch_answer *a = &t->answer;
    if (a->status != 200 && a->status != 206) return fetch_fail_status(a, job->what, err);
    if (a->compressed)
        return chord_fail(err, CHORD_IO, "%.200s: the server sends it compressed, which was not asked for", job->what);
    bool part = a->status == 206 && a->has_range && a->range_first == 0 && a->range_end == 1;
    o->bytes = part ? a->of_bytes : a->has_length ? a->length : 0;
    if (a->status == 206 && !part)
        return chord_fail(err, CHORD_IO, "%.200s: the first byte was asked for, and something else came", job->what);
    if (o->bytes == 0) return chord_fail(err, CHORD_IO, "%.200s: the server does not say how large it is", job->what);
    snprintf(o->etag, sizeof o->etag, "%s", a->etag);
    o->strong = o->etag[0] == '"';
    o->ranges = part && (o->strong || job->sha256[0] != '\0');
    return check_linked(job, &t->linked, o, err);
}

bool fetch_origin_same(const fetch_origin *a, const fetch_origin *b)
{
    return a->bytes == b->bytes && !fetch_origin_differs(a, b->etag);
}

bool fetch_origin_differs(const fetch_origin *o, const char *etag)
{
    return o->etag[0] != '\0' && etag[0] != '\0' && strcmp(o->etag, etag) != 0;
}
