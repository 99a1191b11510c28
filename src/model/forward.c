/* forward.c - a call's tokens in chunks: embed, walk the layers, hand out the logits or fold them. */
#include "model/model_inner.h"

/* ---- scores: the distribution of a position folded to a few numbers, tile by tile -------------------- */

typedef struct score_fold {
    const chord_forward_args *args;
    uint32_t offset; /* index in args of the first row */
    double *sum;     /* by row: sum of exp(logit - max) */
    float *max, *target;
    float softcap;
    bool finite;
} score_fold;

static void fold_group(score_fold *f, uint32_t token, uint32_t row_first, uint32_t rows, const float *logits)
{
    float best = logits[0];
    for (uint32_t i = 1; i < rows; i++)
        if (logits[i] > best) best = logits[i];
    if (best > f->max[token]) {
        f->sum[token] *= (double)chord_expf(f->max[token] - best);
        f->max[token] = best;
    }
    for (uint32_t i = 0; i < rows; i++) f->sum[token] += (double)chord_expf(logits[i] - f->max[token]);
    uint32_t target = (uint32_t)f->args->targets[f->offset + token];
    if (target >= row_first && target - row_first < rows) f->target[token] = logits[target - row_first];
}

/* In groups of 16 rows: tiles are whole panels, so the sum's order does not depend on how rows were cut into tiles. */
static void fold_scores(void *ud, uint32_t row_first, uint32_t rows, float *logits, uint64_t stride, uint32_t tokens)
{
    score_fold *f = ud;
    chord_compute here;
    chord_compute_init(&here, NULL, CHORD_CPU_ANY);
    for (uint32_t t = 0; t < tokens; t++) {
        float *row = logits + t * stride;
        if (f->softcap != 0.0f) chord_softcap(&here, row, f->softcap, rows);
        f->finite = f->finite && chord_all_finite(row, rows);
        for (uint32_t r = 0; r < rows; r += CHORD_PANEL_ROWS)
            fold_group(f, t, row_first + r, rows - r < CHORD_PANEL_ROWS ? rows - r : CHORD_PANEL_ROWS, row + r);
    }
}

static chord_status output_scores(chord_network *net, const chord_forward_args *args, uint32_t offset, chord_inputs *in,
                                  chord_error *err)
{
    /* The queries are not needed any more: their room holds the sums. */
    uint32_t n = in->tokens;
    score_fold fold = {.args = args,
                       .offset = offset,
                       .finite = true,
                       .softcap = net->print.h.logits_softcap,
                       .sum = (double *)(void *)net->scratch.q};
    fold.max = (float *)(fold.sum + n);
    fold.target = fold.max + n;
    for (uint32_t t = 0; t < n; t++) {
        fold.sum[t] = 0.0;
        fold.max[t] = -3.0e38f;
        fold.target[t] = 0.0f;
    }
    CHORD_TRY(chord_linear_fold(net, &net->print.output, in, fold_scores, &fold, err));
    if (!fold.finite) return chord_fail(err, CHORD_CORRUPT, "a logit is not a finite number");
    for (uint32_t t = 0; t < n; t++)
        args->scores[offset + t].logprob = (double)(fold.target[t] - fold.max[t]) -
                                           chord_log2(fold.sum[t]) * 0.6931471805599453;
    return CHORD_OK;
}

static chord_status output_rows(chord_network *net, const chord_forward_args *args, uint32_t offset, chord_inputs *in,
                                bool *stop, chord_error *err)
{
    const chord_hparams *h = &net->print.h;
    float *logits = net->scratch.logits;
    uint64_t n = (uint64_t)in->tokens * h->vocabulary;
    CHORD_TRY(chord_linear(net, logits, &net->print.output, in, err));
    if (h->logits_softcap != 0.0f) chord_softcap(&net->compute, logits, h->logits_softcap, n);
    if (!chord_all_finite(logits, n)) return chord_fail(err, CHORD_CORRUPT, "a logit is not a finite number");
    for (uint32_t t = 0; t < in->tokens && !*stop; t++)
        *stop = !args->on_logits(args->ud, offset + t, logits + (uint64_t)t * h->vocabulary, h->vocabulary);
    return CHORD_OK;
}

/* ---- one chunk ----------------------------------------------------------------------------------------- */

static chord_status walk(const chord_chunk *c, const chord_forward_args *args, uint32_t offset, bool *stop,
                         chord_error *err)
{
    chord_network *net = c->net;
    chord_scratch *s = &net->scratch;
    const chord_hparams *h = &net->print.h;
    CHORD_TRY(chord_embed(net, c->tokens, c->count, s->x, err));
    chord_rope_tables(c);
    CHORD_TRY(net->print.arch->forward(c, err));
    if (c->wanted == 0) return CHORD_OK;
    uint32_t skip = c->count - c->wanted;
    chord_inputs in;
    chord_rmsnorm(&net->compute, s->norm, s->x + (uint64_t)skip * h->embedding, net->print.output_norm, c->wanted,
                  h->embedding, h->norm_eps);
    chord_inputs_set(net, &in, s->norm, h->embedding, c->wanted);
    if (args->targets != NULL) return output_scores(net, args, offset + skip, &in, err);
    return output_rows(net, args, offset + skip, &in, stop, err);
}

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

