/* quantize_mix.c - the mixes of formats that the field knows by name: as a rule the tensors that a model is most sensitive
 * to get more bits. The rules are those of the reference runtime, so that a name means the same file. */
#include "api/quantize.h"

#include "quant/quant.h"

static const chord_mix MIXES[] = {
    {"F32", NULL, 0, CHORD_TYPE_F32},
    {"F16", NULL, 1, CHORD_TYPE_F16},
    {"BF16", NULL, 32, CHORD_TYPE_BF16},
    {"Q8_0", NULL, 7, CHORD_TYPE_Q8_0},
    {"Q6_K", NULL, 18, CHORD_TYPE_Q6_K},
    {"Q5_K_M", "Q5_K", 17, CHORD_TYPE_Q5_K},
    {"Q5_K_S", NULL, 16, CHORD_TYPE_Q5_K},
    {"Q5_1", NULL, 9, CHORD_TYPE_Q5_1},
    {"Q5_0", NULL, 8, CHORD_TYPE_Q5_0},
    {"Q4_K_M", "Q4_K", 15, CHORD_TYPE_Q4_K},
    {"Q4_K_S", NULL, 14, CHORD_TYPE_Q4_K},
    {"Q4_1", NULL, 3, CHORD_TYPE_Q4_1},
    {"Q4_0", NULL, 2, CHORD_TYPE_Q4_0},
    {"IQ4_NL", NULL, 25, CHORD_TYPE_IQ4_NL},
    {"IQ4_XS", NULL, 30, CHORD_TYPE_IQ4_XS},
    {"Q3_K_L", NULL, 13, CHORD_TYPE_Q3_K},
    {"Q3_K_M", "Q3_K", 12, CHORD_TYPE_Q3_K},
    {"Q3_K_S", NULL, 11, CHORD_TYPE_Q3_K},
    {"Q2_K", NULL, 10, CHORD_TYPE_Q2_K},
    {"Q2_K_S", NULL, 21, CHORD_TYPE_Q2_K},
    {"MXFP4_MOE", "MXFP4", 38, CHORD_TYPE_MXFP4},
};

static bool equal_in_any_case(const char *a, const char *b)
{
    while (*a != '\0' && chord_char_upper((uint8_t)*a) == chord_char_upper((uint8_t)*b)) a++, b++;
    return *a == *b;
}

const chord_mix *chord_mix_find(const char *name, chord_error *err)
{
    char list[256];
    size_t len = 0;
    for (size_t i = 0; i < CHORD_COUNT(MIXES); i++) {
        const chord_mix *m = &MIXES[i];
        if (equal_in_any_case(name, m->name) || (m->alias != NULL && equal_in_any_case(name, m->alias))) return m;
        len += chord_format(list + len, sizeof list - len, "%s%s", i == 0 ? "" : ", ", m->name);
    }
    chord_fail(err, CHORD_INVALID, "there is no type '%.40s'; there are %s", name, list);
    return NULL;
}

chord_status chord_encodable(const char *name, chord_type *out, chord_error *err)
{
    for (uint32_t id = 0; id < CHORD_TYPE_ID_MAX; id++) {
        const chord_type_info *info = chord_type_get(id);
        if (info == NULL || !chord_encodes((chord_type)id) || !equal_in_any_case(name, info->name)) continue;
        *out = (chord_type)id;
        return CHORD_OK;
    }
    return chord_fail(err, CHORD_INVALID,
                      "no tensor can be written as '%.40s': a format is wanted, such as Q6_K or F16", name);
}

/* ---- names ------------------------------------------------------------------------------------------------ */

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(text), m = strlen(part);
    for (size_t i = 0; i + m <= n; i++)
        if (memcmp(text + i, part, m) == 0) return true;
    return false;
}

