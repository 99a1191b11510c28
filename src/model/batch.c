/* batch.c - which tokens of the waiting calls make up the next pass. */
#include "model/model_inner.h"

/* The next tokens of a call: as many as there is room for, but no more wanted rows than the logits buffer holds. */
static void next_tokens(chord_call *call, uint32_t rows_left, uint32_t logit_rows_left)
{
    const chord_forward_args *args = call->args;
    if (args->rows_max != 0 && args->rows_max < rows_left) rows_left = args->rows_max;
    uint32_t left = args->count - call->done, count = left < rows_left ? left : rows_left, end = call->done + count;
    uint32_t wanted = end > args->first_wanted ? end - args->first_wanted : 0;
    if (wanted > count) wanted = count;
    if (args->output == CHORD_OUTPUT_LOGITS && wanted > logit_rows_left) {
        count -= wanted - logit_rows_left;
        wanted = logit_rows_left;
    }
    call->count = count;
    call->wanted = wanted;
}

uint32_t chord_batch_tiles(const chord_network *net, chord_output output, uint32_t wanted)
{
    if (wanted == 0) return net->print.tiles_without_output;
    return output == CHORD_OUTPUT_HIDDEN ? net->print.output.tile_first : net->print.tile_count;
}

/* Tiles that the rest of a call visits when it is alone. */
uint64_t chord_batch_tiles_left(const chord_network *net, const chord_call *call)
{
    uint64_t tiles = 0;
    for (chord_call rest = *call; rest.done < rest.args->count; rest.done += rest.count) {
        next_tokens(&rest, net->chunk_tokens, net->logit_rows);
        tiles += chord_batch_tiles(net, call->args->output, rest.wanted);
    }
    return tiles;
}

static bool can_join(const chord_call *call, const chord_call *first)
{
    if (call->state != CALL_WAITS || atomic_load(&call->sequence->cancelled)) return false;
    if (call == first) return true;
    return !first->alone && !call->alone && call->args->output == first->args->output;
}

/* The most tokens, and rows of logits, that one call gets of a pass. */
typedef struct shares {
    uint32_t rows, logit_rows;
} shares;

/* What all that go with `first` take, were each given at most so much. */
static shares taken(const chord_network *net, const chord_call *first, shares most)
{
    shares sum = {0};
    for (const chord_call *call = net->calls; call != NULL; call = call->next) {
        if (!can_join(call, first)) continue;
        chord_call part = *call;
        next_tokens(&part, most.rows, most.logit_rows);
        sum.rows += part.count;
        sum.logit_rows += part.args->output == CHORD_OUTPUT_LOGITS ? part.wanted : 0;
    }
    return sum;
}

/* The largest even shares with which all find room: who needs less leaves the rest to the others. */
static shares fair_shares(const chord_network *net, const chord_call *first)
{
    shares each = {.rows = net->chunk_tokens, .logit_rows = UINT32_MAX};
    uint32_t low = 1;
    while (low < each.rows) {
        uint32_t middle = low + (each.rows - low + 1) / 2;
        bool room = taken(net, first, (shares){middle, UINT32_MAX}).rows <= net->chunk_tokens;
        if (room) low = middle;
        else each.rows = middle - 1;
    }
    low = 1;
    each.logit_rows = net->logit_rows;
    while (low < each.logit_rows) {
        uint32_t middle = low + (each.logit_rows - low + 1) / 2;
        bool room = taken(net, first, (shares){each.rows, middle}).logit_rows <= net->logit_rows;
        if (room) low = middle;
        else each.logit_rows = middle - 1;
    }
    return each;
}

/* A call for which there is no memory is over. */
static void add(chord_pass *p, chord_call *call)
{
    chord_sequence *s = call->sequence;
    chord_status status = chord_sequence_reach(p->net, s, s->length, s->length + call->count, &call->error);
    if (status != CHORD_OK) {
        chord_call_finish(p->net, call, status);
        return;
    }
    p->segments[p->segment_count++] = (chord_segment){
        .call = call, .first = s->length, .row = p->rows, .count = call->count};
    for (uint32_t i = call->count - call->wanted; i < call->count; i++) p->wanted[p->wanted_count++] = p->rows + i;
    p->rows += call->count;
    call->state = CALL_RUNS;
    call->rows = NULL;
    call->dropped = false;
}

chord_output chord_batch_form(chord_network *net, chord_call *first, chord_pass *p)
{
    shares each = fair_shares(net, first);
    uint32_t logit_rows = net->logit_rows;
    *p = (chord_pass){.print = &net->print,
                      .net = net,
                      .segments = net->scratch.segments,
                      .wanted = net->scratch.wanted,
                      .inputs_of = CHORD_OPERANDS};
    for (chord_call *call = net->calls; call != NULL && p->rows < net->chunk_tokens; call = call->next) {
        if (!can_join(call, first)) continue;
        next_tokens(call, (uint32_t)chord_min_u64(each.rows, net->chunk_tokens - p->rows),
                    (uint32_t)chord_min_u64(each.logit_rows, logit_rows));
        if (call->count == 0) continue;
        if (call->args->output == CHORD_OUTPUT_LOGITS) logit_rows -= call->wanted;
        add(p, call);
    }
    return first->args->output;
}
