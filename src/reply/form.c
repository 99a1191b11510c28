/* form.c - the form of an answer that is a call, or JSON behind what is thought: as the template writes it. */
#include "reply/reply_inner.h"

#define ARENA_BYTES_MAX (4 * CHORD_MIB)
#define CALLS_MAX 16u   /* one after the other */
#define OPTIONS_MAX 24u /* parameters that may be left out, where one of them has to be the first */

typedef struct builder {
    chord_arena arena;
    const chord_reply *r;
    bool any_arguments; /* without their schemas */
    bool failed;
} builder;

/* ---- forms; NULL: there is no memory ---------------------------------------------------------------------------- */

static chord_form *new_form(builder *b, chord_form_kind kind)
{
    chord_form *f = chord_arena_get(&b->arena, sizeof *f);
    if (f != NULL) f->kind = kind;
    b->failed = b->failed || f == NULL;
    return f;
}

static chord_form *text_n(builder *b, const char *text, size_t len)
{
    chord_form *f = new_form(b, CHORD_FORM_TEXT);
    if (f == NULL) return NULL;
    f->text = text;
    f->len = len;
    return f;
}

static chord_form *text(builder *b, const char *words) { return text_n(b, words, strlen(words)); }

static chord_form *marker(builder *b, chord_form_kind kind, const char *words)
{
    chord_form *f = text(b, words);
    if (f != NULL) f->kind = kind;
    return f;
}

static chord_form *list(builder *b, chord_form_kind kind, chord_form *const *items, uint32_t count)
{
    chord_form *f = new_form(b, kind);
    chord_form **copy = chord_arena_get(&b->arena, (count + 1) * sizeof *copy);
    b->failed = b->failed || copy == NULL;
    if (b->failed) return NULL;
    memcpy(copy, items, count * sizeof *copy);
    f->items = copy;
    f->count = count;
    return f;
}
#define SEQ(b, ...) list(b, CHORD_FORM_SEQ, (chord_form *[]){__VA_ARGS__}, CHORD_COUNT(((chord_form *[]){__VA_ARGS__})))

static chord_form *repeat(builder *b, chord_form *item, uint32_t low, uint32_t high)
{
    chord_form *f = list(b, CHORD_FORM_REPEAT, &item, 1);
    if (f == NULL) return NULL;
    f->low = low;
    f->high = high;
    return f;
}

static chord_form *maybe(builder *b, chord_form *item) { return repeat(b, item, 0, 1); }

static chord_form *schema(builder *b, const chord_json *value, const chord_json *root, bool object)
{
    chord_form *f = new_form(b, CHORD_FORM_SCHEMA);
    if (f == NULL) return NULL;
    f->schema = value;
    f->root = root;
    f->object = object;
    f->loosened = true;
    return f;
}

/* ---- parameters ----------------------------------------------------------------------------------------------------- */

static bool is_required(const chord_json *parameters, const chord_json *key)
{
    const chord_json *required = chord_json_get(parameters, "required");
    for (size_t i = 0; required != NULL && required->kind == CHORD_JSON_LIST && i < required->len; i++)
        if (required->items[i]->kind == CHORD_JSON_TEXT && chord_text_equal(required->items[i]->text, key->text))
            return true;
    return false;
}

#define WORDS_MAX 32u
/* The texts that a value may be, where they are listed; NULL: they are not. */
static chord_form *words_of(builder *b, const chord_json *value, uint32_t kinds)
{
    chord_form *words[WORDS_MAX];
    const chord_json *values = chord_json_get(value, "enum");
    if (kinds != KIND_TEXT || values == NULL || values->kind != CHORD_JSON_LIST || values->len > WORDS_MAX) return NULL;
    for (size_t i = 0; i < values->len; i++) {
        if (values->items[i]->kind != CHORD_JSON_TEXT) return NULL;
        words[i] = text_n(b, values->items[i]->text, values->items[i]->len);
    }
    return list(b, CHORD_FORM_ANY_OF, words, (uint32_t)values->len);
}

