/* memory64.c - module "env": the model's bytes for a guest of wasm32, whose own memory ends at 4 GiB.
 *
 * Codes are those an earlier program promised; each call checks in the order in which its codes stand here. Whenever a
 * call fails, the sentence is in the calling thread's error text. After a failure the guest's buffer may hold part of
 * the bytes; the next call works. */
#include "memory64_inner.h"

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static chord_status open_parts(memory64 *m, const host_model *model, chord_error *err)
{
    void *p;
    CHORD_TRY(chord_alloc(m->heap, model->count * sizeof(chord_store *), "the parts of memory64", &p, err));
    m->parts = p;
    m->part_count = model->count;
    memcpy(m->parts, model->stores, model->count * sizeof(chord_store *));
    return CHORD_OK;
}

static chord_status open_enabled(memory64 *m, const host_model *model, const chord_memory64_options *options,
                                 chord_error *err)
{
    CHORD_TRY(m64_index_open(m->heap, model, &m->index, err));
    CHORD_TRY(m64_lay_out(&m->index.sizes, options->layout, &m->layout, err));
    CHORD_TRY(open_parts(m, model, err));
    CHORD_TRY(m64_regions_open(m, err));
    return m64_cache_open(m, options, err);
}

static bool is_large(const host_model *model)
{
    uint64_t left = M64_AUTO_FROM_BYTES;
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->stores[i]->size_bytes > left) return true;
        left -= model->stores[i]->size_bytes;
    }
    return false;
}

chord_status memory64_open(chord_heap *heap, const host_model *model, const chord_memory64_options *options,
                           memory64 **out, chord_error *err)
{
    static const chord_memory64_options defaults;
    void *p;
    *out = NULL;
    if (options == NULL) options = &defaults;
    if (options->enabled == CHORD_ON && model->count == 0)
        return chord_fail(err, CHORD_INVALID, "memory64 regions are wanted, but the guest was given no model");
    CHORD_TRY(chord_alloc(heap, sizeof(memory64), "memory64", &p, err));
    memory64 *m = p;
    m->heap = heap;
    m->enabled = options->enabled == CHORD_ON || (options->enabled == CHORD_AUTO && is_large(model));
    chord_mutex_init(&m->mutex);
    chord_status status = m->enabled ? open_enabled(m, model, options, err) : CHORD_OK;
    if (status == CHORD_OK) *out = m;
    else memory64_close(m);
    return status;
}

void memory64_close(memory64 *m)
{
    if (m == NULL) return;
    m64_cache_close(m);
    m64_regions_close(m);
    chord_free(m->heap, m->parts);
    m64_index_close(m->heap, &m->index);
    chord_mutex_free(&m->mutex);
    chord_free(m->heap, m);
}

void memory64_stats(memory64 *m, chord_memory64_stats *out)
{
    *out = (chord_memory64_stats){0};
    if (m == NULL) return;
    chord_mutex_lock(&m->mutex);
    *out = m->stats;
    chord_mutex_unlock(&m->mutex);
    if (m->enabled) m64_cache_stats(m, out);
}

/* ---- imports ----------------------------------------------------------------------------------------------------- */

#define CODE_DISABLED (-1)
#define FAIL(code, ...) return (chord_fail(call->err, CHORD_INVALID, __VA_ARGS__), (int64_t)(code))

/* NULL: off; the sentence says so. */
static memory64 *enabled(host_call *call)
{
    memory64 *m = call->state;
    if (m != NULL && m->enabled) return m;
    chord_fail(call->err, CHORD_UNSUPPORTED,
               "memory64 is off: it is for models above %" PRIu64 " bytes, or where it is switched on",
               M64_AUTO_FROM_BYTES);
    return NULL;
}

/* NULL: there is no such layer; the sentence says so. */
static const m64_layer *find_layer(host_call *call, const memory64 *m, uint64_t number)
{
    if (number < m->index.layer_count && m->index.layers[number].bytes > 0) return &m->index.layers[number];
    chord_fail(call->err, CHORD_INVALID, "there is no layer %" PRIu64 "; the highest number is below %u", number,
               m->index.layer_count);
    return NULL;
}

/* memory64_load_layer(layer, ptr, max): the layer's bytes, or -1 disabled, -5 no exported memory, -2 no such layer, -3
 * max is too small or the layer has 2 GiB or more, -6 pointer out of range, -4 read failed. */
