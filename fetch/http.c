/* http.c - requests. */
#include "http.h"

#include <strings.h>

#define REDIRECTS_MAX 10
#define FAILURES_MAX 6
#define TOLD_MAX 10 /* patiences that are waited at most because servers ask for it */
#define SLOW_BYTES_PER_S 1024u
#define BUFFER_BYTES (128L << 10)
#define TEXT_BYTES_MAX (16u << 20)

/* ---- headers ----------------------------------------------------------------------------------------------- */

static const char *value_of(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) != 0 || line[len] != ':') return NULL;
    line += len + 1;
    return line + strspn(line, " \t");
}

static bool copy_value(const char *line, const char *name, char *out, size_t cap)
{
    const char *value = value_of(line, name);
    if (value == NULL) return false;
    size_t len = strlen(value);
    if (len < cap) memcpy(out, value, len + 1);
    else out[0] = '\0';
    return true;
}

static bool take_number(const char **text, uint64_t *out)
{
    size_t digits = strspn(*text, "0123456789");
    if (!chord_text_to_u64(*text, digits, out)) return false;
    *text += digits;
    return true;
}

/* "bytes 0-9/100" */
static void take_range(const char *value, fetch_answer *a)
{
    uint64_t first, last, whole;
    if (strncasecmp(value, "bytes ", 6) != 0) return;
    value += 6;
    if (!take_number(&value, &first) || *value++ != '-' || !take_number(&value, &last) || *value++ != '/' ||
        !take_number(&value, &whole) || *value != '\0' || last < first || last >= whole)
        return;
    a->has_range = true;
    a->range_first = first;
    a->range_end = last + 1;
    a->of_bytes = whole;
}

/* Retry-After: 30, and the hub's RateLimit: "resolvers";r=0;t=30 */
static void take_wait(const char *line, fetch_answer *a)
{
    uint64_t seconds = 0;
    const char *value = value_of(line, "retry-after"), *limit = value_of(line, "ratelimit");
    const char *t = limit != NULL && strstr(limit, "r=0") != NULL ? strstr(limit, "t=") : NULL;
    if (t != NULL) value = t + 2;
    if (value != NULL && take_number(&value, &seconds))
        a->wait_seconds = (uint32_t)chord_max_u64(a->wait_seconds, chord_min_u64(seconds, 1u << 20));
}

/* Link: <https://...>; rel="next" */
static void take_next(const char *value, fetch_answer *a)
{
    const char *end = strchr(value, '>');
    if (*value != '<' || end == NULL || strstr(end, "rel=\"next\"") == NULL) return;
    snprintf(a->next, sizeof a->next, "%.*s", (int)(end - value - 1), value + 1);
}

static void take_line(fetch_transfer *t, const char *line)
{
    fetch_answer *a = &t->answer;
    const char *value;
    if (strncmp(line, "HTTP/", 5) == 0) { /* whatever was before was not the answer yet */
        const char *status = strchr(line, ' ');
        *a = (fetch_answer){.status = status != NULL ? strtol(status, NULL, 10) : 0};
        return;
    }
    if (copy_value(line, "etag", a->etag, sizeof a->etag)) return;
    if (copy_value(line, "www-authenticate", a->challenge, sizeof a->challenge)) return;
    if (copy_value(line, "x-linked-etag", t->linked.etag, sizeof t->linked.etag)) return;
    if ((value = value_of(line, "content-length")) != NULL) a->has_length = take_number(&value, &a->length);
    else if ((value = value_of(line, "x-linked-size")) != NULL) (void)take_number(&value, &t->linked.bytes);
    else if ((value = value_of(line, "content-range")) != NULL) take_range(value, a);
    else if ((value = value_of(line, "link")) != NULL) take_next(value, a);
    else if ((value = value_of(line, "content-encoding")) != NULL) a->compressed = strcasecmp(value, "identity") != 0;
    else take_wait(line, a);
}

static size_t on_header(char *text, size_t size, size_t count, void *ud)
{
    char line[FETCH_URL_BYTES + 64];
    size_t len = size * count;
    (void)size;
    if (len >= sizeof line) return len; /* none of ours is as long */
    memcpy(line, text, len);
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    take_line(ud, line);
    return len;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ud)
{
    fetch_transfer *t = ud;
    size_t len = size * count;
    if (!t->enough && t->sink != NULL) t->enough = !t->sink(t->ud, &t->answer, (const uint8_t *)bytes, len);
    t->body_bytes += len;
    return t->enough ? 0 : len;
}

