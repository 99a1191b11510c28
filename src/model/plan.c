/* plan.c - what a budget buys, and what a refusal names. Touches no weight. */
#include "model/model_inner.h"

#define CHUNK_TOKENS_MAX 512u
#define CHUNK_TOKENS_LEAST 8u
#define LOGIT_BYTES_MAX (4 * CHORD_MIB)
#define LOGIT_ROWS_MAX 32u
#define TILE_RECORD_BYTES 128u /* what pager and lists keep for each tile */

static const chord_model_options DEFAULTS = {0};

static const chord_model_options *options_of(const chord_network_config *config)
{
    return config->options != NULL ? config->options : &DEFAULTS;
}

uint32_t chord_plan_context(const chord_network_config *config, const chord_blueprint *p)
{
    uint32_t asked = options_of(config)->context_tokens;
    if (asked != 0) return asked;
    return p->h.trained_tokens < CHORD_CONTEXT_TOKENS_DEFAULT ? p->h.trained_tokens : CHORD_CONTEXT_TOKENS_DEFAULT;
}

static uint32_t sessions_of(const chord_network_config *config)
{
    uint32_t sessions = options_of(config)->sessions_max;
    return sessions != 0 ? sessions : 1;
}

chord_kv_needs chord_plan_kv(const chord_network_config *config, uint32_t context, uint32_t chunk)
{
    const chord_model_options *o = options_of(config);
    return (chord_kv_needs){.type = o->kv_type,
                            .sessions = sessions_of(config),
                            .branches = config->branches,
                            .context_tokens = context,
                            .chunk_tokens = chunk,
                            .shared_tokens = (uint32_t)chord_min_u64(o->shared_tokens, context),
                            .tokens = o->kv_tokens != 0 ? (uint32_t)chord_max_u64(o->kv_tokens, context) : 0,
                            .drafts = o->drafts,
                            .folder = o->kv_dir != NULL};
}

/* One for each session, so that all may decode in one pass; more where they are small. */
static uint32_t least_logit_rows(const chord_network_config *config, const chord_blueprint *p)
{
    uint64_t rows = chord_min_u64(LOGIT_BYTES_MAX / (p->h.vocabulary * sizeof(float)), LOGIT_ROWS_MAX);
    return (uint32_t)chord_max_u64(rows, sessions_of(config));
}

/* As many as a twentieth of the budget holds: each checks a guess. */
uint32_t chord_plan_logit_rows(const chord_network_config *config, const chord_blueprint *p, uint64_t budget_bytes)
{
    uint64_t rows = chord_min_u64(budget_bytes / 20 / (p->h.vocabulary * sizeof(float)), LOGIT_ROWS_MAX);
    rows = chord_max_u64(rows, config->logit_rows);
    return (uint32_t)chord_max_u64(rows, least_logit_rows(config, p));
}

/* 8 bytes describe a page of 4096, so 512; the rest is for the levels above, and tables that are filled in part. */
#define PAGE_BYTES_FOR_TABLE_BYTE 400

static uint64_t cached_rows_bytes(const chord_blueprint *p)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < CHORD_TABLES; i++)
        if (p->tables[i] != NULL) bytes += CHORD_EMBEDDING_CACHE_ROWS * p->tables[i]->row_bytes;
    return bytes;
}

/* What everything costs that is neither weights nor KV nor scratch. */
static uint64_t fixed_bytes(const chord_network_config *config, const chord_blueprint *p, uint64_t budget_bytes)
{
    uint64_t page_tables = budget_bytes / PAGE_BYTES_FOR_TABLE_BYTE;
    return config->fixed_bytes + p->vector_bytes + p->arena.used_bytes + p->tile_arena.used_bytes +
           cached_rows_bytes(p) + ((uint64_t)p->tile_count + p->expert_tile_count) * TILE_RECORD_BYTES + page_tables +
           CHORD_MIB / 2;
}

/* Each change of banks costs some ten microseconds, and often a thread that fell asleep meanwhile, so a pass is to have
 * few: banks of 128 MiB were 10 to 14 % faster than those of 32 MiB. Smaller memories have smaller ones, since windows
 * take two banks' worth of a guest's addresses. */
#define BANK_BYTES_LEAST (32 * CHORD_MIB)
#define BANK_BYTES_MOST (128 * CHORD_MIB)
#define BANKED_FROM_BYTES (192 * CHORD_MIB)

