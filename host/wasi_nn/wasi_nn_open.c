/* wasi_nn_open.c - the models and sessions behind graphs and contexts, and who gives room to whom.
 *
 * The weights are read when the first prompt comes: by then the guest has said how large the context shall be
 * (metadata may come after load), and they are read once. What is wrong with a file is found at load.
 *
 * Guests need not end what they no longer use (the crates have no way to), so what no import works on gives its room:
 * an idle context its session (its text is made again from its prompt when it is asked on), an idle model all of its
 * own. Everything here happens under `opening`; who was found idle and comes in meanwhile waits there, and then finds
 * that it has none. */
#include "wasi_nn_inner.h"

#include <errno.h>

/* ---- where a model's bytes are --------------------------------------------------------------------------------- */

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    const nn_model *m = ud;
    if (offset > m->bytes_len || len > m->bytes_len - offset) return CHORD_IO;
    memcpy(dst, m->bytes + offset, len);
    return CHORD_OK;
}

chord_source nn_model_source(nn_model *m)
{
    if (m->path != NULL) return (chord_source){.uri = m->path};
    return (chord_source){.read = read_bytes, .size_bytes = m->bytes_len, .ud = m};
}

const char *nn_model_name(const nn_model *m) { return m->name != NULL ? m->name : "the given bytes"; }

/* ---- giving room ----------------------------------------------------------------------------------------------- */

/* What costs less to make again: a context between texts before one in the middle of a stream; of those the one that
 * was used longest ago, of streams the shortest. */
static bool is_cheaper(const nn_context *a, const nn_context *b)
{
    bool streams_a = a->stream == NN_STREAM_RUNNING, streams_b = b->stream == NN_STREAM_RUNNING;
    if (streams_a != streams_b) return streams_b;
    return streams_a ? a->pieces < b->pieces : a->used < b->used;
}

/* Takes a session of m from a context that no import works on. False: all of them are at work. */
static bool free_session(wasi_nn *nn, nn_model *m)
{
    nn_context *cheapest = NULL;
    chord_session *session = NULL;
    chord_mutex_lock(&nn->mutex);
    for (nn_context *c = nn->contexts; c != NULL; c = c->next) {
        if (c->model != m || c->busy || c->session == NULL) continue;
        if (cheapest == NULL || is_cheaper(c, cheapest)) cheapest = c;
    }
    if (cheapest != NULL) {
        session = cheapest->session;
        cheapest->session = NULL;
    }
    chord_mutex_unlock(&nn->mutex);
    if (session == NULL) return false;
    chord_session_close(session);
    m->sessions--;
    return true;
}

/* Closes a model on whose contexts, but for `mine`, no import works. */
static bool close_idle(wasi_nn *nn, nn_model *m, const nn_context *mine)
{
    bool idle = m->model != NULL;
    chord_mutex_lock(&nn->mutex);
    for (const nn_context *c = nn->contexts; c != NULL; c = c->next)
        idle = idle && (c->model != m || c == mine || !c->busy);
    for (nn_context *c = nn->contexts; c != NULL && idle; c = c->next) {
        if (c->model != m || c->session == NULL) continue;
        chord_session_close(c->session);
        c->session = NULL;
        m->sessions--;
    }
    chord_mutex_unlock(&nn->mutex);
    if (!idle || m->sessions > 0) return false; /* of contexts that are being closed, and are in no list any more */
    chord_model_close(m->model);
    m->model = NULL;
    return true;
}

/* Closes the idle model that was used longest ago. False: there is none but m. */
static bool free_model_room(wasi_nn *nn, const nn_model *m)
{
    for (uint64_t after = 0;;) {
        nn_model *oldest = NULL;
        chord_mutex_lock(&nn->mutex);
        for (nn_model *other = nn->models; other != NULL; other = other->next)
            if (other != m && other->model != NULL && other->used > after &&
                (oldest == NULL || other->used < oldest->used))
                oldest = other;
        chord_mutex_unlock(&nn->mutex);
        if (oldest == NULL) return false;
        if (close_idle(nn, oldest, NULL)) return true;
        after = oldest->used;
    }
}

static bool lacks_room(chord_status status) { return status == CHORD_BUDGET || status == CHORD_NO_MEMORY; }

/* ---- what a model opens with ------------------------------------------------------------------------------------- */