/* pattern: a part of the name, in which * stands for anything. */
static bool matches(const char *name, const char *pattern)
{
    for (;; name++) {
        const char *n = name, *p = pattern;
        while (*p != '\0' && *p != '*' && *p == *n) p++, n++;
        if (*p == '\0') return true;
        if (*p == '*' && matches(n, p + 1)) return true;
        if (*name == '\0') return false;
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* Small, or more sensitive than they are large: these stay as they are, as do vectors. */
static bool is_kept(const chord_tensor *t)
{
    static const char *const KEPT[] = {
        "_norm.weight",
        "ffn_gate_inp.weight",
        "ffn_gate_tid2eid.weight",
        "altup",
        "laurel",
        "per_layer_model_proj",
        "ssm_conv1d",
        "shortconv.conv.weight",
        "indexer.k_proj.weight",
        "indexer.q_proj.weight",
        "time_mix_first.weight",
        "time_mix_w0.weight",
        "time_mix_w1.weight",
        "time_mix_w2.weight",
        "time_mix_v0.weight",
        "time_mix_v1.weight",
        "time_mix_v2.weight",
        "time_mix_a0.weight",
        "time_mix_a1.weight",
        "time_mix_a2.weight",
        "time_mix_g1.weight",
        "time_mix_g2.weight",
        "time_mix_decay_w1.weight",
        "time_mix_decay_w2.weight",
        "time_mix_lerp_fused.weight",
        "attn_rel_b.weight",
        ".position_embd",
        "sam.pos_embd",
        "sam.neck.",
        "sam.net_",
        ".rel_pos",
        ".patch_embd",
        ".patch_merger",
        "a.rvq.codebook",
        "mm.a.code_embd",
    };
    if (t->rows < 2 || !ends_with(t->name, "weight")) return true;
    if (chord_text_equal(t->name, "position_embd.weight") || chord_text_equal(t->name, "token_types.weight"))
        return true;
    for (size_t i = 0; i < CHORD_COUNT(KEPT); i++)
        if (contains(t->name, KEPT[i])) return true;
    return false;
}

typedef enum part { PART_OTHER, PART_OUTPUT, PART_EMBEDDING, PART_VALUE, PART_KEY, PART_MIXED, PART_DOWN } part;

/* PART_VALUE: also where values lie in one matrix with others. PART_MIXED: the output of attention. */
static part part_of(const char *name)
{
    static const struct {
        const char *name;
        part part;
    } PARTS[] = {{"attn_qkv.weight", PART_VALUE}, {"attn_kv_b.weight", PART_VALUE}, {"attn_v.weight", PART_VALUE},
                 {"attn_k.weight", PART_KEY},     {"attn_q.weight", PART_OTHER},    {"attn_output.weight", PART_MIXED},
                 {"ffn_up", PART_OTHER},          {"ffn_gate", PART_OTHER},         {"ffn_down", PART_DOWN}};
    if (chord_text_equal(name, "output.weight")) return PART_OUTPUT;
    if (chord_text_equal(name, "token_embd.weight") || chord_text_equal(name, "per_layer_token_embd.weight"))
        return PART_EMBEDDING;
    for (size_t i = 0; i < CHORD_COUNT(PARTS); i++)
        if (contains(name, PARTS[i].name)) return PARTS[i].part;
    return PART_OTHER;
}

bool chord_tensor_is_quantised(const chord_tensor *t) { return !is_kept(t) && part_of(t->name) != PART_EMBEDDING; }

/* ---- rules ------------------------------------------------------------------------------------------------ */

typedef enum when { ALWAYS, MORE, FIRST_2, FIRST_4, FIRST_8TH, FIRST_16TH, GROUPED, PLAIN_8TH, WEIGHED_8TH } when;
typedef enum whose { ALL, FALCON, OTHERS } whose;

/* The first that fits; none: the mix's own format. */
static const struct {
    const char *mix;
    part part;
    when when;
    whose whose;
    chord_type type;
} RULES[] = {
    {"Q2_K", PART_VALUE, GROUPED, ALL, CHORD_TYPE_Q4_K},
    {"Q2_K", PART_VALUE, ALWAYS, ALL, CHORD_TYPE_Q3_K},
    {"Q2_K", PART_DOWN, ALWAYS, ALL, CHORD_TYPE_Q3_K},
    {"Q2_K", PART_MIXED, ALWAYS, OTHERS, CHORD_TYPE_Q3_K},
    {"Q2_K_S", PART_VALUE, GROUPED, ALL, CHORD_TYPE_Q4_K},
    {"Q2_K_S", PART_DOWN, FIRST_8TH, ALL, CHORD_TYPE_Q4_K},
    {"Q3_K_M", PART_VALUE, FIRST_2, ALL, CHORD_TYPE_Q5_K},
    {"Q3_K_M", PART_VALUE, ALWAYS, ALL, CHORD_TYPE_Q4_K},
    {"Q3_K_M", PART_DOWN, FIRST_16TH, ALL, CHORD_TYPE_Q5_K},
    {"Q3_K_M", PART_DOWN, ALWAYS, OTHERS, CHORD_TYPE_Q4_K},
    {"Q3_K_M", PART_DOWN, MORE, FALCON, CHORD_TYPE_Q4_K},
    {"Q3_K_M", PART_MIXED, ALWAYS, OTHERS, CHORD_TYPE_Q4_K},
    {"Q3_K_L", PART_VALUE, ALWAYS, ALL, CHORD_TYPE_Q5_K},
    {"Q3_K_L", PART_DOWN, ALWAYS, OTHERS, CHORD_TYPE_Q5_K},
    {"Q3_K_L", PART_DOWN, ALWAYS, FALCON, CHORD_TYPE_Q4_K},
    {"Q3_K_L", PART_MIXED, ALWAYS, OTHERS, CHORD_TYPE_Q5_K},
    {"Q3_K_L", PART_MIXED, ALWAYS, FALCON, CHORD_TYPE_Q4_K},
    {"Q4_K_S", PART_VALUE, FIRST_4, ALL, CHORD_TYPE_Q5_K},
    {"Q4_K_S", PART_DOWN, FIRST_8TH, OTHERS, CHORD_TYPE_Q5_K},
    {"Q4_K_M", PART_VALUE, MORE, ALL, CHORD_TYPE_Q6_K},
    {"Q4_K_M", PART_DOWN, MORE, OTHERS, CHORD_TYPE_Q6_K},
    {"Q4_K_M", PART_DOWN, FIRST_16TH, FALCON, CHORD_TYPE_Q6_K},
    {"Q4_K_M", PART_DOWN, MORE, FALCON, CHORD_TYPE_Q5_K},
    {"Q5_K_M", PART_VALUE, MORE, ALL, CHORD_TYPE_Q6_K},
    {"Q5_K_M", PART_DOWN, MORE, ALL, CHORD_TYPE_Q6_K},
    {"IQ4_NL", PART_VALUE, GROUPED, ALL, CHORD_TYPE_Q5_K},
    {"IQ4_NL", PART_DOWN, PLAIN_8TH, ALL, CHORD_TYPE_Q5_K},
    {"IQ4_XS", PART_VALUE, GROUPED, ALL, CHORD_TYPE_Q5_K},
    {"IQ4_XS", PART_DOWN, PLAIN_8TH, ALL, CHORD_TYPE_Q5_K},
    {"Q4_0", PART_DOWN, WEIGHED_8TH, ALL, CHORD_TYPE_Q4_1},
    {"Q5_0", PART_DOWN, WEIGHED_8TH, ALL, CHORD_TYPE_Q5_1},
};

typedef struct model_facts {
    const chord_mix_choice *choice;
    uint32_t layers, experts, group; /* group: heads that share keys and values */
    bool falcon, large, tied;
    uint32_t value_count, values, downs; /* matrices of this kind: in all, so far */
} model_facts;

static bool fits(const model_facts *m, when when, uint32_t i, uint32_t n)
{
    switch (when) {
    case ALWAYS: return true;
    case MORE: return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    case FIRST_2: return i < 2;
    case FIRST_4: return i < 4;
    case FIRST_8TH: return i < n / 8;
    case FIRST_16TH: return i < n / 16;
    case GROUPED: return m->group >= 4;
    case PLAIN_8TH: return i < n / 8 && !m->choice->weighed;
    case WEIGHED_8TH: return i < n / 8 && m->choice->weighed;
    }
    return false;
}

static chord_type by_rule(const model_facts *m, part part, uint32_t i, uint32_t n)
{
    const chord_mix *mix = m->choice->mix;
    for (size_t r = 0; r < CHORD_COUNT(RULES); r++) {
        if (RULES[r].part != part || !chord_text_equal(RULES[r].mix, mix->name)) continue;
        if (RULES[r].whose != ALL && (RULES[r].whose == FALCON) != m->falcon) continue;
        if (fits(m, RULES[r].when, i, n)) return RULES[r].type;
    }
    return mix->base;
}

/* "blk.7." -> 7. */
static bool layer_of(const char *name, uint32_t *out)
{
    uint64_t layer;
    size_t n = 0;
    if (strlen(name) < 4 || memcmp(name, "blk.", 4) != 0) return false;
    while (name[4 + n] >= '0' && name[4 + n] <= '9') n++;
    if (!chord_text_to_u64(name + 4, n, &layer) || layer > INT32_MAX) return false;
    *out = (uint32_t)layer;
    return true;
}

/* Attention's output keeps more bits in a mixture of eight experts, beside which it is small. */
static bool is_low(const chord_mix *mix)
{
    static const char *const LOW[] = {"Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL", "IQ4_XS"};
    for (size_t i = 0; i < CHORD_COUNT(LOW); i++)
        if (chord_text_equal(LOW[i], mix->name)) return true;
    return false;
}

static chord_type output_type(const model_facts *m, const chord_tensor *t)
{
    const chord_mix *mix = m->choice->mix;
    if (m->choice->output != CHORD_TYPE_ID_MAX) return m->choice->output;
    if (mix->base == CHORD_TYPE_MXFP4 || m->falcon) return CHORD_TYPE_Q8_0;
    if (t->dims[0] % chord_type_get((uint32_t)mix->base)->block_elems != 0) return CHORD_TYPE_Q8_0;
    return mix->base == CHORD_TYPE_Q8_0 ? CHORD_TYPE_Q8_0 : CHORD_TYPE_Q6_K;
}

static chord_type value_type(model_facts *m)
{
    chord_type type = by_rule(m, PART_VALUE, m->values, m->value_count);
    if (m->large && (type == CHORD_TYPE_Q3_K || type == CHORD_TYPE_Q4_K)) type = CHORD_TYPE_Q5_K;
    m->values++;
    return m->experts == 8 ? CHORD_TYPE_Q8_0 : type;
}

static chord_type mixed_type(model_facts *m, const chord_tensor *t)
{
    const chord_mix *mix = m->choice->mix;
    part part = part_of(t->name);
    uint32_t layer = m->downs;
    if (part == PART_OUTPUT || (part == PART_EMBEDDING && m->tied)) return output_type(m, t);
    if (mix->base == CHORD_TYPE_MXFP4) return t->dims[2] > 1 ? CHORD_TYPE_MXFP4 : CHORD_TYPE_Q8_0;
    if (part == PART_VALUE) return value_type(m);
    if (part == PART_KEY && m->experts == 8) return CHORD_TYPE_Q8_0;
    if (part == PART_MIXED && m->experts == 8 && !m->falcon) return is_low(mix) ? CHORD_TYPE_Q5_K : mix->base;
    if (part == PART_DOWN) {
        if (m->experts > 1) layer_of(t->name, &layer);
        m->downs++;
    }
    return by_rule(m, part, layer, m->layers);
}

/* Rows that are no whole blocks of a format get one of smaller blocks. */
static chord_type fallback(const chord_tensor *t, chord_type type)
{
    static const struct {
        chord_type from, to;
    } SMALLER[] = {{CHORD_TYPE_Q2_K, CHORD_TYPE_Q4_0}, {CHORD_TYPE_Q3_K, CHORD_TYPE_Q4_0},
                   {CHORD_TYPE_Q4_K, CHORD_TYPE_Q5_0}, {CHORD_TYPE_Q5_K, CHORD_TYPE_Q5_1},
                   {CHORD_TYPE_Q6_K, CHORD_TYPE_Q8_0}, {CHORD_TYPE_IQ4_XS, CHORD_TYPE_IQ4_NL}};
    if (t->dims[0] % chord_type_get((uint32_t)type)->block_elems == 0) return type;
    for (size_t i = 0; i < CHORD_COUNT(SMALLER); i++)
        if (SMALLER[i].from == type) return t->dims[0] % 32 == 0 ? SMALLER[i].to : CHORD_TYPE_F16;
    return CHORD_TYPE_F16;
}

/* ---- choosing ------------------------------------------------------------------------------------------------ */

static chord_status type_of(model_facts *m, const chord_tensor *t, chord_type *out, bool *asked, chord_error *err)
{
    const chord_mix_choice *c = m->choice;
    const chord_quantize_options *o = c->options;
    part part = part_of(t->name);
    bool is_float = chord_type_get((uint32_t)c->mix->base)->block_elems == 1;
    chord_type type = c->mix->base, named = CHORD_TYPE_ID_MAX;
    for (size_t i = o->tensor_type_count; i-- > 0;)
        if (matches(t->name, o->tensor_types[i].name)) {
            CHORD_TRY(chord_encodable(o->tensor_types[i].type, &named, err));
            asked[i] = true;
        }
    if (named != CHORD_TYPE_ID_MAX) *out = fallback(t, named);
    else if (part == PART_EMBEDDING && c->token_embedding != CHORD_TYPE_ID_MAX) *out = fallback(t, c->token_embedding);
    else if (part == PART_OUTPUT && c->output != CHORD_TYPE_ID_MAX) *out = fallback(t, c->output);
    else if (is_float) *out = type;
    else *out = fallback(t, o->pure ? type : mixed_type(m, t));
    return CHORD_OK;
}

static chord_status read_facts(const chord_gguf *g, model_facts *m, chord_arena *arena, chord_error *err)
{
    const char *architecture;
    char key[128];
    size_t len;
    uint32_t heads, kv_heads;
    CHORD_TRY(chord_gguf_get_text(g, "general.architecture", 64, arena, &architecture, &len, err));
    if (architecture == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "the file has no general.architecture: it is no model");
    const struct {
        const char *key;
        uint32_t *value;
    } NUMBERS[] = {{"block_count", &m->layers}, {"expert_count", &m->experts}};
    for (size_t i = 0; i < CHORD_COUNT(NUMBERS); i++) {
        chord_format(key, sizeof key, "%s.%s", architecture, NUMBERS[i].key);
        CHORD_TRY(chord_gguf_get_u32(g, key, 0, NUMBERS[i].value, err));
    }
    chord_format(key, sizeof key, "%s.attention.head_count", architecture);
    CHORD_TRY(chord_gguf_get_u32_of_layers(g, key, 0, 1, &heads, err));
    chord_format(key, sizeof key, "%s.attention.head_count_kv", architecture);
    CHORD_TRY(chord_gguf_get_u32_of_layers(g, key, heads, 1, &kv_heads, err));
    m->group = kv_heads != 0 ? heads / kv_heads : 0;
    m->falcon = chord_text_equal(architecture, "falcon");
    static const char *const LARGE[] = {"llama", "qwen2", "olmo", "deci"};
    for (size_t i = 0; i < CHORD_COUNT(LARGE); i++)
        m->large |= m->layers == 80 && chord_text_equal(architecture, LARGE[i]) && (i != 0 || heads != kv_heads);
    m->tied = chord_gguf_tensor(g, "output.weight") == NULL;
    return CHORD_OK;
}

/* Layers in their order, and in a layer by name: so the rules count. Without a layer: first. */
static bool stands_before(const chord_tensor *a, const chord_tensor *b)
{
    uint32_t x, y;
    bool in_a = layer_of(a->name, &x), in_b = layer_of(b->name, &y);
    if (in_a != in_b) return in_b;
    if (in_a && x != y) return x < y;
    const char *p = a->name, *q = b->name;
    while (*p != '\0' && *p == *q) p++, q++;
    return (uint8_t)*p < (uint8_t)*q;
}

static void sift(const chord_rewrite *f, uint32_t *order, uint64_t at, uint64_t count)
{
#define TENSOR(i) (f->tensors[order[i]].from)
    for (uint64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && stands_before(TENSOR(child), TENSOR(child + 1))) child++;
        if (!stands_before(TENSOR(at), TENSOR(child))) return;
        uint32_t number = order[at];
        order[at] = order[child], order[child] = number;
    }
#undef TENSOR
}

static void sort_tensors(const chord_rewrite *f, uint32_t *order)
{
    for (uint32_t i = 0; i < f->count; i++) order[i] = i;
    for (uint64_t i = f->count / 2; i-- > 0;) sift(f, order, i, f->count);
    for (uint64_t i = f->count; i-- > 1;) {
        uint32_t number = order[0];
        order[0] = order[i], order[i] = number;
        sift(f, order, 0, i);
    }
}

static chord_status choose(chord_rewrite *f, model_facts *m, const uint32_t *order, bool *asked, chord_error *err)
{
    const chord_quantize_options *o = m->choice->options;
    for (uint64_t i = 0; i < f->count; i++) m->value_count += part_of(f->tensors[i].from->name) == PART_VALUE;
    for (uint64_t i = 0; i < f->count; i++) {
        chord_rewrite_tensor *t = &f->tensors[order[i]];
        chord_type type = t->from->type;
        if (!is_kept(t->from)) CHORD_TRY(type_of(m, t->from, &type, asked, err));
        const chord_type_info *info = chord_type_get((uint32_t)type);
        t->type = (uint32_t)type;
        t->bytes = t->from->rows * (t->from->dims[0] / info->block_elems * info->block_bytes);
    }
    for (size_t i = 0; i < o->tensor_type_count; i++)
        if (!asked[i])
            return chord_fail(err, CHORD_INVALID, "no tensor that is quantised has '%.60s' in its name",
                              o->tensor_types[i].name);
    return CHORD_OK;
}

chord_status chord_mix_choose(chord_rewrite *f, const chord_mix_choice *choice, chord_error *err)
{
    model_facts facts = {.choice = choice};
    chord_arena arena;
    chord_arena_init(&arena, f->heap, 16 * CHORD_MIB, "the order of tensors");
    uint32_t *order = chord_arena_get(&arena, f->count * sizeof *order + 1);
    bool *asked = chord_arena_get(&arena, choice->options->tensor_type_count + 1);
    chord_status status = order != NULL && asked != NULL ? CHORD_OK : chord_arena_fail(&arena, err);
    if (status == CHORD_OK) status = read_facts(f->files.gguf, &facts, &arena, err);
    if (status == CHORD_OK) {
        sort_tensors(f, order);
        status = choose(f, &facts, order, asked, err);
    }
    chord_arena_free(&arena);
    return status;
}