/* Less than so much in each patience. libcurl's own rule looks at a mean, which a quick beginning keeps up. */
static bool is_stalled(fetch_transfer *t)
{
    uint64_t now = chord_clock_ns();
    if (now - t->window_ns < fetch_patience_ns(t->f)) return false;
    bool slow = t->body_bytes - t->window_bytes < (uint64_t)SLOW_BYTES_PER_S * t->f->options.patience_seconds;
    t->window_ns = now;
    t->window_bytes = t->body_bytes;
    return slow;
}

static int on_progress(void *ud, int64_t total, int64_t now, int64_t up_total, int64_t up)
{
    (void)total, (void)now, (void)up_total, (void)up;
    fetch_transfer *t = ud;
    t->stalled = t->stalled || is_stalled(t);
    return t->stalled || fetch_stopped(t->f);
}

/* ---- one request ------------------------------------------------------------------------------------------------ */

static chord_status check_url(const fetch *f, const char *url, chord_error *err)
{
    if (strncasecmp(url, "https://", 8) == 0) return CHORD_OK;
    if (strncasecmp(url, "http://", 7) != 0)
        return chord_fail(err, CHORD_UNSUPPORTED, "'%.100s' is neither https nor http", url);
    if (f->options.allow_http || fetch_is_loopback(url)) return CHORD_OK;
    return chord_fail(
        err, CHORD_INVALID,
        "%.100s: without https anybody on the way can change the model (--allow-http takes it all the same)", url);
}

static bool add_header(fetch_transfer *t, const char *name, const char *before, const char *value)
{
    char line[FETCH_URL_BYTES];
    if (value == NULL) return true;
    if ((size_t)snprintf(line, sizeof line, "%s: %s%s", name, before, value) >= sizeof line) return false;
    fetch_curl_list *longer = t->f->library.slist_append(t->headers, line);
    if (longer != NULL) t->headers = longer;
    return longer != NULL;
}

static void set_options(fetch_transfer *t, const fetch_request *r)
{
    const fetch_library *l = &t->f->library;
    const char *certificates = getenv("SSL_CERT_FILE");
    char range[64];
    l->easy_setopt(t->easy, FETCH_CURL_URL, r->url);
    l->easy_setopt(t->easy, FETCH_CURL_PROTOCOLS, FETCH_CURL_HTTP_AND_HTTPS);
    l->easy_setopt(t->easy, FETCH_CURL_HTTP_VERSION, FETCH_CURL_HTTP_1_1); /* several connections are the point */
    l->easy_setopt(t->easy, FETCH_CURL_NO_SIGNAL, 1L);
    l->easy_setopt(t->easy, FETCH_CURL_BUFFER_BYTES, BUFFER_BYTES);
    l->easy_setopt(t->easy, FETCH_CURL_CONNECT_TIMEOUT, (long)t->f->options.patience_seconds);
    l->easy_setopt(t->easy, FETCH_CURL_USER_AGENT, "chord/" CHORD_VERSION);
    l->easy_setopt(t->easy, FETCH_CURL_ERROR_BUFFER, t->curl_error);
    l->easy_setopt(t->easy, FETCH_CURL_HEADERS, t->headers);
    l->easy_setopt(t->easy, FETCH_CURL_HEADER_FUNCTION, on_header);
    l->easy_setopt(t->easy, FETCH_CURL_HEADER_DATA, t);
    l->easy_setopt(t->easy, FETCH_CURL_WRITE_FUNCTION, on_body);
    l->easy_setopt(t->easy, FETCH_CURL_WRITE_DATA, t);
    l->easy_setopt(t->easy, FETCH_CURL_NOPROGRESS, 0L);
    l->easy_setopt(t->easy, FETCH_CURL_PROGRESS_FUNCTION, on_progress);
    l->easy_setopt(t->easy, FETCH_CURL_PROGRESS_DATA, t);
    l->easy_setopt(t->easy, FETCH_CURL_PRIVATE, t);
    if (certificates != NULL && certificates[0] != '\0') l->easy_setopt(t->easy, FETCH_CURL_CA_FILE, certificates);
    if (!r->ranged) return;
    snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, r->first, r->end - 1);
    l->easy_setopt(t->easy, FETCH_CURL_RANGE, range);
}