static chord_model_options options_for(const nn_model *m, const nn_options *o, uint32_t sessions)
{
    return (chord_model_options){.context_tokens = o->context_tokens != 0 ? o->context_tokens : m->default_tokens,
                                 .sessions_max = sessions,
                                 .chunk_tokens = o->chunk_tokens,
                                 .kv_type = o->kv_type};
}

/* With the room that others give. */
static chord_status plan_with_room(const nn_call *call, nn_model *m, const nn_options *o, uint32_t sessions,
                                   chord_plan *out, chord_error *err)
{
    chord_source source = nn_model_source(m);
    chord_model_options options = options_for(m, o, sessions);
    chord_status status;
    do status = chord_model_plan(call->nn->runtime, &source, &options, out, err);
    while ((lacks_room(status) || (status == CHORD_OK && !out->fits)) && free_model_room(call->nn, m));
    return status;
}

/* How many sessions the budget carries without streaming more of the weights than for one;
 * NN_SESSIONS_DEFAULT at most. */
static chord_status spare_sessions(const nn_call *call, nn_model *m, const nn_options *o, uint32_t *out,
                                   chord_error *err)
{
    chord_source source = nn_model_source(m);
    chord_model_options options = options_for(m, o, 1);
    chord_plan one, more;
    *out = 1;
    CHORD_TRY(plan_with_room(call, m, o, 1, &one, err));
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
                              nn_model_name(m), m->trained_tokens, o->context_tokens);
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

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static chord_status open_with_room(const nn_call *call, nn_model *m, const nn_options *o, uint32_t *sessions,
                                   chord_error *err)
{
    chord_plan plan;
    *sessions = o->sessions;
    if (o->sessions == 0) CHORD_TRY(spare_sessions(call, m, o, sessions, err));
    else CHORD_TRY(plan_with_room(call, m, o, o->sessions, &plan, err));
    chord_source source = nn_model_source(m);
    chord_model_options options = options_for(m, o, *sessions);
    chord_status status;
    do status = chord_model_open(call->nn->runtime, &source, &options, &m->model, err);
    while (lacks_room(status) && free_model_room(call->nn, m));
    return status;
}

static nn_errno open_model(const nn_call *call, nn_model *m, const nn_options *wanted)
{
    chord_error err = {0};
    chord_model_info info;
    uint32_t sessions = 1;
    nn_options o = wishes_of(call->nn, m, wanted);
    clamp_context(call, m, &o);
    if (open_with_room(call, m, &o, &sessions, &err) != CHORD_OK) return nn_fail_status(call, &err);
    chord_model_describe(m->model, &info);
    m->context_tokens = info.context_tokens;
    m->sessions_max = sessions;
    m->kv_type = o.kv_type;
    nn_log(call, wanted, "%s is open: contexts of %u tokens, %u session%s", nn_model_name(m), m->context_tokens,
           sessions, sessions == 1 ? "" : "s");
    return NN_SUCCESS;
}

/* Another kind of cache makes other numbers: a text that is half told cannot be made again from it. */
static bool others_stream(wasi_nn *nn, const nn_context *mine)
{
    bool streams = false;
    chord_mutex_lock(&nn->mutex);
    for (const nn_context *c = nn->contexts; c != NULL; c = c->next)
        streams = streams || (c->model == mine->model && c != mine && !c->busy && c->stream == NN_STREAM_RUNNING);
    chord_mutex_unlock(&nn->mutex);
    return streams;
}

static nn_errno adapt_locked(const nn_call *call, nn_context *c, const nn_options *o)
{
    nn_model *m = c->model;
    nn_options wanted = *o;
    clamp_context(call, m, &wanted);
    bool larger = wanted.context_tokens > m->context_tokens, more = o->sessions > m->sessions_max;
    bool other_kv = o->kv_type != c->options.kv_type && o->kv_type != m->kv_type;
    if (m->model == NULL || (!larger && !more && !other_kv)) return NN_SUCCESS;
    if ((other_kv && others_stream(call->nn, c)) || !close_idle(call->nn, m, c))
        return nn_fail(call, NN_BUSY,
                       "%s is open for %u sessions of %u tokens, and another context computes with it: it cannot open "
                       "again for more now",
                       nn_model_name(m), m->sessions_max, m->context_tokens);
    if (other_kv) c->stream = NN_STREAM_IDLE;
    return NN_SUCCESS;
}

