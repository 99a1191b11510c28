/* origin.h - where one file's bytes come from: the address at the end of the redirects, and what it says of the file. */
#ifndef FETCH_ORIGIN_H
#define FETCH_ORIGIN_H

#include "http.h"

/* One file that is to come. */
typedef struct fetch_job {
    char what[FETCH_NAME_BYTES]; /* for people */
    char url[FETCH_URL_BYTES];
    char token[3072];            /* "": none */
    char path[FETCH_PATH_BYTES]; /* where it is going to lie */
    char lock[FETCH_PATH_BYTES];
    char link[FETCH_PATH_BYTES]; /* a name that leads there, or "" */
    char sha256[65];             /* "": not known before */
    uint64_t bytes;              /* 0: not known before */
    bool here;                   /* it lies there */
    bool replaces;               /* an older one, which stays until this one is whole */
} fetch_job;

typedef struct fetch_origin {
    char url[FETCH_URL_BYTES];
    char etag[160];
    bool strong;  /* the ETag says that not a byte is another one */
    bool ranges;  /* parts of the file can be had, and are known to be of one file */
    bool vouched; /* the hub says now that its SHA-256 is the one we want */
    uint64_t bytes;
} fetch_origin;

/* Redirects, and one byte to see what comes. */
chord_status fetch_origin_find(const fetch *f, const fetch_job *job, fetch_transfer *t, fetch_origin *out,
                               chord_error *err);
/* Is it still the same file? */
bool fetch_origin_same(const fetch_origin *a, const fetch_origin *b);
/* Says an ETag that it is not? One that is not there says nothing. */
bool fetch_origin_differs(const fetch_origin *o, const char *etag);

#endif
