/* jinja_print.c - values as text: str() and repr() as Python writes them, HTML escapes, JSON. */
#include "text/jinja_inner.h"

chord_status chord_put(chord_jinja *vm, const char *text, size_t len)
{
    CHORD_TRY(chord_jinja_spend(vm, len / 64));
    return chord_buffer_append(&vm->work, text, len, vm->err);
}

static chord_status put_word(chord_jinja *vm, const char *word) { return chord_put(vm, word, strlen(word)); }

chord_status chord_build_end(chord_jinja *vm, size_t start, chord_value *out)
{
    char *text;
    size_t len = vm->work.len - start;
    CHORD_TRY(chord_jinja_get(vm, len, &text));
    memcpy(text, vm->work.data + start, len);
    vm->work.len = start;
    *out = chord_text(text, len);
    return CHORD_OK;
}

/* ---- repr ------------------------------------------------------------------------------------ */

static chord_status put_escape(chord_jinja *vm, uint32_t code)
{
    char text[16];
    size_t n;
    if (code == '\n') return put_word(vm, "\\n");
    if (code == '\r') return put_word(vm, "\\r");
    if (code == '\t') return put_word(vm, "\\t");
    if (code < 0x100) n = chord_format(text, sizeof text, "\\x%02x", code);
    else if (code < 0x10000) n = chord_format(text, sizeof text, "\\u%04x", code);
    else n = chord_format(text, sizeof text, "\\U%08x", code);
    return chord_put(vm, text, n);
}

static chord_status put_quoted(chord_jinja *vm, chord_value v)
{
    CHORD_TRY(chord_jinja_spend(vm, v.len / 4));
    bool single = chord_text_find_byte(v, '\'', 0) != SIZE_MAX;
    char quote = single && chord_text_find_byte(v, '"', 0) == SIZE_MAX ? '"' : '\'';
    CHORD_TRY(chord_put(vm, &quote, 1));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        size_t used = chord_utf8_decode(v.text + at, v.len - at, &code);
        if (code == '\\' || code == (uint32_t)quote) CHORD_TRY(put_word(vm, "\\"));
        if (chord_is_printable(code)) CHORD_TRY(chord_put(vm, v.text + at, used));
        else CHORD_TRY(put_escape(vm, code));
        at += used;
    }
    return chord_put(vm, &quote, 1);
}

static chord_status put_items(chord_jinja *vm, const char *open, chord_value v, const char *close)
{
    CHORD_TRY(put_word(vm, open));
    for (size_t i = 0; i < v.len; i++) {
        if (i > 0) CHORD_TRY(put_word(vm, ", "));
        CHORD_TRY(chord_put_repr(vm, v.items[i]));
    }
    if (v.kind == CHORD_V_TUPLE && v.len == 1) CHORD_TRY(put_word(vm, ","));
    return put_word(vm, close);
}

static chord_status put_dict(chord_jinja *vm, const char *open, const chord_dict *dict, const char *close)
{
    CHORD_TRY(put_word(vm, open));
    for (size_t i = 0; i < dict->count; i++) {
        if (i > 0) CHORD_TRY(put_word(vm, ", "));
        CHORD_TRY(chord_put_repr(vm, dict->keys[i]));
        CHORD_TRY(put_word(vm, ": "));
        CHORD_TRY(chord_put_repr(vm, dict->values[i]));
    }
    return put_word(vm, close);
}

static chord_status put_view(chord_jinja *vm, chord_value v)
{
    CHORD_TRY(put_word(vm, chord_type_name(v)));
    CHORD_TRY(put_word(vm, "("));
    chord_value list = {.kind = CHORD_V_LIST};
    CHORD_TRY(chord_value_items(vm, v, &list.items, &list.len));
    CHORD_TRY(put_items(vm, "[", list, "]"));
    return put_word(vm, ")");
}

static chord_status put_range(chord_jinja *vm, const chord_range *r)
{
    char text[96];
    size_t n = r->step == 1 ? chord_format(text, sizeof text, "range(%" PRIi64 ", %" PRIi64 ")", r->start, r->stop)
                            : chord_format(text, sizeof text, "range(%" PRIi64 ", %" PRIi64 ", %" PRIi64 ")", r->start,
                                           r->stop, r->step);
    return chord_put(vm, text, n);
}

