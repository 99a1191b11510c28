/* parse.c - the body, and the model that it is for. */
#include "ask/ask.h"

/* A request that names none gets the one that was used last. */
static bool find_model(ask *a, served **out)
{
    const chord_json *model = ask_field(a->root, "model");
    const char *name = model != NULL && model->kind == CHORD_JSON_TEXT ? model->text : "";
    *out = name[0] != '\0' ? models_find(a->s->all, name) : models_recent(a->s->all);
    if (*out != NULL) return true;
    a->wrong.code = "model_not_found";
    return ask_refuse(a, 404, "not_found_error", "model", "there is no model '%.200s' here; /v1/models lists them",
                      name);
}

bool ask_take(ask *a, served *wanted)
{
    chord_error err;
    models_turn turn = {.all = a->s->all};
    if (!wire_on_gone(a->wire, models_gone, &turn)) turn.gone = true;
    chord_status status = models_take(wanted, &turn, &err);
    wire_on_gone(a->wire, NULL, NULL);
    if (status != CHORD_OK) return ask_fail(a, NULL, &err);
    a->s = wanted;
    a->taken = true;
    return true;
}

bool ask_parse(ask *a)
{
    chord_error err;
    chord_json *root = NULL;
    const chord_buffer *body = &a->wire->body;
    if (body->len == 0) return ask_invalid(a, NULL, "the request has no body: a JSON object is wanted");
    chord_status status = chord_json_parse(&a->arena, body->data, body->len, &root, &err);
    if (status == CHORD_BUDGET || status == CHORD_NO_MEMORY) return ask_memory(a);
    if (status != CHORD_OK) return ask_fail(a, NULL, &err);
    if (root->kind != CHORD_JSON_OBJECT) return ask_invalid(a, NULL, "the request's body is no JSON object");
    a->root = root;
    served *wanted;
    return find_model(a, &wanted) && ask_take(a, wanted);
}
