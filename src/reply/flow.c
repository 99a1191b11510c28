/* flow.c - JSON as it comes: what has gone through is always the begin of a valid value, and can be closed at any time. Small slips of
 * models are set right: line ends inside strings, unknown escapes, a comma before an end, Python's words. */
#include "reply/reply_inner.h"

#define DEPTH_MAX 64u

void reply_put(chord_buffer *out, const char *text, size_t len, chord_status *status)
{
    if (*status == CHORD_OK) *status = chord_buffer_append(out, text, len, NULL);
}

/* ---- words ----------------------------------------------------------------------------------------------- */

static size_t digits(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] >= '0' && text[n] <= '9') n++;
    return n;
}

static bool is_number(const char *text, size_t len)
{
    size_t at = len > 0 && text[0] == '-' ? 1 : 0, n = digits(text + at, len - at);
    if (n == 0 || (n > 1 && text[at] == '0')) return false;
    at += n;
    if (at < len && text[at] == '.') {
        n = digits(text + at + 1, len - at - 1);
        if (n == 0) return false;
        at += n + 1;
    }
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        if (at < len && (text[at] == '+' || text[at] == '-')) at++;
        n = digits(text + at, len - at);
        if (n == 0) return false;
        at += n;
    }
    return at == len;
}

const char *reply_word(const char *text, size_t len)
{
    static const char *const WORDS[][2] = {{"true", "true"}, {"false", "false"}, {"null", "null"},
                                           {"True", "true"}, {"False", "false"}, {"None", "null"}};
    for (size_t i = 0; i < CHORD_COUNT(WORDS); i++)
        if (strlen(WORDS[i][0]) == len && memcmp(WORDS[i][0], text, len) == 0) return WORDS[i][1];
    return is_number(text, len) ? text : NULL;
}

static bool is_of_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' ||
           c == '.' || c == '_';
}

/* ---- what is between ----------------------------------------------------------------------------------------- */

static void give_gap(reply_flow *f, chord_buffer *out, chord_status *status)
{
    reply_put(out, f->gap, f->gap_len, status);
    f->gap_len = 0;
}

static void add_gap(reply_flow *f, char c)
{
    if (f->gap_len + (c != ',') < FLOW_GAP) f->gap[f->gap_len++] = c; /* a comma always has room */
}

static void after_value(reply_flow *f)
{
    f->want = f->depth > 0 ? FLOW_NEXT : FLOW_DONE;
    f->owes = f->at_colon = false;
}

static bool in_object(const reply_flow *f) { return f->depth > 0 && (f->objects & 1); }

static void open_bracket(reply_flow *f, char c)
{
    f->objects = f->objects << 1 | (c == '{');
    f->depth++;
    f->want = c == '{' ? FLOW_KEY : FLOW_FIRST;
}

/* A comma that nothing followed is left out. */
static void close_bracket(reply_flow *f, char c, chord_buffer *out, chord_status *status)
{
    uint32_t comma = 0;
    while (comma < f->gap_len && f->gap[comma] != ',') comma++;
    if (comma < f->gap_len) f->gap_len = comma;
    give_gap(f, out, status);
    reply_put(out, &c, 1, status);
    f->objects >>= 1;
    f->depth--;
    after_value(f);
}

/* ---- strings ------------------------------------------------------------------------------------------------ */

static bool names_escape(char c)
{
    static const char NAMES[] = {'"', '\\', '/', 'b', 'f', 'n', 'r', 't'};
    for (size_t i = 0; i < sizeof NAMES; i++)
        if (NAMES[i] == c) return true;
    return false;
}

/* One that is not whole is a backslash that stands for itself, and what follows it. */
static void give_escape(reply_flow *f, chord_buffer *out, chord_status *status)
{
    bool whole = f->escape_len == 6 || (f->escape_len == 2 && f->escape[1] != 'u');
    if (!whole) reply_put(out, "\\", 1, status);
    reply_put(out, f->escape, f->escape_len, status);
    f->escape_len = 0;
}

/* One byte behind a backslash. false: it is to be looked at again. */
static bool take_escaped(reply_flow *f, char c, chord_buffer *out, chord_status *status)
{
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (f->escape_len == 1 ? c != 'u' && !names_escape(c) : !hex) {
        give_escape(f, out, status);
        return false;
    }
    f->escape[f->escape_len++] = c;
    if (f->escape_len == 6 || (f->escape_len == 2 && c != 'u')) give_escape(f, out, status);
    return true;
}

