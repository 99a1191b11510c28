/* text.c - tokens and chat templates of a model. */
#include "api/api_inner.h"

static chord_status need_vocab(const chord_model *m, chord_error *err)
{
    CHORD_NEED(m, "the model");
    if (m->vocab != NULL) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID, "the model was opened without its vocabulary, or its file has none");
}

chord_status chord_tokenize(const chord_model *m, const char *text, size_t len, chord_tokenize_mode mode, int32_t *out,
                            size_t cap, size_t *need, chord_error *err)
{
    CHORD_NEED(need, "the place for the count");
    CHORD_TRY(need_vocab(m, err));
    if ((uint32_t)mode > CHORD_TOKENIZE_RAW)
        return chord_fail(err, CHORD_INVALID, "%u is no way to tokenise", (uint32_t)mode);
    return chord_vocab_encode(m->vocab, text, len, mode, out, cap, need, err);
}

/* Give what a buffer holds to the caller, as much as fits. */
static chord_status hand_over(const chord_buffer *buffer, char *out, size_t cap, size_t *need, chord_error *err)
{
    size_t n = buffer->len < cap ? buffer->len : cap;
    if (n > 0) memcpy(out, buffer->data, n);
    *need = buffer->len;
    return buffer->len <= cap ? CHORD_OK
                              : chord_fail(err, CHORD_SHORT, "%zu bytes are needed, %zu were given", buffer->len, cap);
}

chord_status chord_detokenize(const chord_model *m, const int32_t *tokens, size_t n, bool special, char *out,
                              size_t cap, size_t *need, chord_error *err)
{
    chord_buffer buffer;
    CHORD_NEED(need, "the place for the count");
    if (n > 0) CHORD_NEED(tokens, "the list of tokens");
    CHORD_TRY(need_vocab(m, err));
    chord_buffer_init(&buffer, m->runtime->heap, 64 * CHORD_MIB);
    chord_status status = CHORD_OK;
    for (size_t i = 0; i < n && status == CHORD_OK; i++)
        status = chord_vocab_decode(m->vocab, tokens[i], special, &buffer, err);
    if (status == CHORD_OK) status = hand_over(&buffer, out, cap, need, err);
    chord_buffer_free(&buffer);
    return status;
}

typedef struct render_job {
    const chord_model *model;  /* NULL: the template is given */
    const char *template_text; /* NULL: the model's own */
    size_t template_len;
    const char *bos, *eos;
    bool open_reply;
} render_job;

static bool is_filled(const chord_json *value)
{
    return value != NULL && (value->kind == CHORD_JSON_LIST || value->kind == CHORD_JSON_OBJECT) && value->len > 0;
}

/* A model may have a template of its own for messages with tools, and one for documents. */
chord_status chord_model_chat_template(const chord_model *m, bool tools, bool documents, chord_arena *arena,
                                       const char **text, size_t *len, chord_error *err)
{
    static const char *const NAMED[] = {"tokenizer.chat_template.tool_use", "tokenizer.chat_template.rag"};
    const bool wanted[] = {tools, documents};
    *text = NULL;
    for (size_t i = 0; i < CHORD_COUNT(NAMED); i++) {
        if (!wanted[i]) continue;
        CHORD_TRY(chord_model_template(m, NAMED[i], arena, text, len, err));
        if (*text != NULL) return CHORD_OK;
    }
    *text = m->template_text;
    *len = m->template_len;
    if (*text != NULL || !m->has_template) return CHORD_OK;
    return chord_model_template(m, CHORD_TEMPLATE_KEY, arena, text, len, err);
}

static chord_status choose_template(render_job *job, const chord_json *root, chord_arena *arena, chord_error *err)
{
    if (job->template_text != NULL) return CHORD_OK;
    CHORD_TRY(chord_model_chat_template(job->model, is_filled(chord_json_get(root, "tools")),
                                        is_filled(chord_json_get(root, "documents")), arena, &job->template_text,
                                        &job->template_len, err));
    if (job->template_text != NULL) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID, "the model has no chat template; give one, or use the text as it is");
}

