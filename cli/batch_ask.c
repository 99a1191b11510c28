/* batch_ask.c - {"prompt": ...} or {"messages": ...} with options of its own. */
#include "batch_ask.h"

#include "json/json.h"
#include "prompt.h"

#include <stdlib.h>
#include <string.h>

#define TREE_SHARE 16 /* of a line: bytes of its tree */
#define TREE_BYTES 65536

typedef struct reading {
    const batch_common *common;
    const batch_lines *line;
    const chord_json *root;
    batch_ask *ask;
    chord_error *err;
} reading;

static chord_status wrong(const reading *r, const char *key, const char *takes)
{
    return chord_fail(r->err, CHORD_INVALID, "\"%s\" takes %s", key, takes);
}

/* NULL: not given. null means that too. */
static const chord_json *value_of(const reading *r, const char *key)
{
    const chord_json *value = chord_json_get(r->root, key);
    return value != NULL && value->kind != CHORD_JSON_NULL ? value : NULL;
}

/* ---- options -------------------------------------------------------------------------------------------------- */

/* The command line's by the names they have in other programs' requests: with its ranges. */
static const struct {
    const char *key, *option;
} OPTIONS[] = {
    {"max_tokens", "--predict"},
    {"n_predict", "--predict"},
    {"temperature", "--temp"},
    {"top_k", "--top-k"},
    {"top_p", "--top-p"},
    {"min_p", "--min-p"},
    {"typical_p", "--typical"},
    {"repeat_penalty", "--repeat-penalty"},
    {"presence_penalty", "--presence-penalty"},
    {"frequency_penalty", "--frequency-penalty"},
    {"seed", "--seed"},
    {"ignore_eos", "--ignore-eos"},
    {"raw", "--raw"},
};
static const char *const OTHERS[] = {"prompt", "messages", "tools", "id", "stop"};

static chord_status out_of_range(const reading *r, const char *key, const cli_option *o, bool whole)
{
    if (o->low == 0 && o->high == 0) return wrong(r, key, whole ? "a whole number from 0 on" : "a number");
    return chord_fail(r->err, CHORD_INVALID, "\"%s\" takes a %snumber from %.10g to %.10g", key, whole ? "whole " : "",
                      o->low, o->high);
}

static chord_status set_option(const reading *r, const char *key, const cli_option *o, const chord_json *value)
{
    void *field = (char *)&r->ask->args + o->field;
    bool whole = o->kind != CLI_F32, is_int = value->kind == CHORD_JSON_INT;
    if (o->kind == CLI_FLAG) {
        if (value->kind != CHORD_JSON_BOOL) return wrong(r, key, "true or false");
        *(bool *)field = value->boolean;
        return CHORD_OK;
    }
    double number = is_int ? (double)value->integer : value->number;
    bool any = o->low == 0 && o->high == 0;
    bool fits = is_int || (!whole && value->kind == CHORD_JSON_FLOAT);
    if (!fits || (any ? whole && value->integer < 0 : number < o->low || number > o->high))
        return out_of_range(r, key, o, whole);
    if (o->kind == CLI_F32) *(float *)field = (float)number;
    else if (o->kind == CLI_U32) *(uint32_t *)field = (uint32_t)value->integer;
    else if (o->kind == CLI_U64) *(uint64_t *)field = (uint64_t)value->integer;
    else *(int64_t *)field = value->integer;
    return CHORD_OK;
}

static chord_status set_options(const reading *r)
{
    for (size_t i = 0; i < CLI_COUNT(OPTIONS); i++) {
        const chord_json *value = value_of(r, OPTIONS[i].key);
        if (value == NULL) continue;
        const cli_option *o = cli_find_option(r->common->command, OPTIONS[i].option);
        CHORD_TRY(set_option(r, OPTIONS[i].key, o, value));
    }
    return CHORD_OK;
}

