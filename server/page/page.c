/* page.c - the page's files over HTTP. */
#include "page/page.h"

/* Its own scripts, styles and requests, and nothing of anybody else. */
static const char POLICY[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
                             "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const page_file *find(const char *path)
{
    for (size_t i = 0; i < page_file_count; i++)
        if (chord_text_equal(page_files[i].path, path)) return &page_files[i];
    return NULL;
}

bool page_has(const char *path) { return find(path) != NULL; }

/* "gzip, deflate, br"; who says gzip;q=0 does not want it. */
static bool takes_gzip(const char *accepted)
{
    const char *gzip = accepted != NULL ? strstr(accepted, "gzip") : NULL;
    if (gzip == NULL) return false;
    const char *rest = gzip + 4 + strspn(gzip + 4, " ");
    if (*rest != ';') return true;
    rest += 1 + strspn(rest + 1, " ");
    if (strncmp(rest, "q=0", 3) != 0) return true;
    rest += 3;
    return *rest == '.' && strspn(rest + 1, "0") < strspn(rest + 1, "0123456789");
}

void page_reply(wire_request *r, chord_heap *heap)
{
    const page_file *f = find(r->path);
    const char *known = wire_request_header(r, "If-None-Match");
    bool same = known != NULL && strstr(known, f->etag) != NULL, packed = false;
    chord_status status = CHORD_OK;
    chord_buffer body;
    chord_buffer_init(&body, heap, SIZE_MAX / 2);
    if (!same) {
        packed = takes_gzip(wire_request_header(r, "Accept-Encoding"));
        status = chord_buffer_append(&body, packed ? f->packed : f->plain, packed ? f->packed_bytes : f->plain_bytes,
                                     NULL);
    }
    wire_header(r, "ETag", f->etag);
    wire_header(r, "Cache-Control", "no-cache"); /* asked for anew each time: the next version has the same names */
    wire_header(r, "Vary", "Accept-Encoding");
    wire_header(r, "Content-Security-Policy", POLICY);
    wire_header(r, "X-Content-Type-Options", "nosniff");
    wire_header(r, "Referrer-Policy", "no-referrer");
    if (packed && status == CHORD_OK) wire_header(r, "Content-Encoding", "gzip");
    wire_reply(r, status != CHORD_OK ? 503 : same ? 304 : 200, f->type, &body);
    chord_buffer_free(&body);
}
