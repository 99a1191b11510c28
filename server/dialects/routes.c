/* routes.c - which path is what. */
#include "dialects/dialects_inner.h"
#include "page/page.h"

typedef struct route {
    const char *path;
    bool post;
    void (*handle)(ask *a);
} route;

static const route ROUTES[] = {
    {"/v1/chat/completions", true, dialect_chat},
    {"/chat/completions", true, dialect_chat},
    {"/v1/chat/completions/input_tokens", true, dialect_chat_tokens},
    {"/chat/completions/input_tokens", true, dialect_chat_tokens},
    {"/v1/completions", true, dialect_completions},
    {"/v1/embeddings", true, dialect_embeddings},
    {"/embeddings", true, dialect_embeddings},
    {"/v1/models", false, dialect_models},
    {"/models", false, dialect_models},
    {"/v1/messages", true, dialect_messages},
    {"/v1/messages/count_tokens", true, dialect_count_tokens},
    {"/v1/responses", true, dialect_responses},
    {"/v1/responses/input_tokens", true, dialect_responses_tokens},
    {"/responses", true, dialect_responses},
    {"/responses/input_tokens", true, dialect_responses_tokens},
    {"/completion", true, dialect_completion},
    {"/completions", true, dialect_completion},
    {"/infill", true, dialect_infill},
    {"/tokenize", true, dialect_tokenize},
    {"/detokenize", true, dialect_detokenize},
    {"/apply-template", true, dialect_apply_template},
    {"/props", false, dialect_props},
    {"/slots", false, dialect_slots},
    {"/health", false, dialect_health},
    {"/v1/health", false, dialect_health},
    {"/metrics", false, dialect_metrics},
};
static const char ONE_MODEL[] = "/v1/models/";

static bool is_anthropic(const char *path) { return strncmp(path, "/v1/messages", 12) == 0; }

static const dialect *errors_of(const wire_request *r)
{
    return is_anthropic(r->path) ? &dialect_anthropic : &dialect_openai;
}

static const char *type_of(uint32_t status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 503: return "unavailable_error";
    default: return "invalid_request_error";
    }
}

/* Without memory for as much as an error the status alone is said. */
static ask *open_ask(served *s, wire_request *r)
{
    ask *a;
    chord_buffer nothing;
    if (ask_open(s, r, &a) == CHORD_OK) return a;
    chord_buffer_init(&nothing, s->heap, 1);
    wire_reply(r, 503, NULL, &nothing);
    return NULL;
}

void dialects_refuse(void *ud, wire_request *r, uint32_t status, const char *sentence)
{
    models *all = ud;
    ask *a = open_ask(&all->each[0], r);
    if (a == NULL) return;
    ask_refuse(a, status, type_of(status), NULL, "%s", sentence);
    answer_refuse(a, errors_of(r));
}

static const route *find(const wire_request *r)
{
    for (size_t i = 0; i < CHORD_COUNT(ROUTES); i++)
        if (chord_text_equal(ROUTES[i].path, r->path)) return &ROUTES[i];
    return NULL;
}

void dialects_handle(void *ud, wire_request *r)
{
    models *all = ud;
    bool get = chord_text_equal(r->method, "GET") || chord_text_equal(r->method, "HEAD");
    bool post = chord_text_equal(r->method, "POST");
    size_t n = sizeof ONE_MODEL - 1;
    const route *found = find(r);
    bool one_model = get && strncmp(r->path, ONE_MODEL, n) == 0 && r->path[n] != '\0', page = page_has(r->path);
    if (found == NULL && !one_model && !page) {
        dialects_refuse(all, r, 404, "there is no such path here; docs/SERVER.md lists those there are");
        return;
    }
    bool posts = found != NULL && found->post;
    if (!one_model && (posts ? !post : !get)) {
        wire_header(r, "Allow", posts ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
        dialects_refuse(all, r, 405, posts ? "this path takes POST" : "this path takes GET");
        return;
    }
    if (page) { /* also while the model is being opened */
        page_reply(r, all->each[0].heap);
        return;
    }
    if (!atomic_load(&all->ready)) {
        wire_header(r, "Retry-After", "1");
        dialects_refuse(all, r, 503, "the model is being opened");
        return;
    }
    ask *a = open_ask(post ? &all->each[0] : models_recent(all), r);
    if (a == NULL) return;
    if (one_model) dialect_model(a, r->path + n);
    else found->handle(a);
}
