/* jinja_vm.c - what every part of the interpreter stands on: errors with their place, steps, memory, names. */
#include "template/jinja_inner.h"

#define NAMES_MAX 8192

/* ---- errors and limits ----------------------------------------------------------------------- */

/* Line and column, counted in characters, of the node at work. */
static void find_place(const jinja_vm *vm, size_t *line, size_t *column)
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

chord_status jinja_fail(jinja_vm *vm, chord_status status, const char *format, ...)
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

chord_status jinja_no_memory(jinja_vm *vm)
{
    return jinja_fail(vm, CHORD_BUDGET, "the values need more than the limit of %" PRIu64 " bytes",
                      vm->arena.bytes_max);
}

chord_status jinja_spend(jinja_vm *vm, uint64_t steps)
{
    if (steps > vm->steps_max - vm->steps) {
        vm->steps = vm->steps_max;
        return jinja_fail(vm, CHORD_BUDGET, "more than %" PRIu64 " steps", vm->steps_max);
    }
    vm->steps += steps;
    return CHORD_OK;
}

chord_status jinja_enter(jinja_vm *vm)
{
    if (vm->depth >= JINJA_DEPTH_MAX) return jinja_fail(vm, CHORD_BUDGET, "nested deeper than %d", JINJA_DEPTH_MAX);
    vm->depth++;
    return CHORD_OK;
}

chord_status jinja_get(jinja_vm *vm, uint64_t bytes, void *out)
{
    void *got = chord_arena_get(&vm->arena, bytes);
    memcpy(out, &got, sizeof got);
    if (got != NULL) return CHORD_OK;
    bool ceiling = bytes > vm->arena.bytes_max || vm->arena.used_bytes > vm->arena.bytes_max - bytes;
    return ceiling ? jinja_no_memory(vm) : chord_arena_fail(&vm->arena, vm->err);
}

/* ---- names ----------------------------------------------------------------------------------- */

static chord_status grow_names(jinja_vm *vm)
{
    size_t slots = vm->name_slots == 0 ? 256 : vm->name_slots * 2;
    jinja_name **names;
    CHORD_TRY(jinja_get(vm, slots * sizeof *names, &names));
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

chord_status jinja_intern(jinja_vm *vm, const char *text, size_t len, const jinja_name **out)
{
    if (vm->name_count * 2 >= vm->name_slots) CHORD_TRY(grow_names(vm));
    size_t at = chord_name_hash(vm->heap, text, len) & (vm->name_slots - 1);
    for (; vm->names[at] != NULL; at = (at + 1) & (vm->name_slots - 1)) {
        *out = vm->names[at];
        if ((*out)->len == len && memcmp((*out)->text, text, len) == 0) return CHORD_OK;
    }
    if (vm->name_count == NAMES_MAX) return jinja_fail(vm, CHORD_BUDGET, "more than %d different names", NAMES_MAX);
    jinja_name *name;
    char *copy;
    CHORD_TRY(jinja_get(vm, sizeof *name, &name));
    CHORD_TRY(jinja_get(vm, len + 1, &copy));
    memcpy(copy, text, len);
    *name = (jinja_name){.text = copy, .len = len};
    vm->names[at] = name;
    vm->name_count++;
    *out = name;
    return CHORD_OK;
}

/* ---- what grows ------------------------------------------------------------------------------ */

chord_status jinja_values_add(jinja_vm *vm, jinja_values *list, jinja_value v)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 8 : list->cap * 2;
        jinja_value *items;
        CHORD_TRY(jinja_get(vm, cap * sizeof *items, &items));
        if (list->count > 0) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = v;
    return CHORD_OK;
}

chord_status jinja_nodes_add(jinja_vm *vm, jinja_nodes *nodes, jinja_node *node)
{
    if (nodes->count == nodes->cap) {
        uint32_t cap = nodes->cap == 0 ? 4 : nodes->cap * 2;
        jinja_node **items;
        CHORD_TRY(jinja_get(vm, (uint64_t)cap * sizeof *items, &items));
        if (nodes->count > 0) memcpy(items, nodes->items, nodes->count * sizeof *items);
        nodes->items = items;
        nodes->cap = cap;
    }
    nodes->items[nodes->count++] = node;
    return CHORD_OK;
}

chord_status jinja_put(jinja_vm *vm, const char *text, size_t len)
{
    CHORD_TRY(jinja_spend(vm, len / 64));
    return chord_buffer_append(&vm->work, text, len, vm->err);
}

chord_status jinja_build_end(jinja_vm *vm, size_t start, jinja_value *out)
{
    char *text;
    size_t len = vm->work.len - start;
    CHORD_TRY(jinja_get(vm, len, &text));
    memcpy(text, vm->work.data + start, len);
    vm->work.len = start;
    *out = jinja_text(text, len);
    return CHORD_OK;
}