static chord_status put_object(chord_jinja *vm, chord_value v)
{
    char text[128];
    const chord_name *name;
    chord_value length;
    size_t n;
    switch (v.kind) {
    case CHORD_V_LOOP:
        CHORD_TRY(chord_loop_member(vm, v.loop, chord_literal("length"), &length));
        n = chord_format(text, sizeof text, "<LoopContext %" PRIi64 "/%" PRIi64 ">", v.loop->index0 + 1,
                         length.integer);
        return chord_put(vm, text, n);
    case CHORD_V_MACRO:
        name = v.macro->node->name;
        if (name == NULL) return put_word(vm, "<Macro anonymous>");
        CHORD_TRY(put_word(vm, "<Macro "));
        CHORD_TRY(put_quoted(vm, chord_text(name->text, name->len)));
        return put_word(vm, ">");
    case CHORD_V_METHOD:
        n = chord_format(text, sizeof text, "<method %s>", v.method->builtin->name);
        return chord_put(vm, text, n);
    case CHORD_V_FUNCTION:
        n = chord_format(text, sizeof text, "<function %s>", v.function->name);
        return chord_put(vm, text, n);
    default: n = chord_format(text, sizeof text, "<%s object>", chord_type_name(v)); return chord_put(vm, text, n);
    }
}

static chord_status put_real(chord_jinja *vm, double number)
{
    char text[40];
    CHORD_TRY(chord_jinja_spend(vm, CHORD_JINJA_NUMBER_STEPS));
    return chord_put(vm, text, chord_f64_to_text(number, text));
}

static chord_status put_value(chord_jinja *vm, chord_value v)
{
    char text[40];
    switch (v.kind) {
    case CHORD_V_UNDEFINED: return put_word(vm, "Undefined");
    case CHORD_V_NONE: return put_word(vm, "None");
    case CHORD_V_BOOL: return put_word(vm, v.boolean ? "True" : "False");
    case CHORD_V_INT: return chord_put(vm, text, chord_format(text, sizeof text, "%" PRIi64, v.integer));
    case CHORD_V_FLOAT: return put_real(vm, v.number);
    case CHORD_V_TEXT:
        if (v.sub != CHORD_SUB_MARKUP) return put_quoted(vm, v);
        CHORD_TRY(put_word(vm, "Markup("));
        CHORD_TRY(put_quoted(vm, v));
        return put_word(vm, ")");
    case CHORD_V_LIST: return put_items(vm, "[", v, "]");
    case CHORD_V_TUPLE: return put_items(vm, "(", v, ")");
    case CHORD_V_DICT: return put_dict(vm, "{", v.dict, "}");
    case CHORD_V_NAMESPACE: return put_dict(vm, "<Namespace {", v.dict, "}>");
    case CHORD_V_VIEW: return put_view(vm, v);
    case CHORD_V_RANGE: return put_range(vm, v.range);
    default: return put_object(vm, v);
    }
}

chord_status chord_put_repr(chord_jinja *vm, chord_value v)
{
    CHORD_TRY(chord_jinja_spend(vm, 1));
    CHORD_TRY(chord_jinja_enter(vm));
    CHORD_TRY(put_value(vm, v));
    vm->depth--;
    return CHORD_OK;
}

chord_status chord_put_str(chord_jinja *vm, chord_value v)
{
    if (v.kind == CHORD_V_TEXT) return chord_put(vm, v.text, v.len);
    if (v.kind == CHORD_V_UNDEFINED) return CHORD_OK;
    return chord_put_repr(vm, v);
}

chord_status chord_value_soft(chord_jinja *vm, chord_value v, chord_value *out)
{
    size_t start = vm->work.len;
    *out = v;
    if (v.kind == CHORD_V_TEXT) return CHORD_OK;
    CHORD_TRY(chord_put_str(vm, v));
    return chord_build_end(vm, start, out);
}

chord_status chord_value_str(chord_jinja *vm, chord_value v, chord_value *out)
{
    CHORD_TRY(chord_value_soft(vm, v, out));
    out->sub = 0;
    return CHORD_OK;
}

