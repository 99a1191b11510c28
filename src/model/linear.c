/* linear.c - the only place where pager and compute meet: pin a tile, compute its rows for all tokens, release it.
 * No forward pass ever holds a layer. */
#include "model/model_inner.h"

void chord_inputs_set(const chord_network *net, void *const acts[CHORD_ACT_COUNT], chord_inputs *in, const float *x,
                      uint32_t n, uint32_t tokens)
{
    *in = (chord_inputs){.x = x, .n = n, .tokens = tokens};
    for (int kind = 0; kind < CHORD_ACT_COUNT; kind++)
        if (net->print.uses[kind]) chord_acts_init(&in->acts[kind], (chord_act)kind, n, net->chunk_tokens, acts[kind]);
}

typedef struct fill_job {
    chord_acts *acts;
    const float *x;
    uint32_t cpu;
    atomic_bool bad;
} fill_job;

static void fill_task(void *ud, uint32_t worker, chord_share share)
{
    (void)worker;
    fill_job *job = ud;
    if (!chord_acts_fill(job->acts, job->x, (uint32_t)share.first, (uint32_t)share.end, job->cpu))
        atomic_store(&job->bad, true);
}

static chord_status fail_not_finite(const chord_weight *w, chord_error *err)
{
    return chord_fail(err, CHORD_CORRUPT,
                      "the values that enter '%s' are not all finite: the weights before it hold "
                      "NaN, infinity or numbers too large",
                      w->tensor->name);
}

static chord_status prepare(chord_network *net, chord_inputs *in, const chord_weight *w, const chord_acts **out,
                            chord_error *err)
{
    chord_act kind = chord_format_get(w->tensor->type)->act;
    chord_acts *acts = &in->acts[kind];
    *out = acts;
    if (in->ready[kind]) return CHORD_OK;
    acts->tokens = in->tokens;
    fill_job job = {.acts = acts, .x = in->x, .cpu = net->compute.cpu};
    chord_pool_run(in->tokens < 16 ? NULL : net->compute.pool, in->tokens, 8, fill_task, &job);
    if (atomic_load(&job.bad)) return fail_not_finite(w, err);
    in->ready[kind] = true;
    return CHORD_OK;
}

/* ---- one tile --------------------------------------------------------------------------------- */

typedef struct tile_part {
    const chord_weight *weight;
    const chord_acts *acts;
    chord_view view;
    bool keep;                /* bring the rows to the tile's home before computing them */
    bool pack;                /* packed, which they are not yet */
    uint32_t row_first, rows; /* of the weight */
    float *out;
    uint64_t stride;
} tile_part;

typedef struct tile_job {
    chord_network *net;
    tile_part part[2];
    uint32_t parts;
    chord_glu glu; /* with two parts: part[0].out = glu(part[0].out) * part[1].out */
    float limit;   /* of the gate */
    bool late;
    /* Of rows that threads read themselves: what the first failure says. */
    atomic_bool failed;
    chord_status status;
    chord_error *err;
    uint64_t wait_ns; /* of the caller */
} tile_job;

/* Rows of the part, from `skip` bytes on, go to the tile's home, and are packed on the way. */
static void bring_home(const tile_part *part, chord_rows *w, uint64_t skip, void *scratch, uint32_t cpu)
{
    uint8_t *own = part->view.own + skip;
    uint64_t row_bytes = part->weight->tensor->row_bytes, packed = 0, all = w->rows * row_bytes;
    if (part->pack) {
        chord_rows_pack(w->type, w->data, own, w->n, w->rows, scratch, cpu);
        packed = w->rows / CHORD_PANEL_ROWS * CHORD_PANEL_ROWS * row_bytes;
    }
    if (own != w->data) memcpy(own + packed, w->data + packed, (size_t)(all - packed));
    if (part->view.home == CHORD_HOME_BANK) chord_bank_write(part->view.bank, part->view.bank_at + skip, own, all);
    w->data = own;
    w->packed = w->packed || part->pack;
}

/* A share's rows of a part that is unread. After a failure the share is computed all the same, from whatever is there: what
 * its other part packs on the way would be packed by halves. */
static void read_rows(tile_job *job, const tile_part *part, uint32_t worker, chord_share share)
{
    uint64_t row_bytes = part->weight->tensor->row_bytes, start_ns = worker == 0 ? chord_clock_ns() : 0;
    chord_error error = {0};
    chord_status status = chord_view_read(&part->view, share.first * row_bytes, (share.end - share.first) * row_bytes,
                                          &error);
    if (status != CHORD_OK && !atomic_exchange(&job->failed, true)) {
        job->status = status;
        if (job->err != NULL) *job->err = error;
    }
    if (worker == 0) job->wait_ns += chord_clock_ns() - start_ns;
}

