/* network.c - what a budget buys, and opening it. */
#include "model/model_inner.h"

#define CHUNK_TOKENS_MAX 512u
#define CHUNK_TOKENS_LEAST 8u
#define LOGIT_BYTES_MAX (4 * CHORD_MIB)
#define TILE_RECORD_BYTES 128u /* what pager and lists keep for each tile */

static const chord_model_options DEFAULTS = {0};

static const chord_model_options *options_of(const chord_network_config *config)
{
    return config->options != NULL ? config->options : &DEFAULTS;
}

static uint32_t context_of(const chord_network_config *config, const chord_blueprint *p)
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

static uint32_t logit_rows_of(const chord_blueprint *p)
{
    uint64_t rows = LOGIT_BYTES_MAX / (p->h.vocabulary * sizeof(float));
    return rows < 1 ? 1 : rows > 32 ? 32 : (uint32_t)rows;
}

/* 8 bytes describe a page of 4096, so 512; the rest is for the levels above, and tables that are filled in part. */
#define PAGE_BYTES_FOR_TABLE_BYTE 400

/* What everything costs that is neither weights nor KV nor scratch. */
static uint64_t fixed_bytes(const chord_network_config *config, const chord_blueprint *p, uint64_t budget_bytes)
{
    uint64_t page_tables = budget_bytes / PAGE_BYTES_FOR_TABLE_BYTE;
    return config->fixed_bytes + p->vector_bytes + p->arena.used_bytes +
           CHORD_EMBEDDING_CACHE_ROWS * p->embedding->row_bytes + (uint64_t)p->tile_count * TILE_RECORD_BYTES +
           page_tables + CHORD_MIB / 2;
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

static chord_pager_config pager_config(const chord_network_config *config, const chord_blueprint *p,
                                       uint64_t memory_bytes, bool mapped)
{
    const chord_model_options *o = options_of(config);
    return (chord_pager_config){
        .heap = config->heap,
        .readers = config->readers,
        .shards = chord_gguf_shards_expected(config->gguf),
        .tiles = p->tiles,
        .tile_count = p->tile_count,
        .memory_bytes = memory_bytes,
        .hold_max = 2,
        .prefetch_tiles = o->prefetch_tiles,
        .no_prefetch = o->no_prefetch,
        .policy = o->policy,
        .mapped = mapped,
        .pack = !o->no_repack,
        .bank_bytes = bank_bytes_for(chord_min_u64(memory_bytes, p->weight_bytes), config->prefer_banks),
        .bank_use = bank_use_for(config->cpu),
    };
}

/* Largest chunk whose scratch takes no more than an eighth of what is there, so that long prompts need few passes. */
static uint32_t chunk_for(const chord_network_config *config, const chord_blueprint *p, uint32_t context,
                          uint64_t available, uint64_t *scratch_bytes)
{
    uint32_t threads = chord_pool_threads(config->pool), asked = options_of(config)->chunk_tokens;
    uint32_t chunk = asked != 0 ? asked : CHUNK_TOKENS_MAX;
    if (chunk > context) chunk = context;
    for (;; chunk /= 2) {
        chord_scratch none = {0};
        uint64_t bytes = chord_scratch_layout(p, chunk, logit_rows_of(p), threads, &none);
        *scratch_bytes = bytes;
        bool small = asked == 0 && bytes > available / (chunk > CHUNK_TOKENS_LEAST ? 8 : 2);
        if (!small || chunk == 1) return chunk;
    }
}

static void set_pager_plan(chord_plan *plan, const chord_pager_plan *got)
{
    plan->resident_bytes = got->pinned_bytes;
    plan->window_bytes = got->ring_bytes;
    plan->streamed_bytes_per_pass = got->streamed_bytes_per_pass;
    plan->tiles_pinned = got->pinned_tiles;
    plan->ring_slots = got->ring_slots;
}

/* Fill plan for this blueprint (whose tiles were cut for budget_bytes) and context; plan->fits
 * says whether it works. */
static void plan_for(const chord_network_config *config, const chord_blueprint *p, uint64_t budget_bytes,
                     uint32_t context, chord_plan *plan)
{
    const chord_model_options *o = options_of(config);
    *plan = (chord_plan){.model_bytes = chord_gguf_data_bytes(config->gguf),
                         .budget_bytes = budget_bytes,
                         .context_tokens = context,
                         .read_bytes_per_pass = p->weight_bytes,
                         .tiles = p->tile_count};
    plan->fixed_bytes = fixed_bytes(config, p, budget_bytes);
    uint64_t left = budget_bytes > plan->fixed_bytes ? budget_bytes - plan->fixed_bytes : 0;
    plan->chunk_tokens = chunk_for(config, p, context, left, &plan->scratch_bytes);
    plan->kv_bytes = sessions_of(config) * chord_kv_plan_bytes(p, o->kv_type, context, plan->chunk_tokens);
    uint64_t spent = plan->scratch_bytes + plan->kv_bytes;
    if (left < spent) return;
    left -= spent;

    uint64_t spare = chord_max_u64(64 * CHORD_MIB, p->weight_bytes / 33);
    plan->mapped = o->mode != CHORD_MODE_PAGED && o->policy == CHORD_POLICY_PLAN && config->may_map &&
                   left >= p->weight_bytes + spare;
    if (plan->mapped) {
        plan->resident_bytes = p->weight_bytes;
        plan->tiles_pinned = p->tile_count;
        plan->fits = true;
        return;
    }
    chord_pager_config pager = pager_config(config, p, left, false);
    chord_pager_plan got = {0};
    if (o->mode == CHORD_MODE_MAPPED || chord_pager_plan_make(&pager, &got, NULL) != CHORD_OK) return;
    set_pager_plan(plan, &got);
    plan->fits = true;
}

/* ---- the limits a refusal names ------------------------------------------------------------------ */

static chord_status fits_at(const chord_network_config *config, uint64_t budget_bytes, bool *fits, chord_error *err)
{
    chord_blueprint p;
    chord_plan plan;
    CHORD_TRY(chord_blueprint_open(&p, config->heap, config->gguf, budget_bytes, err));
    plan_for(config, &p, budget_bytes, context_of(config, &p), &plan);
    *fits = plan.fits;
    chord_blueprint_close(&p);
    return CHORD_OK;
}

/* Smallest budget that works, to 256 KiB: what is found was tried. */
static chord_status find_budget_min(const chord_network_config *config, uint64_t *out, chord_error *err)
{
    const uint64_t unit = CHORD_MIB / 4;
    uint64_t high = 16, low = 0; /* in units; low does not fit */
    for (bool fits = false; !fits;) {
        CHORD_TRY(fits_at(config, high * unit, &fits, err));
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
        CHORD_TRY(fits_at(config, middle * unit, &fits, err));
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
        plan_for(config, p, budget_bytes, middle, &plan);
        *(plan.fits ? &low : &high) = middle;
    }
    return low;
}

static chord_status check_context(const chord_network_config *config, const chord_blueprint *p, chord_error *err)
{
    uint32_t context = context_of(config, p);
    if (context <= p->h.trained_tokens) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID, "a context of %u tokens was asked for, the model was trained for %u", context,
                      p->h.trained_tokens);
}

