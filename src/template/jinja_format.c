/* jinja_format.c - "%s" % x, "{}".format(x), dates, and text to numbers. */
#include "template/jinja_inner.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* ---- one field ------------------------------------------------------------------------------- */

/* A conversion in either language: [[fill]align][sign][#][0][width][,][.precision][type]. */
typedef struct field {
    jinja_value fill;
    char align; /* '<', '>', '^', '=' or 0 */
    char sign;  /* '+', ' ' or 0 */
    bool alternate, group;
    int64_t width, precision; /* -1: not given */
    char type;                /* 0: by the value */
} field;

static chord_status put_times(jinja_vm *vm, jinja_value fill, int64_t n)
{
    for (; n > 0; n--) CHORD_TRY(jinja_put(vm, fill.text, fill.len));
    return CHORD_OK;
}

/* sign and body, padded. A field wider than what is left of the output fails in the buffer. */
static chord_status put_padded(jinja_vm *vm, const field *f, jinja_value sign, jinja_value body, char align)
{
    CHORD_TRY(jinja_spend(vm, body.len / 64));
    int64_t have = (int64_t)(jinja_text_count(sign.text, sign.len) + jinja_text_count(body.text, body.len));
    int64_t room = f->width > have ? f->width - have : 0;
    if (f->align != 0) align = f->align;
    int64_t left = align == '>' ? room : align == '^' ? room / 2 : 0;
    int64_t right = align == '=' ? 0 : room - left;
    CHORD_TRY(jinja_spend(vm, (uint64_t)room));
    CHORD_TRY(put_times(vm, f->fill, left));
    CHORD_TRY(jinja_put(vm, sign.text, sign.len));
    if (align == '=') CHORD_TRY(put_times(vm, f->fill, room));
    CHORD_TRY(jinja_put(vm, body.text, body.len));
    return put_times(vm, f->fill, right);
}

/* Digits with a comma between thousands. */
static size_t group_digits(const char *digits, size_t n, char *out)
{
    size_t whole = 0, to = 0;
    while (whole < n && is_digit(digits[whole])) whole++;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0) out[to++] = ',';
        out[to++] = digits[i];
    }
    return to;
}

static jinja_value sign_of(const field *f, bool minus)
{
    return jinja_literal(minus ? "-" : f->sign == '+' ? "+" : f->sign == ' ' ? " " : "");
}

static size_t write_radix(uint64_t value, uint32_t radix, bool capital, char out[72])
{
    const char *digits = capital ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t at = 72;
    for (; value > 0 || at == 72; value /= radix) out[--at] = digits[value % radix];
    memmove(out, out + at, 72 - at);
    return 72 - at;
}

static chord_status put_integer(jinja_vm *vm, const field *f, int64_t value)
{
    char digits[72], grouped[100], sign[8];
    bool minus = value < 0, capital = f->type == 'X';
    uint64_t magnitude = minus ? 0 - (uint64_t)value : (uint64_t)value;
    uint32_t radix = f->type == 'x' || capital ? 16 : f->type == 'o' ? 8 : f->type == 'b' ? 2 : 10;
    size_t n = write_radix(magnitude, radix, capital, digits);
    jinja_value body = jinja_text(digits, n), lead = sign_of(f, minus);
    if (f->group) body = jinja_text(grouped, group_digits(digits, n, grouped));
    if (f->alternate && radix != 10) {
        size_t used = chord_format(sign, sizeof sign, "%s0%c", lead.text, f->type);
        lead = jinja_text(sign, used);
    }
    return put_padded(vm, f, lead, body, '>');
}

