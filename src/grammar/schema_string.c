/* schema_string.c - strings: lengths in characters, patterns, and formats. */
#include "grammar/schema.h"

/* What no format allows is refused; what is allowed here satisfies the format, and is most of what does. */
#define DATE                                                                                    \
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-" \
    "(0[1-9]|1[0-9]|2[0-8]))"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define LABEL "[a-zA-Z0-9](-?[a-zA-Z0-9]){0,30}" /* two hyphens would begin an encoded name */
#define HEX "[0-9a-fA-F]"
static const struct {
    const char *name, *pattern;
} FORMATS[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration",
     "^P([0-9]{1,9}W|[0-9]{1,9}Y([0-9]{1,9}M([0-9]{1,9}D)?)?|[0-9]{1,9}M([0-9]{1,9}D)?|[0-9]{1,9}D|T[0-9]{1,9}H([0-9]{1,9}M([0-9]{1,9}S)?)?|T[0-9]{1,9}M([0-9]{1,9}S)?|T[0-9]{1,9}S)$"},
    {"uuid", "^" HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}$"},
    {"ipv4", "^" BYTE "\\." BYTE "\\." BYTE "\\." BYTE "$"},
    {"ipv6",
     "^(" HEX "{1,4}:){7}" HEX "{1,4}$|^::(" HEX "{1,4}:){0,5}" HEX "{1,4}$|^(" HEX "{1,4}:){1,6}:" HEX "{1,4}$|^::$"},
    {"hostname", "^" LABEL "(\\." LABEL "){0,3}$"},
    {"email", "^[a-zA-Z0-9_+-]{1,32}(\\.[a-zA-Z0-9_+-]{1,15}){0,2}@" LABEL "(\\." LABEL "){1,3}$"},
    {"uri",
     "^[a-zA-Z][a-zA-Z0-9+.-]{0,30}://" LABEL "(\\." LABEL
     "){0,3}(:[0-9]{1,4})?(/[a-zA-Z0-9._~!$&'()*+,;=:@-]*)*(\\?[a-zA-Z0-9._~!$&'()*+,;=:@/?-]*)?(#[a-zA-Z0-9._~!$&'()*+,;=:@/?-]*)?$"},
};

/* ---- characters ------------------------------------------------------------------------------------------------- */

static chord_expr *one_of(chord_schema *s, const char *characters)
{
    chord_maker *m = &s->maker;
    chord_expr_list list = {0};
    for (const char *c = characters; *c != '\0'; c++)
        if (!chord_list_add(m, &list, chord_make_text(m, c, 1))) return NULL;
    return chord_make_any_of(m, list.items, list.count);
}

/* \uXXXX: one that is no surrogate, or two that are a pair. */
static chord_expr *escaped_code(chord_schema *s)
{
    chord_maker *m = &s->maker;
    chord_expr *u = CHORD_MAKE_WORD(m, "\\u"), *d = one_of(s, "dD"), *any = one_of(s, "0123456789abcdefABCDEF");
    chord_expr *two = chord_make_repeat(m, any, 2, 2), *three = chord_make_repeat(m, any, 3, 3);
    return CHORD_MAKE_ANY_OF(m, CHORD_MAKE_SEQ(m, u, one_of(s, "0123456789abcefABCEF"), three),
                             CHORD_MAKE_SEQ(m, u, d, one_of(s, "01234567"), two),
                             CHORD_MAKE_SEQ(m, u, d, one_of(s, "89abAB"), two, u, d, one_of(s, "cdefCDEF"), two));
}

chord_expr *chord_schema_char(chord_schema *s)
{
    chord_maker *m = &s->maker;
    chord_chars plain = {0};
    if (!chord_chars_add(m, &plain, 0x20, 0x21) || !chord_chars_add(m, &plain, 0x23, 0x5B) ||
        !chord_chars_add(m, &plain, 0x5D, 0x10FFFF))
        return NULL;
    return CHORD_MAKE_ANY_OF(m, chord_make_chars(m, &plain),
                             CHORD_MAKE_SEQ(m, CHORD_MAKE_WORD(m, "\\"), one_of(s, "\"\\/bfnrt")), escaped_code(s));
}

