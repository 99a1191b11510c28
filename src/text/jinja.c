/* jinja.c - the door to the interpreter: what a run has, its limits, its errors. */
#include "text/jinja_inner.h"

#define NAMES_MAX 8192

/* ---- errors and limits ----------------------------------------------------------------------- */

/* Line and column, counted in characters, of the node at work. */
static void find_place(const chord_jinja *vm, size_t *line, size_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < vm->at && i < vm->source_len; i++) {
        if (vm->source[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)vm->source[i] & 0xC0) != 0x80) {
            ++*column;
        }
    }
}

chord_status chord_jinja_fail(chord_jinja *vm, chord_status status, const char *format, ...)
{
    char what[sizeof vm->err->text];
    size_t line, column;
    va_list args;
    va_start(args, format);
    chord_vformat(what, sizeof what, format, args);
    va_end(args);
    find_place(vm, &line, &column);
    return chord_fail(vm->err, status, "chat template line %zu column %zu: %s", line, column, what);
}

chord_status chord_jinja_no_memory(chord_jinja *vm)
{
    return chord_jinja_fail(vm, CHORD_BUDGET, "the values need more than the limit of %" PRIu64 " bytes",
                            vm->arena.bytes_max);
}

chord_status chord_jinja_spend(chord_jinja *vm, uint64_t steps)
{
    if (steps > vm->steps_max - vm->steps) {
        vm->steps = vm->steps_max;
        return chord_jinja_fail(vm, CHORD_BUDGET, "more than %" PRIu64 " steps", vm->steps_max);
    }
    vm->steps += steps;
    return CHORD_OK;
}

chord_status chord_jinja_enter(chord_jinja *vm)
{
    if (vm->depth >= CHORD_JINJA_DEPTH_MAX)
        return chord_jinja_fail(vm, CHORD_BUDGET, "nested deeper than %d", CHORD_JINJA_DEPTH_MAX);
    vm->depth++;
    return CHORD_OK;
}

chord_status chord_jinja_get(chord_jinja *vm, uint64_t bytes, void *out)
{
    void *got = chord_arena_get(&vm->arena, bytes);
    memcpy(out, &got, sizeof got);
    if (got != NULL) return CHORD_OK;
    bool ceiling = bytes > vm->arena.bytes_max || vm->arena.used_bytes > vm->arena.bytes_max - bytes;
    return ceiling ? chord_jinja_no_memory(vm) : chord_arena_fail(&vm->arena, vm->err);
}

/* ---- names ----------------------------------------------------------------------------------- */

static chord_status grow_names(chord_jinja *vm)
{
    size_t slots = vm->name_slots == 0 ? 256 : vm->name_slots * 2;
    chord_name **names;
    CHORD_TRY(chord_jinja_get(vm, slots * sizeof *names, &names));
    for (size_t i = 0; i < vm->name_slots; i++) {
        if (vm->names[i] == NULL) continue;
        size_t at = chord_name_hash(vm->heap, vm->names[i]->text, vm->names[i]->len) & (slots - 1);
        while (names[at] != NULL) at = (at + 1) & (slots - 1);
        names[at] = vm->names[i];
    }
    vm->names = names;
    vm->name_slots = slots;
    return CHORD_OK;
}

chord_status chord_jinja_intern(chord_jinja *vm, const char *text, size_t len, const chord_name **out)
{
    if (vm->name_count * 2 >= vm->name_slots) CHORD_TRY(grow_names(vm));
    size_t at = chord_name_hash(vm->heap, text, len) & (vm->name_slots - 1);
    for (; vm->names[at] != NULL; at = (at + 1) & (vm->name_slots - 1)) {
        *out = vm->names[at];
        if ((*out)->len == len && memcmp((*out)->text, text, len) == 0) return CHORD_OK;
    }
    if (vm->name_count == NAMES_MAX)
        return chord_jinja_fail(vm, CHORD_BUDGET, "more than %d different names", NAMES_MAX);
    chord_name *name;
    char *copy;
    CHORD_TRY(chord_jinja_get(vm, sizeof *name, &name));
    CHORD_TRY(chord_jinja_get(vm, len + 1, &copy));
    memcpy(copy, text, len);
    *name = (chord_name){.text = copy, .len = len};
    vm->names[at] = name;
    vm->name_count++;
    *out = name;
    return CHORD_OK;
}