static uint32_t tiles_of(const chord_network *net, uint32_t wanted)
{
    return wanted != 0 ? net->print.tile_count : net->print.tiles_without_logits;
}

static chord_status run_chunk(chord_chunk *c, const chord_forward_args *args, uint32_t offset, bool *stop,
                              chord_error *err)
{
    chord_network *net = c->net;
    chord_sequence *s = c->sequence;
    CHORD_TRY(begin_pass(net, tiles_of(net, c->wanted), err));
    if (c->first + c->count > s->length_high) s->length_high = c->first + c->count;
    chord_status status = walk(c, args, offset, stop, err);
    net->pass_open = false;
    chord_status ended = chord_pager_pass_end(net->pager, status == CHORD_OK ? err : NULL);
    if (status == CHORD_OK) status = ended;
    if (status != CHORD_OK) return status;
    s->length += c->count;
    return chord_network_watch_map(net, err);
}

/* Tokens of the next chunk: as many as fit, but no more wanted rows than the logits buffer holds. */
static chord_chunk next_chunk(chord_network *net, chord_sequence *s, const chord_forward_args *args, uint32_t done)
{
    uint32_t count = args->count - done < net->chunk_tokens ? args->count - done : net->chunk_tokens;
    uint32_t wanted = done + count > args->first_wanted ? done + count - args->first_wanted : 0;
    if (wanted > count) wanted = count;
    if (args->targets == NULL && wanted > net->logit_rows) {
        count -= wanted - net->logit_rows;
        wanted = net->logit_rows;
    }
    return (chord_chunk){
        .net = net, .sequence = s, .tokens = args->tokens + done, .first = s->length, .count = count, .wanted = wanted};
}

/* ---- the call -------------------------------------------------------------------------------------------- */

static chord_status check_args(const chord_network *net, const chord_sequence *s, const chord_forward_args *args,
                               chord_error *err)
{
    if (args->count > net->context_tokens - s->length)
        return chord_fail(err, CHORD_FULL, "%u tokens after %u do not fit in the context of %u", args->count, s->length,
                          net->context_tokens);
    for (uint32_t i = 0; i < args->count; i++)
        if (args->tokens[i] < 0 || (uint32_t)args->tokens[i] >= net->print.h.vocabulary)
            return chord_fail(err, CHORD_INVALID, "token %u is %d, the vocabulary has %u entries", i, args->tokens[i],
                              net->print.h.vocabulary);
    return CHORD_OK;
}

static uint64_t count_tiles(chord_network *net, chord_sequence *s, const chord_forward_args *args)
{
    uint64_t tiles = 0;
    for (uint32_t done = 0; done < args->count;) {
        chord_chunk c = next_chunk(net, s, args, done);
        tiles += tiles_of(net, c.wanted);
        done += c.count;
    }
    return tiles;
}

static chord_status run_chunks(chord_network *net, chord_sequence *s, const chord_forward_args *args, chord_error *err)
{
    bool stop = false;
    net->progress = args;
    net->tiles_done = 0;
    net->tiles_total = args->on_progress != NULL ? count_tiles(net, s, args) : 0;
    for (uint32_t done = 0; done < args->count && !stop;) {
        chord_chunk c = next_chunk(net, s, args, done);
        CHORD_TRY(run_chunk(&c, args, done, &stop, err));
        done += c.count;
    }
    return CHORD_OK;
}

/* With the turn: nobody else computes with this pool. */
static chord_status run_alone(chord_network *net, chord_sequence *s, const chord_forward_args *args, chord_error *err)
{
    uint32_t saved = chord_float_enter();
    chord_pager_heed(net->pager, &s->cancelled);
    chord_status status = run_chunks(net, s, args, err);
    chord_pager_heed(net->pager, NULL);
    chord_float_leave(saved);
    return status;
}

chord_status chord_network_forward(chord_network *net, chord_sequence *s, const chord_forward_args *args,
                                   chord_error *err)
{
    chord_turn turn;
    chord_turns *turns = chord_pool_turns(net->compute.pool);
    CHORD_TRY(check_args(net, s, args, err));
    chord_status status = chord_turns_take(turns, &turn, &s->cancelled, err);
    if (status == CHORD_OK) {
        status = run_alone(net, s, args, err);
        chord_turns_give(turns, &turn);
    }
    /* A cancel that came before or while we ran ends here; the next call starts clean. */
    if (status == CHORD_CANCELLED) atomic_store(&s->cancelled, false);
    return status;
}

void chord_sequence_cancel(chord_network *net, chord_sequence *s)
{
    atomic_store(&s->cancelled, true);
    chord_turns_look(chord_pool_turns(net->compute.pool));
    chord_mutex_lock(&net->mutex);
    chord_pager_look(net->pager);
    chord_mutex_unlock(&net->mutex);
}