static int64_t load_layer(host_call *call, const uint64_t *args)
{
    uint64_t number = args[0], ptr = args[1], max = args[2];
    memory64 *m = enabled(call);
    if (m == NULL) return CODE_DISABLED;
    if (call->memory == NULL) FAIL(-5, "layer %" PRIu64 " has nowhere to go: the guest exports no memory", number);
    const m64_layer *layer = find_layer(call, m, number);
    if (layer == NULL) return -2;
    if (layer->bytes > M64_LAYER_BYTES_MAX)
        FAIL(-3, "layer %" PRIu64 " has %" PRIu64 " bytes, one call gives at most %" PRIu64, number, layer->bytes,
             M64_LAYER_BYTES_MAX);
    if (layer->bytes > max)
        FAIL(-3, "layer %" PRIu64 " has %" PRIu64 " bytes, the buffer %" PRIu64, number, layer->bytes, max);
    uint8_t *to = host_bytes(call, ptr, layer->bytes);
    if (to == NULL)
        FAIL(-6, "%" PRIu64 " bytes at %" PRIu64 " are not inside the guest's memory of %" PRIu64, layer->bytes, ptr,
             call->memory_bytes);
    return m64_cache_give(m, (uint32_t)number, to, call->err) == CHORD_OK ? (int64_t)layer->bytes : -4;
}

/* memory64_read(offset, ptr, size): size, or -1 disabled, -3 no exported memory, -2 beyond the model or more than an
 * i32 counts, -4 pointer out of range, -2 read failed. */
static int64_t read_bytes(host_call *call, const uint64_t *args)
{
    uint64_t offset = args[0], ptr = args[1], size = args[2];
    memory64 *m = enabled(call);
    if (m == NULL) return CODE_DISABLED;
    if (call->memory == NULL)
        FAIL(-3, "the bytes at %" PRIu64 " have nowhere to go: the guest exports no memory", offset);
    uint64_t model_bytes = m->index.sizes.model_bytes;
    if (size > INT32_MAX)
        FAIL(-2, "%" PRIu64 " bytes wanted, one call gives at most %" PRIu64, size, (uint64_t)INT32_MAX);
    if (offset > model_bytes || size > model_bytes - offset)
        FAIL(-2, "%" PRIu64 " bytes at %" PRIu64 " wanted, the model has %" PRIu64, size, offset, model_bytes);
    uint8_t *to = host_bytes(call, ptr, size);
    if (to == NULL)
        FAIL(-4, "%" PRIu64 " bytes at %" PRIu64 " are not inside the guest's memory of %" PRIu64, size, ptr,
             call->memory_bytes);
    m64_demand_begin(m);
    chord_status status = m64_read_model(m, offset, to, size, call->err);
    m64_demand_end(m, status);
    if (status != CHORD_OK) return -2;
    chord_mutex_lock(&m->mutex);
    m->stats.reads++;
    m->stats.bytes_read += size;
    chord_mutex_unlock(&m->mutex);
    return (int64_t)size;
}

/* memory64_is_enabled(): 1 or 0. */
static int64_t is_enabled(host_call *call, const uint64_t *args)
{
    (void)args;
    const memory64 *m = call->state;
    return m != NULL && m->enabled;
}

/* memory64_stats(): calls of load_layer and read that were served; 0 when disabled. */
static int64_t reads_served(host_call *call, const uint64_t *args)
{
    (void)args;
    chord_memory64_stats stats;
    memory64_stats(call->state, &stats);
    return (int64_t)stats.reads;
}

/* memory64_layer_count(): one more than the highest layer's number, or -1 disabled. */
static int64_t layer_count(host_call *call, const uint64_t *args)
{
    (void)args;
    const memory64 *m = enabled(call);
    return m == NULL ? CODE_DISABLED : (int64_t)m->index.layer_count;
}

/* memory64_layer_bytes(layer): what load_layer needs, also beyond 2 GiB, or -1 disabled, -2 no such layer. */
static int64_t layer_bytes(host_call *call, const uint64_t *args)
{
    const memory64 *m = enabled(call);
    if (m == NULL) return CODE_DISABLED;
    const m64_layer *layer = find_layer(call, m, args[0]);
    if (layer == NULL) return -2;
    return layer->bytes > INT64_MAX ? INT64_MAX : (int64_t)layer->bytes;
}

