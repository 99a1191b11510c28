/* jinja_print.c - values as text: str() and repr() as Python writes them, HTML escapes, JSON. */
#include "template/jinja_inner.h"

static chord_status put_word(jinja_vm *vm, const char *word) { return jinja_put(vm, word, strlen(word)); }

/* ---- repr ------------------------------------------------------------------------------------ */

static chord_status put_escape(jinja_vm *vm, uint32_t code)
{
    char text[16];
    size_t n;
    if (code == '\n') return put_word(vm, "\\n");
    if (code == '\r') return put_word(vm, "\\r");
    if (code == '\t') return put_word(vm, "\\t");
    if (code < 0x100) n = chord_format(text, sizeof text, "\\x%02x", code);
    else if (code < 0x10000) n = chord_format(text, sizeof text, "\\u%04x", code);
    else n = chord_format(text, sizeof text, "\\U%08x", code);
    return jinja_put(vm, text, n);
}

static chord_status put_quoted(jinja_vm *vm, jinja_value v)
{
    CHORD_TRY(jinja_spend(vm, v.len / 4));
    bool single = jinja_text_find_byte(v, '\'', 0) != SIZE_MAX;
    char quote = single && jinja_text_find_byte(v, '"', 0) == SIZE_MAX ? '"' : '\'';
    CHORD_TRY(jinja_put(vm, &quote, 1));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        size_t used = chord_utf8_decode(v.text + at, v.len - at, &code);
        if (code == '\\' || code == (uint32_t)quote) CHORD_TRY(put_word(vm, "\\"));
        if (jinja_is_printable(code)) CHORD_TRY(jinja_put(vm, v.text + at, used));
        else CHORD_TRY(put_escape(vm, code));
        at += used;
    }
    return jinja_put(vm, &quote, 1);
}

static chord_status put_items(jinja_vm *vm, const char *open, jinja_value v, const char *close)
{
    CHORD_TRY(put_word(vm, open));
    for (size_t i = 0; i < v.len; i++) {
        if (i > 0) CHORD_TRY(put_word(vm, ", "));
        CHORD_TRY(jinja_put_repr(vm, v.items[i]));
    }
    if (v.kind == JINJA_V_TUPLE && v.len == 1) CHORD_TRY(put_word(vm, ","));
    return put_word(vm, close);
}

static chord_status put_dict(jinja_vm *vm, const char *open, const jinja_dict *dict, const char *close)
{
    CHORD_TRY(put_word(vm, open));
    for (size_t i = 0; i < dict->count; i++) {
        if (i > 0) CHORD_TRY(put_word(vm, ", "));
        CHORD_TRY(jinja_put_repr(vm, dict->keys[i]));
        CHORD_TRY(put_word(vm, ": "));
        CHORD_TRY(jinja_put_repr(vm, dict->values[i]));
    }
    return put_word(vm, close);
}

static chord_status put_view(jinja_vm *vm, jinja_value v)
{
    CHORD_TRY(put_word(vm, jinja_type_name(v)));
    CHORD_TRY(put_word(vm, "("));
    jinja_value list = {.kind = JINJA_V_LIST};
    CHORD_TRY(jinja_value_items(vm, v, &list.items, &list.len));
    CHORD_TRY(put_items(vm, "[", list, "]"));
    return put_word(vm, ")");
}

static chord_status put_range(jinja_vm *vm, const jinja_range *r)
{
    char text[96];
    size_t n = r->step == 1 ? chord_format(text, sizeof text, "range(%" PRIi64 ", %" PRIi64 ")", r->start, r->stop)
                            : chord_format(text, sizeof text, "range(%" PRIi64 ", %" PRIi64 ", %" PRIi64 ")", r->start,
                                           r->stop, r->step);
    return jinja_put(vm, text, n);
}

