/* wasi_nn_model.c - graphs and execution contexts: handles, lists, who works with what. A graph is a handle and its
 * settings; graphs of one file share one model. */
#include "wasi_nn_inner.h"

/* ---- models --------------------------------------------------------------------------------------------------- */

/* A model without graphs and contexts, in no list. */
static void free_model(wasi_nn *nn, nn_model *m)
{
    chord_model_close(m->model);
    chord_free(nn->heap, m->bytes);
    chord_free(nn->heap, m);
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
    code = nn_model_check(call, m, options);
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
    code = nn_model_check(call, m, options);
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
    nn_session_drop(nn, c);
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

static nn_errno add_context(const nn_call *call, nn_context *c, uint32_t graph, uint32_t *handle)
{
    wasi_nn *nn = call->nn;
    enum { ADDED, GONE, LIMIT } what = ADDED;
    chord_mutex_lock(&nn->mutex);
    nn_graph *g = find_graph(nn, graph);
    if (g == NULL) what = GONE;
    else if (nn->context_count >= NN_CONTEXTS_MAX || nn->last_context == UINT32_MAX) what = LIMIT;
    if (what == ADDED) {
        c->handle = *handle = ++nn->last_context;
        c->graph = g;
        c->model = g->model;
        c->next = nn->contexts;
        nn->contexts = c;
        nn->context_count++;
    }
    chord_mutex_unlock(&nn->mutex);
    if (what == GONE) return no_graph(call, graph);
    if (what == LIMIT)
        return nn_fail(call, NN_BUSY, "%u execution contexts exist, more are not possible", NN_CONTEXTS_MAX);
    return NN_SUCCESS;
}

nn_errno nn_context_open(const nn_call *call, uint32_t graph, uint32_t *handle)
{
    wasi_nn *nn = call->nn;
    chord_error err = {0};
    nn_options options = {0};
    void *memory = NULL;
    chord_mutex_lock(&nn->mutex);
    const nn_graph *g = find_graph(nn, graph);
    if (g != NULL) options = g->options;
    chord_mutex_unlock(&nn->mutex);
    if (g == NULL) return no_graph(call, graph);
    if (chord_alloc(nn->heap, sizeof(nn_context), "an execution context", &memory, &err) != CHORD_OK)
        return nn_fail_status(call, &err);
    nn_context *c = memory;
    c->options = options;
    chord_buffer_init(&c->output, nn->heap, NN_OUTPUT_BYTES_MAX);
    nn_errno code = add_context(call, c, graph, handle);
    if (code != NN_SUCCESS) chord_free(nn->heap, c);
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
        c->used = ++nn->uses;
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
    nn_session_drop(call->nn, c);
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