/* A value up to the end of its tag: text may be anything that is not that end. */
static chord_form *tagged_value(builder *b, const chord_json *value, const chord_json *root, uint32_t kinds)
{
    const reply_style *s = b->r->style;
    bool lines = s->flags & REPLY_LINES;
    chord_form *words = words_of(b, value, kinds), *line = text(b, lines ? "\n" : "");
    if (words == NULL && (kinds & KIND_TEXT)) return SEQ(b, line, marker(b, CHORD_FORM_UNTIL, s->tags->value_close));
    return SEQ(b, line, words != NULL ? words : schema(b, value, root, false), line, text(b, s->tags->value_close));
}

static chord_form *tagged(builder *b, const chord_json *key, const chord_json *value, const chord_json *root)
{
    const reply_style *s = b->r->style;
    const reply_tags *tags = s->tags;
    uint32_t kinds = reply_schema_kinds(value, root);
    bool says = s->flags & REPLY_SAYS_TYPE;
    const char *kind = !says ? "" : kinds & KIND_TEXT ? "true\">" : "false\">";
    const char *gap = says ? " " : tags->value_open[0] != '\0' ? "\n" : "";
    return SEQ(b, text(b, tags->open), text_n(b, key->text, key->len), text(b, tags->key_end), text(b, gap),
               text(b, tags->value_open), text(b, kind), tagged_value(b, value, root, kinds),
               text(b, s->flags & REPLY_TIGHT ? "" : "\n"));
}

static chord_form *keyword(builder *b, const chord_json *key, const chord_json *value, const chord_json *root)
{
    return SEQ(b, text_n(b, key->text, key->len), text(b, "="), schema(b, value, root, false));
}

static chord_form *loose(builder *b, const chord_json *key, const chord_json *value, const chord_json *root)
{
    static const char QUOTE[] = "<|\"|>";
    uint32_t kinds = reply_schema_kinds(value, root);
    chord_form *words = words_of(b, value, kinds), *end = marker(b, CHORD_FORM_UNTIL, QUOTE), *inner = NULL;
    if (words != NULL) inner = SEQ(b, text(b, QUOTE), words, text(b, QUOTE));
    else inner = kinds == KIND_TEXT ? SEQ(b, text(b, QUOTE), end) : schema(b, value, root, false);
    return SEQ(b, text_n(b, key->text, key->len), text(b, ":"), inner);
}

static chord_form *element(builder *b, const chord_json *key, const chord_json *value, const chord_json *root)
{
    static const char END[] = REPLY_NESTED_SIGN "</";
    uint32_t kinds = reply_schema_kinds(value, root);
    chord_form *words = words_of(b, value, kinds), *name = text_n(b, key->text, key->len), *end = text(b, END);
    chord_form *inner = words != NULL ? words : schema(b, value, root, false);
    chord_form *closed = words == NULL && (kinds & KIND_TEXT) ? marker(b, CHORD_FORM_UNTIL, END) : SEQ(b, inner, end);
    return SEQ(b, text(b, REPLY_NESTED_SIGN "<"), name, text(b, ">"), closed, name, text(b, ">"));
}

/* Those that may be left out, where nothing is before them: each may be the first. */
static chord_form *some_of(builder *b, chord_form *const *options, uint32_t count, const char *between)
{
    chord_form *firsts[OPTIONS_MAX + 1];
    if (count > OPTIONS_MAX) count = OPTIONS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        chord_form *row[OPTIONS_MAX + 1];
        uint32_t n = 0;
        row[n++] = options[i];
        for (uint32_t k = i + 1; k < count; k++) row[n++] = maybe(b, SEQ(b, text(b, between), options[k]));
        firsts[i] = list(b, CHORD_FORM_SEQ, row, n);
    }
    firsts[count] = text(b, "");
    return list(b, CHORD_FORM_ANY_OF, firsts, count + 1);
}

typedef chord_form *make_parameter(builder *b, const chord_json *key, const chord_json *value, const chord_json *root);

