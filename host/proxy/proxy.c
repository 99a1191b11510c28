/* proxy.c - chord.h over a guest's exports (chord_host_v1.h): numbers and structures go through memory the
 * guest allocates for them.
 *
 * The guest is opened when a call first names a model. What it answers is believed for the text it makes and for
 * nothing else: every address it gives is checked, every length bounded. */

/* Before chord.h: what is defined here is called proxy_*, and compared with chord.h's declarations. */
#include "proxy_names.h"

#include "base/base.h"
#include "interrupt.h"
#include "proxy.h"

#include <stdlib.h>

#define PIECE_BYTES_MAX (1u << 20)
#define CALL_BYTES_MAX (64u << 20)

chord_host *proxy_host;
chord_guest_options proxy_guest_options;
chord_host_options proxy_host_options;
const char *proxy_cpu;
void (*proxy_on_close)(const chord_guest *guest);

/* The exports by their names: one that is in no list does not compile. */
#define NAME(result, name, ...) static const char name[] __attribute__((unused)) = #name;
CHORD_GUEST_EXPORT_MAP(NAME)

typedef struct proxy_runtime {
    chord_guest *guest;
    uint64_t handle, budget_bytes, guest_budget_bytes;
    uint32_t threads;
    chord_runtime_options options;
    struct proxy_session *running;
} proxy_runtime;

typedef struct proxy_model {
    proxy_runtime *runtime;
    uint64_t handle;
    chord_guest_model_info info;
    bool described;
} proxy_model;

typedef struct proxy_session {
    proxy_model *model;
    uint64_t handle;
    void (*on_progress)(void *ud, const chord_progress *);
    void *progress_ud;
} proxy_session;

/* ---- calls ------------------------------------------------------------------------------------------------ */

/* Memory of the guest for one call. at 0: none. */
typedef struct loan {
    proxy_runtime *r;
    uint64_t at;
} loan;

static chord_status borrow(proxy_runtime *r, const void *from, size_t bytes, loan *out, chord_error *err)
{
    uint64_t args[] = {bytes > 0 ? bytes : 1};
    *out = (loan){.r = r};
    if (bytes > CALL_BYTES_MAX)
        return chord_fail(err, CHORD_INVALID, "%zu bytes are too many for one call of a guest", bytes);
    CHORD_TRY(chord_guest_call(r->guest, guest_alloc, args, 1, &out->at, err));
    void *to = out->at != 0 ? chord_guest_bytes(r->guest, out->at, bytes) : NULL;
    if (to == NULL) {
        out->at = 0;
        return chord_fail(err, CHORD_NO_MEMORY, "the guest has no memory for %zu bytes", bytes);
    }
    if (from != NULL) memcpy(to, from, bytes);
    return CHORD_OK;
}

static void give_back(loan *l)
{
    if (l->at != 0) (void)chord_guest_call(l->r->guest, guest_free, &l->at, 1, NULL, NULL);
    l->at = 0;
}

static bool fetch(const loan *l, void *to, size_t bytes)
{
    const void *from = chord_guest_bytes(l->r->guest, l->at, bytes);
    if (from != NULL) memcpy(to, from, bytes);
    return from != NULL;
}

/* The guest's own sentence. */
static chord_status guest_failure(proxy_runtime *r, uint64_t status, chord_error *err)
{
    chord_error sentence = {0};
    loan l;
    if (borrow(r, NULL, sizeof sentence, &l, NULL) == CHORD_OK) {
        uint64_t args[] = {l.at};
        if (chord_guest_call(r->guest, guest_error, args, 1, NULL, NULL) == CHORD_OK)
            (void)fetch(&l, &sentence, sizeof sentence);
        give_back(&l);
    }
    sentence.text[sizeof sentence.text - 1] = '\0';
    chord_status ours = status < CHORD_STATUS_COUNT ? (chord_status)status : CHORD_CORRUPT;
    return chord_fail(err, ours, "%s", sentence.text[0] != '\0' ? sentence.text : chord_status_text(ours));
}

