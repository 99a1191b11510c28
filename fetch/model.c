/* model.c - sources as files. */
#include "model.h"

#include "json_in.h"

bool fetch_model_is_here(const fetch_model *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (!m->jobs[i].here) return false;
    return m->count > 0;
}

const char *fetch_model_path(const fetch_model *m)
{
    bool linked = m->name.kind == FETCH_HUB && m->jobs[0].link[0] != '\0';
    return linked ? m->jobs[0].link : m->jobs[0].path;
}

/* ---- URLs ------------------------------------------------------------------------------------------------ */

/* Where another part of the model lies, by the numbers in its name. */
static void url_of_part(const fetch_name *n, uint32_t part, char *out, size_t cap)
{
    char path[FETCH_URL_BYTES], other[FETCH_URL_BYTES];
    size_t len = strcspn(n->url, "?");
    snprintf(path, sizeof path, "%.*s", (int)len, n->url);
    fetch_split_name(path, part, other, sizeof other);
    snprintf(out, cap, "%s%s", other, n->url + len);
}

bool fetch_url_folder(const fetch *f, const char *url, char out[FETCH_PATH_BYTES])
{
    int n = snprintf(out, FETCH_PATH_BYTES, "%s/urls/%016" PRIx64, f->own, chord_hash_of(url, strlen(url)));
    return n > 0 && n + FETCH_NAME_BYTES < FETCH_PATH_BYTES;
}

static chord_status make_url_jobs(const fetch *f, fetch_model *m, chord_error *err)
{
    char folder[FETCH_PATH_BYTES], name[FETCH_NAME_BYTES];
    size_t stem;
    uint32_t part, parts = 1;
    if (!fetch_split(m->name.file, &stem, &part, &parts)) part = parts = 1;
    if (part != 1 || parts > FETCH_PARTS_MAX)
        return chord_fail(err, CHORD_INVALID, "%.200s is part %u of %u: name the first one (at most %d are possible)",
                          m->name.file, part, parts, FETCH_PARTS_MAX);
    if (!fetch_url_folder(f, m->name.url, folder))
        return chord_fail(err, CHORD_INVALID, "%.200s is too long a name", f->own);
    CHORD_TRY(fetch_model_jobs(m, parts, err));
    for (uint32_t i = 0; i < parts; i++) {
        fetch_job *job = &m->jobs[i];
        fetch_split_name(m->name.file, i + 1, name, sizeof name);
        snprintf(job->what, sizeof job->what, "%s", name);
        url_of_part(&m->name, i + 1, job->url, sizeof job->url);
        snprintf(job->token, sizeof job->token, "%s",
                 f->token != NULL && fetch_same_origin(job->url, f->hub_url) ? f->token : "");
        snprintf(job->path, sizeof job->path, "%.3500s/%s", folder, name);
        snprintf(job->lock, sizeof job->lock, "%.3500s/%s.lock", folder, name);
        job->here = fetch_file_bytes(job->path, &job->bytes);
    }
    return CHORD_OK;
}

static bool memory_of(const char *path, char out[FETCH_PATH_BYTES])
{
    int n = snprintf(out, FETCH_PATH_BYTES, "%s.json", path);
    return n > 0 && n < FETCH_PATH_BYTES;
}

chord_status fetch_model_remember(const fetch *f, const fetch_job *job, const char *etag, const char *sha256,
                                  chord_error *err)
{
    char path[FETCH_PATH_BYTES];
    chord_buffer text;
    if (!memory_of(job->path, path)) return chord_fail(err, CHORD_INVALID, "%.200s is too long a name", job->path);
    chord_buffer_init(&text, f->heap, 1u << 16);
    chord_status status =
        chord_buffer_printf(&text, err, "{\"sha256\": \"%s\", \"bytes\": %" PRIu64 ", \"url\": ", sha256, job->bytes);
    if (status == CHORD_OK) status = chord_json_quote(&text, job->url, strlen(job->url), err);
    if (status == CHORD_OK) status = chord_buffer_printf(&text, err, ", \"etag\": ");
    if (status == CHORD_OK) status = chord_json_quote(&text, etag, strlen(etag), err);
    if (status == CHORD_OK) status = chord_buffer_printf(&text, err, "}\n");
    if (status == CHORD_OK) status = fetch_write_file(path, text.data, text.len, err);
    chord_buffer_free(&text);
    return status;
}

bool fetch_model_remembered(const fetch *f, const char *path, const char *key, char *out, size_t cap)
{
    char memory[FETCH_PATH_BYTES];
    chord_error ignored;
    fetch_json j;
    bool found = false;
    if (!memory_of(path, memory)) return false;
    fetch_json_init(&j, f);
    if (fetch_read_file(memory, &j.body, &ignored) == CHORD_OK && fetch_json_read(&j, memory, &ignored) == CHORD_OK)
        found = (size_t)snprintf(out, cap, "%s", fetch_json_text(j.root, key)) < cap && out[0] != '\0';
    fetch_json_free(&j);
    return found;
}

/* ---- all kinds -------------------------------------------------------------------------------------------------- */

chord_status fetch_model_cached(const fetch *f, const fetch_name *name, fetch_model *m, bool *found, chord_error *err)
{
    *m = (fetch_model){.name = *name};
    *found = false;
    chord_status status = name->kind == FETCH_HUB      ? fetch_hub_cached(f, m, found, err)
                          : name->kind == FETCH_OLLAMA ? fetch_ollama_cached(f, m, found, err)
                                                       : make_url_jobs(f, m, err);
    if (name->kind == FETCH_URL) *found = status == CHORD_OK && fetch_model_is_here(m);
    if (status != CHORD_OK) fetch_model_free(m);
    return status;
}

chord_status fetch_model_ask(const fetch *f, const fetch_name *name, fetch_model *m, chord_error *err)
{
    *m = (fetch_model){.name = *name};
    chord_status status = name->kind == FETCH_HUB      ? fetch_hub_ask(f, m, err)
                          : name->kind == FETCH_OLLAMA ? fetch_ollama_ask(f, m, err)
                                                       : make_url_jobs(f, m, err);
    if (status != CHORD_OK) fetch_model_free(m);
    return status;
}

static chord_status keep_hub(const fetch *f, const fetch_model *m, chord_error *err)
{
    char path[FETCH_PATH_BYTES], folder[FETCH_PATH_BYTES], line[sizeof m->revision];
    uint64_t bytes;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->jobs[i].link[0] != '\0' && !fetch_file_bytes(m->jobs[i].link, &bytes))
            CHORD_TRY(fetch_link(m->jobs[i].link, m->jobs[i].path, err));
    if (!fetch_hub_folder(f, m->name.repo, folder) || !fetch_join(path, folder, "refs/main")) return CHORD_OK;
    if (fetch_read_line(path, line, sizeof line) && strcmp(line, m->revision) == 0) return CHORD_OK;
    return fetch_write_file(path, m->revision, strlen(m->revision), err);
}

chord_status fetch_model_keep(const fetch *f, const fetch_model *m, chord_error *err)
{
    if (m->name.kind == FETCH_HUB) return keep_hub(f, m, err);
    if (m->manifest == NULL) return CHORD_OK;
    return fetch_write_file(m->jobs[0].link, m->manifest, strlen(m->manifest), err);
}
