/* fetch.h - models from anywhere: URLs, names of Hugging Face and of ollama, kept in a cache that other programs share.
 *
 * Programs alone use it; the library knows files and readers. Nothing is loaded for a local file: libcurl and libcrypto are
 * opened when the first byte must come from elsewhere. Every file is known by its SHA-256: that of the hub, or for plain URLs
 * the one it had when it came. */
#ifndef FETCH_H
#define FETCH_H

#include "chord.h"

#define FETCH_PATH_BYTES 4096
#define FETCH_PARTS_MAX 512 /* of one model */

typedef struct fetch_progress {
    const char *what; /* the file's name */
    uint32_t part, parts;
    uint64_t done_bytes, total_bytes;
    uint64_t came_bytes, came_ns; /* since this program began with it, in so long */
    bool waits;                   /* another process brings it */
} fetch_progress;

typedef struct fetch_options {
    bool offline;              /* what is not in the cache is refused */
    bool no_cache;             /* nothing is kept: readers bring each byte whenever it is read */
    bool allow_http;           /* plain http:// also to other machines */
    uint32_t patience_seconds; /* so long may a connection bring less than 1 KiB/s; 0: 30 */
    /* All may be NULL. note: a sentence worth telling; stopped: asked now and then, true ends every wait. From any thread. */
    void (*note)(void *ud, const char *sentence);
    void (*progress)(void *ud, const fetch_progress *progress);
    bool (*stopped)(void *ud);
    void *ud;
} fetch_options;

typedef struct fetch fetch;

/* "hf:...", "ollama:..." or a URL of HTTP: everything else is the path of a file. */
bool fetch_is_remote(const char *source);

/* The libraries are opened when they are needed. */
chord_status fetch_open(const fetch_options *options, fetch **out, chord_error *err);
void fetch_close(fetch *f);
/* Were they found when they were needed? */
bool fetch_is_possible(const fetch *f);

/* ---- whole files ------------------------------------------------------------------------------------- */

/* The path of the model's first file, when all of them lie in the cache: *found. Asks nobody. */
chord_status fetch_cached(fetch *f, const char *source, bool *found, char path[FETCH_PATH_BYTES], chord_error *err);
/* Brings what is not there. newest: asks for a newer one even when a model of that name is there. */
chord_status fetch_bring(fetch *f, const char *source, bool newest, char path[FETCH_PATH_BYTES], chord_error *err);

/* ---- bytes as they arrive ----------------------------------------------------------------------------- */

typedef struct fetch_stream fetch_stream; /* a model that is read while it comes */

#define FETCH_STREAM_PARTS_MAX 4 /* files of one model, each with its own threads and connections */

/* ahead: also what nobody has read yet comes, in the order of the files; else only what is read. CHORD_UNSUPPORTED: this
 * server gives no parts of files, so it must be pulled. */
chord_status fetch_stream_open(fetch *f, const char *source, bool ahead, fetch_stream **out, chord_error *err);
/* For chord_*_open; lives as long as the stream. */
const chord_source *fetch_stream_source(const fetch_stream *stream);
/* Where the first file is going to lie; no_cache: "". */
const char *fetch_stream_path(const fetch_stream *stream);
/* All of them together. */
void fetch_stream_progress(fetch_stream *stream, fetch_progress *out);
/* Brings the rest, and gives the files their names. */
chord_status fetch_stream_finish(fetch_stream *stream, chord_error *err);
/* Whoever waits in a read is let go with CHORD_CANCELLED, and whoever comes later: what was asked for is needed no more. */
void fetch_stream_let_go(fetch_stream *stream);
void fetch_stream_close(fetch_stream *stream); /* what came is kept for the next time */

/* What connections take at most that nobody counts: libcurl's and OpenSSL's memory, and the pages of their code. */
#define FETCH_RESERVE_BYTES (8u << 20)

/* The host that a source comes from: "huggingface.co". */
void fetch_host(fetch *f, const char *source, char *out, size_t cap);

/* ---- what is there ------------------------------------------------------------------------------------- */

typedef struct fetch_entry {
    const char *source; /* as it is typed; of what is not whole: as far as it is known */
    const char *path;   /* of the file, or where it is going to lie */
    const char *sha256; /* "": nobody kept it */
    uint64_t bytes, have_bytes;
    bool whole;
} fetch_entry;

chord_status fetch_list(fetch *f, void (*each)(void *ud, const fetch_entry *entry), void *ud, chord_error *err);
/* A model's files: all that `source` names. freed: bytes. */
chord_status fetch_remove(fetch *f, const char *source, uint64_t *freed_bytes, chord_error *err);
/* Old revisions of models, and downloads that nobody went on with. */
chord_status fetch_prune(fetch *f, uint64_t *freed_bytes, chord_error *err);
/* The folder that the cache is. */
const char *fetch_folder(const fetch *f);

#endif