chord_expr *chord_schema_plain_char(chord_schema *s)
{
    chord_chars all = {0};
    if (!chord_chars_add(&s->maker, &all, 0x20, 0x10FFFF)) return NULL;
    return chord_make_json_chars(&s->maker, &all);
}

/* ---- strings ------------------------------------------------------------------------------------------------------ */

/* A pattern that repeats one set of characters takes the lengths as its own. */
static bool narrow(chord_expr *e, uint32_t low, uint32_t high)
{
    if (e->kind != CHORD_EXPR_REPEAT || !e->items[0]->one_char) return false;
    if (e->low < low) e->low = low;
    if (e->high > high) e->high = high;
    return true;
}

static chord_status patterned(chord_schema *s, const chord_json *schema, const char *keyword, const char *text,
                              size_t len, uint32_t low, uint32_t high, chord_expr **out)
{
    chord_error ignored, *saved = s->err;
    *out = NULL;
    if (s->options != NULL && s->options->on_loosened != NULL) s->err = &ignored;
    chord_status status = chord_make_pattern(&s->maker, text, len, out, s->err);
    s->err = saved;
    if (status == CHORD_UNSUPPORTED) {
        *out = NULL;
        return s->options != NULL && s->options->on_loosened != NULL
                   ? chord_schema_refuse(s, schema, keyword, "is not supported")
                   : status;
    }
    if (status != CHORD_OK || (low == 0 && high == CHORD_RULES_MANY) || narrow(*out, low, high)) return status;
    *out = NULL;
    return chord_schema_refuse(s, schema, keyword, "is not supported beside minLength or maxLength");
}

static const char *pattern_of(const chord_json *format)
{
    for (size_t i = 0; format->kind == CHORD_JSON_TEXT && i < CHORD_COUNT(FORMATS); i++)
        if (chord_text_equal(format->text, FORMATS[i].name)) return FORMATS[i].pattern;
    return NULL;
}

/* The one pattern or format that there is; *out NULL: none. */
static chord_status find_pattern(chord_schema *s, const chord_view *view, uint32_t low, uint32_t high, chord_expr **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema;
        static const char *const KEYWORDS[] = {"pattern", "format"};
        for (uint32_t k = 0; k < 2; k++) {
            const chord_json *value = chord_json_get(schema, KEYWORDS[k]);
            if (value == NULL) continue;
            if (value->kind != CHORD_JSON_TEXT) return chord_schema_invalid(s, schema, KEYWORDS[k], "is no text");
            if (*out != NULL) {
                CHORD_TRY(chord_schema_refuse(s, schema, KEYWORDS[k],
                                              "is not supported beside another pattern or format"));
                continue;
            }
            const char *text = k == 0 ? value->text : pattern_of(value);
            if (text == NULL) CHORD_TRY(chord_schema_refuse(s, schema, "format", "is not a format that is known here"));
            else CHORD_TRY(patterned(s, schema, KEYWORDS[k], text, k == 0 ? value->len : strlen(text), low, high, out));
        }
    }
    return CHORD_OK;
}

chord_status chord_schema_string(chord_schema *s, const chord_view *view, chord_expr **out)
{
    uint32_t low, high;
    chord_maker *m = &s->maker;
    chord_expr *inside, *quote = CHORD_MAKE_WORD(m, "\"");
    CHORD_TRY(chord_view_bounds(s, view, "minLength", "maxLength", &low, &high));
    CHORD_TRY(find_pattern(s, view, low, high, &inside));
    if (inside == NULL) inside = chord_make_repeat(m, chord_make_call(m, s->char_rule), low, high);
    *out = low > high ? chord_make_never(m) : CHORD_MAKE_SEQ(m, quote, inside, quote);
    return chord_schema_made(s, *out);
}