/* ---- HTML ------------------------------------------------------------------------------------ */

chord_status chord_put_escaped(chord_jinja *vm, chord_value v)
{
    static const char from[] = "&<>\"'";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    chord_value text;
    CHORD_TRY(chord_value_soft(vm, v, &text));
    if (text.sub == CHORD_SUB_MARKUP) return chord_put(vm, text.text, text.len);
    CHORD_TRY(chord_jinja_spend(vm, text.len / 4));
    for (size_t at = 0; at < text.len; at++) {
        size_t i = 0;
        while (i < CHORD_COUNT(to) && text.text[at] != from[i]) i++;
        if (i < CHORD_COUNT(to)) CHORD_TRY(put_word(vm, to[i]));
        else CHORD_TRY(chord_put(vm, text.text + at, 1));
    }
    return CHORD_OK;
}

chord_status chord_value_escape(chord_jinja *vm, chord_value v, chord_value *out)
{
    size_t start = vm->work.len;
    CHORD_TRY(chord_put_escaped(vm, v));
    CHORD_TRY(chord_build_end(vm, start, out));
    out->sub = CHORD_SUB_MARKUP;
    return CHORD_OK;
}

/* ---- JSON, as Python's json.dumps writes it -------------------------------------------------- */

typedef struct json_style {
    bool ascii, sort_keys, lines;
    chord_value indent;    /* one level of it */
    chord_value item, key; /* separators */
} json_style;

static chord_status put_json(chord_jinja *vm, const json_style *style, chord_value v, uint32_t level);

static chord_status put_json_text(chord_jinja *vm, const json_style *style, chord_value v)
{
    size_t start = vm->work.len;
    CHORD_TRY(chord_jinja_spend(vm, v.len / 16));
    CHORD_TRY(chord_json_quote(&vm->work, v.text, v.len, vm->err));
    if (!style->ascii) return CHORD_OK;
    chord_value quoted;
    CHORD_TRY(chord_build_end(vm, start, &quoted));
    for (size_t at = 0; at < quoted.len;) {
        uint32_t code;
        char text[16];
        size_t used = chord_utf8_decode(quoted.text + at, quoted.len - at, &code), n = used;
        if (code < 0x7F) memcpy(text, quoted.text + at, used);
        else if (code < 0x10000) n = chord_format(text, sizeof text, "\\u%04x", code);
        else n = chord_format(text, sizeof text, "\\u%04x\\u%04x", 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF));
        CHORD_TRY(chord_put(vm, text, n));
        at += used;
    }
    return CHORD_OK;
}

static chord_status put_json_float(chord_jinja *vm, double number)
{
    if (number != number) return put_word(vm, "NaN");
    if (number - number != 0) return put_word(vm, number > 0 ? "Infinity" : "-Infinity");
    return put_real(vm, number);
}

static chord_status put_line(chord_jinja *vm, const json_style *style, uint32_t level)
{
    if (!style->lines) return CHORD_OK;
    CHORD_TRY(chord_jinja_spend(vm, level));
    CHORD_TRY(put_word(vm, "\n"));
    for (uint32_t i = 0; i < level; i++) CHORD_TRY(chord_put(vm, style->indent.text, style->indent.len));
    return CHORD_OK;
}

static chord_status put_json_list(chord_jinja *vm, const json_style *style, chord_value v, uint32_t level)
{
    if (v.len == 0) return put_word(vm, "[]");
    CHORD_TRY(put_word(vm, "["));
    for (size_t i = 0; i < v.len; i++) {
        if (i > 0) CHORD_TRY(chord_put(vm, style->item.text, style->item.len));
        CHORD_TRY(put_line(vm, style, level + 1));
        CHORD_TRY(put_json(vm, style, v.items[i], level + 1));
    }
    CHORD_TRY(put_line(vm, style, level));
    return put_word(vm, "]");
}

static chord_status put_json_key(chord_jinja *vm, const json_style *style, chord_value key)
{
    bool plain = key.kind == CHORD_V_NONE || chord_is_number(key);
    if (key.kind == CHORD_V_TEXT) return put_json_text(vm, style, key);
    if (!plain)
        return chord_jinja_fail(vm, CHORD_INVALID, "keys must be str, int, float, bool or None, not %s",
                                chord_type_name(key));
    CHORD_TRY(put_word(vm, "\""));
    CHORD_TRY(put_json(vm, style, key, 0));
    return put_word(vm, "\"");
}