static chord_status put_float(jinja_vm *vm, const field *f, double value)
{
    char digits[420], grouped[560];
    bool minus = __builtin_signbit(value) && value == value, percent = f->type == '%';
    double magnitude = minus ? -value : value;
    int64_t places = f->precision < 0 ? 6 : f->precision;
    size_t n;
    if (f->type == 'e' || f->type == 'E' || f->type == 'g' || f->type == 'G' || f->type == 'n')
        return jinja_fail(vm, CHORD_UNSUPPORTED, "the conversion '%c' is not supported", f->type);
    if (places > 60) return jinja_fail(vm, CHORD_UNSUPPORTED, "more than 60 places of a number are not supported");
    CHORD_TRY(jinja_spend(vm, JINJA_NUMBER_STEPS));
    if (percent) magnitude *= 100;
    if (magnitude != magnitude || magnitude - magnitude != 0)
        n = chord_format(digits, sizeof digits, magnitude == magnitude ? "inf" : "nan");
    else if (f->type == 0 && f->precision < 0) n = chord_f64_to_text(magnitude, digits);
    else if (f->type == 0)
        return jinja_fail(vm, CHORD_UNSUPPORTED, "a precision without a conversion is not supported");
    else n = chord_format(digits, sizeof digits, "%.*f", (int)places, magnitude);
    if (percent) digits[n++] = '%';
    jinja_value body = jinja_text(digits, n);
    if (f->group) body = jinja_text(grouped, group_digits(digits, n, grouped));
    return put_padded(vm, f, sign_of(f, minus), body, '>');
}

static chord_status put_text(jinja_vm *vm, const field *f, jinja_value text)
{
    if (f->precision >= 0) text.len = jinja_text_offset(text.text, text.len, (size_t)f->precision);
    return put_padded(vm, f, jinja_literal(""), text, '<');
}

static chord_status read_number(jinja_vm *vm, jinja_value format, size_t *at, int64_t *out)
{
    if (*at >= format.len || !is_digit(format.text[*at])) return CHORD_OK;
    for (*out = 0; *at < format.len && is_digit(format.text[*at]); (*at)++) {
        *out = *out * 10 + (format.text[*at] - '0');
        if (*out > (int64_t)CHORD_TEMPLATE_OUTPUT_MAX) return jinja_fail(vm, CHORD_INVALID, "a field is too wide");
    }
    return CHORD_OK;
}

/* ---- "%s" % args ----------------------------------------------------------------------------- */

typedef struct percent {
    jinja_value format, args;
    size_t at, used; /* of the format; of the arguments, when they are a tuple or one value */
    bool markup;
} percent;

static chord_status next_argument(jinja_vm *vm, percent *p, jinja_value *out)
{
    size_t count = p->args.kind == JINJA_V_TUPLE ? p->args.len : 1;
    if (p->used >= count) return jinja_fail(vm, CHORD_INVALID, "not enough arguments for the format string");
    *out = p->args.kind == JINJA_V_TUPLE ? p->args.items[p->used] : p->args;
    p->used++;
    return CHORD_OK;
}

/* "(name)": the argument of that name; *named: there was one. */
static chord_status named_argument(jinja_vm *vm, percent *p, jinja_value *out, bool *named)
{
    const jinja_value *found;
    *named = p->at < p->format.len && p->format.text[p->at] == '(';
    if (!*named) return CHORD_OK;
    size_t from = ++p->at, open = 1;
    for (; p->at < p->format.len; p->at++) {
        if (p->format.text[p->at] == '(') open++;
        if (p->format.text[p->at] == ')' && --open == 0) break;
    }
    if (p->at >= p->format.len) return jinja_fail(vm, CHORD_INVALID, "incomplete key in a format string");
    if (p->args.kind != JINJA_V_DICT) return jinja_fail(vm, CHORD_INVALID, "the format requires a mapping");
    jinja_value key = jinja_text_part(p->format, from, p->at++);
    key.sub = 0;
    CHORD_TRY(jinja_dict_find(vm, p->args.dict, key, &found));
    if (found == NULL)
        return jinja_fail(vm, CHORD_INVALID, "no value '%.*s' for the format", key.len < 64 ? (int)key.len : 64,
                          key.text);
    *out = *found;
    p->used = 1;
    return CHORD_OK;
}

