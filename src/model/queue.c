/* queue.c - calls of many threads meet in one pass. Whoever waits and finds nobody leading leads the next pass, for all who
 * wait; then each takes its rows on its own thread, and when all have, the next pass may begin:
 *
 *         a leader forms a batch          the pass is over                rows are taken
 *   WAITS ----------------------> RUNS ---------------------> TAKES ------------------------> WAITS, or OVER at the end
 *     ^                            |  \--> OVER (failed, cancelled)
 *     '-- failed in company, and perhaps another's fault: once more, alone
 *
 * net->mutex guards the list and the states; what a call holds besides belongs to the leader while it RUNS, else to its own
 * thread. Calls stand in order of arrival, and each has its share of every pass, so none starves. */
#include "model/model_inner.h"

/* Those who were in a pass come again at once, mostly: a leader waits for them, for so small a part of the last pass. */
#define REUNION_PART 8u

static bool is_off(const chord_call *call) { return atomic_load(&call->sequence->cancelled); }

/* Counted in the tiles of passes alone; in company there may be others, and the total changes. */
static void set_totals(chord_network *net, uint32_t tiles)
{
    for (chord_call *call = net->calls; call != NULL; call = call->next) {
        if (call->state != CALL_RUNS || call->args->on_progress == NULL) continue;
        chord_call rest = *call;
        rest.done = call->args->one_pass ? call->args->count : rest.done + rest.count;
        call->tiles_total = call->tiles_done + tiles + chord_batch_tiles_left(net, &rest);
    }
}

/* ---- leading --------------------------------------------------------------------------------------------- */

/* The mutex is held. Returns sooner when somebody comes or the call is cancelled. */
static void await_company(chord_network *net, const chord_call *leader)
{
    uint64_t until_ns = net->pass_end_ns + net->pass_ns / REUNION_PART, now_ns;
    while (chord_calls_threads(net, CALL_WAITS) < net->company && !is_off(leader) &&
           (now_ns = chord_clock_ns()) < until_ns)
        chord_cond_wait_for(&net->moved, &net->mutex, until_ns - now_ns);
}

static void settle(chord_network *net, chord_status status, const chord_error *err, uint32_t tiles)
{
    bool company = chord_calls_count(net, CALL_RUNS) > 1;
    for (chord_call *call = net->calls; call != NULL; call = call->next) {
        if (call->state != CALL_RUNS) continue;
        if (status != CHORD_OK) {
            if (status == CHORD_CORRUPT && company) {
                call->alone = true;
                call->state = CALL_WAITS;
                continue;
            }
            call->error = *err;
            chord_call_finish(net, call, status);
        } else if (call->status != CHORD_OK) {
            chord_call_finish(net, call, call->status);
        } else {
            chord_states_end(net, call->sequence, call->count);
            chord_kept_record(net, call->sequence, call->args->tokens + call->done, call->count);
            call->sequence->length += call->count;
            chord_kept_note(net, call->sequence);
            call->tiles_done += tiles;
            call->alone = false;
            call->state = CALL_TAKES;
        }
    }
    chord_cond_wake_all(&net->moved);
}

/* With the turn: nobody else computes with this pool. */
static void run_pass(chord_network *net, chord_call *leader)
{
    chord_pass pass;
    chord_error err = {0};
    chord_mutex_lock(&net->mutex);
    chord_output kind = chord_batch_form(net, leader, &pass);
    if (pass.rows == 0) { /* the leader was cancelled meanwhile, and was alone */
        chord_mutex_unlock(&net->mutex);
        return;
    }
    net->company = chord_calls_threads(net, CALL_RUNS);
    net->tiles_done = 0;
    atomic_store(&net->called_off, false);
    for (chord_call *call = net->calls; call != NULL; call = call->next)
        call->sequence->computing = call->state == CALL_RUNS;
    uint32_t tiles = chord_batch_tiles(net, kind, pass.wanted_count);
    set_totals(net, tiles);
    chord_mutex_unlock(&net->mutex);
    uint64_t start_ns = chord_clock_ns();
    chord_status status = chord_pass_run(&pass, kind, &err);
    chord_mutex_lock(&net->mutex);
    chord_calls_count_pass(net);
    settle(net, status, &err, tiles);
    net->pass_end_ns = chord_clock_ns();
    net->pass_ns = net->pass_end_ns - start_ns;
    chord_mutex_unlock(&net->mutex);
}

/* The mutex is held on entry and on return, not meanwhile. */
static void lead(chord_network *net, chord_call *call, chord_turn *turn)
{
    chord_turns *turns = chord_pool_turns(net->compute.pool);
    net->leader = call;
    await_company(net, call);
    chord_mutex_unlock(&net->mutex);
    chord_status status = chord_turns_take(turns, turn, &call->sequence->cancelled, &call->error);
    if (status == CHORD_OK) {
        run_pass(net, call);
        status = chord_network_watch_map(net, &call->error);
        chord_turns_give(turns, turn);
    }
    chord_mutex_lock(&net->mutex);
    net->leader = NULL;
    if (status != CHORD_OK && call->state != CALL_OVER) chord_call_finish(net, call, status);
    chord_cond_wake_all(&net->moved);
}

/* ---- the calls of one thread ----------------------------------------------------------------------------------- */

static void take_rows(chord_call *call)
{
    const chord_forward_args *args = call->args;
    uint32_t first = call->done + call->count - call->wanted;
    bool stop = false;
    chord_call_report(call, call->tiles_done);
    for (uint32_t i = 0; i < call->wanted && args->output != CHORD_OUTPUT_SCORES && !stop; i++)
        stop = !args->on_row(args->ud, first + i, call->rows + (uint64_t)i * call->row_width, call->row_width);
    call->done += call->count;
    call->stopped = stop || args->one_pass || call->done == args->count;
}