static chord_status put_json_dict(chord_jinja *vm, const json_style *style, const chord_dict *dict, uint32_t level)
{
    size_t *order = NULL;
    if (dict->count == 0) return put_word(vm, "{}");
    if (style->sort_keys) CHORD_TRY(chord_sort_places(vm, dict->keys, dict->count, false, &order));
    CHORD_TRY(put_word(vm, "{"));
    for (size_t i = 0; i < dict->count; i++) {
        size_t at = order == NULL ? i : order[i];
        if (i > 0) CHORD_TRY(chord_put(vm, style->item.text, style->item.len));
        CHORD_TRY(put_line(vm, style, level + 1));
        CHORD_TRY(put_json_key(vm, style, dict->keys[at]));
        CHORD_TRY(chord_put(vm, style->key.text, style->key.len));
        CHORD_TRY(put_json(vm, style, dict->values[at], level + 1));
    }
    CHORD_TRY(put_line(vm, style, level));
    return put_word(vm, "}");
}

static chord_status put_json(chord_jinja *vm, const json_style *style, chord_value v, uint32_t level)
{
    CHORD_TRY(chord_jinja_spend(vm, 1));
    switch (v.kind) {
    case CHORD_V_NONE: return put_word(vm, "null");
    case CHORD_V_BOOL: return put_word(vm, v.boolean ? "true" : "false");
    case CHORD_V_INT: return chord_put_repr(vm, v);
    case CHORD_V_FLOAT: return put_json_float(vm, v.number);
    case CHORD_V_TEXT: return put_json_text(vm, style, v);
    case CHORD_V_LIST:
    case CHORD_V_TUPLE:
    case CHORD_V_DICT:
        CHORD_TRY(chord_jinja_enter(vm));
        if (v.kind == CHORD_V_DICT) CHORD_TRY(put_json_dict(vm, style, v.dict, level));
        else CHORD_TRY(put_json_list(vm, style, v, level));
        vm->depth--;
        return CHORD_OK;
    default:
        return chord_jinja_fail(vm, CHORD_INVALID, "an object of type %s cannot be written as JSON",
                                chord_type_name(v));
    }
}

static chord_status read_indent(chord_jinja *vm, chord_value indent, json_style *style)
{
    style->lines = chord_given(indent) && indent.kind != CHORD_V_NONE;
    style->indent = chord_literal("");
    if (!style->lines) return CHORD_OK;
    if (chord_is_integer(indent))
        return chord_value_repeat(vm, chord_literal(" "), chord_integer_of(indent), &style->indent);
    if (indent.kind != CHORD_V_TEXT)
        return chord_jinja_fail(vm, CHORD_INVALID, "tojson: indent is a %s", chord_type_name(indent));
    style->indent = indent;
    return CHORD_OK;
}

chord_status chord_to_json(chord_jinja *vm, chord_value v, const chord_call *call, chord_value *out)
{
    chord_value args[4];
    json_style style = {0};
    CHORD_TRY(chord_call_bind(vm, call, "tojson", "ensure_ascii indent separators sort_keys", args));
    style.ascii = chord_value_true(vm, args[0]);
    style.sort_keys = chord_value_true(vm, args[3]);
    CHORD_TRY(read_indent(vm, args[1], &style));
    style.item = chord_literal(style.lines ? "," : ", ");
    style.key = chord_literal(": ");
    if (chord_given(args[2]) && args[2].kind != CHORD_V_NONE) {
        const chord_value *two;
        size_t count;
        CHORD_TRY(chord_value_items(vm, args[2], &two, &count));
        if (count != 2 || two[0].kind != CHORD_V_TEXT || two[1].kind != CHORD_V_TEXT)
            return chord_jinja_fail(vm, CHORD_INVALID, "tojson: separators must be two strings");
        style.item = two[0];
        style.key = two[1];
    }
    size_t start = vm->work.len;
    CHORD_TRY(put_json(vm, &style, v, 0));
    return chord_build_end(vm, start, out);
}