static chord_status star_or_number(jinja_vm *vm, percent *p, int64_t *out)
{
    jinja_value v;
    if (p->at >= p->format.len || p->format.text[p->at] != '*') return read_number(vm, p->format, &p->at, out);
    p->at++;
    CHORD_TRY(next_argument(vm, p, &v));
    if (!jinja_is_integer(v) || jinja_integer_of(v) > (int64_t)CHORD_TEMPLATE_OUTPUT_MAX ||
        jinja_integer_of(v) < -(int64_t)CHORD_TEMPLATE_OUTPUT_MAX)
        return jinja_fail(vm, CHORD_INVALID, "* wants a small integer");
    *out = jinja_integer_of(v);
    return CHORD_OK;
}

static chord_status read_percent_flags(jinja_vm *vm, percent *p, field *f)
{
    for (; p->at < p->format.len; p->at++) {
        char c = p->format.text[p->at];
        if (c == '-') f->align = '<';
        else if (c == '+') f->sign = '+';
        else if (c == ' ') f->sign = f->sign == 0 ? ' ' : f->sign;
        else if (c == '#') f->alternate = true;
        else if (c == '0') f->fill = jinja_literal("0");
        else break;
    }
    CHORD_TRY(star_or_number(vm, p, &f->width));
    if (f->width < -1) {
        f->align = '<';
        f->width = -f->width;
    }
    if (p->at < p->format.len && p->format.text[p->at] == '.') {
        p->at++;
        f->precision = 0;
        CHORD_TRY(star_or_number(vm, p, &f->precision));
    }
    while (p->at < p->format.len &&
           (p->format.text[p->at] == 'l' || p->format.text[p->at] == 'h' || p->format.text[p->at] == 'L'))
        p->at++;
    if (p->at >= p->format.len) return jinja_fail(vm, CHORD_INVALID, "incomplete format");
    f->type = p->format.text[p->at++];
    return CHORD_OK;
}

static chord_status put_character(jinja_vm *vm, const field *f, jinja_value v)
{
    char bytes[4];
    if (v.kind == JINJA_V_TEXT && jinja_text_count(v.text, v.len) == 1)
        return put_padded(vm, f, jinja_literal(""), v, '>');
    if (!jinja_is_integer(v) || jinja_integer_of(v) < 0 || jinja_integer_of(v) > 0x10FFFF)
        return jinja_fail(vm, CHORD_INVALID, "%%c wants a character or its number");
    size_t n = chord_utf8_encode((uint32_t)jinja_integer_of(v), bytes);
    return put_padded(vm, f, jinja_literal(""), jinja_text(bytes, n), '>');
}

static chord_status put_percent_text(jinja_vm *vm, percent *p, field *f, jinja_value v)
{
    size_t start = vm->work.len;
    if (p->markup) CHORD_TRY(jinja_put_escaped(vm, v));
    else if (f->type == 'r') CHORD_TRY(jinja_put_repr(vm, v));
    else CHORD_TRY(jinja_put_str(vm, v));
    if (f->precision < 0 && f->width <= 0) return CHORD_OK;
    jinja_value text;
    CHORD_TRY(jinja_build_end(vm, start, &text));
    if (f->fill.text[0] == '0') f->fill = jinja_literal(" ");
    if (f->align == 0) f->align = '>';
    return put_text(vm, f, text);
}

