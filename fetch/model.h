/* model.h - a source as files: where each comes from, and where it is going to lie. */
#ifndef FETCH_MODEL_H
#define FETCH_MODEL_H

#include "folder.h"
#include "origin.h"

typedef struct fetch_model {
    fetch_name name;
    char revision[80]; /* hub: the commit */
    char *manifest;    /* ollama: as it came; NULL: it lies there */
    fetch_job *jobs;   /* one for each file */
    uint32_t count;
} fetch_model;

/* What the cache knows by itself. *found false: not of this model. */
chord_status fetch_model_cached(const fetch *f, const fetch_name *name, fetch_model *out, bool *found,
                                chord_error *err);
/* What the servers say. */
chord_status fetch_model_ask(const fetch *f, const fetch_name *name, fetch_model *out, chord_error *err);
/* All files are there: names that lead to them. */
chord_status fetch_model_keep(const fetch *f, const fetch_model *model, chord_error *err);
/* A URL's file came: whence, and which bytes. */
chord_status fetch_model_remember(const fetch *f, const fetch_job *job, const char *etag, const char *sha256,
                                  chord_error *err);
/* "url", "etag" or "sha256" of the file that lies there; false: nobody remembers. */
bool fetch_model_remembered(const fetch *f, const char *path, const char *key, char *out, size_t cap);
bool fetch_model_is_here(const fetch_model *model);
/* Of the first file, as programs are told. */
const char *fetch_model_path(const fetch_model *model);
void fetch_model_free(fetch_model *model);

/* Of one repository of the hub (hub.c), of ollama (ollama.c), as out->name says. */
chord_status fetch_hub_cached(const fetch *f, fetch_model *out, bool *found, chord_error *err);
chord_status fetch_hub_ask(const fetch *f, fetch_model *out, chord_error *err);
bool fetch_hub_folder(const fetch *f, const char *repo, char out[FETCH_PATH_BYTES]);
chord_status fetch_ollama_cached(const fetch *f, fetch_model *out, bool *found, chord_error *err);
chord_status fetch_ollama_ask(const fetch *f, fetch_model *out, chord_error *err);

/* For both: an empty list of n jobs. */
chord_status fetch_model_jobs(fetch_model *model, uint32_t n, chord_error *err);
/* A SHA-256 as it is written in file names. */
bool fetch_is_sum(const char *text);
/* The folder of one URL's files. */
bool fetch_url_folder(const fetch *f, const char *url, char out[FETCH_PATH_BYTES]);

#endif
