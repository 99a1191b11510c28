/* model.c - files, vocabulary and network under one handle. */
#include "api/api_inner.h"

#define TEMPLATE_BYTES_MAX (1 * CHORD_MIB)
#define PATH_BYTES_MAX 4096

/* ---- files ---------------------------------------------------------------------------------------- */

static chord_status open_path(chord_runtime *r, const char *uri, chord_store **out, chord_error *err)
{
    static const char FILE_SCHEME[] = "file://";
    if (strlen(uri) >= 7 && memcmp(uri, FILE_SCHEME, 7) == 0) uri += 7;
    for (const char *p = uri; *p != '\0' && *p != '/'; p++)
        if (p[0] == ':' && p[1] == '/' && p[2] == '/')
            return chord_fail(err, CHORD_UNSUPPORTED, "%s: only local files can be opened", uri);
    return chord_store_open_file(r->heap, uri, out, err);
}

/* *source: of the part before; then of this one. */
static chord_status open_shard(chord_runtime *r, const chord_source **source, uint32_t i, uint32_t shards,
                               chord_store **out, chord_error *err)
{
    char path[PATH_BYTES_MAX];
    const chord_source *next = (*source)->next;
    if ((*source)->uri != NULL) {
        CHORD_TRY(chord_gguf_shard_path((*source)->uri, i, shards, path, sizeof path, err));
        return open_path(r, path, out, err);
    }
    if (next == NULL || next->uri != NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "the model has %u parts, and readers were given for %u", shards, i);
    *source = next;
    return chord_store_open_callback(r->heap, next, out, err);
}

static chord_status add_shards(chord_runtime *r, const chord_source *source, chord_files *f, chord_error *err)
{
    uint32_t shards = chord_gguf_shards_expected(f->gguf);
    for (uint32_t i = 1; i < shards; i++) {
        CHORD_TRY(open_shard(r, &source, i, shards, &f->stores[i], err));
        f->count = i + 1;
        CHORD_TRY(chord_gguf_add_shard(f->gguf, f->stores[i], err));
    }
    return CHORD_OK;
}

static chord_status open_files(chord_runtime *r, const chord_source *source, chord_files *f, chord_error *err)
{
    if (source->uri != NULL) CHORD_TRY(open_path(r, source->uri, &f->stores[0], err));
    else if (source->read != NULL) CHORD_TRY(chord_store_open_callback(r->heap, source, &f->stores[0], err));
    else return chord_fail(err, CHORD_INVALID, "a source needs a uri or a reader");
    f->count = 1;
    CHORD_TRY(chord_gguf_open(r->heap, f->stores[0], &f->gguf, err));
    return add_shards(r, source, f, err);
}

chord_status chord_files_open(chord_runtime *r, const chord_source *source, chord_files *out, chord_error *err)
{
    *out = (chord_files){0};
    chord_status status = open_files(r, source, out, err);
    if (status != CHORD_OK) chord_files_close(out);
    return status;
}

static bool is_same(const chord_source *a, const chord_source *b)
{
    if (a->uri != NULL && b->uri != NULL) return chord_text_equal(a->uri, b->uri);
    return a->uri == NULL && b->uri == NULL && a->read == b->read && a->ud == b->ud && a->size_bytes == b->size_bytes;
}

/* Those of the model whose tokenizer is used, which has no weights, are open: a directory of some MB need not be read once
 * more. */
static bool borrow_files(const chord_source *source, const chord_model_options *o, chord_files *out)
{
    chord_model *lender = (chord_model *)o->vocabulary_of;
    if (lender == NULL || lender->net != NULL || o->requantize != NULL || !is_same(source, &lender->source))
        return false;
    *out = lender->files;
    out->lender = lender;
    chord_model_keep(lender);
    return true;
}

/* With the weights in the formats that are wanted. */
static chord_status open_model_files(chord_runtime *r, const chord_source *source, const chord_model_options *o,
                                     chord_files *out, chord_error *err)
{
    if (borrow_files(source, o, out)) return CHORD_OK;
    CHORD_TRY(chord_files_open(r, source, out, err));
    if (o->requantize == NULL || o->no_weights) return CHORD_OK;
    chord_status status = chord_files_requantize(r, o->requantize, out, err);
    if (status != CHORD_OK) {
        chord_files_close(out);
        *out = (chord_files){0};
    }
    return status;
}

