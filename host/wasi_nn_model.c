/* wasi_nn_model.c - graphs and execution contexts, and the models and sessions behind them.
 *
 * A graph is a handle and its settings; graphs of one file share one model. The weights are read when the first prompt
 * comes: by then the guest has said how large the context shall be (metadata may come after load), and they are read
 * once. What is wrong with a file is found at load. */
#include "wasi_nn_inner.h"

#include <errno.h>

/* ---- where a model's bytes are ------------------------------------------------------------------------------- */

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    const nn_model *m = ud;
    if (offset > m->bytes_len || len > m->bytes_len - offset) return CHORD_IO;
    memcpy(dst, m->bytes + offset, len);
    return CHORD_OK;
}

static chord_source source_of(nn_model *m)
{
    if (m->path != NULL) return (chord_source){.uri = m->path};
    return (chord_source){.read = read_bytes, .size_bytes = m->bytes_len, .ud = m};
}

static const char *name_of(const nn_model *m) { return m->name != NULL ? m->name : "the given bytes"; }

/* A model without graphs and contexts, in no list. */
static void free_model(wasi_nn *nn, nn_model *m)
{
    chord_model_close(m->model);
    chord_free(nn->heap, m->bytes);
    chord_free(nn->heap, m);
}

/* ---- what a model opens with --------------------------------------------------------------------------------- */

static chord_model_options options_for(const nn_model *m, const nn_options *o, uint32_t sessions)
{
    return (chord_model_options){.context_tokens = o->context_tokens != 0 ? o->context_tokens : m->default_tokens,
                                 .sessions_max = sessions,
                                 .chunk_tokens = o->chunk_tokens,
                                 .kv_type = o->kv_type};
}

/* How many sessions the budget carries without streaming more of the weights than for one;
 * NN_SESSIONS_DEFAULT at most. */
static chord_status spare_sessions(const nn_call *call, nn_model *m, const nn_options *o, uint32_t *out,
                                   chord_error *err)
{
    chord_source source = source_of(m);
    chord_model_options options = options_for(m, o, 1);
    chord_plan one, more;
    *out = 1;
    CHORD_TRY(chord_model_plan(call->nn->runtime, &source, &options, &one, err));
    for (uint32_t n = NN_SESSIONS_DEFAULT; n > 1 && one.fits; n--) {
        options.sessions_max = n;
        CHORD_TRY(chord_model_plan(call->nn->runtime, &source, &options, &more, err));
        if (!more.fits || more.mapped != one.mapped || more.streamed_bytes_per_pass > one.streamed_bytes_per_pass)
            continue;
        *out = n;
        break;
    }
    return CHORD_OK;
}

static void clamp_context(const nn_call *call, const nn_model *m, nn_options *o)
{
    if (o->context_tokens <= m->trained_tokens) return;
    char text[160];
    size_t len = chord_format(text, sizeof text, "%s was trained for contexts of %u tokens; ctx-size %u becomes that",
                              name_of(m), m->trained_tokens, o->context_tokens);
    o->context_tokens = m->trained_tokens;
    if (nn_first_time(call, text, chord_min_u64(len, sizeof text - 1))) nn_say(call, CHORD_LOG_WARN, "%s", text);
}