static chord_status put_percent(jinja_vm *vm, percent *p, field *f, jinja_value v)
{
    if (v.kind == JINJA_V_UNDEFINED && f->type != 's' && f->type != 'r') return jinja_undefined_fail(vm, v);
    if (f->fill.text[0] == '0' && f->align == 0) f->align = '=';
    if (f->align == '<') f->fill = jinja_literal(" ");
    switch (f->type) {
    case 's':
    case 'r': return put_percent_text(vm, p, f, v);
    case 'c': return put_character(vm, f, v);
    case 'd':
    case 'i':
    case 'u': {
        int64_t whole;
        if (!jinja_is_number(v)) break;
        if (v.kind == JINJA_V_FLOAT) CHORD_TRY(jinja_float_to_int(vm, v.number, &whole));
        else whole = jinja_integer_of(v);
        return put_integer(vm, f, whole);
    }
    case 'x':
    case 'X':
    case 'o':
        if (!jinja_is_integer(v)) break;
        return put_integer(vm, f, jinja_integer_of(v));
    case 'f':
    case 'F':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
        if (!jinja_is_number(v)) break;
        return put_float(vm, f, jinja_number_of(v));
    case 'a': return jinja_fail(vm, CHORD_UNSUPPORTED, "the conversion '%%a' is not supported");
    default: return jinja_fail(vm, CHORD_INVALID, "unknown conversion in a format string");
    }
    return jinja_fail(vm, CHORD_INVALID, "%%%c: a number is required, not '%s'", f->type, jinja_type_name(v));
}

chord_status jinja_percent_format(jinja_vm *vm, jinja_value format, jinja_value args, jinja_value *out)
{
    percent p = {.format = format, .args = args, .markup = format.sub == JINJA_SUB_MARKUP};
    size_t start = vm->work.len, plain = 0;
    CHORD_TRY(jinja_spend(vm, format.len / 2));
    while (p.at < format.len) {
        if (format.text[p.at] != '%') {
            p.at++;
            continue;
        }
        CHORD_TRY(jinja_put(vm, format.text + plain, p.at++ - plain));
        field f = {.fill = jinja_literal(" "), .width = -1, .precision = -1};
        jinja_value v;
        bool named;
        CHORD_TRY(named_argument(vm, &p, &v, &named));
        CHORD_TRY(read_percent_flags(vm, &p, &f));
        plain = p.at;
        if (f.type == '%') {
            CHORD_TRY(jinja_put(vm, "%", 1));
            continue;
        }
        if (!named) CHORD_TRY(next_argument(vm, &p, &v));
        CHORD_TRY(put_percent(vm, &p, &f, v));
    }
    CHORD_TRY(jinja_put(vm, format.text + plain, format.len - plain));
    bool may_remain = args.kind == JINJA_V_DICT || args.kind == JINJA_V_LIST || args.kind == JINJA_V_UNDEFINED;
    if (args.kind == JINJA_V_TUPLE ? p.used < args.len : p.used == 0 && !may_remain)
        return jinja_fail(vm, CHORD_INVALID, "not all arguments were used by the format string");
    CHORD_TRY(jinja_build_end(vm, start, out));
    out->sub = p.markup ? JINJA_SUB_MARKUP : 0;
    return CHORD_OK;
}

/* ---- "{}".format(...) ------------------------------------------------------------------------ */

typedef struct braces {
    const jinja_call *call;
    int64_t next; /* the next "{}"; -1 after "{0}" */
    bool markup;
} braces;

static chord_status read_spec(jinja_vm *vm, jinja_value spec, field *f)
{
    size_t at = 0, fill = jinja_text_offset(spec.text, spec.len, 1);
    *f = (field){.fill = jinja_literal(" "), .width = -1, .precision = -1};
    if (spec.len > fill &&
        (spec.text[fill] == '<' || spec.text[fill] == '>' || spec.text[fill] == '^' || spec.text[fill] == '=')) {
        f->fill = jinja_text_part(spec, 0, fill);
        f->align = spec.text[fill];
        at = fill + 1;
    } else if (spec.len > 0 &&
               (spec.text[0] == '<' || spec.text[0] == '>' || spec.text[0] == '^' || spec.text[0] == '=')) {
        f->align = spec.text[0];
        at = 1;
    }
    if (at < spec.len && (spec.text[at] == '+' || spec.text[at] == '-' || spec.text[at] == ' '))
        f->sign = spec.text[at++];
    if (at < spec.len && spec.text[at] == '#') f->alternate = at++ < spec.len;
    if (at < spec.len && spec.text[at] == '0') {
        if (f->align == 0) {
            f->fill = jinja_literal("0");
            f->align = '=';
        }
        at++;
    }
    CHORD_TRY(read_number(vm, spec, &at, &f->width));
    if (at < spec.len && spec.text[at] == ',') f->group = at++ < spec.len;
    if (at < spec.len && spec.text[at] == '.') {
        at++;
        CHORD_TRY(read_number(vm, spec, &at, &f->precision));
        if (f->precision < 0) return jinja_fail(vm, CHORD_INVALID, "a format lacks its precision");
    }
    if (at < spec.len) f->type = spec.text[at++];
    if (at < spec.len)
        return jinja_fail(vm, CHORD_INVALID, "invalid format specifier '%.*s'", spec.len < 64 ? (int)spec.len : 64,
                          spec.text);
    return CHORD_OK;
}

