/* completions.c - /v1/completions: texts that are continued, and prompts that are looked at. */
#include "dialects/dialects_inner.h"

#define CHOICES_MAX 64

/* What a completion is besides an answer. */
typedef struct completion {
    bool echo, logprobs;
    uint32_t top_count, each;
    prompt_scores *scores; /* of each prompt; NULL: none */
} completion;

/* A token that is told: of the prompt or of what was made. */
typedef struct told {
    int32_t token;
    float logprob;
    const chord_candidate *top;
    uint32_t top_count;
    bool first; /* of all: nothing was before it */
} told;

static const ask_prompt *prompt_of(const answer *an, const choice *c)
{
    const completion *more = an->more;
    return &an->prompts[c->index / more->each];
}

static told told_of_piece(const engine_piece *p)
{
    return (told){.token = p->token, .logprob = p->logprob, .top = engine_piece_top(p), .top_count = p->top_count};
}

static told told_of_prompt(const answer *an, const choice *c, uint32_t at)
{
    const completion *more = an->more;
    const prompt_scores *scores = &more->scores[c->index / more->each];
    return (told){.token = prompt_of(an, c)->tokens[at],
                  .logprob = scores->logprobs[at],
                  .top = scores->top + (size_t)at * scores->top_count,
                  .top_count = scores->top_count,
                  .first = at == 0};
}

/* ---- log probabilities, column by column ------------------------------------------------------------------------ */

typedef enum column { TOKENS, LOGPROBS, TOPS, OFFSETS, COLUMNS } column;
static const char *const COLUMN_NAMES[COLUMNS] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};

static size_t token_text(const answer *an, int32_t token, char out[512])
{
    size_t len = 0;
    return chord_detokenize(an->a->s->model, &token, 1, true, out, 512, &len, NULL) == CHORD_OK ? len : 0;
}

static void write_tops(const answer *an, const told *t, writer *w)
{
    char text[512], key[513];
    if (t->first) {
        write_null(w, NULL);
        return;
    }
    write_open(w, NULL, '{');
    for (uint32_t i = 0; i < t->top_count; i++) {
        size_t len = token_text(an, t->top[i].token, text);
        memcpy(key, text, len);
        key[len] = '\0';
        write_f64(w, key, t->top[i].logprob);
    }
    write_close(w, '}');
}

static void write_cell(const answer *an, column which, const told *t, size_t *offset, writer *w)
{
    char text[512];
    size_t len = token_text(an, t->token, text);
    if (which == TOKENS) write_text_n(w, NULL, text, len);
    else if (which == LOGPROBS && t->first) write_null(w, NULL);
    else if (which == LOGPROBS) write_f64(w, NULL, t->logprob);
    else if (which == TOPS) write_tops(an, t, w);
    else write_u64(w, NULL, *offset);
    for (size_t i = 0; i < len; i++) *offset += ((uint8_t)text[i] & 0xC0) != 0x80; /* characters */
}

/* first: the offset of the first token's text. one: this piece alone; NULL: all, and the prompt's when it is echoed. */
static void write_logprobs(const answer *an, const choice *c, size_t first, const engine_piece *one, writer *w)
{
    const completion *more = an->more;
    write_open(w, "logprobs", '{');
    for (column which = 0; which < COLUMNS; which++) {
        size_t offset = first;
        write_open(w, COLUMN_NAMES[which], '[');
        for (uint32_t i = 0; one == NULL && more->scores != NULL && i < prompt_of(an, c)->count; i++)
            write_cell(an, which, &(told[]){told_of_prompt(an, c, i)}[0], &offset, w);
        if (one != NULL) write_cell(an, which, &(told[]){told_of_piece(one)}[0], &offset, w);
        for (const engine_piece *p = NULL; one == NULL && (p = answer_next(an, c, p)) != NULL;)
            if (piece_has_token(p)) write_cell(an, which, &(told[]){told_of_piece(p)}[0], &offset, w);
        write_close(w, ']');
    }
    write_close(w, '}');
}

/* ---- a stream ------------------------------------------------------------------------------------------------------ */

static void write_chunk(answer *an, choice *c, const char *text, size_t len, const engine_piece *p, writer *w)
{
    const completion *more = an->more;
    event_open(w, NULL);
    dialect_open_choices(an, "text_completion", w);
    write_open(w, NULL, '{');
    write_text_n(w, "text", text, len);
    write_u64(w, "index", c->index);
    if (more->logprobs && p != NULL && piece_has_token(p)) write_logprobs(an, c, c->text_bytes, p, w);
    else write_null(w, "logprobs");
    if (c->ended) write_text(w, "finish_reason", dialect_finish_reason(c));
    else write_null(w, "finish_reason");
    write_close(w, '}');
    write_close(w, ']');
    if (c->ended) {
        answer_write_chord(an, c, w);
        answer_write_timings(an, c, w);
    }
    if (an->want_usage) write_null(w, "usage");
    write_close(w, '}');
    event_close(w);
}

static void begin(answer *an, writer *w)
{
    const completion *more = an->more;
    for (uint32_t i = 0; i < an->count && more->echo; i++) {
        const ask_prompt *p = prompt_of(an, &an->choices[i]);
        write_chunk(an, &an->choices[i], p->text, p->len, NULL, w);
    }
}