/* The thread's first call in this state; NULL: none. */
static chord_call *first_in(const chord_forward_call *calls, uint32_t count, chord_call_state state)
{
    for (uint32_t i = 0; i < count; i++)
        if (calls[i].sequence->call.state == state) return &calls[i].sequence->call;
    return NULL;
}

static bool are_over(const chord_forward_call *calls, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (calls[i].sequence->call.state != CALL_OVER) return false;
    return true;
}

static void cancel_those_off(chord_network *net, const chord_forward_call *calls, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        chord_call *call = &calls[i].sequence->call;
        if (call->state == CALL_WAITS && is_off(call)) chord_call_cancel(net, call);
    }
}

/* The mutex is held on entry and on return. */
static void take_part(chord_network *net, const chord_forward_call *calls, uint32_t count, chord_turn *turn)
{
    while (!are_over(calls, count)) {
        chord_call *takes = first_in(calls, count, CALL_TAKES), *waits;
        if (takes != NULL) {
            chord_mutex_unlock(&net->mutex);
            take_rows(takes);
            chord_mutex_lock(&net->mutex);
            if (takes->stopped) chord_call_finish(net, takes, CHORD_OK);
            else takes->state = CALL_WAITS;
            chord_cond_wake_all(&net->moved);
            continue;
        }
        cancel_those_off(net, calls, count);
        waits = first_in(calls, count, CALL_WAITS);
        if (waits != NULL && net->leader == NULL && chord_calls_count(net, CALL_TAKES) == 0) lead(net, waits, turn);
        else if (!are_over(calls, count)) chord_cond_wait(&net->moved, &net->mutex);
    }
}

static void enter(chord_network *net, chord_call *call)
{
    chord_call **end = &net->calls;
    while (*end != NULL) end = &(*end)->next;
    *end = call;
    chord_cond_wake_all(&net->moved);
}

static void leave(chord_network *net, chord_call *call)
{
    chord_call **at = &net->calls;
    while (*at != call) at = &(*at)->next;
    *at = call->next;
    chord_cond_wake_all(&net->moved);
}

static chord_status check_args(const chord_network *net, const chord_sequence *s, const chord_forward_args *args,
                               chord_error *err)
{
    if (args->count > s->room - s->length)
        return chord_fail(err, CHORD_FULL, "%u tokens after %u do not fit in the context of %u", args->count, s->length,
                          s->room);
    for (uint32_t i = 0; i < args->count; i++)
        if (args->tokens[i] < 0 || (uint32_t)args->tokens[i] >= net->print.h.vocabulary)
            return chord_fail(err, CHORD_INVALID, "token %u is %d, the vocabulary has %u entries", i, args->tokens[i],
                              net->print.h.vocabulary);
    return CHORD_OK;
}

/* Over before it began: it has nothing to do, or its arguments are wrong. */
static chord_call call_of(const chord_network *net, const chord_forward_call *c, chord_turn *turn)
{
    chord_call call = {.sequence = c->sequence, .args = c->args, .turn = turn, .state = CALL_OVER};
    call.status = check_args(net, c->sequence, c->args, &call.error);
    if (call.status == CHORD_OK && c->args->count != 0) call.state = CALL_WAITS;
    return call;
}

static void give_result(chord_forward_call *c)
{
    chord_sequence *s = c->sequence;
    c->done = s->call.done;
    c->status = s->call.status;
    c->error = s->call.error;
    /* A cancel that came before or while we ran ends here; the next call starts clean. */
    if (c->status == CHORD_CANCELLED) atomic_store(&s->cancelled, false);
}

chord_status chord_network_forward_all(chord_network *net, chord_forward_call *calls, uint32_t count, chord_error *err)
{
    chord_turn turn;
    chord_turns *turns = chord_pool_turns(net->compute.pool);
    CHORD_TRY(chord_turns_enter(turns, &turn, err));
    chord_mutex_lock(&net->mutex);
    for (uint32_t i = 0; i < count; i++) {
        calls[i].sequence->call = call_of(net, &calls[i], &turn);
        enter(net, &calls[i].sequence->call);
    }
    take_part(net, calls, count, &turn);
    for (uint32_t i = 0; i < count; i++) leave(net, &calls[i].sequence->call);
    chord_mutex_unlock(&net->mutex);
    chord_turns_leave(turns, &turn);
    for (uint32_t i = 0; i < count; i++) give_result(&calls[i]);
    return CHORD_OK;
}

chord_status chord_network_forward(chord_network *net, chord_sequence *s, const chord_forward_args *args,
                                   chord_error *err)
{
    chord_forward_call call = {.sequence = s, .args = args};
    CHORD_TRY(check_args(net, s, args, err));
    CHORD_TRY(chord_network_forward_all(net, &call, 1, err));
    if (call.status != CHORD_OK && err != NULL) *err = call.error;
    return call.status;
}

void chord_sequence_cancel(chord_network *net, chord_sequence *s)
{
    bool others = false;
    atomic_store(&s->cancelled, true);
    chord_turns_look(chord_pool_turns(net->compute.pool));
    chord_mutex_lock(&net->mutex);
    for (const chord_call *call = net->calls; call != NULL; call = call->next)
        others = others || (call->state == CALL_RUNS && !is_off(call));
    if (!others) atomic_store(&net->called_off, true); /* by all whom the pass is for */
    chord_pager_look(net->pager);
    if (net->experts != NULL) chord_asked_look(net->experts);
    chord_cond_wake_all(&net->moved);
    chord_mutex_unlock(&net->mutex);
}
