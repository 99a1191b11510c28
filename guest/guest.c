/* guest.c - chord.h as a WebAssembly module's exports: function by function, with handles for
 * pointers (chord_host_v1.h).
 *
 * Every number comes from a host that was written by somebody: handles are looked up, texts are
 * bounded by their lengths. */
#include "base/base.h"
#include "chord_host_v1.h"

#define EXPORT(result, name, ...) __attribute__((export_name(#name))) result name(__VA_ARGS__);
CHORD_GUEST_EXPORT_MAP(EXPORT)

#define HANDLES_MAX 72u

typedef enum kind { KIND_NONE, KIND_RUNTIME, KIND_MODEL, KIND_SESSION } kind;

/* What a session keeps for its host: the stop strings of the text being made. */
typedef struct stop_list {
    char text[1024];
    const char *stops[32];
} stop_list;

typedef struct handle {
    kind kind;
    void *object;
    stop_list *stops; /* of a session; NULL: none */
} handle;

static struct {
    handle handles[HANDLES_MAX];
    chord_error error;
} guest;

/* ---- handles ------------------------------------------------------------------------------------ */

static int32_t fail(chord_status status, const char *sentence)
{
    return (int32_t)chord_fail(&guest.error, status, "%s", sentence);
}

static void *object_of(uintptr_t id, kind wanted)
{
    if (id == 0 || id > HANDLES_MAX || guest.handles[id - 1].kind != wanted) {
        fail(CHORD_INVALID, "no such runtime, model or session: the handle is not one this module gave");
        return NULL;
    }
    return guest.handles[id - 1].object;
}

static uintptr_t free_handle(void)
{
    for (uintptr_t i = 0; i < HANDLES_MAX; i++)
        if (guest.handles[i].kind == KIND_NONE) return i + 1;
    return 0;
}

static void keep(uintptr_t id, kind what, void *object, uintptr_t *out)
{
    guest.handles[id - 1].kind = what;
    guest.handles[id - 1].object = object;
    *out = id;
}

/* ---- memory and errors ----------------------------------------------------------------------------- */

static chord_heap *inputs; /* what the host writes its questions into */

int32_t guest_version(void) { return CHORD_HOST_VERSION; }

void *guest_alloc(size_t bytes)
{
    void *p = NULL;
    if (inputs == NULL && chord_heap_open(64 * CHORD_MIB, &inputs, &guest.error) != CHORD_OK) return NULL;
    return chord_alloc(inputs, bytes, "what the host asks", &p, &guest.error) == CHORD_OK ? p : NULL;
}

void guest_free(void *p) { chord_free(inputs, p); }

static void drop_stops(uintptr_t id)
{
    guest_free(guest.handles[id - 1].stops);
    guest.handles[id - 1].stops = NULL;
}

/* The object leaves its handle. */
static void *take(uintptr_t id, kind wanted)
{
    void *object = object_of(id, wanted);
    if (object == NULL) return NULL;
    guest.handles[id - 1].kind = KIND_NONE;
    drop_stops(id);
    return object;
}

void guest_error(chord_error *out) { *out = guest.error; }

/* ---- runtime and model ------------------------------------------------------------------------------- */

static void say(void *ud, chord_log_level level, const char *line)
{
    (void)ud;
    chord_host_log((int32_t)level, line, strlen(line));
}

int32_t guest_runtime_open(const chord_guest_runtime_options *o, uintptr_t *out)
{
    chord_runtime *runtime = NULL;
    uintptr_t id = free_handle();
    char cpu[sizeof o->cpu];
    memcpy(cpu, o->cpu, sizeof cpu);
    cpu[sizeof cpu - 1] = '\0';
    chord_runtime_options options = {
        .budget_bytes = o->budget_bytes, .threads = o->threads, .log = say, .cpu = cpu[0] != '\0' ? cpu : NULL};
    if (id == 0) return fail(CHORD_INVALID, "too many runtimes, models and sessions are open");
    chord_status status = chord_runtime_open(&options, &runtime, &guest.error);
    if (status == CHORD_OK) keep(id, KIND_RUNTIME, runtime, out);
    return (int32_t)status;
}

void guest_runtime_close(uintptr_t id) { chord_runtime_close(take(id, KIND_RUNTIME)); }

int32_t guest_runtime_threads(uintptr_t id)
{
    chord_runtime *runtime = object_of(id, KIND_RUNTIME);
    return runtime != NULL ? (int32_t)chord_runtime_threads(runtime) : 0;
}

