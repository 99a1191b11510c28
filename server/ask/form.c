/* form.c - the form of an answer: a JSON schema or a grammar, by the names that OpenAI's and llama.cpp's clients use. */
#include "ask/ask.h"

bool ask_form_failed(ask *a, const char *param, const chord_error *err)
{
    bool theirs = err->status == CHORD_UNSUPPORTED || err->status == CHORD_INVALID;
    bool memory = err->status == CHORD_BUDGET || err->status == CHORD_NO_MEMORY;
    if (theirs) return ask_invalid(a, param, "%s", err->text);
    if (memory && models_users(a->s) <= 1) /* nobody gives any back */
        return ask_invalid(a, param, "the form takes more memory than there is: %s", err->text);
    return ask_fail(a, param, err);
}

static bool open_form(ask *a, const char *param, chord_grammar_kind kind, const char *text, size_t len,
                      chord_generate_options *out)
{
    chord_error err;
    if (a->grammar != NULL) return ask_invalid(a, param, "an answer has one form, and '%s' is another one", param);
    chord_mutex_lock(&a->s->reading); /* it takes the model's memory */
    chord_status status = chord_grammar_open(a->s->model, kind, text, len, NULL, &a->grammar, &err);
    chord_mutex_unlock(&a->s->reading);
    out->grammar = a->grammar;
    if (status == CHORD_OK && out->ignore_end)
        return ask_invalid(a, "ignore_eos", "an answer of a form ends where the form does");
    return status == CHORD_OK || ask_form_failed(a, param, &err);
}

/* Of what is said, when what is thought and called is known apart: it waits for the prompt (ask_reply_form). */
static bool keep_schema(ask *a, const char *param, const char *text, size_t len)
{
    char *copy = ask_get(a, len + 1);
    if (copy == NULL) return false;
    if (a->said_schema != NULL || a->grammar != NULL)
        return ask_invalid(a, param, "an answer has one form, and '%s' is another one", param);
    memcpy(copy, text, len);
    a->said_schema = copy;
    a->said_len = len;
    a->said_param = param;
    return true;
}

static bool open_schema_text(ask *a, const char *param, const char *text, size_t len, chord_generate_options *out)
{
    return a->apart ? keep_schema(a, param, text, len) : open_form(a, param, CHORD_GRAMMAR_JSON_SCHEMA, text, len, out);
}

static bool open_schema(ask *a, const char *param, const chord_json *schema, chord_generate_options *out)
{
    chord_buffer text;
    writer w = ask_writer(a, &text);
    write_value(&w, NULL, schema);
    bool done = w.status == CHORD_OK ? open_schema_text(a, param, text.data, text.len, out)
                                     : ask_fail(a, param, &w.error);
    chord_buffer_free(&text);
    return done;
}

bool ask_format(ask *a, const char *param, const chord_json *format, chord_generate_options *out)
{
    static const char ANY_OBJECT[] = "{\"type\":\"object\"}";
    const chord_json *type = ask_field(format, "type"), *named = ask_field(format, "json_schema");
    const chord_json *schema = named != NULL ? ask_field(named, "schema") : ask_field(format, "schema");
    if (format == NULL) return true;
    const char *kind = type != NULL && type->kind == CHORD_JSON_TEXT ? type->text : "";
    if (chord_text_equal(kind, "text")) return true;
    if (chord_text_equal(kind, "json_object") && schema == NULL)
        return open_schema_text(a, param, ANY_OBJECT, sizeof ANY_OBJECT - 1, out);
    if (chord_text_equal(kind, "json_object") || (chord_text_equal(kind, "json_schema") && schema != NULL))
        return open_schema(a, param, schema, out);
    return ask_invalid(
        a, param, "'%s' must be {\"type\": \"text\"}, {\"type\": \"json_object\"}, or \"json_schema\" with a schema",
        param);
}

bool ask_form(ask *a, chord_generate_options *out)
{
    const char *grammar;
    const chord_json *schema = ask_field(a->root, "json_schema");
    if (!ask_text(a, a->root, "grammar", &grammar)) return false;
    if (grammar != NULL && *grammar != '\0' &&
        !open_form(a, "grammar", CHORD_GRAMMAR_GBNF, grammar, strlen(grammar), out))
        return false;
    bool says = schema != NULL && !(schema->kind == CHORD_JSON_OBJECT && schema->len == 0);
    if (says && !open_schema(a, "json_schema", schema, out)) return false;
    return ask_format(a, "response_format", ask_field(a->root, "response_format"), out);
}
