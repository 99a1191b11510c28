/* output.c - what a pass gives: logits, hidden states, or each position's distribution folded to a score, tile by tile. */
#include "model/model_inner.h"

/* ---- rows ------------------------------------------------------------------------------------- */

/* Rows of a call lie one after the other; whoever called takes them from there. */
static void hand_out(chord_pass *p, chord_operand from)
{
    const float *base = p->net->scratch.operands[from];
    uint32_t width = p->width[from];
    for (uint32_t i = 0; i < p->segment_count; i++) {
        chord_call *call = p->segments[i].call;
        if (call->rows == NULL) call->rows = base + (uint64_t)p->segments[i].row * width;
        call->row_width = width;
    }
}

static void check_rows(chord_pass *p, chord_operand from, const char *what)
{
    const float *base = p->net->scratch.operands[from];
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        uint64_t width = p->width[from];
        if (s->call->status != CHORD_OK || chord_all_finite(base + s->row * width, s->count * width)) continue;
        s->call->status = chord_fail(&s->call->error, CHORD_CORRUPT, "%s is not a finite number", what);
    }
}

static chord_status output_logits(chord_pass *p, chord_error *err)
{
    CHORD_TRY(chord_op_linear(p, CHORD_LOGITS, &p->print->output, CHORD_NORM, err));
    float softcap = p->print->h.logits_softcap;
    chord_op_scale(p, CHORD_LOGITS, p->print->h.logits_scale);
    if (softcap != 0.0f)
        chord_softcap(&p->net->compute, p->net->scratch.operands[CHORD_LOGITS], softcap,
                      (uint64_t)p->rows * p->width[CHORD_LOGITS]);
    hand_out(p, CHORD_LOGITS);
    check_rows(p, CHORD_LOGITS, "a logit");
    return CHORD_OK;
}

/* ---- scores ----------------------------------------------------------------------------------- */

typedef struct score_fold {
    chord_score_sum *sums; /* by row */
    float scale, softcap;
} score_fold;

static void fold_group(chord_score_sum *s, uint32_t row_first, uint32_t rows, const float *logits)
{
    float best = logits[0];
    for (uint32_t i = 1; i < rows; i++)
        if (logits[i] > best) best = logits[i];
    if (best > s->max) {
        s->sum *= (double)chord_expf(s->max - best);
        s->max = best;
    }
    for (uint32_t i = 0; i < rows; i++) s->sum += (double)chord_expf(logits[i] - s->max);
    if (s->target >= row_first && s->target - row_first < rows) s->logit = logits[s->target - row_first];
}

/* In groups of 16 rows: tiles are whole panels, so the sum's order does not depend on how rows were cut into tiles. */
static void fold_scores(void *ud, uint32_t row_first, uint32_t rows, float *logits, uint64_t stride, uint32_t tokens)
{
    score_fold *f = ud;
    chord_compute here;
    chord_compute_init(&here, NULL, CHORD_CPU_ANY);
    for (uint32_t t = 0; t < tokens; t++) {
        float *row = logits + t * stride;
        if (f->scale != 1.0f) chord_scale(&here, row, f->scale, rows);
        if (f->softcap != 0.0f) chord_softcap(&here, row, f->softcap, rows);
        f->sums[t].finite = f->sums[t].finite && chord_all_finite(row, rows);
        for (uint32_t r = 0; r < rows; r += CHORD_PANEL_ROWS)
            fold_group(&f->sums[t], row_first + r, rows - r < CHORD_PANEL_ROWS ? rows - r : CHORD_PANEL_ROWS, row + r);
    }
}

static void begin_scores(const chord_pass *p, chord_score_sum *sums)
{
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        for (uint32_t r = s->row; r < s->row + s->count; r++)
            sums[r] = (chord_score_sum){
                .max = -3.0e38f, .target = (uint32_t)s->call->args->targets[chord_segment_index(s, r)], .finite = true};
    }
}

static void end_scores(const chord_pass *p, const chord_score_sum *sums)
{
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        for (uint32_t r = s->row; r < s->row + s->count; r++) {
            const chord_score_sum *sum = &sums[r];
            if (sum->finite)
                s->call->args->scores[chord_segment_index(s, r)].logprob = (double)(sum->logit - sum->max) -
                                                                           chord_log2(sum->sum) * 0.6931471805599453;
            else if (s->call->status == CHORD_OK)
                s->call->status = chord_fail(&s->call->error, CHORD_CORRUPT, "a logit is not a finite number");
        }
    }
}

static chord_status output_scores(chord_pass *p, chord_error *err)
{
    const chord_hparams *h = &p->print->h;
    score_fold fold = {.sums = p->net->scratch.scores, .scale = h->logits_scale, .softcap = h->logits_softcap};
    begin_scores(p, fold.sums);
    CHORD_TRY(chord_op_fold(p, &p->print->output, CHORD_NORM, fold_scores, &fold, err));
    end_scores(p, fold.sums);
    return CHORD_OK;
}

chord_status chord_output_make(chord_pass *p, chord_output kind, chord_error *err)
{
    CHORD_TRY(chord_op_drop(p, err));
    CHORD_TRY(chord_walk_end(p, err));
    if (kind == CHORD_OUTPUT_SCORES) return output_scores(p, err);
    if (kind == CHORD_OUTPUT_LOGITS) return output_logits(p, err);
    hand_out(p, CHORD_NORM);
    check_rows(p, CHORD_NORM, "a hidden state");
    return CHORD_OK;
}