/* Those that are required come first where something stands between two; else all come in their order. */
static chord_form *parameters(builder *b, const chord_json *root, make_parameter *make, const char *between)
{
    const chord_json *properties = root != NULL ? chord_json_get(root, "properties") : NULL;
    bool apart = between[0] != '\0';
    uint32_t count = 0, left_out = 0;
    if (properties == NULL || properties->kind != CHORD_JSON_OBJECT || properties->len == 0) return text(b, "");
    chord_form **items = chord_arena_get(&b->arena, 2 * (properties->len + 1) * sizeof *items), **options = NULL;
    b->failed = b->failed || items == NULL;
    if (b->failed) return NULL;
    options = items + properties->len + 1;
    for (size_t i = 0; i < properties->len; i++) {
        const chord_json *key = properties->keys[i];
        bool required = is_required(root, key);
        chord_form *item = make(b, key, properties->items[i], root);
        if (!apart) items[count++] = required ? item : maybe(b, item);
        else if (!required) options[left_out++] = item;
        else items[count] = count > 0 ? SEQ(b, text(b, between), item) : item, count++;
    }
    if (count == 0 && left_out > 0) return some_of(b, options, left_out, between);
    chord_form *first = list(b, CHORD_FORM_SEQ, items, count);
    for (uint32_t i = 0; i < left_out; i++) options[i] = maybe(b, SEQ(b, text(b, between), options[i]));
    return SEQ(b, first, list(b, CHORD_FORM_SEQ, options, left_out));
}

/* ---- calls ----------------------------------------------------------------------------------------------------------- */

static chord_form *hole(builder *b, char which, const chord_json *tool)
{
    const chord_json *root = b->any_arguments ? NULL : reply_tool_parameters(tool);
    switch (which) {
    case 'n': return text(b, reply_tool_name(tool));
    case 'p': return parameters(b, root, tagged, "");
    case 'k': return parameters(b, root, keyword, ", ");
    case 'g': return parameters(b, root, loose, ",");
    case 'e': return parameters(b, root, element, "");
    default: return schema(b, root, root, true);
    }
}

/* A call of this tool, from so many bytes of what is written on. */
static chord_form *call_of(builder *b, const chord_json *tool, size_t from)
{
    chord_form *items[32];
    uint32_t count = 0;
    const char *at = b->r->style->written + from;
    for (const char *end = at; *at != '\0' && count < CHORD_COUNT(items) - 1; at = end) {
        while (*end != '\0' && *end != '%') end++;
        if (end > at) items[count++] = text_n(b, at, (size_t)(end - at));
        if (*end == '\0') break;
        items[count++] = hole(b, end[1], tool);
        end += 2;
    }
    return list(b, CHORD_FORM_SEQ, items, count);
}

static chord_form *call_of_any(builder *b, const char *name, size_t from)
{
    const chord_json *tools = b->r->tools;
    uint32_t count = 0;
    chord_form **items = chord_arena_get(&b->arena, (tools->len + 1) * sizeof *items);
    b->failed = b->failed || items == NULL;
    if (b->failed) return NULL;
    for (size_t i = 0; i < tools->len; i++)
        if (name == NULL || chord_text_equal(name, reply_tool_name(tools->items[i])))
            items[count++] = call_of(b, tools->items[i], from);
    return list(b, CHORD_FORM_ANY_OF, items, count);
}

static chord_form *calls(builder *b, const chord_reply_form *form, size_t from)
{
    chord_form *first = call_of_any(b, form->tool, from);
    if (form->one || !(b->r->style->flags & REPLY_REPEATS)) return first;
    chord_form *more = SEQ(b, maybe(b, text(b, "\n")), call_of_any(b, form->tool, 0));
    return SEQ(b, first, repeat(b, more, 0, CALLS_MAX - 1));
}

/* ---- the answer -------------------------------------------------------------------------------------------------------- */

