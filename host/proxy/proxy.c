/* proxy.c - chord.h over a guest's exports (chord_host_v1.h): numbers and structures go through memory the
 * guest allocates for them. Runtimes, models and texts here, sessions in proxy_session.c.
 *
 * The guest is opened when a call first names a model. What it answers is believed for the text it makes and for
 * nothing else: every address it gives is checked, every length bounded. */
#include "proxy_names.h"

#include "proxy_inner.h"

#include <stdlib.h>

chord_host *proxy_host;
chord_guest_options proxy_guest_options;
chord_host_options proxy_host_options;
const char *proxy_cpu;
void (*proxy_on_close)(const chord_guest *guest);

/* ---- runtime -------------------------------------------------------------------------------------------------- */

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
    proxy_runtime *r = proxy_runtime_of(runtime);
    if (r == NULL) return;
    if (r->guest != NULL && proxy_on_close != NULL) proxy_on_close(r->guest);
    chord_guest_close(r->guest);
    free(r);
}

/* The process counts all it has in memory as taken already, an open guest too: the budget is that of both. */
void proxy_native_options(const chord_runtime *runtime, chord_runtime_options *out)
{
    const proxy_runtime *r = proxy_runtime_of((chord_runtime *)runtime);
    *out = (chord_runtime_options){.threads = r->threads, .budget_bytes = r->budget_bytes};
}

uint32_t chord_runtime_threads(const chord_runtime *runtime)
{
    return proxy_runtime_of((chord_runtime *)runtime)->threads;
}

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
    proxy_loan l;
    CHORD_TRY(proxy_borrow(r, &wanted, sizeof wanted, &l, err));
    chord_status status = proxy_ask_for_number(r, guest_runtime_open, &l.at, 1, &r->handle, err);
    proxy_give_back(&l);
    return status;
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

static uint64_t handle_of(const chord_model *model) { return model != NULL ? proxy_model_of(model)->handle : 0; }

#define PUT(name, type) .name = (uint32_t)o->name,
static chord_guest_model_options options_of(const chord_model_options *o)
{
    static const chord_model_options DEFAULTS = {0};
    if (o == NULL) o = &DEFAULTS;
    return (chord_guest_model_options){.vocabulary_of = handle_of(o->vocabulary_of),
                                       .draft = handle_of(o->draft),
                                       .share_bytes = o->share_bytes,
                                       CHORD_GUEST_MODEL_OPTION_MAP(PUT)};
}

/* The guest plans with what the host leaves it; the user gave a budget for both. */
static void add_host_share(const proxy_runtime *r, chord_plan *plan)
{
    proxy_make_bool(&plan->mapped);
    proxy_make_bool(&plan->packed);
    proxy_make_bool(&plan->fits);
    uint64_t share = r->budget_bytes - r->guest_budget_bytes;
    chord_guest_stats stats;
    chord_guest_stats_get(r->guest, &stats);
    if (plan->budget_bytes_min != 0)
        plan->budget_bytes_min = chord_max_u64(plan->budget_bytes_min + share, stats.compile_budget_bytes);
    plan->budget_bytes += share;
    plan->fixed_bytes += share;
}

static chord_status with_options(proxy_runtime *r, const char *name, const chord_model_options *options, void *to,
                                 size_t bytes, chord_error *err)
{
    proxy_loan l;
    if (options != NULL && options->grammars)
        return chord_fail(
            err, CHORD_UNSUPPORTED,
            "answers of a form (grammars, JSON schemas) are left out of WebAssembly guests; `chord run` makes them");
    if (options != NULL && options->requantize != NULL)
        return chord_fail(
            err, CHORD_UNSUPPORTED,
            "inside WebAssembly weights are used as the file has them: quantising to %s is left out there",
            options->requantize);
    if (options != NULL && options->kv_dir != NULL)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "inside WebAssembly evaluated texts are kept in memory only: --kv-dir %s is left out there",
                          options->kv_dir);
    if (options != NULL && options->kv_tokens != 0)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "guests have a context for each session: kv_tokens is left out there");
    chord_guest_model_options o = options_of(options);
    CHORD_TRY(proxy_borrow(r, &o, sizeof o, &l, err));
    uint64_t args[] = {r->handle, l.at};
    chord_status status = proxy_ask_for(r, name, args, 2, true, to, bytes, err);
    proxy_give_back(&l);
    return status;
}

chord_status chord_model_plan(chord_runtime *runtime, const chord_source *source, const chord_model_options *options,
                              chord_plan *out, chord_error *err)
{
    proxy_runtime *r = proxy_runtime_of(runtime);
    CHORD_TRY(open_guest(r, source->uri, err));
    CHORD_TRY(with_options(r, guest_model_plan, options, out, sizeof *out, err));
    add_host_share(r, out);
    return CHORD_OK;
}