static void compute_rows(const tile_job *job, const tile_part *part, chord_share share, void *scratch)
{
    const chord_tensor *t = part->weight->tensor;
    uint64_t skip = share.first * t->row_bytes;
    uint32_t rows = (uint32_t)(share.end - share.first), columns = (uint32_t)t->dims[0];
    chord_rows w = {.type = t->type, .n = columns, .rows = rows, .packed = part->view.packed};
    if (part->view.data != NULL) w.data = part->view.data + skip;
    else w.bank = part->view.bank, w.bank_at = part->view.bank_at + skip;
    if (part->keep) bring_home(part, &w, skip, scratch, job->net->compute.cpu);
    float *out = part->out + share.first;
    chord_rows_dot(&w, part->acts, out, part->stride, scratch, job->net->compute.cpu);
    if (part->weight->bias == NULL) return;
    const float *bias = part->weight->bias + part->row_first + share.first;
    for (uint32_t token = 0; token < part->acts->tokens; token++)
        chord_add_row(&job->net->solo, out + token * part->stride, bias, 1, rows);
}

/* gate = f(gate) * up, the gate at most `limit` before it acts or after, up within it. NaN stays. */
static void act_limited(const tile_job *job, float *gate, float *up, uint64_t n)
{
    float limit = job->limit;
    if (job->late) chord_glu_mul(&job->net->solo, job->glu, gate, NULL, n);
    for (uint64_t i = 0; i < n; i++) {
        gate[i] = gate[i] > limit ? limit : gate[i];
        up[i] = up[i] > limit ? limit : up[i] < -limit ? -limit : up[i];
        if (job->late) gate[i] *= up[i];
    }
    if (!job->late) chord_glu_mul(&job->net->solo, job->glu, gate, up, n);
}

static void tile_task(void *ud, uint32_t worker, chord_share share)
{
    tile_job *job = ud;
    void *scratch = job->net->scratch.workers + worker * job->net->scratch.worker_bytes;
    for (uint32_t i = 0; i < job->parts; i++)
        if (job->part[i].view.unread != NULL) read_rows(job, &job->part[i], worker, share);
    for (uint32_t i = 0; i < job->parts; i++) compute_rows(job, &job->part[i], share, scratch);
    if (job->parts == 1) return;
    for (uint32_t t = 0; t < job->part[0].acts->tokens; t++) {
        float *gate = job->part[0].out + t * job->part[0].stride + share.first,
              *up = job->part[1].out + t * job->part[1].stride + share.first;
        if (job->limit != 0.0f) act_limited(job, gate, up, share.end - share.first);
        else chord_glu_mul(&job->net->solo, job->glu, gate, up, share.end - share.first);
    }
}

/* About a microsecond of work: small models would spend theirs on taking pieces, and on calls where the host
 * multiplies (docs/PERFORMANCE.md). */
#define PIECE_PRODUCTS 32768u

static bool is_unread(const tile_job *job)
{
    return job->part[0].view.unread != NULL || (job->parts == 2 && job->part[1].view.unread != NULL);
}

/* Rows of the smallest piece: whole panels, and of what is unread one piece for each thread, since each is a call. */
static uint64_t tile_grain(const tile_job *job)
{
    const tile_part *part = &job->part[0];
    uint64_t panel = (uint64_t)CHORD_PANEL_ROWS * part->acts->n * part->acts->tokens * job->parts;
    uint64_t panels = chord_max_u64(PIECE_PRODUCTS / chord_max_u64(panel, 1), 1);
    uint64_t each = CHORD_PANEL_ROWS * (uint64_t)chord_pool_threads(job->net->compute.pool);
    if (is_unread(job)) panels = chord_max_u64(panels, chord_ceil_div(part->rows, each));
    return CHORD_PANEL_ROWS * panels;
}

static chord_status run_tile(tile_job *job)
{
    chord_pool_run(job->net->compute.pool, job->part[0].rows, tile_grain(job), tile_task, job);
    if (job->wait_ns != 0) chord_pager_count_wait(job->net->pager, job->wait_ns);
    return atomic_load(&job->failed) ? job->status : CHORD_OK;
}

static uint32_t tile_index(const chord_weight *w, uint32_t i) { return w->tile_first + i * w->tile_step; }