chord_status fetch_transfer_prepare(fetch_transfer *t, const fetch *f, const fetch_request *r, chord_error *err)
{
    CHORD_TRY(check_url(f, r->url, err));
    t->f = f;
    t->sink = r->sink;
    t->ud = r->ud;
    t->body_bytes = 0;
    t->enough = t->hopeless = t->stalled = false;
    t->window_bytes = 0;
    t->window_ns = chord_clock_ns();
    t->answer = (fetch_answer){0};
    t->curl_error[0] = '\0';
    fetch_host_of(r->url, t->host, sizeof t->host);
    f->library.slist_free_all(t->headers);
    t->headers = NULL;
    if (t->easy == NULL) t->easy = f->library.easy_init();
    else f->library.easy_reset(t->easy);
    if (t->easy == NULL || !add_header(t, "Authorization", "Bearer ", r->token) ||
        !add_header(t, "If-Range", "", r->if_range) || !add_header(t, "Accept", "", r->accept))
        return chord_fail(err, CHORD_NO_MEMORY, "no memory for a request to %s", t->host);
    set_options(t, r);
    return CHORD_OK;
}

chord_status fetch_transfer_result(fetch_transfer *t, int result, chord_error *err)
{
    char *location = NULL;
    const fetch_library *l = &t->f->library;
    if (t->enough && t->answer.status != 0) result = FETCH_CURL_OK;
    if (result == FETCH_CURL_OK) {
        l->easy_getinfo(t->easy, FETCH_CURL_INFO_REDIRECT, &location);
        if (location != NULL) snprintf(t->answer.location, sizeof t->answer.location, "%s", location);
        return CHORD_OK;
    }
    if (fetch_stopped(t->f) || (result == FETCH_CURL_ABORTED && !t->stalled)) return fetch_fail_stopped(err);
    if (t->stalled)
        return chord_fail(err, CHORD_IO, "%s brought less than %u bytes a second for %u s", t->host, SLOW_BYTES_PER_S,
                          t->f->options.patience_seconds);
    bool distrusted = result == FETCH_CURL_CERTIFICATE || result == FETCH_CURL_CERTIFICATES;
    t->hopeless = distrusted || result == FETCH_CURL_NO_HOST || result == FETCH_CURL_NO_CONNECTION;
    if (distrusted)
        return chord_fail(err, CHORD_IO, "%s: its certificate is not trusted: %.200s", t->host, t->curl_error);
    return chord_fail(err, CHORD_IO, "%s: %.240s", t->host,
                      t->curl_error[0] != '\0' ? t->curl_error : l->easy_strerror(result));
}

chord_status fetch_transfer_run(fetch_transfer *t, const fetch *f, const fetch_request *r, chord_error *err)
{
    CHORD_TRY(fetch_transfer_prepare(t, f, r, err));
    return fetch_transfer_result(t, f->library.easy_perform(t->easy), err);
}

void fetch_transfer_close(fetch_transfer *t)
{
    if (t->f == NULL) return;
    t->f->library.slist_free_all(t->headers);
    if (t->easy != NULL) t->f->library.easy_cleanup(t->easy);
    *t = (fetch_transfer){0};
}

/* ---- again, and elsewhere ------------------------------------------------------------------------------------------ */

static bool is_passing(long status) { return status == 408 || status == 429 || status >= 500; }

bool fetch_try_again(fetch_patience *p, const fetch *f, const fetch_answer *answer, const char *host, uint64_t *wait_ns)
{
    uint64_t unit = fetch_patience_ns(f) / 60, told = 0;
    if (answer != NULL) told = answer->wait_seconds * FETCH_SECOND_NS;
    if (++p->failures >= FAILURES_MAX || p->told_ns + told > TOLD_MAX * fetch_patience_ns(f)) return false;
    p->told_ns += told;
    *wait_ns = chord_max_u64(told, unit << (p->failures - 1));
    if (told >= 2 * FETCH_SECOND_NS)
        fetch_note(f, "%s asks to wait %" PRIu64 " s (status %ld)", host, (uint64_t)(told / FETCH_SECOND_NS),
                   answer->status);
    return true;
}

