/* network.c - opening a model for a plan, and leaving a map that the system takes away. */
#include "model/model_inner.h"

static chord_status open_row_caches(chord_network *net, chord_error *err)
{
    for (uint32_t i = 0; i < CHORD_TABLES; i++) {
        const chord_tensor *t = net->print.tables[i];
        void *rows = NULL, *tags = NULL;
        if (t == NULL) continue;
        CHORD_TRY(chord_alloc(net->heap, CHORD_EMBEDDING_CACHE_ROWS * t->row_bytes, "the embedding rows", &rows, err));
        net->rows[i].rows = rows;
        CHORD_TRY(chord_alloc(net->heap, CHORD_EMBEDDING_CACHE_ROWS * sizeof(int32_t), "the embedding rows", &tags,
                              err));
        net->rows[i].tags = tags;
    }
    return CHORD_OK;
}

static chord_status open_scratch(chord_network *net, chord_error *err)
{
    uint32_t threads = chord_pool_threads(net->compute.pool);
    CHORD_TRY(chord_region_open(net->heap, net->plan.scratch_bytes, "the scratch memory of a pass", false, false,
                                &net->scratch.region, err));
    chord_scratch_layout(&net->print, net->chunk_tokens, net->logit_rows, threads, &net->scratch);
    void *memory = NULL;
    CHORD_TRY(open_row_caches(net, err));
    CHORD_TRY(chord_alloc(net->heap, net->print.tile_count * sizeof(uint32_t), "the pass list", &memory, err));
    net->pass_list = memory;
    for (uint32_t i = 0; i < net->print.tile_count; i++) net->pass_list[i] = i;
    return CHORD_OK;
}

static chord_status start_pager(chord_network *net, const chord_pager_config *config, chord_error *err)
{
    CHORD_TRY(chord_pager_open(config, &net->pager, err));
    chord_pager_heed(net->pager, &net->called_off);
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
    uint64_t spent = net->plan.fixed_bytes + net->plan.scratch_bytes + net->plan.kv_bytes +
                     net->plan.expert_cache_bytes;
    chord_pager_config pager = chord_plan_pager(config, &net->print, config->budget_bytes - spent, net->plan.mapped);
    pager.stores = net->stores;
    return start_pager(net, &pager, err);
}

/* A map that the system refuses is no failure where tiles may stream instead. */
static chord_status open_pager(chord_network *net, const chord_network_config *config, chord_error *err)
{
    chord_status status = open_planned_pager(net, config, err);
    if (status != CHORD_OK && net->plan.mapped &&
        (config->options == NULL || config->options->mode == CHORD_MODE_AUTO)) {
        chord_network_config streaming = *config;
        streaming.may_map = streaming.may_window = false;
        chord_plan_make(&streaming, &net->print, config->budget_bytes, net->context_tokens, &net->plan);
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
    chord_plan_set_pager(&plan, &got);
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
    /* tiles that are packed in memory have left the map after their first pass */
    if (!net->plan.mapped || net->pager_config.pack) return CHORD_OK;
    uint64_t now = major_faults(net);
    if (net->passes++ == 0) net->major_faults = now;
    return now - net->major_faults > MAJOR_FAULTS_MAX ? leave_map(net, err) : CHORD_OK;
}

static chord_status open_parts(chord_network *net, const chord_network_config *config, chord_error *err)
{
    CHORD_TRY(chord_plan_check_context(config, &net->print, err));
    CHORD_TRY(chord_blueprint_cut(&net->print, config->budget_bytes, err));
    net->context_tokens = chord_plan_context(config, &net->print);
    chord_plan_make(config, &net->print, config->budget_bytes, net->context_tokens, &net->plan);
    if (!net->plan.fits) return chord_plan_refuse(config, &net->print, err);
    net->chunk_tokens = net->plan.chunk_tokens;
    net->logit_rows = chord_plan_logit_rows(config, &net->print, config->budget_bytes);
    CHORD_TRY(open_scratch(net, err));
    for (uint32_t i = 0; i < chord_gguf_shards_expected(net->gguf); i++)
        net->stores[i] = chord_gguf_store(net->gguf, i);
    CHORD_TRY(chord_experts_open(net, config->readers, net->plan.expert_cache_bytes, err));
    CHORD_TRY(open_pager(net, config, err)); /* the first tiles are on their way while the rest opens */
    chord_kv_needs kv = chord_plan_kv(config, net->context_tokens, net->chunk_tokens);
    CHORD_TRY(chord_sequences_open(net, &kv, err));
    CHORD_TRY(chord_blueprint_load_vectors(&net->print, net->gguf, CHORD_NO_LAYER, err));
    bool arriving = config->options != NULL && config->options->arriving;
    if (!arriving) CHORD_TRY(chord_network_load_vectors(net, net->print.h.layers - 1, err));
    chord_rotary_choose(&net->print, net->context_tokens);
    return CHORD_OK;
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
    chord_cond_init(&net->moved);
    chord_cond_init(&net->kept.grown);
    chord_compute_init(&net->compute, config->pool, config->cpu);
    chord_compute_init(&net->solo, NULL, config->cpu);
    chord_hopes_open(&net->hopes);
    chord_status status = chord_blueprint_open(&net->print, config->heap, config->gguf, config->output_rows, err);
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
    chord_kv_folder_close(net);
    chord_pager_close(net->pager);
    chord_experts_close(net);
    chord_region_close(net->heap, &net->kv_region);
    chord_region_close(net->heap, &net->scratch.region);
    for (uint32_t i = 0; i < CHORD_TABLES; i++) {
        chord_free(net->heap, net->rows[i].rows);
        chord_free(net->heap, net->rows[i].tags);
    }
    chord_free(net->heap, net->pass_list);
    chord_blueprint_close(&net->print);
    chord_cond_free(&net->moved);
    chord_cond_free(&net->kept.grown);
    chord_mutex_free(&net->mutex);
    chord_free(net->heap, net);
}

uint32_t chord_network_rows_max(const chord_network *net)
{
    return net->logit_rows < net->chunk_tokens ? net->logit_rows : net->chunk_tokens;
}

void chord_network_describe(const chord_network *net, chord_model_info *out)
{
    const chord_hparams *h = &net->print.h;
    out->architecture = h->architecture;
    out->name = h->name;
    out->layers = h->layers;
    out->embedding = h->embedding;
    out->heads = net->print.layers[0].heads;
    out->kv_heads = 0;
    for (uint32_t l = 0; l < h->layers && out->kv_heads == 0; l++) out->kv_heads = net->print.layers[l].kv_heads;
    out->vocabulary = h->vocabulary;
    out->trained_context_tokens = h->trained_tokens;
    out->pooling = h->pooling;
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