/* ---- plan and open ---------------------------------------------------------------------------------- */

static const chord_model_options DEFAULTS = {0};

static chord_status check_options(const chord_model_options *o, chord_error *err)
{
    const struct {
        const char *name;
        uint32_t value, values;
    } CHOICES[] = {{"kv_type", o->kv_type, CHORD_KV_Q8_0 + 1},
                   {"policy", o->policy, CHORD_POLICY_NONE + 1},
                   {"mode", o->mode, CHORD_MODE_PAGED + 1}};
    if (o->requantize != NULL && o->mode == CHORD_MODE_MAPPED)
        return chord_fail(err, CHORD_INVALID, "weights that are quantised when they are read cannot be mapped");
    if (o->kv_dir != NULL && o->drafts)
        return chord_fail(err, CHORD_INVALID, "a model that guesses for another one keeps no texts in a folder");
    for (size_t i = 0; i < CHORD_COUNT(CHOICES); i++)
        if (CHOICES[i].value >= CHOICES[i].values)
            return chord_fail(err, CHORD_INVALID, "the model option %s is %u, the largest is %u", CHOICES[i].name,
                              CHOICES[i].value, CHOICES[i].values - 1);
    return CHORD_OK;
}

static uint64_t vocabulary_rows(const chord_gguf *g)
{
    const chord_tensor *t = chord_gguf_tensor(g, "token_embd.weight");
    return t != NULL && t->rows < 1u << 24 ? t->rows : 0;
}

/* What the budget loses before weights, KV and scratch: the process itself, the directory, the vocabulary, the
 * sessions' own memory. */
static chord_status fixed_bytes(const chord_runtime *r, const chord_files *f, const chord_model_options *o,
                                uint64_t *out, chord_error *err)
{
    uint64_t vocab = 0, texts = 0;
    bool own = !o->no_vocabulary && o->vocabulary_of == NULL;
    if (own || o->grammars) CHORD_TRY(chord_vocab_estimate_bytes(f->gguf, &vocab, err));
    uint64_t sessions = o->sessions_max != 0 ? o->sessions_max : 1;
    if (own) texts += vocab;
    if (o->grammars) texts += chord_grammars_bytes(vocab, sessions);
    uint64_t context = o->context_tokens != 0 ? o->context_tokens : CHORD_CONTEXT_TOKENS_DEFAULT;
    *out = r->overhead_bytes + texts + chord_heap_used_bytes(r->heap) +
           sessions * chord_session_bytes((uint32_t)context, (uint32_t)vocabulary_rows(f->gguf));
    return CHORD_OK;
}

static uint64_t spent_bytes(const chord_runtime *r) { return r->overhead_bytes + chord_heap_used_bytes(r->heap); }

static chord_status network_config(const chord_runtime *r, const chord_files *f, const chord_model_options *o,
                                   chord_network_config *out, chord_error *err)
{
    /* First: else the sentence would name whatever is missing first. */
    CHORD_TRY(chord_network_recognise(r->heap, f->gguf, false, err));
    *out = (chord_network_config){.heap = r->heap,
                                  .gguf = f->gguf,
                                  .pool = r->pool,
                                  .readers = r->readers,
                                  .cpu = r->cpu,
                                  .options = o,
                                  .budget_bytes = r->budget_bytes,
                                  .may_map = true,
                                  .prefer_banks = r->prefer_banks};
    uint64_t spent = spent_bytes(r);
    if (o->share_bytes != 0) out->budget_bytes = chord_min_u64(out->budget_bytes, spent + o->share_bytes);
    uint32_t sessions = o->sessions_max != 0 ? o->sessions_max : 1;
    if (o->draft != NULL) {
        out->branches = sessions * (CHORD_DRAFT_PATHS - 1);
        out->logit_rows = CHORD_DRAFT_ROWS;
    } else if (o->drafts) {
        out->branches = sessions * 2 * CHORD_DRAFT_WIDTH; /* while one level follows another */
        out->logit_rows = CHORD_DRAFT_WIDTH;
        out->output_rows = CHORD_DRAFT_VOCABULARY;
    }
    for (uint32_t i = 0; i < f->count; i++) out->may_map = out->may_map && chord_store_can_map(f->stores[i]);
    bool limited = chord_process_budget_max() != UINT64_MAX; /* a map takes addresses, which are what is limited */
    out->may_window = out->may_map && !limited;
    for (uint32_t i = 0; i < f->count && limited; i++) out->map_bytes += f->stores[i]->size_bytes;
    return fixed_bytes(r, f, o, &out->fixed_bytes, err);
}