static chord_status put_with_spec(jinja_vm *vm, jinja_value v, jinja_value spec)
{
    field f;
    if (spec.len == 0) return jinja_put_str(vm, v);
    CHORD_TRY(read_spec(vm, spec, &f));
    if (f.type == 'n' || f.type == 'c')
        return jinja_fail(vm, CHORD_UNSUPPORTED, "the format type '%c' is not supported", f.type);
    bool whole = f.type == 'd' || f.type == 'x' || f.type == 'X' || f.type == 'o' || f.type == 'b';
    bool real = f.type == 'f' || f.type == 'F' || f.type == 'e' || f.type == 'E' || f.type == 'g' || f.type == 'G' ||
                f.type == '%';
    if (v.kind == JINJA_V_TEXT && (f.type == 0 || f.type == 's') && f.align != '=' && f.sign == 0)
        return put_text(vm, &f, v);
    if (v.kind == JINJA_V_TEXT && f.type == 0 && f.align == '=' &&
        f.sign == 0) { /* "{:05}" of a string fills behind it */
        f.align = '<';
        return put_text(vm, &f, v);
    }
    if (jinja_is_integer(v) && (whole || f.type == 0) && f.precision < 0)
        return put_integer(vm, &f, jinja_integer_of(v));
    if (jinja_is_number(v) && (real || (f.type == 0 && v.kind == JINJA_V_FLOAT)))
        return put_float(vm, &f, jinja_number_of(v));
    if (v.kind == JINJA_V_UNDEFINED) return jinja_fail(vm, CHORD_INVALID, "an undefined value takes no format");
    return jinja_fail(vm, CHORD_INVALID, "the format '%.*s' does not fit a value of type '%s'",
                      spec.len < 64 ? (int)spec.len : 64, spec.text, jinja_type_name(v));
}

/* "0.name[key]" of a field. */
static chord_status get_field(jinja_vm *vm, braces *b, jinja_value path, jinja_value *out)
{
    size_t end = 0;
    while (end < path.len && path.text[end] != '.' && path.text[end] != '[') end++;
    jinja_value first = jinja_text(path.text, end);
    uint64_t index = 0;
    bool numbered = chord_text_to_u64(first.text, first.len, &index);
    if (numbered || first.len == 0) {
        if (!numbered && b->next < 0) return jinja_fail(vm, CHORD_INVALID, "numbered and plain fields in one format");
        if (numbered && b->next > 0) return jinja_fail(vm, CHORD_INVALID, "plain and numbered fields in one format");
        if (!numbered) index = (uint64_t)b->next++;
        else b->next = -1;
        if (index >= b->call->count) return jinja_fail(vm, CHORD_INVALID, "the format has no argument %" PRIu64, index);
        *out = b->call->items[index];
    } else {
        size_t i = 0;
        CHORD_TRY(jinja_spend(vm, b->call->named_count * (1 + first.len / 64)));
        while (i < b->call->named_count &&
               (b->call->names[i].len != first.len || memcmp(b->call->names[i].text, first.text, first.len) != 0))
            i++;
        if (i == b->call->named_count)
            return jinja_fail(vm, CHORD_INVALID, "the format has no argument '%.*s'",
                              first.len < 64 ? (int)first.len : 64, first.text);
        *out = b->call->named[i];
    }
    while (end < path.len) {
        bool item = path.text[end] == '[';
        size_t from = ++end;
        while (end < path.len && (item ? path.text[end] != ']' : path.text[end] != '.' && path.text[end] != '[')) end++;
        jinja_value key = jinja_text(path.text + from, end - from);
        if (key.len == 0 || (item && end == path.len))
            return jinja_fail(vm, CHORD_INVALID, "an incomplete field in a format");
        if (item && chord_text_to_u64(key.text, key.len, &index) && index < INT32_MAX) key = jinja_int((int64_t)index);
        if (item) CHORD_TRY(jinja_value_item(vm, *out, key, out));
        else CHORD_TRY(jinja_value_member(vm, *out, key, out));
        end += item;
    }
    return CHORD_OK;
}