static chord_status put_object(jinja_vm *vm, jinja_value v)
{
    char text[128];
    const jinja_name *name;
    jinja_value length;
    size_t n;
    switch (v.kind) {
    case JINJA_V_LOOP:
        CHORD_TRY(jinja_loop_member(vm, v.loop, jinja_literal("length"), &length));
        n = chord_format(text, sizeof text, "<LoopContext %" PRIi64 "/%" PRIi64 ">", v.loop->index0 + 1,
                         length.integer);
        return jinja_put(vm, text, n);
    case JINJA_V_MACRO:
        name = v.macro->node->name;
        if (name == NULL) return put_word(vm, "<Macro anonymous>");
        CHORD_TRY(put_word(vm, "<Macro "));
        CHORD_TRY(put_quoted(vm, jinja_text(name->text, name->len)));
        return put_word(vm, ">");
    case JINJA_V_METHOD:
        n = chord_format(text, sizeof text, "<method %s>", v.method->builtin->name);
        return jinja_put(vm, text, n);
    case JINJA_V_FUNCTION:
        n = chord_format(text, sizeof text, "<function %s>", v.function->name);
        return jinja_put(vm, text, n);
    default: n = chord_format(text, sizeof text, "<%s object>", jinja_type_name(v)); return jinja_put(vm, text, n);
    }
}

static chord_status put_real(jinja_vm *vm, double number)
{
    char text[40];
    CHORD_TRY(jinja_spend(vm, JINJA_NUMBER_STEPS));
    return jinja_put(vm, text, chord_f64_to_text(number, text));
}

static chord_status put_value(jinja_vm *vm, jinja_value v)
{
    char text[40];
    switch (v.kind) {
    case JINJA_V_UNDEFINED: return put_word(vm, "Undefined");
    case JINJA_V_NONE: return put_word(vm, "None");
    case JINJA_V_BOOL: return put_word(vm, v.boolean ? "True" : "False");
    case JINJA_V_INT: return jinja_put(vm, text, chord_format(text, sizeof text, "%" PRIi64, v.integer));
    case JINJA_V_FLOAT: return put_real(vm, v.number);
    case JINJA_V_TEXT:
        if (v.sub != JINJA_SUB_MARKUP) return put_quoted(vm, v);
        CHORD_TRY(put_word(vm, "Markup("));
        CHORD_TRY(put_quoted(vm, v));
        return put_word(vm, ")");
    case JINJA_V_LIST: return put_items(vm, "[", v, "]");
    case JINJA_V_TUPLE: return put_items(vm, "(", v, ")");
    case JINJA_V_DICT: return put_dict(vm, "{", v.dict, "}");
    case JINJA_V_NAMESPACE: return put_dict(vm, "<Namespace {", v.dict, "}>");
    case JINJA_V_VIEW: return put_view(vm, v);
    case JINJA_V_RANGE: return put_range(vm, v.range);
    default: return put_object(vm, v);
    }
}

chord_status jinja_put_repr(jinja_vm *vm, jinja_value v)
{
    CHORD_TRY(jinja_spend(vm, 1));
    CHORD_TRY(jinja_enter(vm));
    CHORD_TRY(put_value(vm, v));
    vm->depth--;
    return CHORD_OK;
}

chord_status jinja_put_str(jinja_vm *vm, jinja_value v)
{
    if (v.kind == JINJA_V_TEXT) return jinja_put(vm, v.text, v.len);
    if (v.kind == JINJA_V_UNDEFINED) return CHORD_OK;
    return jinja_put_repr(vm, v);
}

chord_status jinja_value_soft(jinja_vm *vm, jinja_value v, jinja_value *out)
{
    size_t start = vm->work.len;
    *out = v;
    if (v.kind == JINJA_V_TEXT) return CHORD_OK;
    CHORD_TRY(jinja_put_str(vm, v));
    return jinja_build_end(vm, start, out);
}

chord_status jinja_value_str(jinja_vm *vm, jinja_value v, jinja_value *out)
{
    CHORD_TRY(jinja_value_soft(vm, v, out));
    out->sub = 0;
    return CHORD_OK;
}

/* ---- HTML ------------------------------------------------------------------------------------ */

chord_status jinja_put_escaped(jinja_vm *vm, jinja_value v)
{
    static const char from[] = "&<>\"'";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    jinja_value text;
    CHORD_TRY(jinja_value_soft(vm, v, &text));
    if (text.sub == JINJA_SUB_MARKUP) return jinja_put(vm, text.text, text.len);
    CHORD_TRY(jinja_spend(vm, text.len / 4));
    for (size_t at = 0; at < text.len; at++) {
        size_t i = 0;
        while (i < CHORD_COUNT(to) && text.text[at] != from[i]) i++;
        if (i < CHORD_COUNT(to)) CHORD_TRY(put_word(vm, to[i]));
        else CHORD_TRY(jinja_put(vm, text.text + at, 1));
    }
    return CHORD_OK;
}