chord_status chord_model_open(chord_runtime *runtime, const chord_source *source, const chord_model_options *options,
                              chord_model **out, chord_error *err)
{
    proxy_runtime *r = proxy_runtime_of(runtime);
    *out = NULL;
    CHORD_TRY(open_guest(r, source->uri, err));
    proxy_model *m = calloc(1, sizeof *m);
    if (m == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a model");
    m->runtime = r;
    chord_status status = with_options(r, guest_model_open, options, &m->handle, chord_guest_is_wide(r->guest) ? 8 : 4,
                                       err);
    if (status == CHORD_OK) {
        status = proxy_ask_for(r, guest_model_describe, &m->handle, 1, false, &m->info, sizeof m->info, err);
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
    proxy_model *m = proxy_model_of(model);
    if (m == NULL) return;
    (void)chord_guest_call(m->runtime->guest, guest_model_close, &m->handle, 1, NULL, NULL);
    free(m);
}

#define TAKE(name, type) .name = (type)i->name,
void chord_model_describe(const chord_model *model, chord_model_info *out)
{
    const chord_guest_model_info *i = &proxy_model_of(model)->info;
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
    size_t bytes = cap > PROXY_CALL_BYTES_MAX / item ? PROXY_CALL_BYTES_MAX : cap * item,
           number = chord_guest_is_wide(r->guest) ? 8 : 4;
    proxy_loan items, size;
    *need = 0;
    CHORD_TRY(proxy_borrow(r, NULL, bytes, &items, err));
    chord_status status = proxy_borrow(r, NULL, 8, &size, err);
    if (status == CHORD_OK) {
        memcpy(all, args, count * sizeof *args);
        all[count] = items.at, all[count + 1] = bytes / item, all[count + 2] = size.at;
        status = proxy_ask(r, name, all, count + 3, err);
        bool there = proxy_fetch(&size, &wanted, number);
        if (status == CHORD_OK && (!there || wanted > cap || !proxy_fetch(&items, out, (size_t)wanted * item)))
            status = chord_fail(err, CHORD_CORRUPT, "%s: the guest answered with more than there is room for", name);
        *need = (size_t)wanted;
        proxy_give_back(&size);
    }
    proxy_give_back(&items);
    return status;
}

chord_status chord_tokenize(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode,
                            int32_t *out, size_t cap, size_t *need, chord_error *err)
{
    const proxy_model *m = proxy_model_of(model);
    proxy_loan l;
    CHORD_TRY(proxy_borrow(m->runtime, text, len, &l, err));
    uint64_t args[] = {m->handle, l.at, len, mode};
    chord_status status = ask_for_items(m->runtime, guest_tokenize, args, 4, sizeof *out, out, cap, need, err);
    proxy_give_back(&l);
    return status;
}

chord_status chord_detokenize(const chord_model *model, const int32_t *tokens, size_t n, bool special, char *out,
                              size_t cap, size_t *need, chord_error *err)
{
    const proxy_model *m = proxy_model_of(model);
    proxy_loan l;
    CHORD_TRY(proxy_borrow(m->runtime, tokens, n * sizeof *tokens, &l, err));
    uint64_t args[] = {m->handle, l.at, n, special};
    chord_status status = ask_for_items(m->runtime, guest_detokenize, args, 4, 1, out, cap, need, err);
    proxy_give_back(&l);
    return status;
}

/* What a guest's model says is told as it comes. */
chord_status chord_reply_open(const chord_model *model, const chord_reply_options *options, chord_reply **out,
                              chord_error *err)
{
    (void)model, (void)options;
    *out = NULL;
    return chord_fail(err, CHORD_UNSUPPORTED, "answers of guests are not taken apart");
}

chord_status chord_chat_render(const chord_model *model, const char *template_text, const char *messages_json,
                               size_t len, bool open_reply, char *out, size_t cap, size_t *need, chord_error *err)
{
    const proxy_model *m = proxy_model_of(model);
    proxy_loan messages, text = {0};
    CHORD_TRY(proxy_borrow(m->runtime, messages_json, len, &messages, err));
    chord_status status = template_text != NULL
                              ? proxy_borrow(m->runtime, template_text, strlen(template_text) + 1, &text, err)
                              : CHORD_OK;
    uint64_t args[] = {m->handle, text.at, messages.at, len, open_reply};
    if (status == CHORD_OK) status = ask_for_items(m->runtime, guest_chat_render, args, 5, 1, out, cap, need, err);
    proxy_give_back(&text);
    proxy_give_back(&messages);
    return status;
}
