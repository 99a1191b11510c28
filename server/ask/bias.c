/* bias.c - "logit_bias": tokens that are made likelier, or less so. OpenAI's clients say {"1234": -100}; llama.cpp's also name texts, whose
 * tokens all get the number, say [[1234, -100], ["text", false]], and mean by false: never. */
#include "ask/ask.h"

#include <math.h>
#include <stdlib.h>

#define BIAS_MAX 1e6

typedef struct bias_list {
    chord_bias *items;
    size_t count, cap;
} bias_list;

static bool wrong(ask *a)
{
    return ask_invalid(
        a, "logit_bias",
        "'logit_bias' must be {\"TOKEN\": NUMBER} or [[TOKEN, NUMBER]], with a token's number or a text, and "
        "numbers from %g to %g, or false",
        -BIAS_MAX, BIAS_MAX);
}

static bool add(ask *a, bias_list *list, int64_t token, float bias)
{
    if (token < 0 || token >= (int64_t)a->s->info.vocabulary)
        return ask_invalid(a, "logit_bias", "'logit_bias' names token %lld, which this model does not have (0 to %u)",
                           (long long)token, a->s->info.vocabulary - 1);
    if (list->count == list->cap) {
        size_t cap = list->cap * 2 + 16;
        chord_bias *more = ask_get(a, cap * sizeof *more);
        if (more == NULL) return false;
        if (list->count > 0) memcpy(more, list->items, list->count * sizeof *more);
        list->items = more;
        list->cap = cap;
    }
    list->items[list->count++] = (chord_bias){.token = (int32_t)token, .bias = bias};
    return true;
}

static bool add_text(ask *a, bias_list *list, const chord_json *text, float bias)
{
    ask_prompt p;
    if (!ask_tokenize(a, text->text, text->len, CHORD_TOKENIZE_PLAIN, &p)) return false;
    for (uint32_t i = 0; i < p.count; i++)
        if (!add(a, list, p.tokens[i], bias)) return false;
    return true;
}

/* digits: a text of digits is a token's number, as the keys of objects are. */
static bool add_entry(ask *a, bias_list *list, const chord_json *key, const chord_json *value, bool digits)
{
    float bias = -INFINITY;
    bool number = value->kind == CHORD_JSON_INT || value->kind == CHORD_JSON_FLOAT;
    double given = value->kind == CHORD_JSON_INT ? (double)value->integer : value->number;
    if (!number && (value->kind != CHORD_JSON_BOOL || value->boolean)) return wrong(a);
    if (number && !(given >= -BIAS_MAX && given <= BIAS_MAX)) return wrong(a);
    if (number) bias = (float)given;
    if (key->kind == CHORD_JSON_INT) return add(a, list, key->integer, bias);
    if (key->kind != CHORD_JSON_TEXT) return wrong(a);
    char *end = (char *)key->text;
    long long id = digits ? strtoll(key->text, &end, 10) : 0;
    bool all = digits && end == key->text + key->len && key->len > 0;
    return all ? add(a, list, id, bias) : add_text(a, list, key, bias);
}

bool ask_biases(ask *a, chord_generate_options *out)
{
    const chord_json *given = ask_field(a->root, "logit_bias");
    bias_list list = {0};
    if (given == NULL) return true;
    bool object = given->kind == CHORD_JSON_OBJECT;
    if (!object && given->kind != CHORD_JSON_LIST) return wrong(a);
    for (size_t i = 0; i < given->len; i++) {
        const chord_json *item = given->items[i];
        if (!object && (item->kind != CHORD_JSON_LIST || item->len != 2)) return wrong(a);
        if (!(object ? add_entry(a, &list, given->keys[i], item, true)
                     : add_entry(a, &list, item->items[0], item->items[1], false)))
            return false;
    }
    out->biases = list.items;
    out->bias_count = list.count;
    return true;
}
