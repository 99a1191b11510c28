/* jinja_call.c - what is built in, by its name, and the arguments of a call. */
#include "template/jinja_inner.h"

const jinja_builtin *jinja_builtin_find(const jinja_builtin *list, const char *name, size_t len)
{
    for (; list->name != NULL; list++)
        if (strlen(list->name) == len && memcmp(list->name, name, len) == 0) return list;
    return NULL;
}

const jinja_builtin *jinja_filter_find(const jinja_vm *vm, const char *name, size_t len)
{
    const jinja_builtin *found = jinja_builtin_find(vm->words->filters[0], name, len);
    return found != NULL ? found : jinja_builtin_find(vm->words->filters[1], name, len);
}

chord_status jinja_filter_by_name(jinja_vm *vm, jinja_value name, bool test, jinja_value input, const jinja_call *call,
                                  jinja_value *out)
{
    const char *what = test ? "test" : "filter";
    int shown = name.len < 64 ? (int)name.len : 64;
    if (name.kind != JINJA_V_TEXT) return jinja_fail(vm, CHORD_INVALID, "the name of a %s must be a string", what);
    const jinja_builtin *found = test ? jinja_builtin_find(vm->words->tests, name.text, name.len)
                                      : jinja_filter_find(vm, name.text, name.len);
    if (found == NULL) return jinja_fail(vm, CHORD_INVALID, "no %s named '%.*s'", what, shown, name.text);
    if (found->run == NULL) return jinja_fail(vm, CHORD_UNSUPPORTED, "the %s '%s' is not supported", what, found->name);
    return found->run(vm, input, call, out);
}

static size_t spec_count(const char *spec)
{
    size_t n = *spec != '\0';
    for (; *spec != '\0'; spec++) n += *spec == ' ';
    return n;
}

/* The i-th name of a spec; *need: it ends in '!'. */
static jinja_value spec_name(const char *spec, size_t i, bool *need)
{
    for (; i > 0; spec++) i -= *spec == ' ';
    size_t n = 0;
    while (spec[n] != '\0' && spec[n] != ' ' && spec[n] != '!') n++;
    *need = spec[n] == '!';
    return jinja_text(spec, n);
}

chord_status jinja_call_bind(jinja_vm *vm, const jinja_call *call, const char *who, const char *spec, jinja_value *out)
{
    bool by_place = *spec == '/', need;
    if (by_place) spec++;
    size_t count = spec_count(spec);
    if (call->count > count)
        return jinja_fail(vm, CHORD_INVALID, "%s() takes at most %zu arguments, %zu were given", who, count,
                          call->count);
    for (size_t i = 0; i < count; i++) out[i] = i < call->count ? call->items[i] : (jinja_value){0};
    for (size_t k = 0; k < call->named_count; k++) {
        jinja_value name = call->names[k];
        size_t i = 0;
        for (; i < count; i++) {
            jinja_value known = spec_name(spec, i, &need);
            if (known.len == name.len && memcmp(known.text, name.text, name.len) == 0) break;
        }
        if (by_place || i == count || jinja_given(out[i]))
            return jinja_fail(vm, CHORD_INVALID, "%s() got an unexpected argument '%.*s'", who,
                              name.len < 64 ? (int)name.len : 64, name.text);
        out[i] = call->named[k];
    }
    for (size_t i = 0; i < count; i++) {
        jinja_value name = spec_name(spec, i, &need);
        if (need && !jinja_given(out[i]))
            return jinja_fail(vm, CHORD_INVALID, "%s() needs the argument '%.*s'", who, (int)name.len, name.text);
    }
    return CHORD_OK;
}
