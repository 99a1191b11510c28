/* calls.c - the calls that are on their way: how one ends, what it tells of its progress, and what each session's passes
 * have cost. The mutex is held where nothing else is said. */
#include "model/model_inner.h"

void chord_call_finish(chord_network *net, chord_call *call, chord_status status)
{
    call->status = status;
    call->state = CALL_OVER;
    chord_cond_wake_all(&net->moved);
}

void chord_call_cancel(chord_network *net, chord_call *call)
{
    chord_call_finish(net, call, chord_fail(&call->error, CHORD_CANCELLED, "cancelled"));
}

uint32_t chord_calls_count(const chord_network *net, chord_call_state state)
{
    uint32_t n = 0;
    for (const chord_call *call = net->calls; call != NULL; call = call->next) n += call->state == state;
    return n;
}

uint32_t chord_calls_threads(const chord_network *net, chord_call_state state)
{
    uint32_t n = 0;
    const chord_turn *last = NULL;
    for (const chord_call *call = net->calls; call != NULL; call = call->next) {
        if (call->state != state || call->turn == last) continue;
        last = call->turn;
        n++;
    }
    return n;
}

/* Without the mutex: from inside a pass. */
void chord_calls_drop(chord_network *net)
{
    chord_mutex_lock(&net->mutex);
    for (chord_call *call = net->calls; call != NULL; call = call->next)
        if (call->state == CALL_RUNS && call->dropped) {
            call->sequence->computing = false;
            chord_call_cancel(net, call);
        }
    chord_mutex_unlock(&net->mutex);
}

/* ---- progress -------------------------------------------------------------------------------------------- */

/* What was told is not taken back, though a pass may have to be run again. */
void chord_call_report(chord_call *call, uint64_t tiles_done)
{
    const chord_forward_args *args = call->args;
    if (args->on_progress == NULL || tiles_done <= call->tiles_told) return;
    call->tiles_told = tiles_done;
    args->on_progress(args->progress_ud, tiles_done, call->tiles_total);
}

void chord_calls_tile_done(chord_network *net)
{
    chord_call *leader = net->leader;
    net->tiles_done++;
    if (leader->state == CALL_RUNS && net->tiles_done < net->pass_tiles)
        chord_call_report(leader, leader->tiles_done + net->tiles_done);
}

/* ---- counters ------------------------------------------------------------------------------------------ */

/* What the pager did since the last pass ended is this pass's, and each member's. */
void chord_calls_count_pass(chord_network *net)
{
    chord_pager_stats now;
    chord_experts_count(net, &now);
    for (chord_call *call = net->calls; call != NULL; call = call->next) {
        if (call->state != CALL_RUNS) continue;
        chord_pager_stats_add(&call->sequence->counted.pager, &now, &net->counted);
        call->sequence->counted.passes++;
        call->sequence->computing = false;
    }
    net->counted = now;
}

void chord_sequence_stats(chord_network *net, const chord_sequence *s, chord_sequence_counts *out)
{
    chord_pager_stats now;
    chord_mutex_lock(&net->mutex);
    *out = s->counted;
    chord_experts_count(net, &now);
    if (s->computing) chord_pager_stats_add(&out->pager, &now, &net->counted);
    chord_mutex_unlock(&net->mutex);
}

void chord_sequence_stats_reset(chord_network *net, chord_sequence *s)
{
    chord_mutex_lock(&net->mutex);
    s->counted = (chord_sequence_counts){0};
    chord_mutex_unlock(&net->mutex);
}