/* A 32-bit guest keeps more than a little in banks of its host, when there are any: its own memory stays small,
 * and 4 GiB are no limit. */
static uint64_t bank_bytes_for(uint64_t memory_bytes, bool prefer)
{
    uint64_t bytes = memory_bytes / 32 / BANK_BYTES_LEAST * BANK_BYTES_LEAST;
    bytes = chord_min_u64(chord_max_u64(bytes, BANK_BYTES_LEAST), BANK_BYTES_MOST);
    bool banked = sizeof(void *) == 4 && (prefer || memory_bytes >= BANKED_FROM_BYTES);
    return banked && chord_bank_offered() != CHORD_BANK_NONE ? bytes : 0;
}

static chord_bank_use bank_use_for(uint32_t cpu)
{
    if ((cpu & CHORD_CPU_BANK_ROWS) != 0) return CHORD_BANK_USE_IN_PLACE;
    return chord_bank_offered() == CHORD_BANK_COPIES ? CHORD_BANK_USE_COPIES : CHORD_BANK_USE_WINDOWS;
}

/* Pages that are mapped and given back interrupt every thread: beyond so many, copies that readers make come sooner
 * (docs/PERFORMANCE.md). */
#define WINDOW_THREADS_MAX 2u

chord_pager_config chord_plan_pager(const chord_network_config *config, const chord_blueprint *p, uint64_t memory_bytes,
                                    bool mapped)
{
    const chord_model_options *o = options_of(config);
    return (chord_pager_config){
        .heap = config->heap,
        .readers = config->readers,
        .shards = chord_gguf_shards_expected(config->gguf),
        .tiles = p->tiles,
        .read_bytes = p->read_bytes,
        .tile_count = p->tile_count,
        .memory_bytes = memory_bytes,
        .hold_max = 2,
        .prefetch_tiles = o->prefetch_tiles,
        .no_prefetch = o->no_prefetch,
        .policy = o->policy,
        .mapped = mapped,
        .window = config->may_window && chord_pool_threads(config->pool) <= WINDOW_THREADS_MAX,
        .pack = !o->no_repack && !p->packed,
        .parts = true,
        .bank_bytes = bank_bytes_for(chord_min_u64(memory_bytes, p->weight_bytes), config->prefer_banks),
        .bank_use = bank_use_for(config->cpu),
    };
}

/* Largest chunk whose scratch takes no more than an eighth of what is there, so that long prompts need few passes; a model
 * and its draft, which share a budget, take a fourth of their parts, rows for guesses not counted: prompts shall not be the
 * slower for them. */
static uint32_t chunk_for(const chord_network_config *config, const chord_blueprint *p, uint32_t context,
                          uint64_t budget_bytes, uint64_t available, uint64_t *scratch_bytes)
{
    uint32_t threads = chord_pool_threads(config->pool), asked = options_of(config)->chunk_tokens;
    uint32_t chunk = asked != 0 ? asked : CHUNK_TOKENS_MAX;
    if (chunk > context) chunk = context;
    for (;; chunk /= 2) {
        chord_scratch none = {0};
        uint32_t rows = chord_plan_logit_rows(config, p, budget_bytes);
        *scratch_bytes = chord_scratch_layout(p, chunk, rows, threads, &none);
        uint64_t bytes = chord_scratch_layout(p, chunk, least_logit_rows(config, p), threads, &none);
        if (config->branches != 0) bytes /= 2;
        bool small = asked == 0 && bytes > available / (chunk > CHUNK_TOKENS_LEAST ? 8 : 2);
        if (!small || chunk == 1) return chunk;
    }
}

void chord_plan_set_pager(chord_plan *plan, const chord_pager_plan *got)
{
    plan->resident_bytes = got->pinned_bytes;
    plan->window_bytes = got->ring_bytes;
    plan->streamed_bytes_per_pass = got->streamed_bytes_per_pass;
    plan->tiles_pinned = got->pinned_tiles;
    plan->ring_slots = got->ring_slots;
}

/* Weights that every pass uses get what they need first; the rest keeps experts. */
static void give_to_experts(const chord_blueprint *p, uint64_t bytes, chord_plan *plan)
{
    const chord_routing *r = &p->h.routing;
    if (p->expert_tile_count == 0) return;
    plan->expert_bytes = p->expert_bytes;
    plan->expert_bytes_per_token = p->expert_bytes / r->experts * r->used;
    plan->expert_cache_bytes = chord_min_u64(bytes, p->expert_slot_bytes);
    plan->read_bytes_per_pass += plan->expert_bytes_per_token;
}