static chord_status check_stop(const reading *r, const chord_json *stop)
{
    if (stop->kind != CHORD_JSON_TEXT || stop->len == 0 || strlen(stop->text) != stop->len)
        return wrong(r, "stop", "a text that is not empty and has no zero byte, or a list of such");
    return CHORD_OK;
}

/* A text or a list; they live on when the tree is gone. */
static chord_status set_stops(const reading *r)
{
    const chord_json *value = value_of(r, "stop");
    batch_ask *ask = r->ask;
    if (value == NULL) return CHORD_OK;
    chord_json one = {.kind = CHORD_JSON_LIST, .len = 1, .items = (chord_json *[]){(chord_json *)value}};
    if (value->kind == CHORD_JSON_TEXT) value = &one;
    if (value->kind != CHORD_JSON_LIST) return check_stop(r, value);
    if (value->len > CLI_STOPS_MAX)
        return chord_fail(r->err, CHORD_INVALID, "\"stop\" has %zu texts, %d are possible", value->len, CLI_STOPS_MAX);
    size_t bytes = 0;
    for (size_t i = 0; i < value->len; i++) {
        CHORD_TRY(check_stop(r, value->items[i]));
        bytes += value->items[i]->len + 1;
    }
    char *to = ask->stops = cli_alloc(NULL, bytes);
    ask->args.stop_count = (uint32_t)value->len;
    for (size_t i = 0; i < value->len; i++) {
        ask->args.stops[i] = memcpy(to, value->items[i]->text, value->items[i]->len + 1);
        to += value->items[i]->len + 1;
    }
    return CHORD_OK;
}

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

static bool is_known(const char *key)
{
    for (size_t i = 0; i < CLI_COUNT(OPTIONS); i++)
        if (strcmp(OPTIONS[i].key, key) == 0) return true;
    for (size_t i = 0; i < CLI_COUNT(OTHERS); i++)
        if (strcmp(OTHERS[i], key) == 0) return true;
    return false;
}

static chord_status check_keys(const reading *r)
{
    const char *names[CLI_COUNT(OPTIONS) + CLI_COUNT(OTHERS)];
    size_t count = 0;
    if (r->root->kind != CHORD_JSON_OBJECT)
        return chord_fail(r->err, CHORD_INVALID, "the line is no object with a \"prompt\" or \"messages\"");
    for (size_t i = 0; i < r->root->len; i++) {
        const char *key = r->root->keys[i]->text;
        if (is_known(key)) continue;
        for (size_t k = 0; k < CLI_COUNT(OPTIONS); k++) names[count++] = OPTIONS[k].key;
        for (size_t k = 0; k < CLI_COUNT(OTHERS); k++) names[count++] = OTHERS[k];
        const char *nearest = strlen(key) > 2 ? cli_nearest(key, names, count) : NULL;
        if (nearest != NULL)
            return chord_fail(r->err, CHORD_INVALID, "there is no option \"%.64s\"; did you mean \"%s\"?", key,
                              nearest);
        return chord_fail(r->err, CHORD_INVALID, "there is no option \"%.64s\"", key);
    }
    return CHORD_OK;
}

/* Given back as it came: a text or a whole number. */
static chord_status take_id(const reading *r)
{
    const chord_json *id = value_of(r, "id");
    if (id == NULL) return CHORD_OK;
    if (id->kind == CHORD_JSON_TEXT) json_text_n(&r->ask->id, NULL, id->text, id->len);
    else if (id->kind == CHORD_JSON_INT) json_i64(&r->ask->id, NULL, id->integer);
    else return wrong(r, "id", "a text or a whole number");
    return CHORD_OK;
}

/* ---- the prompt ------------------------------------------------------------------------------------------------------ */

/* The line itself is what the template reads its messages, and tools, from. */
static chord_status render(const reading *r, const chord_json *prompt, char **text, size_t *len)
{
    const batch_common *c = r->common;
    if (prompt == NULL)
        return cli_render(c->text, c->template_text, r->line->text, r->line->len, true, text, len, r->err);
    return cli_render_prompt(c->text, c->template_text, c->args->system, prompt->text, prompt->len, text, len, r->err);
}

