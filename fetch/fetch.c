/* fetch.c - settings and places of a process, and whole models. */
#include "model.h"
#include "bring.h"

#include <stdarg.h>
#include <time.h>

#define HEAP_BYTES (192ull << 20)
#define PATIENCE_SECONDS 30
#define SLICE_NS 50000000ull

/* ---- what every file of this room uses ------------------------------------------------------------------- */

void fetch_note(const fetch *f, const char *format, ...)
{
    char sentence[512];
    va_list args;
    if (f->options.note == NULL) return;
    va_start(args, format);
    chord_vformat(sentence, sizeof sentence, format, args);
    va_end(args);
    f->options.note(f->options.ud, sentence);
}

bool fetch_stopped(const fetch *f)
{
    if (f->options.no_cache && atomic_load(&f->readers_over)) return true; /* there is nothing but reads */
    return f->options.stopped != NULL && f->options.stopped(f->options.ud);
}

bool fetch_sleep(const fetch *f, uint64_t ns)
{
    for (uint64_t end = chord_clock_ns() + ns, now; (now = chord_clock_ns()) < end;) {
        uint64_t slice = chord_min_u64(end - now, SLICE_NS);
        if (fetch_stopped(f)) return false;
        nanosleep(&(struct timespec){.tv_nsec = (long)slice}, NULL);
    }
    return !fetch_stopped(f);
}

/* ---- places --------------------------------------------------------------------------------------------------- */

static const char *set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* As Hugging Face's own programs look for it, after a variable of ours. */
static bool find_hub(char out[FETCH_PATH_BYTES])
{
    static const struct {
        const char *variable, *behind;
    } PLACES[] = {{"CHORD_CACHE", ""},
                  {"HF_HUB_CACHE", ""},
                  {"HUGGINGFACE_HUB_CACHE", ""},
                  {"HF_HOME", "/hub"},
                  {"XDG_CACHE_HOME", "/huggingface/hub"},
                  {"HOME", "/.cache/huggingface/hub"}};
    for (size_t i = 0; i < CHORD_COUNT(PLACES); i++) {
        const char *value = set(PLACES[i].variable);
        if (value == NULL || (i >= 4 && value[0] != '/')) continue;
        return snprintf(out, FETCH_PATH_BYTES, "%s%s", value, PLACES[i].behind) < FETCH_PATH_BYTES - 1024;
    }
    return false;
}

/* Without the slashes at its end. */
static void set_url(const char *value, const char *otherwise, char out[FETCH_NAME_BYTES])
{
    snprintf(out, FETCH_NAME_BYTES, "%s", value != NULL ? value : otherwise);
    for (size_t len = strlen(out); len > 0 && out[len - 1] == '/'; len--) out[len - 1] = '\0';
}

chord_status fetch_open(const fetch_options *options, fetch **out, chord_error *err)
{
    *out = NULL;
    fetch *f = calloc(1, sizeof *f);
    if (f == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a download");
    f->options = *options;
    if (f->options.patience_seconds == 0) f->options.patience_seconds = PATIENCE_SECONDS;
    f->token = set("HF_TOKEN");
    set_url(set("HF_ENDPOINT"), "https://huggingface.co", f->hub_url);
    set_url(set("OLLAMA_ENDPOINT"), "https://registry.ollama.ai", f->ollama_url);
    chord_status status = chord_heap_open(HEAP_BYTES, &f->heap, err);
    if (status == CHORD_OK && (!find_hub(f->hub) || snprintf(f->own, sizeof f->own, "%s/chord", f->hub) < 0))
        status = chord_fail(err, CHORD_INVALID, "there is no place for a cache: CHORD_CACHE names a folder for it");
    if (status == CHORD_OK) *out = f;
    else fetch_close(f);
    return status;
}

void fetch_close(fetch *f)
{
    if (f == NULL) return;
    if (f->heap != NULL) chord_heap_close(f->heap);
    free(f);
}

bool fetch_is_possible(const fetch *f) { return f->library.opened; }

const char *fetch_folder(const fetch *f) { return f->hub; }

void fetch_host(fetch *f, const char *source, char *out, size_t cap)
{
    fetch_name name;
    const char *url = "";
    if (fetch_name_read(source, &name, NULL) == CHORD_OK)
        url = name.kind == FETCH_HUB ? f->hub_url : name.kind == FETCH_OLLAMA ? f->ollama_url : name.url;
    fetch_host_of(url, out, cap);
}

/* ---- whole models ------------------------------------------------------------------------------------------------ */

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
        return chord_fail(err, CHORD_IO, "%.200s is not in the cache (%.100s), and --offline asks nobody for it", source,
                          f->hub);
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
        if (newest && m->name.kind == FETCH_URL && m->jobs[i].here)
            CHORD_TRY(look_for_newer(f, &m->jobs[i], err));
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