/* The pager's part of what is left, and the experts', of which `least` is taken already. */
static void share_memory(const chord_network_config *config, const chord_blueprint *p, uint64_t left, uint64_t least,
                         chord_plan *plan)
{
    const chord_model_options *o = options_of(config);
    uint64_t spare = chord_max_u64(64 * CHORD_MIB, p->weight_bytes / 33);
    uint64_t map_bytes = p->weight_bytes + config->map_bytes + spare;
    plan->mapped = o->mode != CHORD_MODE_PAGED && o->policy == CHORD_POLICY_PLAN && config->may_map &&
                   left >= map_bytes;
    if (plan->mapped) {
        plan->resident_bytes = p->weight_bytes;
        plan->tiles_pinned = p->tile_count;
        plan->fits = true;
        give_to_experts(p, least + left - map_bytes, plan);
        return;
    }
    chord_pager_config pager = chord_plan_pager(config, p, left, false);
    chord_pager_plan got = {0};
    if (o->mode == CHORD_MODE_MAPPED || chord_pager_plan_make(&pager, &got, NULL) != CHORD_OK) return;
    chord_plan_set_pager(plan, &got);
    plan->fits = true;
    give_to_experts(p, got.ring_slots == 0 ? least + left - got.pinned_bytes : least, plan);
}

void chord_plan_make(const chord_network_config *config, const chord_blueprint *p, uint64_t budget_bytes,
                     uint32_t context, chord_plan *plan)
{
    *plan = (chord_plan){.model_bytes = chord_gguf_data_bytes(config->gguf),
                         .budget_bytes = budget_bytes,
                         .context_tokens = context,
                         .read_bytes_per_pass = p->weight_bytes,
                         .tiles = p->tile_count,
                         .packed = p->packed};
    for (uint64_t i = 0; i < chord_gguf_tensor_count(config->gguf); i++) {
        const chord_tensor *t = chord_gguf_tensor_at(config->gguf, i);
        if (t->type == t->file_type) continue;
        plan->requantized_bytes += t->bytes;
        plan->requantized_file_bytes += t->rows * chord_tensor_file_row_bytes(t);
    }
    plan->fixed_bytes = fixed_bytes(config, p, budget_bytes);
    uint64_t left = budget_bytes > plan->fixed_bytes ? budget_bytes - plan->fixed_bytes : 0;
    plan->chunk_tokens = chunk_for(config, p, context, budget_bytes, left, &plan->scratch_bytes);
    chord_kv_needs kv = chord_plan_kv(config, context, plan->chunk_tokens);
    plan->kv_bytes = chord_kv_plan_bytes(p, &kv);
    uint64_t least = chord_min_u64(p->expert_slot_bytes, CHORD_EXPERT_RING_LEAST * p->expert_slot_max);
    uint64_t spent = plan->scratch_bytes + plan->kv_bytes + least;
    if (left >= spent) share_memory(config, p, left - spent, least, plan);
}

/* ---- the limits a refusal names ------------------------------------------------------------------ */

/* What no way of cutting tiles changes. */
static uint64_t least_bytes(const chord_network_config *config, const chord_blueprint *p)
{
    chord_kv_needs kv = chord_plan_kv(config, chord_plan_context(config, p), 1);
    return config->fixed_bytes + p->vector_bytes + p->arena.used_bytes + chord_kv_plan_bytes(p, &kv);
}

static chord_status fits_at(const chord_network_config *config, chord_blueprint *p, uint64_t budget_bytes, bool *fits,
                            chord_error *err)
{
    chord_plan plan;
    *fits = false;
    if (budget_bytes < least_bytes(config, p)) return CHORD_OK;
    CHORD_TRY(chord_blueprint_cut(p, budget_bytes, err));
    chord_plan_make(config, p, budget_bytes, chord_plan_context(config, p), &plan);
    *fits = plan.fits;
    return CHORD_OK;
}