/* Nobody interrupted it: its time was over, and the commands are to say so. */
static chord_status end_of_time(chord_error *err)
{
    chord_error sentence = *err;
    return chord_fail(err, CHORD_CORRUPT, "%s", sentence.text);
}

/* A call whose result is a chord_status. */
static chord_status ask(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, chord_error *err)
{
    uint64_t status;
    chord_status called = chord_guest_call(r->guest, name, args, count, &status, err);
    if (called == CHORD_CANCELLED && !cli_interrupted()) return end_of_time(err);
    if (called != CHORD_OK) return called;
    return status == CHORD_OK ? CHORD_OK : guest_failure(r, status, err);
}

/* A call that writes `bytes` to its last argument. */
static chord_status ask_for(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, bool fallible,
                            void *to, size_t bytes, chord_error *err)
{
    uint64_t all[8];
    loan l;
    CHORD_TRY(borrow(r, NULL, bytes, &l, err));
    memcpy(all, args, count * sizeof *args);
    all[count] = l.at;
    chord_status status = fallible ? ask(r, name, all, count + 1, err)
                                   : chord_guest_call(r->guest, name, all, count + 1, NULL, err);
    if (status == CHORD_OK && !fetch(&l, to, bytes))
        status = chord_fail(err, CHORD_CORRUPT, "%s: the guest's memory is gone", name);
    give_back(&l);
    return status;
}

/* A pointer-sized number that a call writes to its last argument. */
static chord_status ask_for_number(proxy_runtime *r, const char *name, const uint64_t *args, size_t count,
                                   uint64_t *out, chord_error *err)
{
    *out = 0;
    size_t bytes = chord_guest_is_wide(r->guest) ? 8 : 4;
    return ask_for(r, name, args, count, true, out, bytes, err);
}

/* ---- runtime -------------------------------------------------------------------------------------------------- */

static proxy_runtime *runtime_of(chord_runtime *runtime) { return (proxy_runtime *)(void *)runtime; }

