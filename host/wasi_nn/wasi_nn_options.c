/* wasi_nn_options.c - metadata JSON, with the key names of WasmEdge's GGML plugin (llama.cpp's options). */
#include "wasi_nn_inner.h"

#include <float.h>

#define JSON_BYTES_MAX (4 * CHORD_MIB)

typedef enum key_kind { KEY_U32, KEY_I64, KEY_F32, KEY_BOOL } key_kind;

typedef struct key {
    const char *name;
    key_kind kind;
    size_t offset;
    double least, most; /* a number below least becomes least, as the reference does; above most is refused */
} key;

#define OPTION(field) offsetof(nn_options, field)
static const key KEYS[] = {
    {"ctx-size", KEY_U32, OPTION(context_tokens), 0, 1 << 28},
    {"batch-size", KEY_U32, OPTION(chunk_tokens), 0, 1 << 28},
    {"sessions", KEY_U32, OPTION(sessions), 0, NN_CONTEXTS_MAX},
    {"n-predict", KEY_I64, OPTION(predict_tokens), -1, INT32_MAX},
    {"ignore-eos", KEY_BOOL, OPTION(ignore_end), 0, 0},
    {"enable-log", KEY_BOOL, OPTION(log), 0, 0},
    {"enable-debug-log", KEY_BOOL, OPTION(debug_log), 0, 0},
    {"temp", KEY_F32, OPTION(sampling.temperature), 0, 1e6},
    {"top-k", KEY_U32, OPTION(sampling.top_k), 0, 1 << 28},
    {"top-p", KEY_F32, OPTION(sampling.top_p), FLT_MIN, 1e6}, /* 0 is the least there is, not "off" */
    {"min-p", KEY_F32, OPTION(sampling.min_p), 0, 1e6},
    {"typ-p", KEY_F32, OPTION(sampling.typical_p), FLT_MIN, 1e6},
    {"repeat-penalty", KEY_F32, OPTION(sampling.repeat_penalty), 0, 1e6},
    {"presence-penalty", KEY_F32, OPTION(sampling.presence_penalty), -1e6, 1e6},
    {"frequency-penalty", KEY_F32, OPTION(sampling.frequency_penalty), -1e6, 1e6},
    {"last-n-penalty", KEY_U32, OPTION(sampling.penalty_tokens), 0, 1 << 28},
};

void nn_options_default(nn_options *out)
{
    *out = (nn_options){
        .predict_tokens = -1,
        .random_seed = true,
        .sampling = {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .penalty_tokens = 64}};
}

static nn_errno wrong(const nn_call *call, const char *name, const char *wanted)
{
    return nn_fail(call, NN_INVALID_ARGUMENT, "metadata key \"%s\" must be %s", name, wanted);
}

static bool number_of(const chord_json *value, double *out)
{
    if (value->kind == CHORD_JSON_INT) *out = (double)value->integer;
    else if (value->kind == CHORD_JSON_FLOAT) *out = value->number;
    else return false;
    return true;
}

static nn_errno read_key(const nn_call *call, const key *k, const chord_json *value, nn_options *o)
{
    void *at = (char *)o + k->offset;
    double number = 0.0;
    if (k->kind == KEY_BOOL) {
        if (value->kind != CHORD_JSON_BOOL) return wrong(call, k->name, "true or false");
        memcpy(at, &value->boolean, sizeof(bool));
        return NN_SUCCESS;
    }
    if (!number_of(value, &number)) return wrong(call, k->name, "a number");
    if (number < k->least) number = k->least;
    if (!(number <= k->most))
        return nn_fail(call, NN_INVALID_ARGUMENT, "metadata key \"%s\" is %g, the most is %g", k->name, number,
                       k->most);
    if (k->kind == KEY_F32) {
        float narrow = (float)number;
        memcpy(at, &narrow, sizeof narrow);
        return NN_SUCCESS;
    }
    int64_t whole = (int64_t)number;
    if ((double)whole != number) return wrong(call, k->name, "a whole number");
    uint32_t small = (uint32_t)(whole < 0 ? 0 : whole);
    if (k->kind == KEY_U32) memcpy(at, &small, sizeof small);
    else memcpy(at, &whole, sizeof whole);
    return NN_SUCCESS;
}

/* -1 and llama.cpp's 0xFFFFFFFF: another seed for each text. */
static nn_errno read_seed(const nn_call *call, const chord_json *value, nn_options *o)
{
    if (value->kind != CHORD_JSON_INT) return wrong(call, "seed", "a whole number");
    o->random_seed = value->integer == -1 || value->integer == 0xFFFFFFFFll;
    o->sampling.seed = (uint64_t)value->integer;
    return NN_SUCCESS;
}