/* Smallest budget that works, to 256 KiB: what is found was tried. */
static chord_status find_budget_min(const chord_network_config *config, chord_blueprint *p, uint64_t *out,
                                    chord_error *err)
{
    const uint64_t unit = CHORD_MIB / 4;
    uint64_t high = 16, low = 0; /* in units; low does not fit */
    for (bool fits = false; !fits;) {
        CHORD_TRY(fits_at(config, p, high * unit, &fits, err));
        if (fits) break;
        low = high;
        high *= 2;
        if (high > (1ull << 50) / unit) {
            *out = 0;
            return CHORD_OK;
        }
    }
    while (high - low > 1) {
        bool fits;
        uint64_t middle = low + (high - low) / 2;
        CHORD_TRY(fits_at(config, p, middle * unit, &fits, err));
        *(fits ? &high : &low) = middle;
    }
    /* one to spare: what the process itself takes differs a little from one start to the next */
    *out = (high + 1) * unit;
    return CHORD_OK;
}

static uint32_t find_context_max(const chord_network_config *config, const chord_blueprint *p, uint64_t budget_bytes)
{
    uint32_t low = 0, high = p->h.trained_tokens + 1;
    while (high - low > 1) {
        chord_plan plan;
        uint32_t middle = low + (high - low) / 2;
        chord_plan_make(config, p, budget_bytes, middle, &plan);
        *(plan.fits ? &low : &high) = middle;
    }
    return low;
}

chord_status chord_plan_check_context(const chord_network_config *config, const chord_blueprint *p, chord_error *err)
{
    uint32_t context = chord_plan_context(config, p), tokens = options_of(config)->kv_tokens;
    if (context > p->h.trained_tokens)
        return chord_fail(err, CHORD_INVALID, "a context of %u tokens was asked for, the model was trained for %u",
                          context, p->h.trained_tokens);
    if (tokens != 0 && tokens < context)
        return chord_fail(err, CHORD_INVALID,
                          "kv_tokens is %u: all sessions together have less than one context of %u tokens", tokens,
                          context);
    return CHORD_OK;
}

static chord_status plan_with_limits(const chord_network_config *config, chord_blueprint *p, chord_plan *out,
                                     chord_error *err)
{
    CHORD_TRY(chord_plan_check_context(config, p, err));
    chord_plan_make(config, p, config->budget_bytes, chord_plan_context(config, p), out);
    out->context_tokens_max = find_context_max(config, p, config->budget_bytes);
    return find_budget_min(config, p, &out->budget_bytes_min, err);
}

chord_status chord_network_plan(const chord_network_config *config, chord_plan *out, chord_error *err)
{
    chord_blueprint p;
    CHORD_TRY(chord_blueprint_open(&p, config->heap, config->gguf, config->output_rows, err));
    chord_status status = chord_blueprint_cut(&p, config->budget_bytes, err);
    if (status == CHORD_OK) status = plan_with_limits(config, &p, out, err);
    chord_blueprint_close(&p);
    return status;
}

chord_status chord_plan_refuse(const chord_network_config *config, chord_blueprint *p, chord_error *err)
{
    chord_plan plan;
    char context[96] = "no context fits in this budget", what[64] = "";
    CHORD_TRY(plan_with_limits(config, p, &plan, err));
    if (options_of(config)->mode == CHORD_MODE_MAPPED)
        return chord_fail(err, CHORD_BUDGET,
                          "the model cannot be mapped: its weights of %" PRIu64 " MiB do not fit in a budget of "
                          "%" PRIu64 " MiB with room to spare, or the guard is not installed",
                          p->weight_bytes / CHORD_MIB, config->budget_bytes / CHORD_MIB);
    if (plan.budget_bytes_min == 0)
        return chord_fail(err, CHORD_BUDGET, "no budget is enough for %u sessions with a context of %u tokens each",
                          sessions_of(config), plan.context_tokens);
    if (sessions_of(config) > 1) chord_format(what, sizeof what, "%u sessions, each with ", sessions_of(config));
    if (plan.context_tokens_max > 0)
        chord_format(context, sizeof context, "the largest context for this budget is %u tokens",
                     plan.context_tokens_max);
    return chord_fail(err, CHORD_BUDGET,
                      "a budget of %.2f MiB is too small for %sa context of %u tokens: %.2f MiB is the smallest that "
                      "works; %s",
                      (double)config->budget_bytes / (double)CHORD_MIB, what, plan.context_tokens,
                      (double)plan.budget_bytes_min / (double)CHORD_MIB, context);
}