/* A tile of an expert, which was asked for. */
static chord_status pin_expert(chord_network *net, uint32_t tile, chord_view *out, chord_error *err)
{
    uint64_t start_ns = chord_clock_ns();
    chord_status status = chord_asked_pin(net->experts, tile, &net->called_off, &out->data, err);
    atomic_fetch_add(&net->expert_stall_ns, chord_clock_ns() - start_ns);
    if (status != CHORD_OK) return status;
    bool used;
    chord_asked_form(net->experts, tile, &out->packed, &used);
    /* Packing costs more than one use: it pays when a tile is used again, as all are that stay. */
    bool stays = net->plan.expert_cache_bytes >= net->print.expert_slot_bytes;
    if (!net->pager_config.pack || (!stays && !used)) return CHORD_OK;
    out->home = CHORD_HOME_IN_PLACE;
    out->own = (uint8_t *)(uintptr_t)out->data;
    return CHORD_OK;
}

static tile_part part_of(const chord_weight *w, uint32_t i, const chord_acts *acts, float *out, uint64_t stride)
{
    uint64_t first = (uint64_t)i * w->tile_rows;
    return (tile_part){.weight = w,
                       .acts = acts,
                       .out = out,
                       .stride = stride,
                       .row_first = (uint32_t)first,
                       .rows = (uint32_t)chord_min_u64(w->tile_rows, w->rows - first)};
}

static chord_status pin(chord_network *net, const chord_weight *w, uint32_t i, const chord_acts *acts, float *out,
                        uint64_t stride, tile_part *part, chord_error *err)
{
    *part = part_of(w, i, acts, out, stride);
    chord_view *view = &part->view;
    if (w->experts != 0) CHORD_TRY(pin_expert(net, tile_index(w, i), view, err));
    else CHORD_TRY(chord_pager_pin(net->pager, tile_index(w, i), view, err));
    view->packed = view->packed || w->tensor->packed; /* by the file */
    bool banked = view->home == CHORD_HOME_BANK, fits = !banked || view->any_form || part->rows % CHORD_PANEL_ROWS == 0;
    part->pack = view->home != CHORD_HOME_NONE && fits && !view->packed &&
                 chord_rows_packs(w->tensor->type, net->compute.cpu);
    part->keep = part->pack || view->any_form || (banked && fits && view->packed);
    return CHORD_OK;
}

static void release(chord_network *net, const tile_part *part, uint32_t i)
{
    uint32_t tile = tile_index(part->weight, i);
    if (part->weight->experts != 0) {
        if (part->keep) chord_asked_set_packed(net->experts, tile);
        chord_asked_release(net->experts, tile);
        return;
    }
    if (part->keep) chord_pager_keep(net->pager, tile, part->pack || part->view.packed);
    chord_pager_release(net->pager, tile);
    chord_calls_tile_done(net);
}

chord_status chord_linear(chord_network *net, float *out, const chord_weight *w, chord_inputs *x, chord_error *err)
{
    const chord_acts *acts;
    CHORD_TRY(prepare(net, x, w, &acts, err));
    for (uint32_t i = 0; i < w->tile_count; i++) {
        tile_job job = {.net = net, .parts = 1, .err = err};
        CHORD_TRY(pin(net, w, i, acts, out + (uint64_t)i * w->tile_rows, w->rows, &job.part[0], err));
        chord_status status = run_tile(&job);
        release(net, &job.part[0], i);
        CHORD_TRY(status);
    }
    return CHORD_OK;
}

bool chord_linear_glance(chord_network *net, float *out, const chord_weight *w, chord_inputs *x)
{
    const chord_acts *acts;
    if (prepare(net, x, w, &acts, NULL) != CHORD_OK) return false;
    for (uint32_t i = 0; i < w->tile_count; i++) {
        tile_job job = {.net = net, .parts = 1};
        job.part[0] = part_of(w, i, acts, out + (uint64_t)i * w->tile_rows, w->rows);
        chord_view *view = &job.part[0].view;
        chord_pager_peek(net->pager, tile_index(w, i), view);
        if (view->data == NULL) return false;
        view->packed = view->packed || w->tensor->packed;
        (void)run_tile(&job); /* in memory */
    }
    return true;
}