static nn_errno need_locked(const nn_call *call, nn_context *c)
{
    wasi_nn *nn = call->nn;
    nn_model *m = c->model;
    chord_error err = {0};
    chord_session *session = NULL;
    m->used = c->used;
    if (c->session != NULL) return NN_SUCCESS;
    nn_errno code = adapt_locked(call, c, &c->options);
    if (code == NN_SUCCESS && m->model == NULL) code = open_model(call, m, &c->options);
    if (code != NN_SUCCESS) return code;
    while (m->sessions >= m->sessions_max)
        if (!free_session(nn, m))
            return nn_fail(call, NN_BUSY,
                           "all %u sessions of %s compute; the metadata key \"sessions\" makes room for more",
                           m->sessions_max, nn_model_name(m));
    if (chord_session_open(m->model, &session, &err) != CHORD_OK) return nn_fail_status(call, &err);
    m->sessions++;
    c->fresh = true;
    chord_mutex_lock(&nn->mutex);
    c->session = session;
    chord_mutex_unlock(&nn->mutex);
    return NN_SUCCESS;
}

nn_errno nn_session_need(const nn_call *call, nn_context *c)
{
    chord_mutex_lock(&call->nn->opening);
    nn_errno code = need_locked(call, c);
    chord_mutex_unlock(&call->nn->opening);
    return code;
}

void nn_session_drop(wasi_nn *nn, nn_context *c)
{
    chord_mutex_lock(&nn->opening);
    chord_mutex_lock(&nn->mutex);
    chord_session *session = c->session;
    c->session = NULL;
    chord_mutex_unlock(&nn->mutex);
    c->stream = NN_STREAM_IDLE;
    if (session != NULL) {
        chord_session_close(session);
        c->model->sessions--;
    }
    chord_mutex_unlock(&nn->opening);
}

nn_errno nn_model_adapt(const nn_call *call, nn_context *c, const nn_options *options)
{
    chord_mutex_lock(&call->nn->opening);
    nn_errno code = adapt_locked(call, c, options);
    chord_mutex_unlock(&call->nn->opening);
    return code;
}

/* ---- load -------------------------------------------------------------------------------------------------------- */

static chord_status inspect(const nn_call *call, nn_model *m, const nn_options *o, chord_plan *plan, chord_error *err)
{
    static const chord_model_options HEADER = {.no_vocabulary = true, .no_weights = true};
    chord_source source = nn_model_source(m);
    chord_model *header = NULL;
    chord_model_info info;
    chord_status status;
    do status = chord_model_open(call->nn->runtime, &source, &HEADER, &header, err);
    while (lacks_room(status) && free_model_room(call->nn, m));
    if (status != CHORD_OK) return status;
    chord_model_describe(header, &info);
    chord_model_close(header);
    m->trained_tokens = info.trained_context_tokens;
    m->default_tokens = info.context_tokens;
    nn_options clamped = *o;
    clamp_context(call, m, &clamped);
    chord_model_options options = options_for(m, &clamped, o->sessions);
    return chord_model_plan(call->nn->runtime, &source, &options, plan, err);
}

/* Open ones give their room when it comes to that. */
static bool others_are_open(wasi_nn *nn)
{
    bool open = false;
    chord_mutex_lock(&nn->mutex);
    for (const nn_model *m = nn->models; m != NULL; m = m->next) open = open || m->model != NULL;
    chord_mutex_unlock(&nn->mutex);
    return open;
}

nn_errno nn_model_check(const nn_call *call, nn_model *m, const nn_options *o)
{
    chord_error err = {0};
    chord_plan plan;
    chord_mutex_lock(&call->nn->opening);
    chord_status status = inspect(call, m, o, &plan, &err);
    bool alone = !others_are_open(call->nn);
    chord_mutex_unlock(&call->nn->opening);
    if (status == CHORD_IO && err.os_errno == ENOENT) return nn_fail(call, NN_MODEL_NOT_FOUND, "%s", err.text);
    if (status != CHORD_OK) return nn_fail_status(call, &err);
    if (!plan.fits && alone)
        nn_say(call, CHORD_LOG_WARN,
               "%s with a context of %u tokens needs a budget of %.1f MiB, there are %.1f; a smaller ctx-size may do",
               nn_model_name(m), plan.context_tokens, (double)plan.budget_bytes_min / (double)CHORD_MIB,
               (double)plan.budget_bytes / (double)CHORD_MIB);
    return NN_SUCCESS;
}
