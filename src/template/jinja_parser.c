/* jinja_parser.c - the steps of the parser: the token at hand, the one after it, a new node. */
#include "template/jinja_inner.h"

chord_status jinja_parse_next(jinja_parser *p)
{
    if (p->has_ahead) {
        p->now = p->ahead;
        p->has_ahead = false;
        return CHORD_OK;
    }
    return jinja_lexer_next(&p->lexer, &p->now);
}

chord_status jinja_parse_look(jinja_parser *p, const jinja_token **out)
{
    if (!p->has_ahead) CHORD_TRY(jinja_lexer_next(&p->lexer, &p->ahead));
    p->has_ahead = true;
    *out = &p->ahead;
    return CHORD_OK;
}

bool jinja_parse_at(const jinja_parser *p, const char *name)
{
    return p->now.kind == JINJA_T_NAME && p->now.len == strlen(name) && memcmp(p->now.text, name, p->now.len) == 0;
}

chord_status jinja_parse_skip(jinja_parser *p, const char *name, bool *skipped)
{
    *skipped = jinja_parse_at(p, name);
    return *skipped ? jinja_parse_next(p) : CHORD_OK;
}

chord_status jinja_parse_fail(jinja_parser *p, uint32_t at, const char *format, ...)
{
    char what[160];
    va_list args;
    va_start(args, format);
    chord_vformat(what, sizeof what, format, args);
    va_end(args);
    p->vm->at = at;
    return jinja_fail(p->vm, CHORD_CORRUPT, "%s", what);
}

chord_status jinja_parse_fail_expected(jinja_parser *p, const char *what)
{
    char have[48];
    if (p->now.kind == JINJA_T_NAME)
        chord_format(have, sizeof have, "%.*s", p->now.len < 32 ? (int)p->now.len : 32, p->now.text);
    else chord_format(have, sizeof have, "%s", jinja_token_text(p->now.kind));
    return jinja_parse_fail(p, p->now.at, "expected %s, got '%s'", what, have);
}

chord_status jinja_parse_expect(jinja_parser *p, jinja_token_kind kind)
{
    if (p->now.kind != kind) {
        char what[32];
        chord_format(what, sizeof what, "'%s'", jinja_token_text(kind));
        return jinja_parse_fail_expected(p, what);
    }
    return jinja_parse_next(p);
}

chord_status jinja_parse_expect_name(jinja_parser *p, const jinja_name **out)
{
    if (p->now.kind != JINJA_T_NAME) return jinja_parse_fail_expected(p, "a name");
    CHORD_TRY(jinja_intern(p->vm, p->now.text, p->now.len, out));
    return jinja_parse_next(p);
}

chord_status jinja_parse_expect_word(jinja_parser *p, const char *word)
{
    if (!jinja_parse_at(p, word)) {
        char what[32];
        chord_format(what, sizeof what, "'%s'", word);
        return jinja_parse_fail_expected(p, what);
    }
    return jinja_parse_next(p);
}

chord_status jinja_parse_enter(jinja_parser *p)
{
    if (p->depth >= JINJA_PARSE_DEPTH_MAX)
        return jinja_parse_fail(p, p->now.at, "nested deeper than %d", JINJA_PARSE_DEPTH_MAX);
    p->depth++;
    return CHORD_OK;
}

chord_status jinja_parse_node(jinja_parser *p, jinja_node_kind kind, uint32_t at, jinja_node **out)
{
    jinja_node *node;
    CHORD_TRY(jinja_get(p->vm, sizeof *node, &node));
    node->kind = (uint8_t)kind;
    node->at = at;
    *out = node;
    return CHORD_OK;
}