/* A model that the host was given, by the name it has there: its parts are found by that name. */
static const chord_source *source(const chord_guest_model_options *o)
{
    static char names[2][1024];
    static const chord_source SOURCES[2] = {{.uri = names[0]}, {.uri = names[1]}};
    const char *first = o->drafts != 0 ? CHORD_HOST_DRAFT_FOLDER : "";
    char *name = names[o->drafts != 0];
    int32_t file = chord_host_file_open(first, strlen(first));
    int32_t len = file >= 0 ? chord_host_file_name(file, name, sizeof names[0]) : 0;
    if (len <= 0 || (size_t)len >= sizeof names[0]) memcpy(name, first, strlen(first) + 1);
    return &SOURCES[o->drafts != 0];
}

/* False: a handle is none. */
static bool read_model(uint64_t id, const chord_model **out)
{
    *out = id != 0 ? object_of((uintptr_t)id, KIND_MODEL) : NULL;
    return id == 0 || *out != NULL;
}

static bool read_options(const chord_guest_model_options *from, chord_model_options *to)
{
#define TAKE(name, type) .name = (type)from->name,
    *to = (chord_model_options){.share_bytes = from->share_bytes, CHORD_GUEST_MODEL_OPTION_MAP(TAKE)};
    return read_model(from->vocabulary_of, &to->vocabulary_of) && read_model(from->draft, &to->draft);
}

int32_t guest_model_plan(uintptr_t runtime_id, const chord_guest_model_options *o, chord_plan *out)
{
    chord_model_options options;
    chord_runtime *runtime = object_of(runtime_id, KIND_RUNTIME);
    if (runtime == NULL || !read_options(o, &options)) return CHORD_INVALID;
    return (int32_t)chord_model_plan(runtime, source(o), &options, out, &guest.error);
}

int32_t guest_model_open(uintptr_t runtime_id, const chord_guest_model_options *o, uintptr_t *out)
{
    chord_model *model = NULL;
    chord_model_options options;
    chord_runtime *runtime = object_of(runtime_id, KIND_RUNTIME);
    uintptr_t id = free_handle();
    if (runtime == NULL || !read_options(o, &options)) return CHORD_INVALID;
    if (id == 0) return fail(CHORD_INVALID, "too many runtimes, models and sessions are open");
    chord_status status = chord_model_open(runtime, source(o), &options, &model, &guest.error);
    if (status == CHORD_OK) keep(id, KIND_MODEL, model, out);
    return (int32_t)status;
}

void guest_model_close(uintptr_t id) { chord_model_close(take(id, KIND_MODEL)); }

void guest_model_describe(uintptr_t id, chord_guest_model_info *out)
{
    chord_model_info info = {0};
    chord_model *model = object_of(id, KIND_MODEL);
    if (model != NULL) chord_model_describe(model, &info);
    memset(out, 0, sizeof *out);
    out->parameters = info.parameters;
    out->file_bytes = info.file_bytes;
#define PUT(name, type) out->name = info.name;
    CHORD_GUEST_MODEL_INFO_MAP(PUT)
    out->plan = info.plan;
    chord_format(out->architecture, sizeof out->architecture, "%s", info.architecture != NULL ? info.architecture : "");
    chord_format(out->name, sizeof out->name, "%s", info.name != NULL ? info.name : "");
}

/* ---- text ---------------------------------------------------------------------------------------------- */

int32_t guest_tokenize(uintptr_t id, const char *text, size_t len, int32_t mode, int32_t *out, size_t cap, size_t *need)
{
    const chord_model *model = object_of(id, KIND_MODEL);
    if (model == NULL) return CHORD_INVALID;
    return (int32_t)chord_tokenize(model, text, len, (chord_tokenize_mode)mode, out, cap, need, &guest.error);
}

int32_t guest_detokenize(uintptr_t id, const int32_t *tokens, size_t n, int32_t special, char *out, size_t cap,
                         size_t *need)
{
    const chord_model *model = object_of(id, KIND_MODEL);
    if (model == NULL) return CHORD_INVALID;
    return (int32_t)chord_detokenize(model, tokens, n, special != 0, out, cap, need, &guest.error);
}

/* template_text: NULL, or ended by a zero byte. */
int32_t guest_chat_render(uintptr_t id, const char *template_text, const char *messages, size_t len, int32_t open_reply,
                          char *out, size_t cap, size_t *need)
{
    const chord_model *model = object_of(id, KIND_MODEL);
    if (model == NULL) return CHORD_INVALID;
    return (int32_t)chord_chat_render(model, template_text, messages, len, open_reply != 0, out, cap, need,
                                      &guest.error);
}

