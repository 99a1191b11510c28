/* native.c - /completion and /infill, as llama.cpp's own clients ask. */
#include "dialects/dialects_inner.h"

static const char *stop_type(const choice *c)
{
    switch (c->job->result.stop_reason) {
    case CHORD_STOP_END: return "eos";
    case CHORD_STOP_TEXT: return "word";
    case CHORD_STOP_LENGTH:
    case CHORD_STOP_CONTEXT: return "limit";
    case CHORD_STOP_CALLER: return "none";
    }
    return "none";
}

static void write_probabilities(answer *an, const engine_piece *one, writer *w)
{
    if (!an->options.want_logprobs) return;
    write_open(w, "completion_probabilities", '[');
    if (one != NULL && piece_has_token(one)) dialect_write_logprobs(an, w, one);
    for (const engine_piece *p = NULL; one == NULL && (p = answer_next(an, &an->choices[0], p)) != NULL;)
        if (piece_has_token(p)) dialect_write_logprobs(an, w, p);
    write_close(w, ']');
}

static void write_end(answer *an, writer *w)
{
    const choice *c = &an->choices[0];
    const char *stop = answer_stop(an, c);
    write_bool(w, "stop", true);
    write_text(w, "model", answer_model(an));
    write_u64(w, "tokens_predicted", c->job->result.tokens);
    write_u64(w, "tokens_evaluated", c->job->count);
    write_u64(w, "tokens_cached", c->job->reused);
    write_bool(w, "truncated", false);
    write_text(w, "stop_type", stop_type(c));
    write_text(w, "stopping_word", stop != NULL ? stop : "");
    answer_write_timings(an, c, w);
    answer_write_chord(an, c, w);
}

static void piece(answer *an, choice *c, const engine_piece *p, writer *w)
{
    if (p->len == 0 && !an->options.want_logprobs) return;
    event_open(w, NULL);
    write_open(w, NULL, '{');
    write_u64(w, "index", c->index);
    write_text_n(w, "content", engine_piece_text(p), p->len);
    write_open(w, "tokens", '[');
    if (piece_has_token(p)) write_i64(w, NULL, p->token);
    write_close(w, ']');
    write_bool(w, "stop", false);
    write_probabilities(an, p, w);
    write_close(w, '}');
    event_close(w);
}

static void finish(answer *an, writer *w)
{
    event_open(w, NULL);
    write_open(w, NULL, '{');
    write_u64(w, "index", 0);
    write_text(w, "content", "");
    write_open(w, "tokens", '[');
    write_close(w, ']');
    write_end(an, w);
    write_close(w, '}');
    event_close(w);
}

static void whole(answer *an, writer *w)
{
    const choice *c = &an->choices[0];
    write_open(w, NULL, '{');
    write_u64(w, "index", 0);
    answer_write_text(an, c, w, "content", "", 0);
    write_open(w, "tokens", '[');
    for (const engine_piece *p = NULL; (p = answer_next(an, c, p)) != NULL;)
        if (piece_has_token(p)) write_i64(w, NULL, p->token);
    write_close(w, ']');
    write_end(an, w);
    write_probabilities(an, NULL, w);
    write_close(w, '}');
}

static const dialect NATIVE = {.piece = piece, .finish = finish, .whole = whole, .wrong = answer_error};

/* ---- /completion ----------------------------------------------------------------------------------------------------------- */

static bool read_common(ask *a, chord_generate_options *options, bool *stream)
{
    static const char *const MAX[] = {"n_predict", "max_tokens", NULL};
    int64_t top = 0;
    if (!ask_parse(a) || !ask_options(a, options, MAX, 1) || !ask_bool(a, "stream", stream) ||
        !ask_whole(a, "n_probs", 0, CHORD_TOP_MAX, &top))
        return false;
    options->want_logprobs = top > 0;
    options->top_logprobs = (uint32_t)top;
    return true;
}

static void run(ask *a, const ask_prompt *prompt, const chord_generate_options *options, bool stream)
{
    answer *an = answer_new(a, &NATIVE, "cmpl-", prompt, 1, 1);
    if (an == NULL) {
        answer_refuse(a, &NATIVE);
        return;
    }
    an->options = *options;
    an->stream = stream;
    answer_run(an);
}

void dialect_completion(ask *a)
{
    chord_generate_options options;
    bool stream = false;
    ask_prompt prompt;
    if (read_common(a, &options, &stream) && ask_prompt_of(a, ask_field(a->root, "prompt"), "prompt", &prompt) &&
        ask_fits(a, &prompt))
        run(a, &prompt, &options, stream);
    else answer_refuse(a, &NATIVE);
}