static void give_control(char c, chord_buffer *out, chord_status *status)
{
    static const char HEX[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', HEX[(c >> 4) & 15], HEX[c & 15]};
    if (c == '\n') reply_put(out, "\\n", 2, status);
    else if (c == '\t') reply_put(out, "\\t", 2, status);
    else if (c == '\r') reply_put(out, "\\r", 2, status);
    else reply_put(out, text, 6, status);
}

static size_t take_string(reply_flow *f, const char *text, size_t len, chord_buffer *out, chord_status *status)
{
    size_t at = 0, plain = 0;
    for (; at < len; at++) {
        char c = text[at];
        if (f->escape_len > 0) {
            if (!take_escaped(f, c, out, status)) at--;
            plain = at + 1;
            continue;
        }
        if (c != '"' && c != '\\' && (unsigned char)c >= 0x20) continue;
        reply_put(out, text + plain, at - plain, status);
        plain = at + 1;
        if (c == '\\') f->escape[f->escape_len++] = c;
        else if (c != '"') give_control(c, out, status);
        else break;
    }
    if (at == len) {
        reply_put(out, text + plain, len - plain, status);
        return len;
    }
    reply_put(out, "\"", 1, status);
    if (f->want == FLOW_KEY_STRING) f->want = FLOW_COLON;
    else after_value(f);
    return at + 1;
}

/* ---- numbers and other words ----------------------------------------------------------------------------------- */

static void end_word(reply_flow *f, chord_buffer *out, chord_status *status)
{
    const char *word = reply_word(f->word, f->word_len);
    f->bad_word = word == NULL;
    f->want = FLOW_BAD;
    if (word == NULL) return;
    give_gap(f, out, status);
    reply_put(out, word, word == f->word ? f->word_len : strlen(word), status);
    f->word_len = 0;
    after_value(f);
}

static size_t take_word(reply_flow *f, const char *text, size_t len, chord_buffer *out, chord_status *status)
{
    size_t at = 0;
    while (at < len && is_of_word(text[at]) && f->word_len < FLOW_WORD_MAX) f->word[f->word_len++] = text[at++];
    if (at < len || f->word_len == FLOW_WORD_MAX) end_word(f, out, status);
    return at;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static bool begin_value(reply_flow *f, char c, chord_buffer *out, chord_status *status)
{
    if (is_of_word(c)) {
        f->want = FLOW_WORD;
        f->word_len = 0;
        return false; /* the word takes it */
    }
    if ((c != '{' && c != '[' && c != '"') || (c != '"' && f->depth == DEPTH_MAX)) {
        f->want = FLOW_BAD;
        return false;
    }
    give_gap(f, out, status);
    reply_put(out, &c, 1, status);
    f->owes = false;
    if (c == '"') f->want = FLOW_STRING;
    else open_bracket(f, c);
    return true;
}

/* One byte between values; false: it was not taken. */
static bool take_byte(reply_flow *f, char c, chord_buffer *out, chord_status *status)
{
    if (reply_is_space(c)) {
        add_gap(f, c);
        return true;
    }
    bool ends = c == (in_object(f) ? '}' : ']');
    if ((f->want == FLOW_NEXT || f->want == FLOW_FIRST || f->want == FLOW_KEY) && ends && f->depth > 0) {
        close_bracket(f, c, out, status);
        return true;
    }
    if (f->want == FLOW_NEXT && c == ',') {
        add_gap(f, c);
        f->want = in_object(f) ? FLOW_KEY : FLOW_FIRST;
        return true;
    }
    if ((f->want == FLOW_KEY && c == '"') || (f->want == FLOW_COLON && c == ':')) {
        give_gap(f, out, status);
        reply_put(out, &c, 1, status);
        f->want = c == ':' ? FLOW_VALUE : FLOW_KEY_STRING;
        f->owes = c == ':';
        return true;
    }
    if (f->want == FLOW_VALUE || f->want == FLOW_FIRST) return begin_value(f, c, out, status);
    f->at_colon = f->want == FLOW_COLON;
    f->want = FLOW_BAD;
    return false;
}

size_t reply_flow_take(reply_flow *f, const char *text, size_t len, chord_buffer *out, chord_status *status)
{
    size_t at = 0;
    while (at < len && f->want != FLOW_DONE && f->want != FLOW_BAD) {
        if (f->want == FLOW_STRING || f->want == FLOW_KEY_STRING)
            at += take_string(f, text + at, len - at, out, status);
        else if (f->want == FLOW_WORD) at += take_word(f, text + at, len - at, out, status);
        else if (take_byte(f, text[at], out, status)) at++;
    }
    return at;
}

/* A word that was cut may have been another one: null stands for it. */
void reply_flow_close(reply_flow *f, chord_buffer *out, chord_status *status)
{
    bool in_key = f->want == FLOW_KEY_STRING;
    if (f->escape_len > 0) give_escape(f, out, status);
    if (f->want == FLOW_STRING || in_key) reply_put(out, "\"", 1, status);
    if (in_key || f->want == FLOW_COLON || f->at_colon) reply_put(out, ":null", 5, status);
    else if (f->owes) reply_put(out, "null", 4, status);
    for (; f->depth > 0; f->depth--, f->objects >>= 1) reply_put(out, f->objects & 1 ? "}" : "]", 1, status);
    f->want = FLOW_DONE;
}