/* ---- sessions ---------------------------------------------------------------------------------------------- */

static void say_progress(void *ud, const chord_progress *p)
{
    (void)ud;
    chord_host_progress out = {
        .phase = p->phase, .done = p->done, .total = p->total, .bytes_read = p->bytes_read, .stall_ns = p->stall_ns};
    chord_host_progress_say(&out);
    if (chord_host_cancelled() == 0) return;
    for (uint32_t i = 0; i < HANDLES_MAX; i++) /* they may share the pass */
        if (guest.handles[i].kind == KIND_SESSION) chord_session_cancel(guest.handles[i].object);
}

int32_t guest_session_open(uintptr_t model_id, uintptr_t *out)
{
    chord_session *session = NULL;
    chord_model *model = object_of(model_id, KIND_MODEL);
    uintptr_t id = free_handle();
    if (model == NULL) return CHORD_INVALID;
    if (id == 0) return fail(CHORD_INVALID, "too many runtimes, models and sessions are open");
    chord_status status = chord_session_open(model, &session, &guest.error);
    if (status != CHORD_OK) return (int32_t)status;
    chord_session_on_progress(session, say_progress, NULL);
    keep(id, KIND_SESSION, session, out);
    return CHORD_OK;
}

void guest_session_close(uintptr_t id) { chord_session_close(take(id, KIND_SESSION)); }

void guest_session_reset(uintptr_t id)
{
    chord_session *session = object_of(id, KIND_SESSION);
    if (session != NULL) chord_session_reset(session);
}

int32_t guest_session_sync(uintptr_t id, const int32_t *tokens, size_t n, size_t *reused)
{
    chord_session *session = object_of(id, KIND_SESSION);
    return session != NULL ? (int32_t)chord_session_sync(session, tokens, n, reused, &guest.error) : CHORD_INVALID;
}

int32_t guest_session_feed(uintptr_t id, const int32_t *tokens, size_t n, size_t *reused)
{
    chord_session *session = object_of(id, KIND_SESSION);
    return session != NULL ? (int32_t)chord_session_feed(session, tokens, n, reused, &guest.error) : CHORD_INVALID;
}

int32_t guest_session_copy(uintptr_t to_id, uintptr_t from_id)
{
    chord_session *to = object_of(to_id, KIND_SESSION), *from = object_of(from_id, KIND_SESSION);
    return to != NULL && from != NULL ? (int32_t)chord_session_copy(to, from, &guest.error) : CHORD_INVALID;
}

/* What a session knows goes to the host, and comes back, in as many pieces as it is made of. */
static chord_status put_past(void *ud, void *bytes, size_t len, chord_error *err)
{
    (void)ud;
    int32_t code = chord_host_past_write(bytes, len);
    return code == CHORD_HOST_OK ? CHORD_OK : chord_host_failure(err, code, "saving the session");
}

static chord_status get_past(void *ud, void *bytes, size_t len, chord_error *err)
{
    (void)ud;
    int32_t code = chord_host_past_read(bytes, len);
    return code == CHORD_HOST_OK ? CHORD_OK : chord_host_failure(err, code, "loading the session");
}

int32_t guest_session_saved_bytes(uintptr_t id, uint64_t *out)
{
    chord_session *session = object_of(id, KIND_SESSION);
    return session != NULL ? (int32_t)chord_session_saved_bytes(session, out, &guest.error) : CHORD_INVALID;
}

int32_t guest_session_save(uintptr_t id)
{
    chord_session *session = object_of(id, KIND_SESSION);
    return session != NULL ? (int32_t)chord_session_save(session, put_past, NULL, &guest.error) : CHORD_INVALID;
}

int32_t guest_session_load(uintptr_t id)
{
    chord_session *session = object_of(id, KIND_SESSION);
    return session != NULL ? (int32_t)chord_session_load(session, get_past, NULL, &guest.error) : CHORD_INVALID;
}

int32_t guest_session_score(uintptr_t id, const int32_t *tokens, size_t n, size_t first, double *logprobs)
{
    chord_session *session = object_of(id, KIND_SESSION);
    return session != NULL ? (int32_t)chord_session_score(session, tokens, n, first, logprobs, &guest.error)
                           : CHORD_INVALID;
}