chord_status jinja_value_escape(jinja_vm *vm, jinja_value v, jinja_value *out)
{
    size_t start = vm->work.len;
    CHORD_TRY(jinja_put_escaped(vm, v));
    CHORD_TRY(jinja_build_end(vm, start, out));
    out->sub = JINJA_SUB_MARKUP;
    return CHORD_OK;
}

/* ---- joined ---------------------------------------------------------------------------------- */

/* strict: items must be strings, as str.join has it; otherwise each is made one, as the filter does. */
chord_status jinja_text_join(jinja_vm *vm, jinja_value separator, jinja_value list, bool strict, jinja_value *out)
{
    jinja_cursor cursor;
    size_t start = vm->work.len;
    bool markup = strict && separator.sub == JINJA_SUB_MARKUP;
    CHORD_TRY(jinja_cursor_open(vm, list, &cursor));
    for (bool first = true;; first = false) {
        jinja_value item;
        bool got;
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (!got) break;
        if (!first) CHORD_TRY(jinja_put(vm, separator.text, separator.len));
        if (markup) CHORD_TRY(jinja_put_escaped(vm, item));
        else if (!strict || item.kind == JINJA_V_TEXT) CHORD_TRY(jinja_put_str(vm, item));
        else return jinja_fail(vm, CHORD_INVALID, "join() needs strings, not '%s'", jinja_type_name(item));
    }
    CHORD_TRY(jinja_build_end(vm, start, out));
    out->sub = markup ? JINJA_SUB_MARKUP : 0;
    return CHORD_OK;
}

/* ---- JSON, as Python's json.dumps writes it -------------------------------------------------- */

typedef struct json_style {
    bool ascii, sort_keys, lines;
    jinja_value indent;    /* one level of it */
    jinja_value item, key; /* separators */
} json_style;

static chord_status put_json(jinja_vm *vm, const json_style *style, jinja_value v, uint32_t level);

static chord_status put_json_text(jinja_vm *vm, const json_style *style, jinja_value v)
{
    size_t start = vm->work.len;
    CHORD_TRY(jinja_spend(vm, v.len / 16));
    CHORD_TRY(chord_json_quote(&vm->work, v.text, v.len, vm->err));
    if (!style->ascii) return CHORD_OK;
    jinja_value quoted;
    CHORD_TRY(jinja_build_end(vm, start, &quoted));
    for (size_t at = 0; at < quoted.len;) {
        uint32_t code;
        char text[16];
        size_t used = chord_utf8_decode(quoted.text + at, quoted.len - at, &code), n = used;
        if (code < 0x7F) memcpy(text, quoted.text + at, used);
        else if (code < 0x10000) n = chord_format(text, sizeof text, "\\u%04x", code);
        else n = chord_format(text, sizeof text, "\\u%04x\\u%04x", 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF));
        CHORD_TRY(jinja_put(vm, text, n));
        at += used;
    }
    return CHORD_OK;
}

static chord_status put_json_float(jinja_vm *vm, double number)
{
    if (number != number) return put_word(vm, "NaN");
    if (number - number != 0) return put_word(vm, number > 0 ? "Infinity" : "-Infinity");
    return put_real(vm, number);
}

static chord_status put_line(jinja_vm *vm, const json_style *style, uint32_t level)
{
    if (!style->lines) return CHORD_OK;
    CHORD_TRY(jinja_spend(vm, level));
    CHORD_TRY(put_word(vm, "\n"));
    for (uint32_t i = 0; i < level; i++) CHORD_TRY(jinja_put(vm, style->indent.text, style->indent.len));
    return CHORD_OK;
}

static chord_status put_json_list(jinja_vm *vm, const json_style *style, jinja_value v, uint32_t level)
{
    if (v.len == 0) return put_word(vm, "[]");
    CHORD_TRY(put_word(vm, "["));
    for (size_t i = 0; i < v.len; i++) {
        if (i > 0) CHORD_TRY(jinja_put(vm, style->item.text, style->item.len));
        CHORD_TRY(put_line(vm, style, level + 1));
        CHORD_TRY(put_json(vm, style, v.items[i], level + 1));
    }
    CHORD_TRY(put_line(vm, style, level));
    return put_word(vm, "]");
}