chord_status chord_model_plan(chord_runtime *r, const chord_source *source, const chord_model_options *options,
                              chord_plan *out, chord_error *err)
{
    chord_files files;
    chord_network_config config;
    const chord_model_options *o = options != NULL ? options : &DEFAULTS;
    CHORD_NEED(r, "the runtime");
    CHORD_NEED(source, "the source");
    CHORD_NEED(out, "the place for the plan");
    CHORD_TRY(check_options(o, err));
    CHORD_TRY(open_model_files(r, source, o, &files, err));
    chord_status status = network_config(r, &files, o, &config, err);
    if (status == CHORD_OK) status = chord_network_plan(&config, out, err);
    chord_files_close(&files);
    out->free_bytes = r->budget_bytes - chord_min_u64(r->budget_bytes, spent_bytes(r));
    return status;
}

/* An empty template would make every prompt empty: it is none. */
chord_status chord_model_template(const chord_model *m, const char *key, chord_arena *arena, const char **text,
                                  size_t *len, chord_error *err)
{
    CHORD_TRY(chord_gguf_get_text(m->files.gguf, key, TEMPLATE_BYTES_MAX, arena, text, len, err));
    size_t blank = 0;
    while (blank < *len && ((*text)[blank] == ' ' || ((*text)[blank] >= '\t' && (*text)[blank] <= '\r'))) blank++;
    if (blank < *len) return CHORD_OK;
    *text = NULL;
    *len = 0;
    return CHORD_OK;
}

/* One that cannot be used is no reason to refuse the model: who asks for it hears why. */
static chord_status take_template(chord_model *m, chord_error *err)
{
    chord_status status = chord_model_template(m, CHORD_TEMPLATE_KEY, &m->arena, &m->template_text, &m->template_len,
                                               err);
    m->has_template = status != CHORD_OK || m->template_text != NULL;
    return status == CHORD_CORRUPT ? CHORD_OK : status;
}

/* What chord_model_describe tells of a model without weights. */
static chord_status read_contexts(chord_model *m, const chord_model_options *o, chord_error *err)
{
    char key[128];
    size_t len;
    CHORD_TRY(chord_gguf_get_text(m->files.gguf, "general.architecture", 64, &m->arena, &m->architecture, &len, err));
    if (m->architecture == NULL) return chord_fail(err, CHORD_CORRUPT, "the file does not name its architecture");
    chord_format(key, sizeof key, "%s.context_length", m->architecture);
    CHORD_TRY(chord_gguf_get_u32(m->files.gguf, key, CHORD_CONTEXT_TOKENS_DEFAULT, &m->trained_tokens, err));
    m->context_tokens = (uint32_t)chord_min_u64(m->trained_tokens, CHORD_CONTEXT_TOKENS_DEFAULT);
    if (o->context_tokens != 0) m->context_tokens = o->context_tokens;
    return CHORD_OK;
}

/* Of models with recurrent layers texts are not kept: an answer is not refused for that. */
static chord_status open_folder(chord_model *m, const chord_model_options *o, chord_error *err)
{
    uint64_t digest;
    if (o->kv_dir == NULL) return CHORD_OK;
    CHORD_TRY(chord_model_digest(m, &digest, err));
    CHORD_TRY(chord_network_keep_in(m->net, o, digest, err));
    if (!chord_network_keeps(m->net))
        chord_runtime_say(m->runtime, CHORD_LOG_WARN,
                          "evaluated texts are not kept in %s: states of recurrent layers cannot be cut into blocks",
                          o->kv_dir);
    return CHORD_OK;
}

static chord_status open_network(chord_model *m, const chord_model_options *o, chord_error *err)
{
    chord_network_config config;
    chord_model_info info = {0};
    if (o->no_weights) {
        CHORD_TRY(chord_network_recognise(m->runtime->heap, m->files.gguf, true, err));
        return read_contexts(m, o, err);
    }
    CHORD_TRY(network_config(m->runtime, &m->files, o, &config, err));
    CHORD_TRY(chord_network_open(&config, &m->net, err)); /* reads start here, the vocabulary is built meanwhile */
    chord_network_describe(m->net, &info);
    m->context_tokens = info.context_tokens;
    m->vocabulary = m->drawable = info.vocabulary;
    return open_folder(m, o, err);
}

