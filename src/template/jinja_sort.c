/* jinja_sort.c - the order of values, as places: a merge sort from below, which keeps equal ones in theirs. */
#include "template/jinja_inner.h"

static chord_status merge_runs(jinja_vm *vm, const jinja_value *keys, bool reverse, const size_t *a, size_t a_count,
                               const size_t *b, size_t b_count, size_t *to)
{
    while (a_count > 0 && b_count > 0) {
        int order;
        CHORD_TRY(jinja_value_order(vm, "<", keys[*b], keys[*a], &order));
        bool take_b = order != 2 && (reverse ? order > 0 : order < 0);
        *to++ = take_b ? *b++ : *a++;
        b_count -= take_b;
        a_count -= !take_b;
    }
    memcpy(to, a_count > 0 ? a : b, (a_count > 0 ? a_count : b_count) * sizeof *to);
    return CHORD_OK;
}

chord_status jinja_sort_places(jinja_vm *vm, const jinja_value *keys, size_t count, bool reverse, size_t **out)
{
    size_t *from, *to;
    CHORD_TRY(jinja_get(vm, count * sizeof *from, &from));
    CHORD_TRY(jinja_get(vm, count * sizeof *to, &to));
    for (size_t i = 0; i < count; i++) from[i] = i;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run) {
            size_t a = run < count - at ? run : count - at, b = run < count - at - a ? run : count - at - a;
            CHORD_TRY(merge_runs(vm, keys, reverse, from + at, a, from + at + a, b, to + at));
        }
        size_t *swap = from;
        from = to;
        to = swap;
    }
    *out = from;
    return CHORD_OK;
}