/* Jinja knows one end of a line, however an editor wrote it. */
static chord_status make_newlines(render_job *job, chord_arena *arena, chord_error *err)
{
    const char *text = job->template_text;
    size_t kept = 0;
    if (job->template_len == 0) return CHORD_OK;
    char *copy = chord_arena_get(arena, job->template_len);
    if (copy == NULL) return chord_arena_fail(arena, err);
    for (size_t i = 0; i < job->template_len; i++) {
        if (text[i] == '\n' && i > 0 && text[i - 1] == '\r') continue;
        copy[kept++] = text[i] == '\r' ? '\n' : text[i];
    }
    job->template_text = copy;
    job->template_len = kept;
    return CHORD_OK;
}

static chord_status render(chord_heap *heap, chord_arena *arena, render_job *job, const char *messages, size_t len,
                           chord_buffer *out, chord_error *err)
{
    const chord_json *root;
    CHORD_TRY(chord_template_root(arena, messages, len, &root, err));
    CHORD_TRY(choose_template(job, root, arena, err));
    chord_skip_mark(&job->template_text, &job->template_len);
    CHORD_TRY(make_newlines(job, arena, err));
    chord_template_args args = {.text = job->template_text,
                                .len = job->template_len,
                                .root = root,
                                .messages = messages,
                                .messages_len = len,
                                .open_reply = job->open_reply,
                                .bos = job->bos,
                                .eos = job->eos,
                                .now_unix_s = chord_clock_unix_s()};
    return chord_template_run(heap, &args, out, err);
}

static chord_status render_out(chord_heap *heap, render_job *job, const char *messages, size_t len, char *out,
                               size_t cap, size_t *need, chord_error *err)
{
    chord_arena arena;
    chord_buffer buffer;
    chord_arena_init(&arena, heap, CHORD_TEMPLATE_MEMORY_MAX, "the messages");
    chord_buffer_init(&buffer, heap, CHORD_TEMPLATE_OUTPUT_MAX);
    chord_status status = render(heap, &arena, job, messages, len, &buffer, err);
    if (status == CHORD_OK) status = hand_over(&buffer, out, cap, need, err);
    chord_buffer_free(&buffer);
    chord_arena_free(&arena);
    return status;
}

chord_status chord_template_render(chord_runtime *r, const char *template_text, const char *messages, size_t len,
                                   bool open_reply, const char *bos, const char *eos, char *out, size_t cap,
                                   size_t *need, chord_error *err)
{
    CHORD_NEED(r, "the runtime");
    CHORD_NEED(template_text, "the template");
    CHORD_NEED(need, "the place for the count");
    render_job job = {.template_text = template_text,
                      .template_len = strlen(template_text),
                      .bos = bos,
                      .eos = eos,
                      .open_reply = open_reply};
    return render_out(r->heap, &job, messages, len, out, cap, need, err);
}

static chord_status token_text(const chord_model *m, int32_t token, chord_buffer *out, chord_error *err)
{
    chord_buffer_init(out, m->runtime->heap, 65536);
    CHORD_TRY(chord_buffer_append(out, "", 0, err));
    return token < 0 ? CHORD_OK : chord_vocab_decode(m->vocab, token, true, out, err);
}

chord_status chord_chat_render(const chord_model *m, const char *template_text, const char *messages, size_t len,
                               bool open_reply, char *out, size_t cap, size_t *need, chord_error *err)
{
    CHORD_NEED(need, "the place for the count");
    CHORD_TRY(need_vocab(m, err));
    chord_buffer bos, eos;
    render_job job = {.model = m, .open_reply = open_reply};
    if (template_text != NULL) {
        job.template_text = template_text;
        job.template_len = strlen(template_text);
    }
    chord_status status = token_text(m, chord_vocab_bos(m->vocab), &bos, err);
    chord_status eos_status = token_text(m, chord_vocab_eos(m->vocab), &eos, status == CHORD_OK ? err : NULL);
    if (status == CHORD_OK) status = eos_status;
    if (status == CHORD_OK) {
        job.bos = bos.data;
        job.eos = eos.data;
        status = render_out(m->runtime->heap, &job, messages, len, out, cap, need, err);
    }
    chord_buffer_free(&bos);
    chord_buffer_free(&eos);
    return status;
}
