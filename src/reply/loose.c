/* loose.c - values as Python writes them, and as Gemma does (bare keys, texts between <|"|>), made JSON. They are looked at when they
 * are whole. */
#include "reply/reply_inner.h"

#define DEPTH_MAX 48u
static const char GEMMA_QUOTE[] = "<|\"|>";

static bool is_of_name(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.' || c == '+' || (unsigned char)c >= 0x80;
}

static reply_found name_of(reply_text *t, reply_text *out)
{
    out->at = t->at;
    while (t->at < t->end && is_of_name(*t->at)) t->at++;
    out->end = t->at;
    if (t->at == t->end) return REPLY_WAIT;
    return out->at < out->end ? REPLY_IS : REPLY_NOT;
}

static void put(chord_reply *r, const char *text, size_t len) { reply_put(&r->made, text, len, &r->status); }

static void put_quoted(chord_reply *r, const char *text, size_t len)
{
    if (r->status == CHORD_OK) r->status = chord_json_quote(&r->made, text, len, NULL);
}

/* ---- texts ------------------------------------------------------------------------------------------------- */

static size_t hex_of(const char *at, const char *end, size_t want, uint32_t *code)
{
    *code = 0;
    for (size_t i = 0; i < want; i++) {
        if (at + i >= end || chord_hex_digit(at[i]) > 15) return 0;
        *code = *code << 4 | chord_hex_digit(at[i]);
    }
    return want;
}

/* Behind a backslash; gives how many bytes it takes, and what they stand for. */
static size_t escape_of(const char *at, const char *end, char out[4], size_t *len)
{
    static const char NAMES[] = "ntrbf\\'\"/\n", MEANT[] = "\n\t\r\b\f\\'\"/";
    uint32_t code;
    size_t digits = *at == 'x' ? hex_of(at + 1, end, 2, &code) : *at == 'u' ? hex_of(at + 1, end, 4, &code) : 0;
    if (digits > 0) {
        *len = chord_utf8_encode(code, out);
        return digits + 1;
    }
    for (size_t i = 0; i < sizeof NAMES - 1; i++) {
        if (*at != NAMES[i]) continue;
        out[0] = MEANT[i]; /* a line that goes on has nothing there */
        *len = i < sizeof MEANT - 1;
        return 1;
    }
    out[0] = '\\';
    *len = 1;
    return 0;
}

static reply_found quoted(chord_reply *r, reply_text *t)
{
    chord_buffer text;
    char mark = *t->at, meant[4];
    const char *at = t->at + 1;
    chord_buffer_init(&text, r->heap, SIZE_MAX / 2);
    while (at < t->end && *at != mark) {
        size_t n = 1;
        if (*at == '\\' && at + 1 < t->end) {
            at += 1 + escape_of(at + 1, t->end, meant, &n);
            reply_put(&text, meant, n, &r->status);
        } else reply_put(&text, at++, 1, &r->status);
    }
    bool whole = at < t->end;
    if (whole) put_quoted(r, text.data != NULL ? text.data : "", text.len);
    chord_buffer_free(&text);
    if (!whole) return REPLY_WAIT;
    t->at = at + 1;
    return REPLY_IS;
}

static reply_found gemma_text(chord_reply *r, reply_text *t)
{
    t->at += sizeof GEMMA_QUOTE - 1;
    const char *end = reply_find(*t, GEMMA_QUOTE);
    if (end == NULL) return REPLY_WAIT;
    put_quoted(r, t->at, (size_t)(end - t->at));
    t->at = end + sizeof GEMMA_QUOTE - 1;
    return REPLY_IS;
}

static reply_found text_value(chord_reply *r, reply_text *t)
{
    if (*t->at == '"' || *t->at == '\'') return quoted(r, t);
    reply_found gemma = reply_begins(*t, GEMMA_QUOTE);
    return gemma == REPLY_IS ? gemma_text(r, t) : gemma;
}

/* ---- lists and objects ------------------------------------------------------------------------------------------ */

