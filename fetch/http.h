/* http.h - one request and its answer. Redirects, attempts and waits are decided here, not in libcurl: a token goes to its
 * own host alone, and no redirect leads from https to http. */
#ifndef FETCH_HTTP_H
#define FETCH_HTTP_H

#include "inner.h"

typedef struct fetch_answer {
    long status;
    char etag[160]; /* as it was sent, with its quotes; "": none */
    bool has_length, has_range, compressed;
    uint64_t length;                           /* of the body */
    uint64_t range_first, range_end, of_bytes; /* of a part, and of the whole */
    uint32_t wait_seconds;                     /* it asks to be left alone for */
    char location[FETCH_URL_BYTES];            /* of a redirect, absolute */
    char challenge[512];                       /* WWW-Authenticate */
    char next[FETCH_URL_BYTES];                /* the list's next page */
} fetch_answer;

/* What the hub says of a file before it leads elsewhere. */
typedef struct fetch_linked {
    char etag[160];
    uint64_t bytes;
} fetch_linked;

/* false: enough, or not wanted. */
typedef bool (*fetch_sink)(void *ud, const fetch_answer *answer, const uint8_t *bytes, size_t len);

typedef struct fetch_request {
    const char *url;
    bool ranged;
    uint64_t first, end;  /* bytes [first, end) */
    const char *if_range; /* NULL: none */
    const char *token;    /* NULL: none */
    const char *accept;   /* NULL: anything */
    fetch_sink sink;
    void *ud;
} fetch_request;

typedef struct fetch_transfer {
    const fetch *f;
    void *easy; /* keeps its connection from one request to the next */
    fetch_curl_list *headers;
    fetch_answer answer;
    fetch_linked linked;
    fetch_sink sink;
    void *ud;
    uint64_t body_bytes;
    uint64_t window_ns, window_bytes; /* when it was last looked whether bytes come, and how many there were */
    bool enough;                      /* the sink wanted no more */
    bool stalled;                     /* next to nothing comes */
    bool hopeless;                    /* nobody is there, or not who should be: another attempt is of no use */
    char host[128], curl_error[256];
} fetch_transfer;

chord_status fetch_transfer_prepare(fetch_transfer *t, const fetch *f, const fetch_request *r, chord_error *err);
/* Of a transfer that ended with this result of libcurl's: CHORD_OK, a whole answer came, whatever its status. */
chord_status fetch_transfer_result(fetch_transfer *t, int result, chord_error *err);
/* Both, and the request between them. */
chord_status fetch_transfer_run(fetch_transfer *t, const fetch *f, const fetch_request *r, chord_error *err);
void fetch_transfer_close(fetch_transfer *t);

/* The same along redirects, and again where a server stumbles or asks to wait. url: where it ended. Whatever status that
 * had is the caller's. */
chord_status fetch_ask(fetch_transfer *t, const fetch *f, fetch_request *r, char url[FETCH_URL_BYTES],
                       chord_error *err);
/* The body as text, of a status of 200. */
chord_status fetch_text(const fetch *f, const char *url, const char *token, const char *accept, chord_buffer *out,
                        fetch_answer *answer, chord_error *err);
/* The token, where the URL is the hub's. */
const char *fetch_token_for(const fetch *f, const char *url);
/* A sentence for an answer that is not what was wanted. */
chord_status fetch_fail_status(const fetch_answer *a, const char *what, chord_error *err);

/* How often and how long to try again. Bytes that come start it anew. */
typedef struct fetch_patience {
    uint32_t failures;
    uint64_t told_ns; /* waited because a server said so */
} fetch_patience;
/* After a failure (answer NULL: of the connection): false, that was the last attempt; else wait so long. */
bool fetch_try_again(fetch_patience *p, const fetch *f, const fetch_answer *answer, const char *host,
                     uint64_t *wait_ns);

#endif