static chord_status open_vocabulary(chord_model *m, const chord_model_options *o, chord_error *err)
{
    if (o->no_vocabulary)
        return o->grammars ? chord_grammars_open(m, err) : CHORD_OK; /* which says that it cannot be */
    if (o->vocabulary_of != NULL) {
        m->vocab_owner = (chord_model *)o->vocabulary_of;
        m->vocab = m->vocab_owner->vocab;
        chord_model_keep(m->vocab_owner);
    } else {
        CHORD_TRY(chord_vocab_open(m->runtime->heap, m->files.gguf, &m->vocab, err));
    }
    if (o->grammars) CHORD_TRY(chord_grammars_open(m, err));
    uint32_t entries = m->vocab != NULL ? chord_vocab_size(m->vocab) : 0;
    if (m->net != NULL && entries > 0 && entries < m->vocabulary) m->drawable = entries;
    if (m->net == NULL || entries <= m->vocabulary) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "the vocabulary has %u tokens, the output matrix only %u rows", entries,
                      m->vocabulary);
}

static chord_status keep_source(chord_model *m, const chord_source *source, chord_error *err)
{
    m->source = *source;
    if (source->uri == NULL) return CHORD_OK;
    size_t bytes = strlen(source->uri) + 1;
    char *uri = chord_arena_get(&m->arena, bytes);
    if (uri == NULL) return chord_arena_fail(&m->arena, err);
    m->source.uri = memcpy(uri, source->uri, bytes);
    return CHORD_OK;
}

static void say_plan(const chord_model *m)
{
    chord_model_info info = {0};
    chord_network_describe(m->net, &info);
    const chord_plan *p = &info.plan;
    chord_runtime_say(m->runtime, CHORD_LOG_INFO,
                      "%s: %u of %u tiles stay (%" PRIu64 " MiB), %" PRIu64 " MiB stream in each pass%s",
                      info.architecture, p->tiles_pinned, p->tiles, p->resident_bytes / CHORD_MIB,
                      p->streamed_bytes_per_pass / CHORD_MIB, p->mapped ? "; the file is mapped" : "");
}

static chord_status open_parts(chord_model *m, const chord_source *source, const chord_model_options *o,
                               chord_error *err)
{
    CHORD_TRY(check_options(o, err));
    chord_arena_init(&m->arena, m->runtime->heap, TEMPLATE_BYTES_MAX + CHORD_MIB / 4, "the chat template");
    CHORD_TRY(keep_source(m, source, err));
    CHORD_TRY(open_model_files(m->runtime, source, o, &m->files, err));
    m->drafts = o->drafts;
    if (o->draft != NULL && !o->no_weights) {
        CHORD_TRY(chord_draft_model_check(m, o->draft, err));
        m->draft = (chord_model *)o->draft;
        chord_model_keep(m->draft);
    }
    CHORD_TRY(open_network(m, o, err));
    if (m->draft != NULL && !chord_network_can_guess(m->net))
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "a draft model is of no use here: in a model with recurrent layers, or others that carry a "
                          "state, several guesses at one place cannot be checked");
    CHORD_TRY(take_template(m, err));
    CHORD_TRY(open_vocabulary(m, o, err));
    chord_runtime_measure(m->runtime);
    if (m->net != NULL) say_plan(m);
    return CHORD_OK;
}

static chord_status open_once(chord_runtime *r, const chord_source *source, const chord_model_options *o,
                              chord_model **out, chord_error *err)
{
    void *memory = NULL;
    CHORD_TRY(chord_alloc(r->heap, sizeof(chord_model), "the model", &memory, err));
    chord_model *m = memory;
    m->keepers = 1;
    chord_mutex_init(&m->making);
    m->runtime = r;
    chord_runtime_keep(r);
    chord_status status = open_parts(m, source, o, err);
    if (status != CHORD_OK) {
        chord_model_close(m);
        return status;
    }
    *out = m;
    return CHORD_OK;
}