const char *fetch_token_for(const fetch *f, const char *url)
{
    return f->token != NULL && fetch_same_origin(url, f->hub_url) ? f->token : NULL;
}

/* One hop, with as many attempts as that takes. */
static chord_status ask_once(fetch_transfer *t, const fetch *f, const fetch_request *r, chord_error *err)
{
    fetch_patience patience = {0};
    for (;;) {
        uint64_t wait_ns;
        chord_status status = fetch_transfer_run(t, f, r, err);
        if (status == CHORD_OK && !is_passing(t->answer.status)) return CHORD_OK;
        if (status != CHORD_OK && (status != CHORD_IO || t->hopeless)) return status;
        if (!fetch_try_again(&patience, f, status == CHORD_OK ? &t->answer : NULL, t->host, &wait_ns)) return status;
        if (!fetch_sleep(f, wait_ns)) return fetch_fail_stopped(err);
    }
}

chord_status fetch_ask(fetch_transfer *t, const fetch *f, fetch_request *r, char url[FETCH_URL_BYTES], chord_error *err)
{
    const char *token = r->token, *from = r->url;
    char next[FETCH_URL_BYTES];
    snprintf(url, FETCH_URL_BYTES, "%s", r->url);
    t->linked = (fetch_linked){0};
    for (int hop = 0; hop <= REDIRECTS_MAX; hop++) {
        r->url = url;
        r->token = fetch_same_origin(url, from) ? token : NULL;
        CHORD_TRY(ask_once(t, f, r, err));
        if (t->answer.status < 300 || t->answer.status > 399 || t->answer.location[0] == '\0') return CHORD_OK;
        memcpy(next, t->answer.location, sizeof next);
        if (strncasecmp(url, "https://", 8) == 0 && strncasecmp(next, "https://", 8) != 0)
            return chord_fail(err, CHORD_IO, "%s leads from https to %.120s", t->host, next);
        memcpy(url, next, sizeof next);
    }
    return chord_fail(err, CHORD_IO, "%s leads on and on: %d redirects", t->host, REDIRECTS_MAX);
}

typedef struct text_sink {
    const fetch_transfer *transfer;
    chord_buffer *out;
    chord_status status;
    chord_error *err;
} text_sink;

static bool take_text(void *ud, const fetch_answer *answer, const uint8_t *bytes, size_t len)
{
    text_sink *s = ud;
    if (s->transfer->body_bytes == 0) s->out->len = 0; /* another attempt */
    if (answer->status != 200) return true;
    if (answer->compressed) {
        s->status = chord_fail(s->err, CHORD_IO, "it is compressed, which was not asked for");
        return false;
    }
    s->status = chord_buffer_append(s->out, bytes, len, s->err);
    return s->status == CHORD_OK;
}

chord_status fetch_text(const fetch *f, const char *url, const char *token, const char *accept, chord_buffer *out,
                        fetch_answer *answer, chord_error *err)
{
    char final[FETCH_URL_BYTES];
    fetch_transfer t = {0};
    text_sink sink = {.transfer = &t, .out = out, .err = err};
    fetch_request r = {.url = url, .token = token, .accept = accept, .sink = take_text, .ud = &sink};
    out->len = 0;
    out->len_max = TEXT_BYTES_MAX;
    chord_status status = fetch_ask(&t, f, &r, final, err);
    if (status == CHORD_OK) status = sink.status;
    *answer = t.answer;
    fetch_transfer_close(&t);
    return status;
}

chord_status fetch_fail_status(const fetch_answer *a, const char *what, chord_error *err)
{
    const char *why = "";
    if (a->status == 401 || a->status == 403) why = ": it is gated or private (HF_TOKEN), or there is no such model";
    if (a->status == 404) why = ": there is no such thing";
    if (a->status == 429) why = ": too many requests; later it will answer again";
    return chord_fail(err, CHORD_IO, "%.200s: the server answers %ld%s", what, a->status, why);
}
