/* forward.c - one pass over a batch: embed, walk the blocks, give out what is wanted. */
#include "model/model_inner.h"

static chord_status begin_pass(chord_network *net, uint32_t tiles, chord_error *err)
{
    if (net->pass_open && net->pass_tiles == tiles) return CHORD_OK; /* begun when the model opened */
    if (net->pass_open) (void)chord_pager_pass_end(net->pager, NULL);
    net->pass_open = false;
    CHORD_TRY(chord_pager_pass_begin(net->pager, net->pass_list, tiles, err));
    net->pass_open = true;
    net->pass_tiles = tiles;
    return CHORD_OK;
}

static void begin_states(const chord_pass *p)
{
    for (uint32_t i = 0; i < p->segment_count; i++)
        chord_states_begin(p->net, p->segments[i].call->sequence, p->segments[i].count);
}

static chord_status walk(chord_pass *p, chord_output kind, chord_error *err)
{
    CHORD_TRY(chord_embed(p, err));
    CHORD_TRY(chord_walk_blocks(p, err));
    return p->rows != 0 ? chord_output_make(p, kind, err) : CHORD_OK;
}

chord_status chord_pass_run(chord_pass *p, chord_output kind, chord_error *err)
{
    chord_network *net = p->net;
    uint32_t saved = chord_float_enter();
    chord_status status = begin_pass(net, chord_batch_tiles(net, kind, p->wanted_count), err);
    if (status == CHORD_OK) {
        begin_states(p);
        net->routed += p->rows;
        status = walk(p, kind, err);
        if (status != CHORD_OK && net->experts != NULL) chord_asked_forget(net->experts);
        net->pass_open = false;
        chord_status ended = chord_pager_pass_end(net->pager, status == CHORD_OK ? err : NULL);
        if (status == CHORD_OK) status = ended;
    }
    chord_float_leave(saved);
    return status;
}
