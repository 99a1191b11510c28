/* settings.c - settings and places of a process. */
#include "inner.h"

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

chord_status fetch_fail_stopped(chord_error *err) { return chord_fail(err, CHORD_CANCELLED, "stopped"); }

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