static nn_errno add_stop(const nn_call *call, const chord_json *text, nn_options *o)
{
    if (text->kind != CHORD_JSON_TEXT) return wrong(call, "reverse-prompt", "a text or a list of texts");
    if (text->len == 0) return NN_SUCCESS;
    if (o->stop_count == NN_STOPS_MAX || text->len >= NN_STOP_BYTES_MAX || strlen(text->text) != text->len)
        return nn_fail(call, NN_INVALID_ARGUMENT,
                       "reverse-prompt: at most %u texts of at most %u bytes and without zero bytes are possible",
                       NN_STOPS_MAX, NN_STOP_BYTES_MAX - 1);
    memcpy(o->stops[o->stop_count++], text->text, text->len + 1);
    return NN_SUCCESS;
}

static nn_errno read_stops(const nn_call *call, const chord_json *value, nn_options *o)
{
    o->stop_count = 0;
    if (value->kind != CHORD_JSON_LIST) return add_stop(call, value, o);
    for (size_t i = 0; i < value->len; i++) {
        nn_errno code = add_stop(call, value->items[i], o);
        if (code != NN_SUCCESS) return code;
    }
    return NN_SUCCESS;
}

/* ggml_type numbers, as WasmEdge gives them, or llama.cpp's names. K and V have one type here. */
static nn_errno read_kv_type(const nn_call *call, const char *name, const chord_json *value, nn_options *o)
{
    bool f16 = value->kind == CHORD_JSON_INT ? value->integer == 1
                                             : value->kind == CHORD_JSON_TEXT && chord_text_equal(value->text, "f16");
    bool q8 = value->kind == CHORD_JSON_INT ? value->integer == 8
                                            : value->kind == CHORD_JSON_TEXT && chord_text_equal(value->text, "q8_0");
    if (!f16 && !q8) return wrong(call, name, "1 or \"f16\", 8 or \"q8_0\"; the cache has no other types");
    o->kv_type = q8 ? CHORD_KV_Q8_0 : CHORD_KV_F16;
    return NN_SUCCESS;
}

/* The text is printed by who opened the guest. */
static nn_errno read_stream(const nn_call *call, const chord_json *value, nn_options *o)
{
    const chord_guest_options *host = call->host->options;
    if (value->kind != CHORD_JSON_BOOL) return wrong(call, "stream-stdout", "true or false");
    if (value->boolean && (host == NULL || host->on_emit == NULL))
        return nn_fail(call, NN_UNSUPPORTED_OPERATION,
                       "metadata asks for \"stream-stdout\": this host has no place to print to");
    o->stream = value->boolean;
    return NN_SUCCESS;
}

static nn_errno read_member(const nn_call *call, const char *name, const chord_json *value, nn_options *o)
{
    if (value->kind == CHORD_JSON_NULL) return NN_SUCCESS;
    for (size_t i = 0; i < CHORD_COUNT(KEYS); i++)
        if (chord_text_equal(name, KEYS[i].name)) return read_key(call, &KEYS[i], value, o);
    if (chord_text_equal(name, "seed")) return read_seed(call, value, o);
    if (chord_text_equal(name, "reverse-prompt")) return read_stops(call, value, o);
    if (chord_text_equal(name, "cache-type-k") || chord_text_equal(name, "cache-type-v"))
        return read_kv_type(call, name, value, o);
    if (chord_text_equal(name, "stream-stdout")) return read_stream(call, value, o);
    return nn_key_not_done(call, name, value);
}

static nn_errno read_object(const nn_call *call, const chord_json *root, nn_options *options)
{
    nn_options changed = *options;
    if (root->kind != CHORD_JSON_OBJECT) return nn_fail(call, NN_INVALID_ENCODING, "metadata must be a JSON object");
    for (size_t i = 0; i < root->len; i++) {
        nn_errno code = read_member(call, root->keys[i]->text, root->items[i], &changed);
        if (code != NN_SUCCESS) return code;
    }
    *options = changed;
    return NN_SUCCESS;
}

nn_errno nn_options_read(const nn_call *call, const char *json, size_t len, nn_options *options)
{
    chord_arena arena;
    chord_error err = {0};
    chord_json *root = NULL;
    chord_arena_init(&arena, call->nn->heap, JSON_BYTES_MAX, "the metadata");
    nn_errno code;
    chord_status status = chord_json_parse(&arena, json, len, &root, &err);
    if (status == CHORD_OK) code = read_object(call, root, options);
    else if (status == CHORD_INVALID || status == CHORD_CORRUPT)
        code = nn_fail(call, NN_INVALID_ENCODING, "metadata: %s", err.text);
    else code = nn_fail_status(call, &err);
    chord_arena_free(&arena);
    return code;
}