static reply_found list(chord_reply *r, reply_text *t, uint32_t depth)
{
    char close = *t->at == '(' ? ')' : ']';
    bool follows = false;
    reply_found found;
    put(r, "[", 1);
    for (t->at++;; follows = true) {
        if ((found = reply_skip_to(t)) != REPLY_IS) return found;
        if (*t->at == close) break;
        if (follows) put(r, ",", 1);
        if ((found = reply_loose_value(r, t, depth + 1)) != REPLY_IS || (found = reply_skip_to(t)) != REPLY_IS)
            return found;
        if (*t->at == ',') t->at++;
        else if (*t->at != close) return REPLY_NOT;
    }
    put(r, "]", 1);
    t->at++;
    return REPLY_IS;
}

static reply_found key_of(chord_reply *r, reply_text *t)
{
    reply_text name;
    reply_found found = text_value(r, t);
    if (found == REPLY_NOT && (found = name_of(t, &name)) == REPLY_IS)
        put_quoted(r, name.at, (size_t)(name.end - name.at));
    if (found != REPLY_IS || (found = reply_skip_to(t)) != REPLY_IS) return found;
    if (*t->at != ':') return REPLY_NOT;
    t->at++;
    put(r, ":", 1);
    return reply_skip_to(t);
}

reply_found reply_loose_object(chord_reply *r, reply_text *t, uint32_t depth)
{
    bool follows = false;
    reply_found found;
    put(r, "{", 1);
    for (t->at++;; follows = true) {
        if ((found = reply_skip_to(t)) != REPLY_IS) return found;
        if (*t->at == '}') break;
        if (follows) put(r, ",", 1);
        if ((found = key_of(r, t)) != REPLY_IS || (found = reply_loose_value(r, t, depth + 1)) != REPLY_IS ||
            (found = reply_skip_to(t)) != REPLY_IS)
            return found;
        if (*t->at == ',') t->at++;
        else if (*t->at != '}') return REPLY_NOT;
    }
    put(r, "}", 1);
    t->at++;
    return REPLY_IS;
}

reply_found reply_loose_value(chord_reply *r, reply_text *t, uint32_t depth)
{
    reply_text name;
    if (depth > DEPTH_MAX) return REPLY_NOT;
    if (t->at == t->end) return REPLY_WAIT;
    if (*t->at == '{') return reply_loose_object(r, t, depth);
    if (*t->at == '[' || *t->at == '(') return list(r, t, depth);
    reply_found found = text_value(r, t);
    if (found != REPLY_NOT || (found = name_of(t, &name)) != REPLY_IS) return found;
    size_t len = (size_t)(name.end - name.at);
    const char *word = reply_word(name.at, len);
    if (word == NULL) return REPLY_NOT;
    put(r, word, word == name.at ? len : strlen(word));
    return REPLY_IS;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static reply_found keyword(chord_reply *r, reply_text *t)
{
    reply_text name;
    reply_found found = name_of(t, &name);
    if (found != REPLY_IS || (found = reply_skip_to(t)) != REPLY_IS) return found;
    if (*t->at != '=') return REPLY_NOT;
    put_quoted(r, name.at, (size_t)(name.end - name.at));
    put(r, ":", 1);
    t->at++;
    if ((found = reply_skip_to(t)) != REPLY_IS) return found;
    return reply_loose_value(r, t, 0);
}

reply_found reply_python_call(chord_reply *r, reply_text *t)
{
    reply_text name;
    reply_found found = name_of(t, &name);
    bool follows = false;
    if (found != REPLY_IS) return found;
    if (*t->at != '(' || !reply_set_name(r, name.at, (size_t)(name.end - name.at))) return REPLY_NOT;
    put(r, "{", 1);
    for (t->at++;; follows = true) {
        if ((found = reply_skip_to(t)) != REPLY_IS) return found;
        if (*t->at == ')') break;
        if (follows) put(r, ",", 1);
        if ((found = keyword(r, t)) != REPLY_IS || (found = reply_skip_to(t)) != REPLY_IS) return found;
        if (*t->at == ',') t->at++;
        else if (*t->at != ')') return REPLY_NOT;
    }
    put(r, "}", 1);
    t->at++;
    return REPLY_IS;
}