void guest_session_stats(uintptr_t id, chord_stats *out)
{
    const chord_session *session = object_of(id, KIND_SESSION);
    memset(out, 0, sizeof *out);
    if (session != NULL) chord_session_stats(session, out);
}

void guest_session_stats_reset(uintptr_t id)
{
    chord_session *session = object_of(id, KIND_SESSION);
    if (session != NULL) chord_session_stats_reset(session);
}

void guest_cancel(uintptr_t id)
{
    chord_session *session = object_of(id, KIND_SESSION);
    if (session != NULL) chord_session_cancel(session);
}

/* ---- generating ------------------------------------------------------------------------------------------------ */

/* Copies the strings: the host's memory may be freed while text is still made. */
static chord_status read_stops(uintptr_t id, const char *text, size_t bytes, size_t *count)
{
    stop_list *list;
    drop_stops(id);
    *count = 0;
    if (bytes == 0) return CHORD_OK;
    if (bytes > sizeof list->text || text[bytes - 1] != '\0')
        return chord_fail(&guest.error, CHORD_INVALID,
                          "stop strings take %zu bytes, at most %zu are possible, the last one zero", bytes,
                          sizeof list->text);
    list = guest.handles[id - 1].stops = guest_alloc(sizeof *list);
    if (list == NULL) return guest.error.status;
    memcpy(list->text, text, bytes);
    list->text[bytes - 1] = '\0';
    for (size_t at = 0; at < bytes; at += strlen(list->text + at) + 1) {
        if (*count == CHORD_COUNT(list->stops))
            return chord_fail(&guest.error, CHORD_INVALID, "more than %zu stop strings", CHORD_COUNT(list->stops));
        list->stops[(*count)++] = list->text + at;
    }
    return CHORD_OK;
}

int32_t guest_generate_start(uintptr_t id, const chord_guest_generate_options *o, const char *stops)
{
    size_t count;
    chord_session *session = object_of(id, KIND_SESSION);
    if (session == NULL) return CHORD_INVALID;
    chord_status status = read_stops(id, stops, o->stops_bytes, &count);
    if (status != CHORD_OK) return (int32_t)status;
    const stop_list *list = guest.handles[id - 1].stops;
    chord_generate_options options = {.max_tokens = o->max_tokens,
                                      .sampling = o->sampling,
                                      .stops = list != NULL ? list->stops : NULL,
                                      .stop_count = count,
                                      .draft_tokens = o->draft_tokens,
                                      .ignore_end = o->ignore_end != 0,
                                      .want_logprobs = o->want_logprobs != 0};
    return (int32_t)chord_generate_start(session, &options, &guest.error);
}

static chord_guest_piece piece_of(const chord_piece *p, bool more)
{
    return (chord_guest_piece){
        .text = (uintptr_t)p->text, .len = p->len, .token = p->token, .logprob = p->logprob, .more = more};
}

int32_t guest_generate_next(uintptr_t id, chord_guest_piece *out)
{
    chord_piece piece;
    bool more = false;
    chord_session *session = object_of(id, KIND_SESSION);
    if (session == NULL) return CHORD_INVALID;
    chord_status status = chord_generate_next(session, &piece, &more, &guest.error);
    *out = piece_of(&piece, more);
    return (int32_t)status;
}

static chord_status step_all(chord_guest_step *to, chord_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        steps[i].session = object_of((uintptr_t)to[i].session, KIND_SESSION);
        if (steps[i].session == NULL) return CHORD_INVALID;
    }
    chord_status status = chord_sessions_step(steps, count, &guest.error);
    for (size_t i = 0; i < count && status == CHORD_OK; i++) {
        to[i].piece = piece_of(&steps[i].piece, steps[i].has_piece);
        to[i].over = steps[i].over;
        to[i].status = steps[i].status;
        to[i].error = steps[i].error;
    }
    return status;
}

int32_t guest_sessions_step(chord_guest_step *to, size_t count)
{
    if (count > HANDLES_MAX) return fail(CHORD_INVALID, "more steps than there can be sessions");
    chord_step *steps = guest_alloc(count * sizeof *steps);
    if (steps == NULL) return (int32_t)guest.error.status;
    chord_status status = step_all(to, steps, count);
    guest_free(steps);
    return (int32_t)status;
}

void guest_generate_result(uintptr_t id, chord_generate_result *out)
{
    const chord_session *session = object_of(id, KIND_SESSION);
    memset(out, 0, sizeof *out);
    if (session != NULL) chord_generate_result_get(session, out);
}
