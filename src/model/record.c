/* record.c - the words of a pass, run once when a model opens, say in which order its weights are used, which of them serve
 * wanted rows alone, and how wide each operand gets. */
#include "model/model_inner.h"

static chord_status record(chord_blueprint *print, chord_error *err)
{
    chord_pass p = {.print = print, .rows = 1, .inputs_of = CHORD_OPERANDS};
    print->order_count = 0;
    CHORD_TRY(chord_embed(&p, err));
    CHORD_TRY(chord_walk_blocks(&p, err));
    CHORD_TRY(chord_walk_end(&p, err));
    return chord_op_linear(&p, CHORD_LOGITS, &print->output, CHORD_NORM, err);
}

chord_status chord_blueprint_record(chord_blueprint *print, chord_error *err)
{
    CHORD_TRY(record(print, err));
    print->order = chord_arena_get(&print->arena, print->order_count * sizeof *print->order);
    if (print->order == NULL) return chord_arena_fail(&print->arena, err);
    return record(print, err);
}