/* memory64_prefetch(layer): 0 it will be read, 1 it is there or on its way, or -1 disabled, -2 no such layer, -3 it
 * has 2 GiB or more, or there is no cache, no thread, or too much was asked for already. Whether the read works
 * shows in load_layer. */
static int64_t prefetch(host_call *call, const uint64_t *args)
{
    memory64 *m = enabled(call);
    if (m == NULL) return CODE_DISABLED;
    const m64_layer *layer = find_layer(call, m, args[0]);
    if (layer == NULL) return -2;
    int answer = layer->place == M64_NONE ? -1 : m64_cache_ask(m, (uint32_t)args[0]);
    if (answer < 0)
        FAIL(-3,
             "layer %" PRIu64 " of %" PRIu64
             " bytes is not read ahead; the cache holds %u layers, and at most %u may be asked for",
             args[0], layer->bytes, m->slot_count, M64_ASKED_MAX);
    return answer;
}

/* memory64_preload(): reads as many layers as the cache holds and gives how many lie there now (0: there is no cache),
 * or -1 disabled, -4 read failed. */
static int64_t preload(host_call *call, const uint64_t *args)
{
    (void)args;
    uint32_t resident;
    memory64 *m = enabled(call);
    if (m == NULL) return CODE_DISABLED;
    return m64_cache_preload(m, &resident, call->err) == CHORD_OK ? (int64_t)resident : -4;
}

/* memory64_clear(): layers that left the cache, whose memory is free again, or -1 disabled. What is being
 * read or copied stays. */
static int64_t clear(host_call *call, const uint64_t *args)
{
    (void)args;
    memory64 *m = enabled(call);
    return m == NULL ? CODE_DISABLED : (int64_t)m64_cache_clear(m);
}

/* memory64_stat(which): 0 layers loaded, 1 bytes read from the model, 2 hits, 3 misses, 4 evictions, 5 layers read
 * ahead, 6 failed reads, 7 reads served, 8 bytes of memory the cache has now; or -1 disabled, -2 no such counter. */
static int64_t stat(host_call *call, const uint64_t *args)
{
    chord_memory64_stats s;
    memory64 *m = enabled(call);
    if (m == NULL) return CODE_DISABLED;
    memory64_stats(m, &s);
    const uint64_t counters[] = {s.layers_loaded, s.bytes_read, s.hits,  s.misses,        s.evictions,
                                 s.prefetched,    s.errors,     s.reads, s.resident_bytes};
    if (args[0] >= CHORD_COUNT(counters))
        FAIL(-2, "there is no counter %" PRIu64 ", the last is %zu", args[0], CHORD_COUNT(counters) - 1);
    return (int64_t)counters[args[0]];
}

static const host_import IMPORTS[] = {
    {"memory64_load_layer", "iii", 'i', load_layer},
    {"memory64_read", "lii", 'i', read_bytes},
    {"memory64_is_enabled", "", 'i', is_enabled},
    {"memory64_stats", "", 'l', reads_served},
    {"memory64_layer_count", "", 'i', layer_count},
    {"memory64_layer_bytes", "i", 'l', layer_bytes},
    {"memory64_prefetch", "i", 'i', prefetch},
    {"memory64_preload", "", 'i', preload},
    {"memory64_clear", "", 'i', clear},
    {"memory64_stat", "i", 'l', stat},
};

/* ---- the service ------------------------------------------------------------------------------------------------ */

static chord_status open_service(const host_given *given, void **state, chord_error *err)
{
    memory64 *m;
    if (given->model->count == 0)
        return chord_fail(err, CHORD_INVALID, "%s reads a model, and none was given", given->options->module);
    CHORD_TRY(memory64_open(given->heap, given->model, &given->options->memory64, &m, err));
    *state = m;
    return CHORD_OK;
}

static void close_service(void *state) { memory64_close(state); }
static void stats_of_service(void *state, chord_guest_stats *out) { memory64_stats(state, &out->memory64); }

const host_service memory64_service = {.module = "env",
                                       .imports = IMPORTS,
                                       .import_count = CHORD_COUNT(IMPORTS),
                                       .holds_weights = true,
                                       .open = open_service,
                                       .close = close_service,
                                       .stats = stats_of_service};