/* The widest of what the model's contexts ask for. */
static nn_options wishes_of(wasi_nn *nn, const nn_model *m, const nn_options *o)
{
    nn_options all = *o;
    chord_mutex_lock(&nn->mutex);
    for (const nn_context *c = nn->contexts; c != NULL; c = c->next) {
        if (c->model != m) continue;
        uint32_t tokens = c->options.context_tokens;
        uint32_t asked = all.context_tokens != 0 ? all.context_tokens : m->default_tokens;
        if ((tokens != 0 ? tokens : m->default_tokens) > asked) all.context_tokens = tokens;
        if (c->options.sessions > all.sessions) all.sessions = c->options.sessions;
    }
    chord_mutex_unlock(&nn->mutex);
    return all;
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

static nn_errno open_model(const nn_call *call, nn_model *m, const nn_options *wanted)
{
    chord_error err = {0};
    nn_options o = wishes_of(call->nn, m, wanted);
    uint32_t sessions = o.sessions;
    clamp_context(call, m, &o);
    chord_status status = CHORD_OK;
    if (sessions == 0) status = spare_sessions(call, m, &o, &sessions, &err);
    chord_mutex_lock(&call->nn->mutex);
    if (sessions < m->contexts) sessions = m->contexts;
    chord_mutex_unlock(&call->nn->mutex);
    chord_source source = source_of(m);
    chord_model_options options = options_for(m, &o, sessions);
    if (status == CHORD_OK) status = chord_model_open(call->nn->runtime, &source, &options, &m->model, &err);
    if (status != CHORD_OK) return nn_fail_status(call, &err);
    chord_model_info info;
    chord_model_describe(m->model, &info);
    m->context_tokens = info.context_tokens;
    m->sessions_max = sessions;
    m->kv_type = o.kv_type;
    nn_say(call, CHORD_LOG_INFO, "%s is open: contexts of %u tokens, %u session%s", name_of(m), m->context_tokens,
           sessions, sessions == 1 ? "" : "s");
    return NN_SUCCESS;
}

static void drop_locked(wasi_nn *nn, nn_context *c)
{
    chord_mutex_lock(&nn->mutex);
    chord_session *session = c->session;
    c->session = NULL;
    chord_mutex_unlock(&nn->mutex);
    if (session == NULL) return;
    chord_session_close(session);
    c->model->sessions--;
    c->stream = NN_STREAM_IDLE;
}

static nn_errno adapt_locked(const nn_call *call, nn_context *c, const nn_options *o)
{
    nn_model *m = c->model;
    nn_options wanted = *o;
    clamp_context(call, m, &wanted);
    bool larger = wanted.context_tokens > m->context_tokens, more = o->sessions > m->sessions_max;
    bool other_kv = o->kv_type != c->options.kv_type && o->kv_type != m->kv_type;
    if (m->model == NULL || (!larger && !more && !other_kv)) return NN_SUCCESS;
    uint32_t others = m->sessions - (c->session != NULL);
    if (others > 0)
        return nn_fail(
            call, NN_BUSY,
            "%s is open for %u sessions of %u tokens, and %u other context%s in use: it cannot open again for more now",
            name_of(m), m->sessions_max, m->context_tokens, others, others == 1 ? " is" : "s are");
    drop_locked(call->nn, c);
    chord_model_close(m->model);
    m->model = NULL;
    return NN_SUCCESS;
}

static nn_errno need_locked(const nn_call *call, nn_context *c)
{
    nn_model *m = c->model;
    chord_error err = {0};
    chord_session *session = NULL;
    if (c->session != NULL) return NN_SUCCESS;
    nn_errno code = adapt_locked(call, c, &c->options);
    if (code == NN_SUCCESS && m->model == NULL) code = open_model(call, m, &c->options);
    if (code != NN_SUCCESS) return code;
    if (m->sessions >= m->sessions_max)
        return nn_fail(call, NN_BUSY,
                       "all %u sessions of %s are in use; the metadata key \"sessions\" makes room for more",
                       m->sessions_max, name_of(m));
    if (chord_session_open(m->model, &session, &err) != CHORD_OK) return nn_fail_status(call, &err);
    m->sessions++;
    chord_mutex_lock(&call->nn->mutex);
    c->session = session;
    chord_mutex_unlock(&call->nn->mutex);
    return NN_SUCCESS;
}

nn_errno nn_session_need(const nn_call *call, nn_context *c)
{
    chord_mutex_lock(&call->nn->opening);
    nn_errno code = need_locked(call, c);
    chord_mutex_unlock(&call->nn->opening);
    return code;
}

void nn_session_drop(const nn_call *call, nn_context *c)
{
    chord_mutex_lock(&call->nn->opening);
    drop_locked(call->nn, c);
    chord_mutex_unlock(&call->nn->opening);
}

nn_errno nn_model_adapt(const nn_call *call, nn_context *c, const nn_options *options)
{
    chord_mutex_lock(&call->nn->opening);
    nn_errno code = adapt_locked(call, c, options);
    chord_mutex_unlock(&call->nn->opening);
    return code;
}

/* ---- load ------------------------------------------------------------------------------------------------------ */

/* Reads the header: is it a model, of an architecture we know, and how long may contexts be? */
static chord_status inspect(const nn_call *call, nn_model *m, const nn_options *o, chord_plan *plan, chord_error *err)
{
    static const chord_model_options HEADER = {.no_vocabulary = true, .no_weights = true};
    chord_source source = source_of(m);
    chord_model *header = NULL;
    chord_model_info info;
    CHORD_TRY(chord_model_open(call->nn->runtime, &source, &HEADER, &header, err));
    chord_model_describe(header, &info);
    chord_model_close(header);
    m->trained_tokens = info.trained_context_tokens;
    m->default_tokens = info.context_tokens;
    nn_options clamped = *o;
    clamp_context(call, m, &clamped);
    chord_model_options options = options_for(m, &clamped, o->sessions);
    return chord_model_plan(call->nn->runtime, &source, &options, plan, err);
}

static nn_errno check_model(const nn_call *call, nn_model *m, const nn_options *o)
{
    chord_error err = {0};
    chord_plan plan;
    chord_status status = inspect(call, m, o, &plan, &err);
    if (status == CHORD_IO && err.os_errno == ENOENT) return nn_fail(call, NN_MODEL_NOT_FOUND, "%s", err.text);
    if (status != CHORD_OK) return nn_fail_status(call, &err);
    if (!plan.fits)
        nn_say(call, CHORD_LOG_WARN,
               "%s with a context of %u tokens needs a budget of %.1f MiB, there are %.1f; a smaller ctx-size may do",
               name_of(m), plan.context_tokens, (double)plan.budget_bytes_min / (double)CHORD_MIB,
               (double)plan.budget_bytes / (double)CHORD_MIB);
    return NN_SUCCESS;
}

/* Puts the graph, and its model when that is new, into the lists. */
static nn_errno publish(const nn_call *call, nn_graph *g, nn_model *m, bool is_new, uint32_t *handle)
{
    wasi_nn *nn = call->nn;
    chord_mutex_lock(&nn->mutex);
    bool room = nn->graph_count < NN_GRAPHS_MAX && nn->last_graph < UINT32_MAX;
    if (room) {
        g->handle = *handle = ++nn->last_graph;
        g->model = m;
        g->next = nn->graphs;
        nn->graphs = g;
        nn->graph_count++;
        if (is_new) {
            m->next = nn->models;
            nn->models = m;
            m->graphs++;
        }
    }
    chord_mutex_unlock(&nn->mutex);
    return room ? NN_SUCCESS
                : nn_fail(call, NN_BUSY, "%u graphs are loaded, more are not possible; unload one", NN_GRAPHS_MAX);
}

static nn_errno new_graph(const nn_call *call, const nn_options *options, nn_graph **out)
{
    chord_error err = {0};
    void *memory = NULL;
    if (chord_alloc(call->nn->heap, sizeof(nn_graph), "a graph", &memory, &err) != CHORD_OK)
        return nn_fail_status(call, &err);
    *out = memory;
    (*out)->options = *options;
    return NN_SUCCESS;
}

static nn_errno new_model(const nn_call *call, nn_model **out)
{
    chord_error err = {0};
    void *memory = NULL;
    if (chord_alloc(call->nn->heap, sizeof(nn_model), "a model's entry", &memory, &err) != CHORD_OK)
        return nn_fail_status(call, &err);
    *out = memory;
    return NN_SUCCESS;
}

nn_errno nn_load_bytes(const nn_call *call, uint8_t *bytes, uint64_t len, const nn_options *options, uint32_t *handle)
{
    nn_graph *g = NULL;
    nn_model *m = NULL;
    nn_errno code = new_model(call, &m);
    if (code != NN_SUCCESS) return code;
    m->bytes = bytes;
    m->bytes_len = len;
    code = check_model(call, m, options);
    if (code == NN_SUCCESS) code = new_graph(call, options, &g);
    if (code == NN_SUCCESS) code = publish(call, g, m, true, handle);
    if (code == NN_SUCCESS) return NN_SUCCESS;
    chord_free(call->nn->heap, g);
    chord_free(call->nn->heap, m);
    return code;
}

static void leave_model(wasi_nn *nn, nn_model *m)
{
    chord_mutex_lock(&nn->mutex);
    bool last = --m->graphs == 0;
    for (nn_model **at = &nn->models; last && *at != NULL; at = &(*at)->next) {
        if (*at != m) continue;
        *at = m->next;
        break;
    }
    chord_mutex_unlock(&nn->mutex);
    if (!last) return;
    chord_mutex_lock(&nn->opening);
    free_model(nn, m);
    chord_mutex_unlock(&nn->opening);
}

static nn_model *join_model(wasi_nn *nn, const chord_nn_preload *preload)
{
    chord_mutex_lock(&nn->mutex);
    nn_model *m = nn->models;
    while (m != NULL && m->path != preload->path) m = m->next;
    if (m != NULL) m->graphs++;
    chord_mutex_unlock(&nn->mutex);
    return m;
}

static nn_errno load_new(const nn_call *call, const chord_nn_preload *preload, const nn_options *options, nn_graph *g,
                         uint32_t *handle)
{
    nn_model *m = NULL;
    nn_errno code = new_model(call, &m);
    if (code != NN_SUCCESS) return code;
    m->name = preload->name;
    m->path = preload->path;
    code = check_model(call, m, options);
    if (code == NN_SUCCESS) code = publish(call, g, m, true, handle);
    if (code != NN_SUCCESS) chord_free(call->nn->heap, m);
    return code;
}

nn_errno nn_load_name(const nn_call *call, const char *name, const nn_options *options, uint32_t *handle)
{
    wasi_nn *nn = call->nn;
    const chord_nn_preload *preload = NULL;
    for (size_t i = 0; i < nn->preload_count && preload == NULL; i++)
        if (chord_text_equal(nn->preloads[i].name, name)) preload = &nn->preloads[i];
    if (preload == NULL)
        return nn_fail(call, NN_NOT_FOUND,
                       "no model is named \"%.200s\"; the host was given %zu (--nn-preload NAME:GGML:AUTO:PATH)", name,
                       nn->preload_count);
    nn_graph *g = NULL;
    nn_errno code = new_graph(call, options, &g);
    if (code != NN_SUCCESS) return code;
    nn_model *m = join_model(nn, preload);
    if (m == NULL) {
        code = load_new(call, preload, options, g, handle);
    } else {
        code = publish(call, g, m, false, handle);
        if (code != NN_SUCCESS) leave_model(nn, m);
    }
    if (code != NN_SUCCESS) chord_free(nn->heap, g);
    return code;
}

/* ---- handles ----------------------------------------------------------------------------------------------------- */

static nn_graph *find_graph(wasi_nn *nn, uint32_t handle)
{
    nn_graph *g = nn->graphs;
    while (g != NULL && g->handle != handle) g = g->next;
    return g;
}

static nn_errno no_graph(const nn_call *call, uint32_t handle)
{
    return nn_fail(call, NN_INVALID_ARGUMENT, "there is no graph %u, or it was unloaded", handle);
}

static void free_context(wasi_nn *nn, nn_context *c)
{
    chord_mutex_lock(&nn->opening);
    drop_locked(nn, c);
    chord_mutex_unlock(&nn->opening);
    chord_buffer_free(&c->output);
    chord_free(nn->heap, c->tokens);
    chord_free(nn->heap, c);
}

/* Takes contexts of this graph, or the one with this handle, out of the list; NULL and *busy when an import
 * works on one of them. */
static nn_context *take_contexts(wasi_nn *nn, const nn_graph *g, uint32_t handle, bool *busy)
{
    nn_context *taken = NULL;
    *busy = false;
    for (const nn_context *c = nn->contexts; c != NULL; c = c->next)
        *busy = *busy || ((c->graph == g || c->handle == handle) && c->busy);
    for (nn_context **at = &nn->contexts; *at != NULL && !*busy;) {
        nn_context *c = *at;
        if (c->graph != g && c->handle != handle) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        c->next = taken;
        taken = c;
        nn->context_count--;
        c->model->contexts--;
    }
    return taken;
}

nn_errno nn_unload(const nn_call *call, uint32_t handle)
{
    wasi_nn *nn = call->nn;
    bool busy = false;
    nn_context *taken = NULL;
    chord_mutex_lock(&nn->mutex);
    nn_graph *g = find_graph(nn, handle);
    if (g != NULL) taken = take_contexts(nn, g, 0, &busy);
    if (g != NULL && !busy) {
        nn_graph **at = &nn->graphs;
        while (*at != g) at = &(*at)->next;
        *at = g->next;
        nn->graph_count--;
    }
    chord_mutex_unlock(&nn->mutex);
    if (g == NULL) return no_graph(call, handle);
    if (busy) return nn_fail(call, NN_BUSY, "another thread computes with graph %u", handle);
    while (taken != NULL) {
        nn_context *next = taken->next;
        free_context(nn, taken);
        taken = next;
    }
    leave_model(nn, g->model);
    chord_free(nn->heap, g);
    return NN_SUCCESS;
}

/* How many contexts a model that is not open yet will carry. */
static nn_errno sessions_planned(const nn_call *call, nn_model *m, const nn_options *options, uint32_t *out)
{
    chord_error err = {0};
    nn_options o = wishes_of(call->nn, m, options);
    clamp_context(call, m, &o);
    *out = o.sessions;
    if (o.sessions != 0) return NN_SUCCESS;
    return spare_sessions(call, m, &o, out, &err) == CHORD_OK ? NN_SUCCESS : nn_fail_status(call, &err);
}

static nn_errno sessions_allowed(const nn_call *call, nn_model *m, const nn_options *options, uint32_t *out)
{
    nn_errno code = NN_SUCCESS;
    chord_mutex_lock(&call->nn->opening);
    if (m->model != NULL) *out = m->sessions_max;
    else code = sessions_planned(call, m, options, out);
    chord_mutex_unlock(&call->nn->opening);
    return code;
}

static nn_errno add_context(const nn_call *call, nn_context *c, uint32_t graph, uint32_t allowed, uint32_t *handle)
{
    wasi_nn *nn = call->nn;
    enum { ADDED, GONE, FULL, LIMIT } what = ADDED;
    chord_mutex_lock(&nn->mutex);
    nn_graph *g = find_graph(nn, graph);
    if (g == NULL) what = GONE;
    else if (g->model->contexts >= allowed) what = FULL;
    else if (nn->context_count >= NN_CONTEXTS_MAX || nn->last_context == UINT32_MAX) what = LIMIT;
    if (what == ADDED) {
        c->handle = *handle = ++nn->last_context;
        c->graph = g;
        c->model = g->model;
        c->next = nn->contexts;
        nn->contexts = c;
        nn->context_count++;
        g->model->contexts++;
    }
    chord_mutex_unlock(&nn->mutex);
    if (what == GONE) return no_graph(call, graph);
    if (what == LIMIT)
        return nn_fail(call, NN_BUSY, "%u execution contexts exist, more are not possible", NN_CONTEXTS_MAX);
    if (what == FULL)
        return nn_fail(
            call, NN_BUSY,
            "%s carries %u execution contexts at a time; the metadata key \"sessions\" at load makes room for more",
            name_of(g->model), allowed);
    return NN_SUCCESS;
}

nn_errno nn_context_open(const nn_call *call, uint32_t graph, uint32_t *handle)
{
    wasi_nn *nn = call->nn;
    chord_error err = {0};
    nn_options options = {0};
    nn_model *m = NULL;
    void *memory = NULL;
    uint32_t allowed = 0;
    chord_mutex_lock(&nn->mutex);
    nn_graph *g = find_graph(nn, graph);
    if (g != NULL) {
        options = g->options;
        m = g->model;
        m->graphs++; /* it stays while we look at it */
    }
    chord_mutex_unlock(&nn->mutex);
    if (m == NULL) return no_graph(call, graph);
    nn_errno code = sessions_allowed(call, m, &options, &allowed);
    if (code == NN_SUCCESS &&
        chord_alloc(nn->heap, sizeof(nn_context), "an execution context", &memory, &err) != CHORD_OK)
        code = nn_fail_status(call, &err);
    if (code == NN_SUCCESS) {
        nn_context *c = memory;
        c->options = options;
        chord_buffer_init(&c->output, nn->heap, NN_OUTPUT_BYTES_MAX);
        code = add_context(call, c, graph, allowed, handle);
        if (code != NN_SUCCESS) chord_free(nn->heap, c);
    }
    leave_model(nn, m);
    return code;
}

static nn_errno no_context(const nn_call *call, uint32_t handle)
{
    return nn_fail(call, NN_INVALID_ARGUMENT, "there is no execution context %u, or it ended with its graph", handle);
}

static nn_errno in_use(const nn_call *call, uint32_t handle)
{
    return nn_fail(call, NN_BUSY, "another thread works with execution context %u", handle);
}

nn_errno nn_context_close(const nn_call *call, uint32_t handle)
{
    wasi_nn *nn = call->nn;
    bool busy = false;
    chord_mutex_lock(&nn->mutex);
    nn_context *c = take_contexts(nn, NULL, handle, &busy);
    nn_model *m = c != NULL ? c->model : NULL;
    if (m != NULL) m->graphs++; /* it stays until the session is closed, also when another thread unloads the graph */
    chord_mutex_unlock(&nn->mutex);
    if (busy) return in_use(call, handle);
    if (m == NULL) return no_context(call, handle);
    free_context(nn, c);
    leave_model(nn, m);
    return NN_SUCCESS;
}

nn_errno nn_context_enter(const nn_call *call, uint32_t handle, bool computes, nn_context **out)
{
    wasi_nn *nn = call->nn;
    chord_mutex_lock(&nn->mutex);
    nn_context *c = nn->contexts;
    while (c != NULL && c->handle != handle) c = c->next;
    bool busy = c != NULL && c->busy;
    if (c != NULL && !busy) {
        c->busy = true;
        c->computes = computes;
        c->cancelled = false;
    }
    chord_mutex_unlock(&nn->mutex);
    if (c == NULL) return no_context(call, handle);
    if (busy) return in_use(call, handle);
    *out = c;
    return NN_SUCCESS;
}

/* A cancel that came too late to be noticed would hit the session's next call: such a session is dropped. */
void nn_context_leave(const nn_call *call, nn_context *c)
{
    chord_mutex_lock(&call->nn->mutex);
    c->computes = false;
    bool late = c->cancelled;
    if (!late) c->busy = false;
    chord_mutex_unlock(&call->nn->mutex);
    if (!late) return;
    nn_session_drop(call, c);
    chord_mutex_lock(&call->nn->mutex);
    c->busy = false;
    chord_mutex_unlock(&call->nn->mutex);
}

void nn_free_all(wasi_nn *nn)
{
    for (nn_context *c = nn->contexts, *next; c != NULL; c = next) {
        next = c->next;
        free_context(nn, c);
    }
    for (nn_graph *g = nn->graphs, *next; g != NULL; g = next) {
        next = g->next;
        chord_free(nn->heap, g);
    }
    for (nn_model *m = nn->models, *next; m != NULL; m = next) {
        next = m->next;
        free_model(nn, m);
    }
}