static chord_form *thoughts(builder *b)
{
    const chord_reply *r = b->r;
    if (r->channels)
        return maybe(b, SEQ(b, text(b, "<|channel|>analysis<|message|>"), marker(b, CHORD_FORM_UNTIL, "<|end|>"),
                            text(b, "<|start|>assistant")));
    if (r->thought == NULL) return text(b, "");
    chord_form *end = SEQ(b, marker(b, CHORD_FORM_UNTIL, r->thought->close), repeat(b, text(b, "\n"), 0, 2));
    return r->thought_open ? end : maybe(b, SEQ(b, text(b, r->thought->open), end));
}

/* Where a call begins with a marker, all that comes before is free. */
static chord_form *free_or_call(builder *b, const chord_reply_form *form)
{
    const reply_style *s = b->r->style;
    const char *mark = s->section[0] != '\0' ? s->section : s->open;
    chord_form *either[] = {marker(b, CHORD_FORM_WITHOUT, mark),
                            SEQ(b, marker(b, CHORD_FORM_UNTIL, mark), calls(b, form, strlen(mark)))};
    return list(b, CHORD_FORM_ANY_OF, either, 2);
}

static bool begins_with_marker(const reply_style *s)
{
    const char *mark = s->section[0] != '\0' ? s->section : s->open;
    size_t len = strlen(mark);
    return len > 0 && len <= 64 && strlen(s->written) > len && memcmp(s->written, mark, len) == 0;
}

static chord_form *answer(builder *b, const chord_reply_form *form, const chord_json *said)
{
    if (said != NULL) {
        chord_form *value = schema(b, said, said, false);
        if (value != NULL) value->loosened = false;
        return SEQ(b, thoughts(b), text(b, b->r->channels ? "<|channel|>final<|message|>" : ""), value);
    }
    return SEQ(b, thoughts(b), form->call ? calls(b, form, 0) : free_or_call(b, form));
}

static chord_status check(const chord_reply *r, const chord_reply_form *form, chord_error *err)
{
    if (form->schema != NULL) return CHORD_OK;
    if (r->style == NULL || r->tools == NULL) return chord_fail(err, CHORD_INVALID, "there are no tools to be called");
    if (form->tool != NULL && reply_tool_find(r->tools, form->tool) == NULL)
        return chord_fail(err, CHORD_INVALID, "there is no tool '%.100s'", form->tool);
    return CHORD_OK;
}

static chord_status make(builder *b, chord_heap *heap, const chord_lexicon *lexicon, const chord_reply_form *form,
                         const chord_json *said, chord_rules **out, chord_error *err)
{
    chord_form *root = answer(b, form, said);
    if (b->failed || root == NULL) return chord_arena_fail(&b->arena, err);
    return chord_rules_from_form(heap, root, lexicon, out, err);
}

chord_status chord_reply_rules(chord_heap *heap, const chord_reply *r, const chord_lexicon *lexicon,
                               const chord_reply_form *form, chord_rules **out, chord_error *err)
{
    builder b = {.r = r};
    chord_json *said = NULL;
    *out = NULL;
    CHORD_TRY(check(r, form, err));
    if (form->schema == NULL && !form->call && !begins_with_marker(r->style)) return CHORD_OK;
    chord_arena_init(&b.arena, heap, ARENA_BYTES_MAX, "the form of an answer");
    chord_status status = form->schema != NULL ? chord_json_parse(&b.arena, form->schema, form->schema_len, &said, err)
                                               : CHORD_OK;
    if (status == CHORD_OK) status = make(&b, heap, lexicon, form, said, out, err);
    if (status != CHORD_OK && said == NULL &&
        form->schema == NULL) { /* tools that ask for too much: the name at least */
        chord_arena_free(&b.arena);
        chord_arena_init(&b.arena, heap, ARENA_BYTES_MAX, "the form of an answer");
        b.any_arguments = true;
        b.failed = false;
        status = make(&b, heap, lexicon, form, said, out, err);
    }
    chord_arena_free(&b.arena);
    return status;
}
