/* form.c - forms put together of texts, of JSON, and of what may be anything up to a marker. A marker that is a special token may come
 * as that token or, where it is none, as its bytes. */
#include "grammar/lexicon.h"
#include "grammar/schema.h"

#define MARKER_MAX 64u

typedef struct form_maker {
    chord_schema schema;
    const chord_lexicon *lexicon;
    chord_grammar_options loosened;
    chord_error *err;
} form_maker;

static void say_nothing(void *ud, const char *sentence) { (void)ud, (void)sentence; }

static chord_bytes one_byte(uint8_t byte)
{
    chord_bytes set = {{0}};
    set.bits[byte >> 6] = 1ull << (byte & 63);
    return set;
}

static chord_expr *special(form_maker *f, const char *name, size_t len)
{
    chord_maker *m = &f->schema.maker;
    return CHORD_MAKE_SEQ(m, chord_make_bytes(m, one_byte(CHORD_LEXICON_SPECIAL)), chord_make_text(m, name, len));
}

/* Special tokens that stand in it are these tokens. */
static chord_expr *text(form_maker *f, const char *bytes, size_t len)
{
    chord_maker *m = &f->schema.maker;
    chord_expr_list list = {0};
    for (size_t at = 0, plain = 0; at <= len; at++) {
        size_t n = at < len ? chord_lexicon_special(f->lexicon, bytes + at, len - at) : 0;
        if (n == 0 && at < len) continue;
        if (at > plain && !chord_list_add(m, &list, chord_make_text(m, bytes + plain, at - plain))) return NULL;
        if (n > 0 && !chord_list_add(m, &list, special(f, bytes + at, n))) return NULL;
        plain = at + n;
        if (n > 0) at += n - 1;
    }
    return chord_make_seq(m, list.items, list.count);
}

/* ---- up to a marker --------------------------------------------------------------------------------------------- */

/* How much of the marker stands at the end of its first n bytes and one more. */
static size_t follow(const char *marker, size_t n, uint8_t byte)
{
    for (size_t k = n + 1; k > 0; k--)
        if ((uint8_t)marker[k - 1] == byte && memcmp(marker, marker + (n + 1 - k), k - 1) == 0) return k;
    return 0;
}

/* The rule of who has read n bytes of the marker: of each byte where it leads. */
static chord_expr *rule_at(form_maker *f, const chord_form *form, size_t n, const uint32_t *rules, bool may_end)
{
    chord_maker *m = &f->schema.maker;
    chord_expr_list list = {0};
    for (size_t to = 0; to <= n + 1; to++) {
        chord_bytes set = {{0}};
        bool any = false;
        for (uint32_t byte = 0; byte < CHORD_LEXICON_SPECIAL; byte++) {
            if (follow(form->text, n, (uint8_t)byte) != to) continue;
            set.bits[byte >> 6] |= 1ull << (byte & 63);
            any = true;
        }
        if (!any || (to == form->len && may_end)) continue;
        chord_expr *byte = chord_make_bytes(m, set);
        if (to < form->len) byte = CHORD_MAKE_SEQ(m, byte, chord_make_call(m, rules[to]));
        if (!chord_list_add(m, &list, byte)) return NULL;
    }
    if (may_end && !chord_list_add(m, &list, chord_make_empty(m))) return NULL;
    if (!may_end && chord_lexicon_special(f->lexicon, form->text, form->len) == form->len &&
        !chord_list_add(m, &list, special(f, form->text, form->len)))
        return NULL;
    return chord_make_any_of(m, list.items, list.count);
}