/* ---- /infill --------------------------------------------------------------------------------------------------------------- */

/* What models that fill gaps call their ends: before it, behind it, and where it is to be filled. */
static const char *const GAPS[][3] = {
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
    {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},
    {"<PRE>", "<SUF>", "<MID>"},
    {"<\xEF\xBD\x9C"
     "fim\xE2\x96\x81"
     "begin\xEF\xBD\x9C>",
     "<\xEF\xBD\x9C"
     "fim\xE2\x96\x81"
     "hole\xEF\xBD\x9C>",
     "<\xEF\xBD\x9C"
     "fim\xE2\x96\x81"
     "end\xEF\xBD\x9C>"},
};

/* A token of its own that is no text. */
static bool is_special(ask *a, const char *name)
{
    ask_prompt special, plain, empty;
    if (!ask_tokenize(a, name, strlen(name), CHORD_TOKENIZE_RAW, &special) ||
        !ask_tokenize(a, name, strlen(name), CHORD_TOKENIZE_PLAIN, &plain) ||
        !ask_tokenize(a, "", 0, CHORD_TOKENIZE_RAW, &empty))
        return false;
    return special.count == empty.count + 1 && plain.count > 1;
}

static bool append(ask *a, ask_prompt *to, const char *text, size_t len, chord_tokenize_mode mode)
{
    ask_prompt more;
    if (!ask_tokenize(a, text, len, mode, &more)) return false;
    int32_t *tokens = ask_get(a, (to->count + more.count + 1u) * sizeof *tokens);
    if (tokens == NULL) return false;
    memcpy(tokens, to->tokens, to->count * sizeof *tokens);
    memcpy(tokens + to->count, more.tokens, more.count * sizeof *tokens);
    to->tokens = tokens;
    to->count += more.count;
    return true;
}

/* A special token alone: without what stands before every text. */
static bool append_special(ask *a, ask_prompt *to, const char *name)
{
    ask_prompt special;
    if (!ask_tokenize(a, name, strlen(name), CHORD_TOKENIZE_RAW, &special)) return false;
    int32_t *tokens = ask_get(a, (to->count + 1u) * sizeof *tokens);
    if (tokens == NULL) return false;
    memcpy(tokens, to->tokens, to->count * sizeof *tokens);
    tokens[to->count++] = special.tokens[special.count - 1];
    to->tokens = tokens;
    return true;
}

static bool fill_gap(ask *a, const char *const names[3], ask_prompt *out)
{
    const char *before, *after, *prompt;
    if (!ask_text(a, a->root, "input_prefix", &before) || !ask_text(a, a->root, "input_suffix", &after) ||
        !ask_text(a, a->root, "prompt", &prompt) || !ask_tokenize(a, "", 0, CHORD_TOKENIZE_RAW, out))
        return false;
    if (before == NULL) before = "";
    if (after == NULL) after = "";
    if (prompt == NULL) prompt = "";
    return append_special(a, out, names[0]) && append(a, out, before, strlen(before), CHORD_TOKENIZE_PLAIN) &&
           append_special(a, out, names[1]) && append(a, out, after, strlen(after), CHORD_TOKENIZE_PLAIN) &&
           append_special(a, out, names[2]) && append(a, out, prompt, strlen(prompt), CHORD_TOKENIZE_PLAIN) &&
           ask_fits(a, out);
}

static const char *const *gap_names(ask *a)
{
    for (size_t i = 0; i < CHORD_COUNT(GAPS); i++)
        if (is_special(a, GAPS[i][0]) && is_special(a, GAPS[i][1]) && is_special(a, GAPS[i][2])) return GAPS[i];
    if (a->wrong.status == 0)
        ask_refuse(a, 501, "not_supported_error", NULL, "this model has no tokens for the ends of a gap");
    return NULL;
}

void dialect_infill(ask *a)
{
    chord_generate_options options;
    bool stream = false;
    ask_prompt prompt;
    const char *const *names = NULL;
    if (read_common(a, &options, &stream) &&
        ask_cannot(a, "input_extra", "files besides the one that is filled are not looked at") &&
        (names = gap_names(a)) != NULL && fill_gap(a, names, &prompt))
        run(a, &prompt, &options, stream);
    else answer_refuse(a, &NATIVE);
}