static void piece(answer *an, choice *c, const engine_piece *p, writer *w)
{
    const completion *more = an->more;
    if (p->len == 0 && !(more->logprobs && piece_has_token(p))) return;
    write_chunk(an, c, engine_piece_text(p), p->len, p, w);
}

static void ended(answer *an, choice *c, writer *w) { write_chunk(an, c, "", 0, NULL, w); }

static void finish(answer *an, writer *w)
{
    if (an->want_usage) {
        event_open(w, NULL);
        dialect_open_choices(an, "text_completion", w);
        write_close(w, ']');
        dialect_write_usage(an, w);
        write_close(w, '}');
        event_close(w);
    }
    write_plain(w, "data: [DONE]\n\n");
}

/* ---- all at once ----------------------------------------------------------------------------------------------------- */

static void whole(answer *an, writer *w)
{
    const completion *more = an->more;
    dialect_open_choices(an, "text_completion", w);
    for (uint32_t i = 0; i < an->count; i++) {
        const choice *c = &an->choices[i];
        const ask_prompt *p = prompt_of(an, c);
        write_open(w, NULL, '{');
        answer_write_text(an, c, w, "text", more->echo ? p->text : "", more->echo ? p->len : 0);
        write_u64(w, "index", c->index);
        if (more->logprobs) write_logprobs(an, c, 0, NULL, w);
        else write_null(w, "logprobs");
        write_text(w, "finish_reason", dialect_finish_reason(c));
        answer_write_chord(an, c, w);
        write_close(w, '}');
    }
    write_close(w, ']');
    dialect_write_usage(an, w);
    answer_write_timings(an, &an->choices[0], w);
    write_close(w, '}');
}

static const dialect COMPLETIONS = {
    .begin = begin, .piece = piece, .ended = ended, .finish = finish, .whole = whole, .wrong = answer_error};

/* ---- the request ------------------------------------------------------------------------------------------------------- */

static bool read_logprobs(ask *a, completion *more, chord_generate_options *o)
{
    int64_t top = -1;
    if (!ask_whole(a, "logprobs", 0, CHORD_TOP_MAX, &top)) return false;
    more->logprobs = o->want_logprobs = top >= 0;
    more->top_count = o->top_logprobs = top > 0 ? (uint32_t)top : 0;
    return true;
}

static bool score_prompts(ask *a, completion *more, const ask_prompt *prompts, uint32_t count)
{
    if (!more->echo || !more->logprobs) return true;
    more->scores = ask_get(a, count * sizeof *more->scores);
    if (more->scores == NULL) return false;
    for (uint32_t i = 0; i < count; i++)
        if (!dialect_score(a, &prompts[i], more->top_count, &more->scores[i])) return false;
    return true;
}

static bool read_flags(ask *a, answer *flags, completion *more, int64_t *n)
{
    const chord_json *wanted = ask_field(ask_field(a->root, "stream_options"), "include_usage");
    if (!ask_bool(a, "stream", &flags->stream) || !ask_bool(a, "echo", &more->echo) ||
        !ask_whole(a, "n", 1, CHOICES_MAX, n) || !ask_cannot(a, "suffix", "/infill fills gaps"))
        return false;
    int64_t best_of = *n;
    if (!ask_whole(a, "best_of", 1, CHOICES_MAX, &best_of)) return false;
    if (best_of != *n) return ask_invalid(a, "best_of", "'best_of' must be as many as 'n'");
    flags->want_usage = flags->stream && wanted != NULL && wanted->kind == CHORD_JSON_BOOL && wanted->boolean;
    return true;
}

/* Nothing is to be made: the prompts themselves were asked for. */
static void reply_without_text(answer *an)
{
    ask *a = an->a;
    chord_buffer body;
    writer w = answer_writer(a, &body);
    for (uint32_t i = 0; i < an->count; i++) an->choices[i].ended = true;
    whole(an, &w);
    chord_buffer_free(&an->pieces);
    answer_reply(a, &COMPLETIONS, &w);
}

static bool make(ask *a, answer **out)
{
    static const char *const MAX[] = {"max_tokens", "n_predict", NULL};
    answer flags = {0};
    ask_prompt *prompts;
    uint32_t count;
    int64_t n = 1;
    completion *more = ask_get(a, sizeof *more);
    if (more == NULL || !ask_parse(a) || !ask_options(a, &flags.options, MAX, 0) || !read_flags(a, &flags, more, &n) ||
        !read_logprobs(a, more, &flags.options) || !ask_prompts(a, CHOICES_MAX, &prompts, &count))
        return false;
    more->each = (uint32_t)n;
    if (count * n > CHOICES_MAX)
        return ask_invalid(a, "n", "%u prompts, %u answers each, are more than %d", count, more->each, CHOICES_MAX);
    if (a->nothing && flags.stream) return ask_invalid(a, "max_tokens", "a stream needs 'max_tokens' of at least 1");
    if (!score_prompts(a, more, prompts, count)) return false;
    answer *an = *out = answer_new(a, &COMPLETIONS, "cmpl-", prompts, count, more->each);
    if (an == NULL) return false;
    an->options = flags.options;
    an->stream = flags.stream;
    an->want_usage = flags.want_usage;
    an->more = more;
    return true;
}

void dialect_completions(ask *a)
{
    answer *an;
    if (!make(a, &an)) answer_refuse(a, &COMPLETIONS);
    else if (a->nothing) reply_without_text(an);
    else answer_run(an);
}