static chord_status until(form_maker *f, const chord_form *form, chord_expr **out)
{
    uint32_t rules[MARKER_MAX];
    if (form->len == 0 || form->len > MARKER_MAX)
        return chord_fail(f->err, CHORD_INVALID, "a marker of %zu bytes cannot be waited for", form->len);
    for (size_t n = 0; n < form->len; n++) CHORD_TRY(chord_schema_rule(&f->schema, &rules[n]));
    for (size_t n = 0; n < form->len; n++) {
        chord_expr *e = rule_at(f, form, n, rules, form->kind == CHORD_FORM_WITHOUT);
        CHORD_TRY(chord_schema_made(&f->schema, e));
        f->schema.maker.rules[rules[n]] = e;
    }
    *out = chord_make_call(&f->schema.maker, rules[0]);
    return chord_schema_made(&f->schema, *out);
}

/* ---- all kinds --------------------------------------------------------------------------------------------------- */

static chord_status schema_value(form_maker *f, const chord_form *form, chord_expr **out)
{
    static chord_json type_key = {.kind = CHORD_JSON_TEXT, .text = "type", .len = 4},
                      type_value = {.kind = CHORD_JSON_TEXT, .text = "object", .len = 6};
    static chord_json *keys[] = {&type_key}, *values[] = {&type_value};
    static const chord_json OBJECT = {.kind = CHORD_JSON_OBJECT, .len = 1, .keys = keys, .items = values};
    chord_view view = {0};
    f->schema.root = form->root != NULL ? form->root : &OBJECT;
    f->schema.options = form->loosened ? &f->loosened : NULL;
    bool added = !form->object || chord_view_add(&f->schema, &view, &OBJECT);
    if (added && form->schema != NULL) added = chord_view_add(&f->schema, &view, form->schema);
    return added ? chord_schema_of(&f->schema, &view, out) : chord_make_fail(&f->schema.maker, f->err);
}

static chord_status make(form_maker *f, const chord_form *form, chord_expr **out);

static chord_status make_items(form_maker *f, const chord_form *form, chord_expr **out)
{
    chord_maker *m = &f->schema.maker;
    chord_expr_list list = {0};
    chord_expr *item;
    for (uint32_t i = 0; i < form->count; i++) {
        CHORD_TRY(make(f, form->items[i], &item));
        if (!chord_list_add(m, &list, item)) return chord_make_fail(m, f->err);
    }
    *out = form->kind == CHORD_FORM_SEQ      ? chord_make_seq(m, list.items, list.count)
           : form->kind == CHORD_FORM_ANY_OF ? chord_make_any_of(m, list.items, list.count)
                                             : chord_make_repeat(m, list.items[0], form->low, form->high);
    return chord_schema_made(&f->schema, *out);
}

static chord_status make(form_maker *f, const chord_form *form, chord_expr **out)
{
    switch (form->kind) {
    case CHORD_FORM_TEXT: *out = text(f, form->text, form->len); return chord_schema_made(&f->schema, *out);
    case CHORD_FORM_UNTIL:
    case CHORD_FORM_WITHOUT: return until(f, form, out);
    case CHORD_FORM_SCHEMA: return schema_value(f, form, out);
    case CHORD_FORM_SEQ:
    case CHORD_FORM_ANY_OF:
    case CHORD_FORM_REPEAT: break;
    }
    return make_items(f, form, out);
}

static chord_status make_root(form_maker *f, chord_heap *heap, const chord_form *form, chord_rules **out)
{
    uint32_t root;
    chord_expr *e;
    CHORD_TRY(chord_schema_open(&f->schema));
    CHORD_TRY(make(f, form, &e));
    CHORD_TRY(chord_schema_rule(&f->schema, &root));
    f->schema.maker.rules[root] = e;
    return chord_rules_make(&f->schema.maker, heap, root, NULL, NULL, out, f->err);
}

chord_status chord_rules_from_form(chord_heap *heap, const chord_form *form, const chord_lexicon *lexicon,
                                   chord_rules **out, chord_error *err)
{
    form_maker f = {.schema = {.err = err}, .lexicon = lexicon, .loosened = {.on_loosened = say_nothing}, .err = err};
    *out = NULL;
    chord_maker_open(&f.schema.maker, heap);
    chord_status status = make_root(&f, heap, form, out);
    chord_maker_close(&f.schema.maker);
    return status;
}
