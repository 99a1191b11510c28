/* infill.c - /infill: what is missing between two texts, beside what other files say. */
#include "dialects/dialects_inner.h"

#define NAME_TOKENS 32u /* what stands before a text, and the name of the file that has the gap */

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

static bool append(ask *a, ask_prompt *to, const char *text)
{
    ask_prompt more;
    return ask_tokenize(a, text, strlen(text), CHORD_TOKENIZE_PLAIN, &more) && ask_append(a, to, &more);
}

/* A special token alone. */
static bool append_special(ask *a, ask_prompt *to, const char *name)
{
    ask_prompt special;
    return ask_tokenize_inside(a, name, strlen(name), &special) && ask_append(a, to, &special);
}

/* ---- other files ----------------------------------------------------------------------------------------------------------- */

/* What stands before a file's name, in models that were shown whole projects. */
static const char *const FILES[] = {"<|file_sep|>", "<file_sep>"};
static const char SNIPPET[] = "\n\n--- snippet ---\n\n";

static bool append_name(ask *a, ask_prompt *to, const char *sign, const char *name)
{
    return append_special(a, to, sign) && append(a, to, name) && append(a, to, "\n");
}

/* {"filename", "text"} */
static bool read_chunk(ask *a, const chord_json *chunk, const char *sign, ask_prompt *out)
{
    const char *name, *text;
    *out = (ask_prompt){0};
    if (chunk->kind != CHORD_JSON_OBJECT || ask_field(chunk, "text") == NULL)
        return ask_invalid(a, "input_extra", "'input_extra' must be a list of {\"filename\", \"text\"}");
    if (!ask_text(a, chunk, "filename", &name) || !ask_text(a, chunk, "text", &text)) return false;
    bool done = sign != NULL ? append_name(a, out, sign, name != NULL ? name : "tmp") : append(a, out, SNIPPET);
    return done && append(a, out, text);
}

/* Those that come last are the nearest: of the others as many as leave room for the answer. */
static bool add_chunks(ask *a, const chord_json *list, const char *sign, uint32_t room, ask_prompt *to)
{
    ask_prompt *chunks = ask_get(a, (list->len + 1) * sizeof *chunks);
    size_t first = list->len;
    uint32_t taken = 0;
    if (chunks == NULL) return false;
    for (; first > 0; first--) {
        ask_prompt *chunk = &chunks[first - 1];
        if (!read_chunk(a, list->items[first - 1], sign, chunk)) return false;
        if (chunk->count > room - taken) break;
        taken += chunk->count;
    }
    for (size_t i = first; i < list->len; i++)
        if (!ask_append(a, to, &chunks[i])) return false;
    return sign == NULL || first == list->len || append_name(a, to, sign, "filename");
}

/* What the prompt may have besides the gap. */
static uint32_t room_beside(const ask *a, const ask_prompt *gap, uint32_t answer_tokens)
{
    uint64_t context = a->s->info.context_tokens;
    uint64_t taken = gap->count + (answer_tokens > 0 ? answer_tokens : context / 4) + NAME_TOKENS;
    return taken < context ? (uint32_t)(context - taken) : 0;
}

static bool add_others(ask *a, const ask_prompt *gap, uint32_t answer_tokens, ask_prompt *to)
{
    const chord_json *list = ask_field(a->root, "input_extra");
    const char *sign = NULL;
    if (list == NULL || (list->kind == CHORD_JSON_LIST && list->len == 0)) return true;
    if (list->kind != CHORD_JSON_LIST) return ask_invalid(a, "input_extra", "'input_extra' must be a list");
    for (size_t i = 0; i < CHORD_COUNT(FILES) && sign == NULL; i++)
        if (is_special(a, FILES[i])) sign = FILES[i];
    return a->wrong.status == 0 && add_chunks(a, list, sign, room_beside(a, gap, answer_tokens), to);
}

/* ---- the gap --------------------------------------------------------------------------------------------------------------- */

static bool append_field(ask *a, ask_prompt *to, const char *sign, const char *key)
{
    const char *text;
    return append_special(a, to, sign) && ask_text(a, a->root, key, &text) && (text == NULL || append(a, to, text));
}

static bool fill_gap(ask *a, const char *const names[3], uint32_t answer_tokens, ask_prompt *out)
{
    ask_prompt gap = {0};
    return append_field(a, &gap, names[0], "input_prefix") && append_field(a, &gap, names[1], "input_suffix") &&
           append_field(a, &gap, names[2], "prompt") && ask_tokenize(a, "", 0, CHORD_TOKENIZE_RAW, out) &&
           add_others(a, &gap, answer_tokens, out) && ask_append(a, out, &gap) && ask_fits(a, out) &&
           ask_detokenize(a, out->tokens, out->count, true, &out->text, &out->len);
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
    answer flags = {0};
    ask_prompt prompt;
    const char *const *names = NULL;
    if (dialect_read_native(a, &flags) && (names = gap_names(a)) != NULL &&
        fill_gap(a, names, flags.options.max_tokens, &prompt))
        dialect_run_native(a, &flags, &prompt, 1);
    else answer_refuse(a, &dialect_native);
}