/* ---- a run ----------------------------------------------------------------------------------- */

/* Line ends become '\n', one at the end goes, and the bytes must be UTF-8: the lexer relies on it. */
static chord_status take_source(chord_jinja *vm, const char *text, size_t len)
{
    char *copy;
    size_t n = 0;
    if (len > CHORD_JINJA_SOURCE_MAX)
        return chord_fail(vm->err, CHORD_BUDGET, "chat template: %zu bytes are more than the limit of %" PRIu64, len,
                          (uint64_t)CHORD_JINJA_SOURCE_MAX);
    CHORD_TRY(chord_jinja_get(vm, len + 1, &copy));
    vm->source = copy;
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t used = chord_utf8_decode(text + at, len - at, &code);
        if (used == 1 && (unsigned char)text[at] >= 0x80) {
            vm->source_len = n;
            vm->at = (uint32_t)n;
            return chord_jinja_fail(vm, CHORD_CORRUPT, "invalid UTF-8");
        }
        if (code == '\r') {
            copy[n++] = '\n';
            at += at + 1 < len && text[at + 1] == '\n' ? 2 : 1;
            continue;
        }
        memcpy(copy + n, text + at, used);
        n += used;
        at += used;
    }
    if (n > 0 && copy[n - 1] == '\n') n--;
    copy[n] = '\0';
    vm->source_len = n;
    return CHORD_OK;
}

static chord_status set_default(chord_jinja *vm, const char *name, chord_value value)
{
    if (chord_dict_named(vm, vm->variables, name, strlen(name)) != NULL) return CHORD_OK;
    return chord_dict_set(vm, vm->variables, chord_literal(name), value);
}

/* What transformers gives a template, unless the caller's object has it: tools and documents are None when there are
 * none. */
static chord_status make_variables(chord_jinja *vm, const chord_template_args *args)
{
    chord_value root = {.kind = CHORD_V_DICT};
    if (args->root == NULL) CHORD_TRY(chord_dict_new(vm, 0, &root.dict));
    else CHORD_TRY(chord_value_from_json(vm, args->root, &root));
    if (root.kind != CHORD_V_DICT)
        return chord_fail(vm->err, CHORD_INVALID, "chat template: the variables are not an object");
    vm->variables = root.dict;
    CHORD_TRY(set_default(vm, "tools", chord_none()));
    CHORD_TRY(set_default(vm, "documents", chord_none()));
    CHORD_TRY(set_default(vm, "add_generation_prompt", chord_bool(args->open_reply)));
    if (args->bos != NULL) CHORD_TRY(set_default(vm, "bos_token", chord_literal(args->bos)));
    if (args->eos != NULL) CHORD_TRY(set_default(vm, "eos_token", chord_literal(args->eos)));
    return CHORD_OK;
}

static chord_status run(chord_jinja *vm, const chord_template_args *args)
{
    chord_nodes body = {0};
    chord_scope scope;
    chord_function *function;
    CHORD_TRY(take_source(vm, args->text, args->len));
    CHORD_TRY(chord_parse(vm, &body));
    CHORD_TRY(chord_bind_names(vm, body, &scope, &function));
    CHORD_TRY(make_variables(vm, args));
    CHORD_TRY(chord_jinja_get(vm, CHORD_JINJA_STACK * sizeof *vm->stack, &vm->stack));
    return chord_run_template(vm, &body, &scope, function);
}

chord_status chord_template_run(chord_heap *heap, const chord_template_args *args, chord_buffer *out, chord_error *err)
{
    chord_error unheard; /* raise_exception writes into it in any case */
    chord_jinja vm = {.heap = heap,
                      .err = err != NULL ? err : &unheard,
                      .now_unix_s = args->now_unix_s,
                      .steps_max = args->steps_max != 0 ? args->steps_max : CHORD_TEMPLATE_STEPS_MAX};
    chord_arena_init(&vm.arena, heap, CHORD_TEMPLATE_MEMORY_MAX, "chat template");
    chord_buffer_init(&vm.work, heap, CHORD_TEMPLATE_OUTPUT_MAX);
    chord_status status = run(&vm, args);
    if (status == CHORD_OK) status = chord_buffer_append(out, vm.work.data, vm.work.len, err);
    chord_buffer_free(&vm.work);
    chord_arena_free(&vm.arena);
    return status;
}
