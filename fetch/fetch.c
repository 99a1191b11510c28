/* fetch.c - whole models. */
#include "bring.h"

static void take_path(const fetch_model *m, char path[FETCH_PATH_BYTES])
{
    snprintf(path, FETCH_PATH_BYTES, "%s", fetch_model_path(m));
}

chord_status fetch_cached(fetch *f, const char *source, bool *found, char path[FETCH_PATH_BYTES], chord_error *err)
{
    fetch_name name;
    fetch_model m;
    *found = false;
    CHORD_TRY(fetch_name_read(source, &name, err));
    CHORD_TRY(fetch_model_cached(f, &name, &m, found, err));
    if (*found) take_path(&m, path);
    fetch_model_free(&m);
    return CHORD_OK;
}

chord_status fetch_find(fetch *f, const char *source, fetch_model *m, chord_error *err)
{
    fetch_name name;
    CHORD_TRY(fetch_name_read(source, &name, err));
    if (f->options.offline)
        return chord_fail(err, CHORD_IO, "%.200s is not in the cache (%.100s), and --offline asks nobody for it",
                          source, f->hub);
    CHORD_TRY(fetch_library_open(&f->library, err));
    return fetch_model_ask(f, &name, m, err);
}

/* A URL's file that is there: has it changed where it came from? */
static chord_status look_for_newer(const fetch *f, fetch_job *job, chord_error *err)
{
    char etag[160];
    fetch_transfer t = {0};
    fetch_origin origin;
    chord_status status = fetch_origin_find(f, job, &t, &origin, err);
    bool known = fetch_model_remembered(f, job->path, "etag", etag, sizeof etag);
    if (status == CHORD_OK && (!known || strcmp(etag, origin.etag) != 0 || origin.bytes != job->bytes)) {
        job->here = false;
        job->replaces = true;
        job->bytes = 0;
    }
    fetch_transfer_close(&t);
    return status;
}

chord_status fetch_finish_job(const fetch *f, fetch_pull *p, uint32_t part, uint32_t parts, chord_error *err)
{
    CHORD_TRY(fetch_pull_finish(p, part, parts, err));
    if (p->job.sha256[0] != '\0') return CHORD_OK;
    return fetch_model_remember(f, &p->job, p->origin.etag, p->sha256, err);
}

static chord_status bring(const fetch *f, const fetch_model *m, uint32_t part, chord_error *err)
{
    fetch_pull *p;
    CHORD_TRY(fetch_pull_open(f, &m->jobs[part], true, false, &p, err));
    if (p == NULL) return CHORD_OK; /* another process has brought it */
    chord_status status = fetch_finish_job(f, p, part, m->count, err);
    fetch_pull_close(p);
    return status;
}

static chord_status bring_all(const fetch *f, fetch_model *m, bool newest, chord_error *err)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (newest && m->name.kind == FETCH_URL && m->jobs[i].here) CHORD_TRY(look_for_newer(f, &m->jobs[i], err));
        if (!m->jobs[i].here) CHORD_TRY(bring(f, m, i, err));
    }
    return fetch_model_keep(f, m, err);
}

chord_status fetch_bring(fetch *f, const char *source, bool newest, char path[FETCH_PATH_BYTES], chord_error *err)
{
    fetch_model m;
    bool found;
    CHORD_TRY(fetch_cached(f, source, &found, path, err));
    if (found && (!newest || f->options.offline)) return CHORD_OK;
    CHORD_TRY(fetch_find(f, source, &m, err));
    chord_status status = bring_all(f, &m, newest, err);
    if (status == CHORD_OK) take_path(&m, path);
    fetch_model_free(&m);
    return status;
}