static chord_status plan_with_limits(const chord_network_config *config, const chord_blueprint *p, chord_plan *out,
                                     chord_error *err)
{
    CHORD_TRY(check_context(config, p, err));
    plan_for(config, p, config->budget_bytes, context_of(config, p), out);
    out->context_tokens_max = find_context_max(config, p, config->budget_bytes);
    return find_budget_min(config, &out->budget_bytes_min, err);
}

chord_status chord_network_plan(const chord_network_config *config, chord_plan *out, chord_error *err)
{
    chord_blueprint p;
    CHORD_TRY(chord_blueprint_open(&p, config->heap, config->gguf, config->budget_bytes, err));
    chord_status status = plan_with_limits(config, &p, out, err);
    chord_blueprint_close(&p);
    return status;
}

static chord_status refuse(const chord_network_config *config, const chord_blueprint *p, chord_error *err)
{
    chord_plan plan;
    char context[96] = "no context fits in this budget";
    CHORD_TRY(plan_with_limits(config, p, &plan, err));
    if (options_of(config)->mode == CHORD_MODE_MAPPED)
        return chord_fail(err, CHORD_BUDGET,
                          "the model cannot be mapped: its weights of %" PRIu64 " MiB do not fit in a budget of "
                          "%" PRIu64 " MiB with room to spare, or the guard is not installed",
                          p->weight_bytes / CHORD_MIB, config->budget_bytes / CHORD_MIB);
    if (plan.budget_bytes_min == 0)
        return chord_fail(err, CHORD_BUDGET, "no budget is enough for %u sessions with a context of %u tokens each",
                          sessions_of(config), plan.context_tokens);
    if (plan.context_tokens_max > 0)
        chord_format(context, sizeof context, "the largest context for this budget is %u tokens",
                     plan.context_tokens_max);
    return chord_fail(err, CHORD_BUDGET,
                      "a budget of %.2f MiB is too small for a context of %u tokens: %.2f MiB is the smallest that "
                      "works; %s",
                      (double)config->budget_bytes / (double)CHORD_MIB, plan.context_tokens,
                      (double)plan.budget_bytes_min / (double)CHORD_MIB, context);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static chord_status open_scratch(chord_network *net, chord_error *err)
{
    uint32_t threads = chord_pool_threads(net->compute.pool);
    CHORD_TRY(chord_region_open(net->heap, net->plan.scratch_bytes, "the scratch memory of a pass", true, false,
                                &net->scratch.region, err));
    chord_scratch_layout(&net->print, net->chunk_tokens, net->logit_rows, threads, &net->scratch);
    void *memory = NULL;
    CHORD_TRY(chord_alloc(net->heap, CHORD_EMBEDDING_CACHE_ROWS * net->print.embedding->row_bytes, "the embedding rows",
                          &memory, err));
    net->embedding_cache = memory;
    CHORD_TRY(chord_alloc(net->heap, CHORD_EMBEDDING_CACHE_ROWS * sizeof(int32_t), "the embedding rows", &memory, err));
    net->embedding_tags = memory;
    CHORD_TRY(chord_alloc(net->heap, net->print.tile_count * sizeof(uint32_t), "the pass list", &memory, err));
    net->pass_list = memory;
    for (uint32_t i = 0; i < net->print.tile_count; i++) net->pass_list[i] = i;
    return CHORD_OK;
}

static chord_status start_pager(chord_network *net, const chord_pager_config *config, chord_error *err)
{
    CHORD_TRY(chord_pager_open(config, &net->pager, err));
    net->pager_config = *config;
    return CHORD_OK;
}

/* While others may be asking the old one for its counters. */
static chord_status replace_pager(chord_network *net, const chord_pager_config *config, const chord_plan *plan,
                                  chord_error *err)
{
    chord_pager *before = net->pager, *pager;
    CHORD_TRY(chord_pager_open(config, &pager, err));
    chord_pager_succeed(pager, before);
    chord_mutex_lock(&net->mutex);
    net->pager = pager;
    net->plan = *plan;
    chord_mutex_unlock(&net->mutex);
    net->pager_config = *config;
    chord_pager_close(before);
    return CHORD_OK;
}

static chord_status open_planned_pager(chord_network *net, const chord_network_config *config, chord_error *err)
{
    uint64_t spent = net->plan.fixed_bytes + net->plan.scratch_bytes + net->plan.kv_bytes;
    chord_pager_config pager = pager_config(config, &net->print, config->budget_bytes - spent, net->plan.mapped);
    for (uint32_t i = 0; i < pager.shards; i++) net->stores[i] = chord_gguf_store(config->gguf, i);
    pager.stores = net->stores;
    return start_pager(net, &pager, err);
}

/* A map that the system refuses is no failure where tiles may stream instead. */
static chord_status open_pager(chord_network *net, const chord_network_config *config, chord_error *err)
{
    chord_status status = open_planned_pager(net, config, err);
    if (status != CHORD_OK && net->plan.mapped && options_of(config)->mode == CHORD_MODE_AUTO) {
        chord_network_config streaming = *config;
        streaming.may_map = false;
        plan_for(&streaming, &net->print, config->budget_bytes, net->context_tokens, &net->plan);
        if (net->plan.fits) status = open_planned_pager(net, &streaming, err);
    }
    CHORD_TRY(status);
    net->pass_tiles = net->print.tile_count;
    CHORD_TRY(chord_pager_pass_begin(net->pager, net->pass_list, net->pass_tiles, err));
    net->pass_open = true;
    return CHORD_OK;
}

/* Waits for the disk after the first pass before the map is left. A map that stays has none; in too little memory the
 * kernel's readahead hides most of them (SmolLM2 in 60 MiB: 1 to 16 a pass), so they are added up. */
#define MAJOR_FAULTS_MAX 12u

/* The system takes mapped pages away faster than passes come round: there is less memory than was promised. Half of
 * what is free now, and no more than was planned, becomes pins and ring; the least that works if nothing is free. */
static chord_status leave_map(chord_network *net, chord_error *err)
{
    chord_pager_config config = net->pager_config;
    chord_pager_plan got;
    chord_plan plan = net->plan;
    config.mapped = false;
    CHORD_TRY(chord_pager_plan_make(&config, &got, err));
    uint64_t free_bytes = chord_memory_available_bytes() / 2;
    config.memory_bytes = chord_min_u64(config.memory_bytes, chord_max_u64(free_bytes, got.memory_bytes_min));
    CHORD_TRY(chord_pager_plan_make(&config, &got, err));
    plan.mapped = false;
    set_pager_plan(&plan, &got);
    return replace_pager(net, &config, &plan, err);
}

/* Waits of this process for its disk. Test builds have some after two passes, so that every such map is left. */
static uint64_t major_faults(const chord_network *net)
{
#ifdef CHORD_HARDTEST
    return net->passes > 2 ? net->major_faults + MAJOR_FAULTS_MAX + 1 : 0;
#else
    (void)net;
    return chord_process_major_faults();
#endif
}

chord_status chord_network_watch_map(chord_network *net, chord_error *err)
{
    /* packed tiles have left the map after their first pass */
    if (!net->plan.mapped || net->pager_config.pack) return CHORD_OK;
    uint64_t now = major_faults(net);
    if (net->passes++ == 0) net->major_faults = now;
    return now - net->major_faults > MAJOR_FAULTS_MAX ? leave_map(net, err) : CHORD_OK;
}

static chord_status open_parts(chord_network *net, const chord_network_config *config, chord_error *err)
{
    CHORD_TRY(check_context(config, &net->print, err));
    net->context_tokens = context_of(config, &net->print);
    plan_for(config, &net->print, config->budget_bytes, net->context_tokens, &net->plan);
    if (!net->plan.fits) return refuse(config, &net->print, err);
    net->chunk_tokens = net->plan.chunk_tokens;
    net->logit_rows = logit_rows_of(&net->print);
    CHORD_TRY(open_scratch(net, err));
    CHORD_TRY(open_pager(net, config, err)); /* the first tiles are on their way while the rest opens */
    CHORD_TRY(chord_sequences_open(net, sessions_of(config), options_of(config)->kv_type, err));
    return chord_blueprint_load_vectors(&net->print, net->gguf, err);
}

chord_status chord_network_open(const chord_network_config *config, chord_network **out, chord_error *err)
{
    void *memory = NULL;
    *out = NULL;
    CHORD_TRY(chord_alloc(config->heap, sizeof(chord_network), "the model", &memory, err));
    chord_network *net = memory;
    net->heap = config->heap;
    net->gguf = config->gguf;
    chord_mutex_init(&net->mutex);
    chord_compute_init(&net->compute, config->pool, config->cpu);
    chord_compute_init(&net->solo, NULL, config->cpu);
    chord_status status = chord_blueprint_open(&net->print, config->heap, config->gguf, config->budget_bytes, err);
    if (status == CHORD_OK) status = open_parts(net, config, err);
    if (status != CHORD_OK) {
        chord_network_close(net);
        return status;
    }
    *out = net;
    return CHORD_OK;
}

void chord_network_close(chord_network *net)
{
    if (net == NULL) return;
    chord_pager_close(net->pager);
    chord_region_close(net->heap, &net->kv_region);
    chord_region_close(net->heap, &net->scratch.region);
    chord_free(net->heap, net->embedding_cache);
    chord_free(net->heap, net->embedding_tags);
    chord_free(net->heap, net->pass_list);
    chord_blueprint_close(&net->print);
    chord_mutex_free(&net->mutex);
    chord_free(net->heap, net);
}

void chord_network_describe(const chord_network *net, chord_model_info *out)
{
    const chord_hparams *h = &net->print.h;
    out->architecture = h->architecture;
    out->name = h->name;
    out->layers = h->layers;
    out->embedding = h->embedding;
    out->heads = h->heads;
    out->kv_heads = h->kv_heads;
    out->vocabulary = h->vocabulary;
    out->trained_context_tokens = h->trained_tokens;
    out->context_tokens = net->context_tokens;
    out->file_bytes = out->parameters = 0;
    for (uint32_t i = 0; i < chord_gguf_shards_expected(net->gguf); i++)
        out->file_bytes += chord_gguf_store(net->gguf, i)->size_bytes;
    for (uint64_t i = 0; i < chord_gguf_tensor_count(net->gguf); i++) {
        const chord_tensor *t = chord_gguf_tensor_at(net->gguf, i);
        out->parameters += t->rows * t->dims[0];
    }
    chord_mutex *mutex = &((chord_network *)net)->mutex;
    chord_mutex_lock(mutex);
    out->plan = net->plan;
    chord_mutex_unlock(mutex);
}

void chord_network_stats(const chord_network *net, chord_pager_stats *out)
{
    chord_mutex *mutex = &((chord_network *)net)->mutex;
    chord_mutex_lock(mutex);
    chord_pager_stats_get(net->pager, out);
    chord_mutex_unlock(mutex);
}

void chord_network_stats_reset(chord_network *net)
{
    chord_mutex_lock(&net->mutex);
    chord_pager_stats_reset(net->pager);
    chord_mutex_unlock(&net->mutex);
}
