/* fields.c - single fields of a request, each with a sentence for what it may be. */
#include "ask/ask.h"

const chord_json *ask_field(const chord_json *object, const char *key)
{
    const chord_json *value = chord_json_get(object, key);
    return value != NULL && value->kind != CHORD_JSON_NULL ? value : NULL;
}

bool ask_bool(ask *a, const char *key, bool *out)
{
    const chord_json *value = ask_field(a->root, key);
    if (value == NULL) return true;
    if (value->kind != CHORD_JSON_BOOL) return ask_invalid(a, key, "'%s' must be true or false", key);
    *out = value->boolean;
    return true;
}

/* 3.0 is a whole number, too. */
static bool whole(const chord_json *value, int64_t *out)
{
    if (value->kind == CHORD_JSON_INT) *out = value->integer;
    else if (value->kind != CHORD_JSON_FLOAT || !(value->number >= -1e15 && value->number <= 1e15)) return false;
    else *out = (int64_t)value->number;
    return value->kind == CHORD_JSON_INT || (double)*out == value->number;
}

bool ask_whole(ask *a, const char *key, int64_t low, int64_t high, int64_t *out)
{
    const chord_json *value = ask_field(a->root, key);
    int64_t number;
    if (value == NULL) return true;
    if (!whole(value, &number) || number < low || number > high)
        return ask_invalid(a, key, "'%s' must be a whole number from %lld to %lld", key, (long long)low,
                           (long long)high);
    *out = number;
    return true;
}

bool ask_number(ask *a, const char *key, double low, double high, float *out)
{
    const chord_json *value = ask_field(a->root, key);
    if (value == NULL) return true;
    double number = value->kind == CHORD_JSON_INT ? (double)value->integer : value->number;
    bool is_number = value->kind == CHORD_JSON_INT || value->kind == CHORD_JSON_FLOAT;
    if (!is_number || !(number >= low && number <= high))
        return ask_invalid(a, key, "'%s' must be a number from %g to %g", key, low, high);
    *out = (float)number;
    return true;
}

bool ask_text(ask *a, const chord_json *object, const char *key, const char **out)
{
    const chord_json *value = ask_field(object, key);
    *out = NULL;
    if (value == NULL) return true;
    if (value->kind != CHORD_JSON_TEXT) return ask_invalid(a, key, "'%s' must be a text", key);
    *out = value->text;
    return true;
}

bool ask_cannot(ask *a, const char *key, const char *why)
{
    const chord_json *value = ask_field(a->root, key);
    if (value == NULL || (value->kind == CHORD_JSON_BOOL && !value->boolean)) return true;
    bool holds = value->kind == CHORD_JSON_LIST || value->kind == CHORD_JSON_OBJECT || value->kind == CHORD_JSON_TEXT;
    if (holds && value->len == 0) return true;
    return ask_invalid(a, key, "'%s' cannot be done here: %s", key, why);
}