static chord_status put_json_key(jinja_vm *vm, const json_style *style, jinja_value key)
{
    bool plain = key.kind == JINJA_V_NONE || jinja_is_number(key);
    if (key.kind == JINJA_V_TEXT) return put_json_text(vm, style, key);
    if (!plain)
        return jinja_fail(vm, CHORD_INVALID, "keys must be str, int, float, bool or None, not %s",
                          jinja_type_name(key));
    CHORD_TRY(put_word(vm, "\""));
    CHORD_TRY(put_json(vm, style, key, 0));
    return put_word(vm, "\"");
}

static chord_status put_json_dict(jinja_vm *vm, const json_style *style, const jinja_dict *dict, uint32_t level)
{
    size_t *order = NULL;
    if (dict->count == 0) return put_word(vm, "{}");
    if (style->sort_keys) CHORD_TRY(jinja_sort_places(vm, dict->keys, dict->count, false, &order));
    CHORD_TRY(put_word(vm, "{"));
    for (size_t i = 0; i < dict->count; i++) {
        size_t at = order == NULL ? i : order[i];
        if (i > 0) CHORD_TRY(jinja_put(vm, style->item.text, style->item.len));
        CHORD_TRY(put_line(vm, style, level + 1));
        CHORD_TRY(put_json_key(vm, style, dict->keys[at]));
        CHORD_TRY(jinja_put(vm, style->key.text, style->key.len));
        CHORD_TRY(put_json(vm, style, dict->values[at], level + 1));
    }
    CHORD_TRY(put_line(vm, style, level));
    return put_word(vm, "}");
}

static chord_status put_json(jinja_vm *vm, const json_style *style, jinja_value v, uint32_t level)
{
    CHORD_TRY(jinja_spend(vm, 1));
    switch (v.kind) {
    case JINJA_V_NONE: return put_word(vm, "null");
    case JINJA_V_BOOL: return put_word(vm, v.boolean ? "true" : "false");
    case JINJA_V_INT: return jinja_put_repr(vm, v);
    case JINJA_V_FLOAT: return put_json_float(vm, v.number);
    case JINJA_V_TEXT: return put_json_text(vm, style, v);
    case JINJA_V_LIST:
    case JINJA_V_TUPLE:
    case JINJA_V_DICT:
        CHORD_TRY(jinja_enter(vm));
        if (v.kind == JINJA_V_DICT) CHORD_TRY(put_json_dict(vm, style, v.dict, level));
        else CHORD_TRY(put_json_list(vm, style, v, level));
        vm->depth--;
        return CHORD_OK;
    default: return jinja_fail(vm, CHORD_INVALID, "an object of type %s cannot be written as JSON", jinja_type_name(v));
    }
}

static chord_status read_indent(jinja_vm *vm, jinja_value indent, json_style *style)
{
    style->lines = jinja_given(indent) && indent.kind != JINJA_V_NONE;
    style->indent = jinja_literal("");
    if (!style->lines) return CHORD_OK;
    if (jinja_is_integer(indent))
        return jinja_value_repeat(vm, jinja_literal(" "), jinja_integer_of(indent), &style->indent);
    if (indent.kind != JINJA_V_TEXT)
        return jinja_fail(vm, CHORD_INVALID, "tojson: indent is a %s", jinja_type_name(indent));
    style->indent = indent;
    return CHORD_OK;
}

chord_status jinja_to_json(jinja_vm *vm, jinja_value v, const jinja_call *call, jinja_value *out)
{
    jinja_value args[4];
    json_style style = {0};
    CHORD_TRY(jinja_call_bind(vm, call, "tojson", "ensure_ascii indent separators sort_keys", args));
    style.ascii = jinja_value_true(vm, args[0]);
    style.sort_keys = jinja_value_true(vm, args[3]);
    CHORD_TRY(read_indent(vm, args[1], &style));
    style.item = jinja_literal(style.lines ? "," : ", ");
    style.key = jinja_literal(": ");
    if (jinja_given(args[2]) && args[2].kind != JINJA_V_NONE) {
        const jinja_value *two;
        size_t count;
        CHORD_TRY(jinja_value_items(vm, args[2], &two, &count));
        if (count != 2 || two[0].kind != JINJA_V_TEXT || two[1].kind != JINJA_V_TEXT)
            return jinja_fail(vm, CHORD_INVALID, "tojson: separators must be two strings");
        style.item = two[0];
        style.key = two[1];
    }
    size_t start = vm->work.len;
    CHORD_TRY(put_json(vm, &style, v, 0));
    return jinja_build_end(vm, start, out);
}