static chord_status put_field(jinja_vm *vm, braces *b, jinja_value text)
{
    jinja_value v, path = text, spec = jinja_literal("");
    char conversion = '\0';
    size_t at = 0, brackets = 0;
    for (; at < text.len && (brackets > 0 || (text.text[at] != ':' && text.text[at] != '!')); at++) {
        if (text.text[at] == '[') brackets++;
        if (text.text[at] == ']' && brackets > 0) brackets--;
    }
    path.len = at;
    if (at < text.len && text.text[at] == '!') {
        if (at + 1 < text.len) conversion = text.text[at + 1];
        at += 2;
        if (at > text.len || (at < text.len && text.text[at] != ':') || (conversion != 'r' && conversion != 's'))
            return jinja_fail(vm, CHORD_INVALID, "an unknown conversion in a format");
    }
    if (at < text.len) spec = jinja_text(text.text + at + 1, text.len - at - 1);
    if (jinja_text_find_byte(spec, '{', 0) != SIZE_MAX)
        return jinja_fail(vm, CHORD_UNSUPPORTED, "fields inside of a format specifier are not supported");
    CHORD_TRY(get_field(vm, b, path, &v));
    size_t start = vm->work.len;
    if (conversion == 'r') {
        CHORD_TRY(jinja_put_repr(vm, v));
        CHORD_TRY(jinja_build_end(vm, start, &v));
    } else if (conversion == 's') {
        CHORD_TRY(jinja_value_str(vm, v, &v));
    }
    if (!b->markup || (v.kind == JINJA_V_TEXT && v.sub == JINJA_SUB_MARKUP)) return put_with_spec(vm, v, spec);
    CHORD_TRY(put_with_spec(vm, v, spec));
    CHORD_TRY(jinja_build_end(vm, start, &v));
    return jinja_put_escaped(vm, v);
}

chord_status jinja_brace_format(jinja_vm *vm, jinja_value format, const jinja_call *call, jinja_value *out)
{
    braces b = {.call = call, .markup = format.sub == JINJA_SUB_MARKUP};
    size_t start = vm->work.len;
    CHORD_TRY(jinja_spend(vm, format.len / 2));
    for (size_t at = 0; at < format.len; at++) {
        char c = format.text[at];
        bool twice = at + 1 < format.len && format.text[at + 1] == c;
        if (c != '{' && c != '}') {
            CHORD_TRY(jinja_put(vm, &format.text[at], 1));
        } else if (twice) {
            CHORD_TRY(jinja_put(vm, &format.text[at++], 1));
        } else if (c == '}') {
            return jinja_fail(vm, CHORD_INVALID, "a single '}' in a format");
        } else {
            size_t from = ++at, open = 1;
            for (; at < format.len; at++) {
                if (format.text[at] == '{') open++;
                if (format.text[at] == '}' && --open == 0) break;
            }
            if (at >= format.len) return jinja_fail(vm, CHORD_INVALID, "a '{' without its '}' in a format");
            CHORD_TRY(put_field(vm, &b, jinja_text(format.text + from, at - from)));
        }
    }
    CHORD_TRY(jinja_build_end(vm, start, out));
    out->sub = b.markup ? JINJA_SUB_MARKUP : 0;
    return CHORD_OK;
}