chord_status chord_runtime_open(const chord_runtime_options *options, chord_runtime **out, chord_error *err)
{
    static const chord_runtime_options DEFAULTS = {0};
    if (options == NULL) options = &DEFAULTS;
    *out = NULL;
    proxy_runtime *r = calloc(1, sizeof *r);
    if (r == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a runtime");
    r->options = *options;
    r->threads = options->threads != 0 ? options->threads : chord_cpu_cores();
    r->budget_bytes = options->budget_bytes != 0 ? options->budget_bytes : chord_memory_available_bytes();
    *out = (chord_runtime *)(void *)r;
    return CHORD_OK;
}

void chord_runtime_close(chord_runtime *runtime)
{
    proxy_runtime *r = runtime_of(runtime);
    if (r == NULL) return;
    if (r->guest != NULL && proxy_on_close != NULL) proxy_on_close(r->guest);
    chord_guest_close(r->guest);
    free(r);
}

/* The process counts all it has in memory as taken already, an open guest too: the budget is that of both. */
void proxy_native_options(const chord_runtime *runtime, chord_runtime_options *out)
{
    const proxy_runtime *r = runtime_of((chord_runtime *)runtime);
    *out = (chord_runtime_options){.threads = r->threads, .budget_bytes = r->budget_bytes};
}

uint32_t chord_runtime_threads(const chord_runtime *runtime) { return runtime_of((chord_runtime *)runtime)->threads; }

static void pass_log(void *ud, chord_log_level level, const char *line)
{
    proxy_runtime *r = ud;
    if (r->options.log != NULL) r->options.log(r->options.log_ud, level, line);
}

static void pass_progress(void *ud, const chord_host_progress *p)
{
    proxy_runtime *r = ud;
    if (r->running == NULL || r->running->on_progress == NULL) return;
    chord_progress progress = {.phase = (chord_phase)p->phase,
                               .done = p->done,
                               .total = p->total,
                               .bytes_read = p->bytes_read,
                               .stall_ns = p->stall_ns};
    r->running->on_progress(r->running->progress_ud, &progress);
}

static chord_status open_guest(proxy_runtime *r, const char *model, chord_error *err)
{
    if (r->guest != NULL) return CHORD_OK;
    chord_guest_options options = proxy_guest_options;
    uint64_t version = 0;
    options.model = model;
    options.budget_bytes = r->budget_bytes;
    options.threads = r->threads;
    options.on_log = pass_log;
    options.on_progress = pass_progress;
    options.ud = r;
    CHORD_TRY(chord_guest_open(proxy_host, &options, &r->guest, err));
    if (!chord_guest_has(r->guest, guest_version))
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "%s is not a module of this library: it does not export guest_version", options.module);
    CHORD_TRY(chord_guest_call(r->guest, guest_version, NULL, 0, &version, err));
    if (version != CHORD_HOST_VERSION)
        return chord_fail(err, CHORD_UNSUPPORTED, "%s speaks version %u of chord_host, this host version %d",
                          options.module, (unsigned)version, CHORD_HOST_VERSION);
    chord_guest_runtime_options wanted = {.threads = r->threads};
    const char *cpu = r->options.cpu != NULL ? r->options.cpu : proxy_cpu;
    chord_format(wanted.cpu, sizeof wanted.cpu, "%s", cpu != NULL ? cpu : "");
    chord_guest_stats stats;
    chord_guest_stats_get(r->guest, &stats);
    r->guest_budget_bytes = stats.budget_bytes;
    loan l;
    CHORD_TRY(borrow(r, &wanted, sizeof wanted, &l, err));
    chord_status status = ask_for_number(r, guest_runtime_open, &l.at, 1, &r->handle, err);
    give_back(&l);
    return status;
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

static proxy_model *model_of(const chord_model *model) { return (proxy_model *)(void *)model; }

#define PUT(name, type) .name = (uint32_t)o->name,
static chord_guest_model_options options_of(const chord_model_options *o)
{
    static const chord_model_options DEFAULTS = {0};
    if (o == NULL) o = &DEFAULTS;
    return (chord_guest_model_options){.vocabulary_of = o->vocabulary_of != NULL ? model_of(o->vocabulary_of)->handle
                                                                                 : 0,
                                       CHORD_GUEST_MODEL_OPTION_MAP(PUT)};
}

/* A bool of somebody else's is any byte. */
static void make_bool(bool *b)
{
    unsigned char byte;
    memcpy(&byte, b, 1);
    *b = byte != 0;
}

/* The guest plans with what the host leaves it; the user gave a budget for both. */
static void add_host_share(const proxy_runtime *r, chord_plan *plan)
{
    make_bool(&plan->mapped);
    make_bool(&plan->fits);
    uint64_t share = r->budget_bytes - r->guest_budget_bytes;
    if (plan->budget_bytes_min != 0) plan->budget_bytes_min += share;
    plan->budget_bytes += share;
    plan->fixed_bytes += share;
}

static chord_status with_options(proxy_runtime *r, const char *name, const chord_model_options *options, void *to,
                                 size_t bytes, chord_error *err)
{
    loan l;
    chord_guest_model_options o = options_of(options);
    CHORD_TRY(borrow(r, &o, sizeof o, &l, err));
    uint64_t args[] = {r->handle, l.at};
    chord_status status = ask_for(r, name, args, 2, true, to, bytes, err);
    give_back(&l);
    return status;
}

chord_status chord_model_plan(chord_runtime *runtime, const chord_source *source, const chord_model_options *options,
                              chord_plan *out, chord_error *err)
{
    proxy_runtime *r = runtime_of(runtime);
    CHORD_TRY(open_guest(r, source->uri, err));
    CHORD_TRY(with_options(r, guest_model_plan, options, out, sizeof *out, err));
    add_host_share(r, out);
    return CHORD_OK;
}

chord_status chord_model_open(chord_runtime *runtime, const chord_source *source, const chord_model_options *options,
                              chord_model **out, chord_error *err)
{
    proxy_runtime *r = runtime_of(runtime);
    *out = NULL;
    CHORD_TRY(open_guest(r, source->uri, err));
    proxy_model *m = calloc(1, sizeof *m);
    if (m == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a model");
    m->runtime = r;
    chord_status status = with_options(r, guest_model_open, options, &m->handle, chord_guest_is_wide(r->guest) ? 8 : 4,
                                       err);
    if (status == CHORD_OK) {
        status = ask_for(r, guest_model_describe, &m->handle, 1, false, &m->info, sizeof m->info, err);
        add_host_share(r, &m->info.plan);
        if (status == CHORD_OK && m->info.vocabulary == 0)
            status = chord_fail(err, CHORD_CORRUPT, "the guest tells of a model without a vocabulary");
        m->info.architecture[sizeof m->info.architecture - 1] = m->info.name[sizeof m->info.name - 1] = '\0';
    }
    if (status != CHORD_OK) {
        free(m);
        return status;
    }
    *out = (chord_model *)(void *)m;
    return CHORD_OK;
}

void chord_model_close(chord_model *model)
{
    proxy_model *m = model_of(model);
    if (m == NULL) return;
    (void)chord_guest_call(m->runtime->guest, guest_model_close, &m->handle, 1, NULL, NULL);
    free(m);
}

#define TAKE(name, type) .name = (type)i->name,
void chord_model_describe(const chord_model *model, chord_model_info *out)
{
    const chord_guest_model_info *i = &model_of(model)->info;
    *out = (chord_model_info){.architecture = i->architecture,
                              .name = i->name,
                              .parameters = i->parameters,
                              .file_bytes = i->file_bytes,
                              .plan = i->plan,
                              CHORD_GUEST_MODEL_INFO_MAP(TAKE)};
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* A call that ends in (out, cap, need): cap items of `item` bytes. */
static chord_status ask_for_items(proxy_runtime *r, const char *name, const uint64_t *args, size_t count, size_t item,
                                  void *out, size_t cap, size_t *need, chord_error *err)
{
    uint64_t all[8], wanted = 0;
    size_t bytes = cap > CALL_BYTES_MAX / item ? CALL_BYTES_MAX : cap * item,
           number = chord_guest_is_wide(r->guest) ? 8 : 4;
    loan items, size;
    *need = 0;
    CHORD_TRY(borrow(r, NULL, bytes, &items, err));
    chord_status status = borrow(r, NULL, 8, &size, err);
    if (status == CHORD_OK) {
        memcpy(all, args, count * sizeof *args);
        all[count] = items.at, all[count + 1] = bytes / item, all[count + 2] = size.at;
        status = ask(r, name, all, count + 3, err);
        bool there = fetch(&size, &wanted, number);
        if (status == CHORD_OK && (!there || wanted > cap || !fetch(&items, out, (size_t)wanted * item)))
            status = chord_fail(err, CHORD_CORRUPT, "%s: the guest answered with more than there is room for", name);
        *need = (size_t)wanted;
        give_back(&size);
    }
    give_back(&items);
    return status;
}

chord_status chord_tokenize(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode,
                            int32_t *out, size_t cap, size_t *need, chord_error *err)
{
    const proxy_model *m = model_of(model);
    loan l;
    CHORD_TRY(borrow(m->runtime, text, len, &l, err));
    uint64_t args[] = {m->handle, l.at, len, mode};
    chord_status status = ask_for_items(m->runtime, guest_tokenize, args, 4, sizeof *out, out, cap, need, err);
    give_back(&l);
    return status;
}

chord_status chord_detokenize(const chord_model *model, const int32_t *tokens, size_t n, bool special, char *out,
                              size_t cap, size_t *need, chord_error *err)
{
    const proxy_model *m = model_of(model);
    loan l;
    CHORD_TRY(borrow(m->runtime, tokens, n * sizeof *tokens, &l, err));
    uint64_t args[] = {m->handle, l.at, n, special};
    chord_status status = ask_for_items(m->runtime, guest_detokenize, args, 4, 1, out, cap, need, err);
    give_back(&l);
    return status;
}

chord_status chord_chat_render(const chord_model *model, const char *template_text, const char *messages_json,
                               size_t len, bool open_reply, char *out, size_t cap, size_t *need, chord_error *err)
{
    const proxy_model *m = model_of(model);
    loan messages, text = {0};
    CHORD_TRY(borrow(m->runtime, messages_json, len, &messages, err));
    chord_status status = template_text != NULL
                              ? borrow(m->runtime, template_text, strlen(template_text) + 1, &text, err)
                              : CHORD_OK;
    uint64_t args[] = {m->handle, text.at, messages.at, len, open_reply};
    if (status == CHORD_OK) status = ask_for_items(m->runtime, guest_chat_render, args, 5, 1, out, cap, need, err);
    give_back(&text);
    give_back(&messages);
    return status;
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static proxy_session *session_of(const chord_session *session) { return (proxy_session *)(void *)session; }
static proxy_runtime *runtime_behind(const proxy_session *s) { return s->model->runtime; }

chord_status chord_session_open(chord_model *model, chord_session **out, chord_error *err)
{
    *out = NULL;
    proxy_session *s = calloc(1, sizeof *s);
    if (s == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a session");
    s->model = model_of(model);
    chord_status status = ask_for_number(runtime_behind(s), guest_session_open, &s->model->handle, 1, &s->handle, err);
    if (status != CHORD_OK) {
        free(s);
        return status;
    }
    runtime_behind(s)->running = s;
    *out = (chord_session *)(void *)s;
    return CHORD_OK;
}

void chord_session_close(chord_session *session)
{
    proxy_session *s = session_of(session);
    if (s == NULL) return;
    (void)chord_guest_call(runtime_behind(s)->guest, guest_session_close, &s->handle, 1, NULL, NULL);
    if (runtime_behind(s)->running == s) runtime_behind(s)->running = NULL;
    free(s);
}

void chord_session_reset(chord_session *session)
{
    proxy_session *s = session_of(session);
    (void)chord_guest_call(runtime_behind(s)->guest, guest_session_reset, &s->handle, 1, NULL, NULL);
}

chord_status chord_session_sync(chord_session *session, const int32_t *tokens, size_t n, size_t *reused,
                                chord_error *err)
{
    proxy_session *s = session_of(session);
    uint64_t kept = 0;
    loan l;
    CHORD_TRY(borrow(runtime_behind(s), tokens, n * sizeof *tokens, &l, err));
    uint64_t args[] = {s->handle, l.at, n};
    chord_status status = ask_for_number(runtime_behind(s), guest_session_sync, args, 3, &kept, err);
    give_back(&l);
    if (reused != NULL) *reused = (size_t)kept;
    return status;
}

chord_status chord_session_score(chord_session *session, const int32_t *tokens, size_t n, size_t first,
                                 double *logprobs, chord_error *err)
{
    proxy_session *s = session_of(session);
    loan l;
    CHORD_TRY(borrow(runtime_behind(s), tokens, n * sizeof *tokens, &l, err));
    uint64_t args[] = {s->handle, l.at, n, first};
    chord_status status = ask_for(runtime_behind(s), guest_session_score, args, 4, true, logprobs, n * sizeof *logprobs,
                                  err);
    give_back(&l);
    return status;
}

static const chord_generate_options GENERATE_DEFAULTS = {0};

static chord_status start(proxy_session *s, const chord_generate_options *o, chord_error *err)
{
    if (o == NULL) o = &GENERATE_DEFAULTS;
    char stops[1024];
    size_t bytes = 0;
    for (size_t i = 0; i < o->stop_count; i++) {
        size_t len = strlen(o->stops[i]) + 1;
        if (len > sizeof stops - bytes)
            return chord_fail(err, CHORD_INVALID, "the stop strings are longer than %zu bytes in all", sizeof stops);
        memcpy(stops + bytes, o->stops[i], len);
        bytes += len;
    }
    chord_guest_generate_options options = {.sampling = o->sampling,
                                            .max_tokens = o->max_tokens,
                                            .ignore_end = o->ignore_end,
                                            .want_logprobs = o->want_logprobs,
                                            .stops_bytes = (uint32_t)bytes,
                                            .draft_tokens = o->draft_tokens};
    loan a, b;
    CHORD_TRY(borrow(runtime_behind(s), &options, sizeof options, &a, err));
    chord_status status = borrow(runtime_behind(s), stops, bytes, &b, err);
    uint64_t args[] = {s->handle, a.at, b.at};
    if (status == CHORD_OK) status = ask(runtime_behind(s), guest_generate_start, args, 3, err);
    give_back(&b);
    give_back(&a);
    return status;
}

static chord_status next(proxy_session *s, const loan *l, chord_guest_piece *raw, chord_piece *out, chord_error *err)
{
    uint64_t args[] = {s->handle, l->at};
    CHORD_TRY(ask(runtime_behind(s), guest_generate_next, args, 2, err));
    if (!fetch(l, raw, sizeof *raw)) return chord_fail(err, CHORD_CORRUPT, "the guest's memory is gone");
    *out = (chord_piece){.token = raw->token, .logprob = raw->logprob, .len = (size_t)raw->len};
    out->text = raw->len > PIECE_BYTES_MAX ? NULL
                : raw->len == 0            ? ""
                                           : chord_guest_bytes(runtime_behind(s)->guest, raw->text, raw->len);
    return out->text != NULL ? CHORD_OK : chord_fail(err, CHORD_CORRUPT, "the guest's text is not in its memory");
}

chord_status chord_session_generate(chord_session *session, const chord_generate_options *options,
                                    chord_on_piece on_piece, void *ud, chord_generate_result *out, chord_error *err)
{
    proxy_session *s = session_of(session);
    chord_guest_piece raw = {.more = 1};
    chord_piece piece;
    if (options == NULL) options = &GENERATE_DEFAULTS;
    /* pieces: one that never ends is stopped */
    uint64_t left = (options->max_tokens != 0 ? options->max_tokens : s->model->info.context_tokens) + 2ull;
    bool stopped = false;
    loan l;
    CHORD_TRY(start(s, options, err));
    CHORD_TRY(borrow(runtime_behind(s), NULL, sizeof raw, &l, err));
    chord_status status = CHORD_OK;
    while (status == CHORD_OK && !stopped) {
        status = next(s, &l, &raw, &piece, err);
        if (status != CHORD_OK || raw.more == 0) break;
        if (left-- == 0) status = chord_fail(err, CHORD_CORRUPT, "the guest makes more text than it was asked for");
        else if (on_piece != NULL) stopped = !on_piece(ud, &piece);
    }
    give_back(&l);
    chord_generate_result result = {0};
    (void)ask_for(runtime_behind(s), guest_generate_result, &s->handle, 1, false, &result, sizeof result, NULL);
    if (stopped) result.stop_reason = CHORD_STOP_CALLER;
    if (out != NULL) *out = result;
    return status;
}

void chord_session_cancel(chord_session *session) { chord_guest_cancel(runtime_behind(session_of(session))->guest); }

void chord_session_on_progress(chord_session *session, void (*on_progress)(void *ud, const chord_progress *), void *ud)
{
    session_of(session)->on_progress = on_progress;
    session_of(session)->progress_ud = ud;
}

void chord_session_stats(const chord_session *session, chord_stats *out)
{
    const proxy_session *s = session_of(session);
    proxy_runtime *r = runtime_behind(s);
    chord_guest_stats stats;
    *out = (chord_stats){0};
    (void)ask_for(r, guest_session_stats, &s->handle, 1, false, out, sizeof *out, NULL);
    make_bool(&out->mapped);
    chord_guest_stats_get(r->guest, &stats);
    out->budget_bytes = r->budget_bytes;
    out->peak_bytes = stats.peak_bytes;
}

void chord_session_stats_reset(chord_session *session)
{
    const proxy_session *s = session_of(session);
    (void)chord_guest_call(runtime_behind(s)->guest, guest_session_stats_reset, &s->handle, 1, NULL, NULL);
}
