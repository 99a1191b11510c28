/* template.c - a run: the source, the variables a template finds, and what becomes of its text. */
#include "template/jinja_inner.h"

static const jinja_words WORDS = {
    .filters = {jinja_filters, jinja_sequence_filters},
    .tests = jinja_tests,
    .globals = jinja_globals,
    .methods = {[JINJA_V_TEXT] = jinja_text_methods,
                [JINJA_V_DICT] = jinja_dict_methods,
                [JINJA_V_LIST] = jinja_list_methods,
                [JINJA_V_TUPLE] = jinja_list_methods,
                [JINJA_V_RANGE] = jinja_list_methods,
                [JINJA_V_LOOP] = jinja_loop_methods,
                [JINJA_V_CYCLER] = jinja_cycler_methods},
};

/* Line ends become '\n', one at the end goes, and the bytes must be UTF-8: the lexer relies on it. */
static chord_status take_source(jinja_vm *vm, const char *text, size_t len)
{
    char *copy;
    size_t n = 0;
    if (len > JINJA_SOURCE_MAX)
        return chord_fail(vm->err, CHORD_BUDGET, "chat template: %zu bytes are more than the limit of %" PRIu64, len,
                          (uint64_t)JINJA_SOURCE_MAX);
    CHORD_TRY(jinja_get(vm, len + 1, &copy));
    vm->source = copy;
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t used = chord_utf8_decode(text + at, len - at, &code);
        if (used == 1 && (unsigned char)text[at] >= 0x80) {
            vm->source_len = n;
            vm->at = (uint32_t)n;
            return jinja_fail(vm, CHORD_CORRUPT, "invalid UTF-8");
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

static chord_status set_default(jinja_vm *vm, const char *name, jinja_value value)
{
    if (jinja_dict_named(vm, vm->variables, name, strlen(name)) != NULL) return CHORD_OK;
    return jinja_dict_set(vm, vm->variables, jinja_literal(name), value);
}

/* What transformers gives a template, unless the caller's object has it: tools and documents are None when there are
 * none. */
static chord_status make_variables(jinja_vm *vm, const chord_template_args *args)
{
    jinja_value root = {.kind = JINJA_V_DICT};
    if (args->root == NULL) CHORD_TRY(jinja_dict_new(vm, 0, &root.dict));
    else CHORD_TRY(jinja_value_from_json(vm, args->root, &root));
    if (root.kind != JINJA_V_DICT)
        return chord_fail(vm->err, CHORD_INVALID, "chat template: the variables are not an object");
    vm->variables = root.dict;
    CHORD_TRY(set_default(vm, "tools", jinja_none()));
    CHORD_TRY(set_default(vm, "documents", jinja_none()));
    CHORD_TRY(set_default(vm, "add_generation_prompt", jinja_bool(args->open_reply)));
    if (args->bos != NULL) CHORD_TRY(set_default(vm, "bos_token", jinja_literal(args->bos)));
    if (args->eos != NULL) CHORD_TRY(set_default(vm, "eos_token", jinja_literal(args->eos)));
    return CHORD_OK;
}

static chord_status run(jinja_vm *vm, const chord_template_args *args)
{
    jinja_nodes body = {0};
    jinja_scope scope;
    jinja_function *function;
    CHORD_TRY(take_source(vm, args->text, args->len));
    CHORD_TRY(jinja_parse(vm, &body));
    CHORD_TRY(jinja_bind_names(vm, body, &scope, &function));
    CHORD_TRY(make_variables(vm, args));
    CHORD_TRY(jinja_get(vm, JINJA_STACK * sizeof *vm->stack, &vm->stack));
    return jinja_run_template(vm, &body, &scope, function);
}

chord_status chord_template_run(chord_heap *heap, const chord_template_args *args, chord_buffer *out, chord_error *err)
{
    chord_error unheard; /* raise_exception writes into it in any case */
    jinja_vm vm = {.heap = heap,
                   .words = &WORDS,
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