/* And its sessions' own memory, taken and given back, must be had beside it. */
static chord_status open_with_sessions(chord_runtime *r, const chord_source *source, const chord_model_options *o,
                                       chord_model **out, chord_error *err)
{
    void *memory = NULL;
    uint64_t sessions = o->sessions_max != 0 ? o->sessions_max : 1;
    CHORD_TRY(open_once(r, source, o, out, err));
    uint64_t bytes = sessions * chord_session_bytes((*out)->context_tokens, (*out)->vocabulary);
    chord_status status = chord_alloc(r->heap, bytes, "the sessions", &memory, err);
    chord_free(r->heap, memory);
    if (status == CHORD_OK) return CHORD_OK;
    chord_model_close(*out);
    *out = NULL;
    return status;
}

/* With banks, where there are some, and then without: windows take linear memory too. */
static chord_status open_either_way(chord_runtime *r, const chord_source *source, const chord_model_options *o,
                                    chord_model **out, chord_error *err)
{
    r->prefer_banks = chord_bank_offered() != CHORD_BANK_NONE;
    chord_status status = open_with_sessions(r, source, o, out, err);
    if (status == CHORD_OK || !r->prefer_banks) return status;
    r->prefer_banks = false;
    return open_with_sessions(r, source, o, out, err);
}

/* The host refused memory that the budget has: the model is planned anew, for an eighth less each time, down to what
 * works at all. The runtime keeps what was found. status, *err: how it was refused. */
static chord_status open_with_less(chord_runtime *r, const chord_source *source, const chord_model_options *o,
                                   chord_model **out, chord_status status, chord_error *err)
{
    uint64_t asked = r->budget_bytes;
    chord_plan plan;
    if (o->no_weights || chord_model_plan(r, source, o, &plan, NULL) != CHORD_OK)
        return chord_fail(err, CHORD_NO_MEMORY,
                          "the host gives less memory than the model's directory and vocabulary need");
    if (!plan.fits) return status;
    uint64_t needed = plan.fixed_bytes + plan.scratch_bytes + plan.kv_bytes + plan.resident_bytes + plan.window_bytes;
    for (uint64_t next = asked; status != CHORD_OK && next >= plan.budget_bytes_min;) {
        r->budget_bytes = next;
        status = open_either_way(r, source, o, out, err);
        if (next == plan.budget_bytes_min) break;
        next = chord_min_u64(next, needed);
        next = chord_max_u64(next - next / 8, plan.budget_bytes_min);
    }
    if (status == CHORD_OK && r->budget_bytes < asked)
        chord_runtime_say(r, CHORD_LOG_WARN,
                          "the host gives less memory than the budget of %.0f MiB: planned anew for %.1f MiB",
                          (double)asked / (double)CHORD_MIB, (double)r->budget_bytes / (double)CHORD_MIB);
    if (status == CHORD_OK) return CHORD_OK;
    r->budget_bytes = asked;
    return chord_fail(err, CHORD_NO_MEMORY,
                      "the host gives less memory than the %.1f MiB that a context of %u tokens needs at least",
                      (double)plan.budget_bytes_min / (double)CHORD_MIB, plan.context_tokens);
}

chord_status chord_model_open(chord_runtime *r, const chord_source *source, const chord_model_options *options,
                              chord_model **out, chord_error *err)
{
    const chord_model_options *o = options != NULL ? options : &DEFAULTS;
    CHORD_NEED(out, "the place for the model");
    *out = NULL;
    CHORD_NEED(r, "the runtime");
    CHORD_NEED(source, "the source");
    chord_status status = open_once(r, source, o, out, err);
    bool refused = (status == CHORD_NO_MEMORY || status == CHORD_BUDGET) && chord_memory_was_refused();
    return refused ? open_with_less(r, source, o, out, status, err) : status;
}

void chord_model_describe(const chord_model *m, chord_model_info *out)
{
    *out = (chord_model_info){.architecture = "", .name = ""};
    if (m == NULL) return;
    if (m->net != NULL) {
        chord_network_describe(m->net, out);
    } else {
        out->architecture = m->architecture;
        out->trained_context_tokens = m->trained_tokens;
        out->context_tokens = m->context_tokens;
        out->vocabulary = m->vocab != NULL ? chord_vocab_size(m->vocab) : 0;
    }
    out->has_chat_template = m->has_template;
}