static chord_status check_prompt(const reading *r, const chord_json *prompt, const chord_json *messages)
{
    if ((prompt == NULL) == (messages == NULL))
        return chord_fail(r->err, CHORD_INVALID,
                          prompt != NULL ? "the line has a \"prompt\" and \"messages\": one of them"
                                         : "the line has neither \"prompt\" nor \"messages\"");
    if (prompt != NULL && prompt->kind != CHORD_JSON_TEXT) return wrong(r, "prompt", "a text");
    if (messages != NULL && messages->kind != CHORD_JSON_LIST)
        return wrong(r, "messages", "a list of {\"role\", \"content\"}");
    if (messages != NULL && r->ask->args.raw)
        return chord_fail(r->err, CHORD_INVALID, "\"messages\" need the template, which \"raw\" leaves out");
    if (messages == NULL && value_of(r, "tools") != NULL)
        return chord_fail(r->err, CHORD_INVALID, "\"tools\" go with \"messages\"");
    return CHORD_OK;
}

static chord_status make_ids(const reading *r)
{
    const chord_json *prompt = value_of(r, "prompt"), *messages = value_of(r, "messages");
    const batch_common *c = r->common;
    batch_ask *ask = r->ask;
    CHORD_TRY(check_prompt(r, prompt, messages));
    if (prompt != NULL && (ask->args.raw || !c->has_template)) {
        CHORD_TRY(cli_tokenize_text(c->text, prompt->text, prompt->len, CHORD_TOKENIZE_RAW, &ask->ids, &ask->id_count,
                                    r->err));
    } else {
        char *text;
        size_t len;
        CHORD_TRY(render(r, prompt, &text, &len));
        chord_status status = cli_tokenize_text(c->text, text, len, CHORD_TOKENIZE_SPECIAL, &ask->ids, &ask->id_count,
                                                r->err);
        free(text);
        CHORD_TRY(status);
    }
    if (ask->id_count == 0)
        return chord_fail(r->err, CHORD_INVALID, "the prompt is empty: there is nothing to continue");
    if (ask->id_count <= c->context_tokens) return CHORD_OK;
    return chord_fail(r->err, CHORD_FULL, "the prompt has %zu tokens, the context holds %u (--ctx)", ask->id_count,
                      c->context_tokens);
}

/* ---- the line ------------------------------------------------------------------------------------------------------------ */

static chord_status read_tree(reading *r, chord_arena *arena)
{
    chord_json *root;
    bool marked = r->line->number == 1 && strncmp(r->line->text, "\xEF\xBB\xBF", 3) == 0; /* an editor's, for a file */
    size_t skip = marked ? 3 : 0;
    CHORD_TRY(chord_json_parse(arena, r->line->text + skip, r->line->len - skip, &root, r->err));
    r->root = root;
    if (root->kind == CHORD_JSON_OBJECT) CHORD_TRY(take_id(r));
    CHORD_TRY(check_keys(r));
    CHORD_TRY(set_options(r));
    CHORD_TRY(set_stops(r));
    return make_ids(r);
}

chord_status batch_ask_read(const batch_common *c, const batch_lines *line, batch_ask *out, chord_error *err)
{
    chord_arena arena;
    char most[32];
    reading r = {.common = c, .line = line, .ask = out, .err = err};
    *out = (batch_ask){.line = line->number, .input = line->hash, .args = *c->args};
    if (line->len < line->bytes)
        return chord_fail(err, CHORD_FULL, "the line has %" PRIu64 " bytes, %s are the most for this budget",
                          line->bytes, cli_size_text(c->limit, most));
    chord_arena_init(&arena, c->heap, line->len * TREE_SHARE + TREE_BYTES, "the line's JSON");
    chord_status status = read_tree(&r, &arena);
    chord_arena_free(&arena);
    return status;
}

void batch_ask_free(batch_ask *ask)
{
    free(ask->ids);
    free(ask->stops);
    json_free(&ask->id);
    *ask = (batch_ask){0};
}