chord_status chord_linear_glu(chord_network *net, float *out, const chord_weight *gate, chord_glu kind, chord_inputs *x,
                              chord_error *err)
{
    const chord_weight *up = gate->pair;
    const chord_acts *gate_acts, *up_acts;
    CHORD_TRY(prepare(net, x, gate, &gate_acts, err));
    CHORD_TRY(prepare(net, x, up, &up_acts, err));
    for (uint32_t i = 0; i < gate->tile_count; i++) {
        tile_job job = {.net = net, .parts = 2, .glu = kind, .limit = gate->limit, .late = gate->late, .err = err};
        CHORD_TRY(pin(net, gate, i, gate_acts, out + (uint64_t)i * gate->tile_rows, gate->rows, &job.part[0], err));
        chord_status status = pin(net, up, i, up_acts, net->scratch.tile, up->tile_rows, &job.part[1], err);
        if (status != CHORD_OK) {
            job.part[0].keep = false; /* nothing was packed */
            release(net, &job.part[0], i);
            return status;
        }
        status = run_tile(&job);
        release(net, &job.part[0], i);
        release(net, &job.part[1], i);
        CHORD_TRY(status);
    }
    return CHORD_OK;
}

/* Rows [first, end) of the tile, which are one head's, times what this head reads. */
static chord_status run_head(chord_network *net, const tile_part *tile, uint32_t first, uint32_t end,
                             const chord_acts *acts, float *out, uint64_t stride, chord_error *err)
{
    tile_job job = {.net = net, .parts = 1, .part = {*tile}, .err = err};
    tile_part *part = &job.part[0];
    uint64_t skip = (first - tile->row_first) * tile->weight->tensor->row_bytes;
    if (part->view.data != NULL) part->view.data += skip;
    if (part->view.own != NULL) part->view.own += skip;
    part->view.bank_at += skip;
    part->view.unread_at += skip;
    part->row_first = first;
    part->rows = end - first;
    part->acts = acts;
    part->out = out;
    part->stride = stride;
    return run_tile(&job);
}

static chord_status compute_heads(chord_network *net, const tile_part *tile, const chord_heads *heads, uint32_t tokens,
                                  chord_error *err)
{
    const chord_weight *w = tile->weight;
    chord_head_scratch *s = &net->scratch.head;
    uint32_t each = w->rows / heads->count, columns = (uint32_t)w->tensor->dims[0], end = tile->row_first + tile->rows;
    for (uint32_t first = tile->row_first, next; first < end; first = next) {
        uint32_t head = first / each;
        const float *x = heads->x + head * heads->x_head;
        const chord_acts *acts;
        chord_inputs in;
        next = (uint32_t)chord_min_u64((head + 1) * each, end);
        for (uint32_t t = 0; t < tokens; t++)
            memcpy(s->x + (uint64_t)t * columns, x + t * heads->x_stride, columns * sizeof *x);
        chord_inputs_set(net, s->acts, &in, s->x, columns, tokens);
        CHORD_TRY(prepare(net, &in, w, &acts, err));
        CHORD_TRY(run_head(net, tile, first, next, acts, heads->out + head * heads->out_head + (first - head * each),
                           heads->out_stride, err));
    }
    return CHORD_OK;
}

chord_status chord_linear_heads(chord_network *net, const chord_weight *w, const chord_heads *heads, uint32_t tokens,
                                chord_error *err)
{
    const chord_acts none = {.n = (uint32_t)w->tensor->dims[0], .tokens = tokens};
    /* before a tile is touched: one of which some heads are packed would be neither */
    for (uint32_t t = 0; t < tokens; t++)
        if (!chord_all_finite(heads->x + t * heads->x_stride, heads->count * heads->x_head))
            return fail_not_finite(w, err);
    for (uint32_t i = 0; i < w->tile_count; i++) {
        tile_part tile;
        CHORD_TRY(pin(net, w, i, &none, NULL, 0, &tile, err));
        chord_status status = compute_heads(net, &tile, heads, tokens, err);
        release(net, &tile, i);
        CHORD_TRY(status);
    }
    return CHORD_OK;
}

chord_status chord_linear_fold(chord_network *net, const chord_weight *w, chord_inputs *x, chord_fold fold, void *ud,
                               chord_error *err)
{
    const chord_acts *acts;
    CHORD_TRY(prepare(net, x, w, &acts, err));
    for (uint32_t i = 0; i < w->tile_count; i++) {
        tile_job job = {.net = net, .parts = 1, .err = err};
        CHORD_TRY(pin(net, w, i, acts, net->scratch.tile, w->tile_rows, &job.part[0], err));
        chord_status status = run_tile(&job);
        release(net, &job.part[0], i);
        CHORD_TRY(status);
        fold(ud, i * w->tile_rows, job.part[0].rows, net->scratch.tile, w->tile_rows, x->tokens);
    }
    return CHORD_OK;
}
