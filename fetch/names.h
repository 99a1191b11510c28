/* names.h - what a source's name says, and which of a repository's files it means. Pure. */
#ifndef FETCH_NAMES_H
#define FETCH_NAMES_H

#include "fetch.h"

#define FETCH_NAME_BYTES 512

typedef enum fetch_kind { FETCH_URL, FETCH_HUB, FETCH_OLLAMA } fetch_kind;

typedef struct fetch_name {
    fetch_kind kind;
    char repo[FETCH_NAME_BYTES]; /* hub: "owner/repo"; ollama: "library/name"; else "" */
    char tag[FETCH_NAME_BYTES];  /* "": the default */
    char file[FETCH_NAME_BYTES]; /* hub: a path in the repository, or ""; URL: the file's name */
    char url[FETCH_PATH_BYTES];  /* of a URL */
} fetch_name;

/* CHORD_INVALID with a sentence that shows how it is written. */
chord_status fetch_name_read(const char *source, fetch_name *out, chord_error *err);

/* One file of a model. */
typedef struct fetch_file {
    char path[FETCH_NAME_BYTES]; /* in the repository */
    char sha256[65];             /* in hexadecimal digits; "": not known */
    char blob[129];              /* what the cache calls its bytes: the sum, or the hub's other name for them */
    uint64_t bytes;              /* 0: not known */
} fetch_file;

typedef struct fetch_files {
    fetch_file *list;
    uint32_t count;
} fetch_files;

/* "m-00002-of-00003.gguf": part 2 of 3 (false: it is no part), and how much of the name stands before its number. */
bool fetch_split(const char *path, size_t *stem, uint32_t *part, uint32_t *parts);
/* The same name for another part. */
void fetch_split_name(const char *path, uint32_t part, char *out, size_t cap);
/* A GGUF file that is a model by itself: no projector, no importance matrix, no draft head. */
bool fetch_is_model(const char *path);
/* Stands TAG in the file's name, as a word of its own up to a '.' or a '-'? In capitals or not. */
bool fetch_has_tag(const char *path, const char *tag);
/* Moves the files that the name means to the front of the list and cuts it there: one, or all parts in their order.
 * repo: for the sentence. */
chord_status fetch_choose(const fetch_name *name, fetch_files *files, chord_error *err);

/* "https://host:80/a/b?c" -> "host:80"; the scheme is there. */
void fetch_host_of(const char *url, char *out, size_t cap);
/* Same scheme, host and port. */
bool fetch_same_origin(const char *a, const char *b);
/* Is this machine the host? */
bool fetch_is_loopback(const char *url);

#endif
