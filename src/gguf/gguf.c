/* gguf.c - parse and validate the header. Every count, length and offset of the file is checked against a limit and
 * against the file's size before it is used. */
#include "gguf/gguf_inner.h"

#include "quant/quant.h"

#define VALUES_MAX 65536u
#define TENSORS_MAX 262144u
#define KEY_BYTES_MAX 65535u
#define NAME_BYTES_MAX 255u
#define METADATA_BYTES_MAX (256 * CHORD_MIB)

static chord_status take_u32(chord_window *w, const char *what, uint32_t *out, chord_error *err)
{
    const uint8_t *p;
    CHORD_TRY(chord_window_take(w, 4, what, &p, err));
    *out = chord_load_u32(p);
    return CHORD_OK;
}

static chord_status take_u64(chord_window *w, const char *what, uint64_t *out, chord_error *err)
{
    const uint8_t *p;
    CHORD_TRY(chord_window_take(w, 8, what, &p, err));
    *out = chord_load_u64(p);
    return CHORD_OK;
}

/* A key or a name: short, without zero bytes, kept for good. */
static chord_status take_name(chord_gguf *g, chord_window *w, const char *what, uint64_t len_max, const char **out,
                              chord_error *err)
{
    uint64_t at = w->position, len;
    const uint8_t *p;
    CHORD_TRY(take_u64(w, what, &len, err));
    if (len == 0 || len > len_max)
        return chord_fail(err, CHORD_CORRUPT,
                          "%s: %s at %" PRIu64 " has %" PRIu64 " bytes, 1 to %" PRIu64 " are allowed", w->store->name,
                          what, at, len, len_max);
    CHORD_TRY(chord_window_take(w, len, what, &p, err));
    char *text = chord_arena_get(&g->arena, len + 1);
    if (text == NULL) return chord_arena_fail(&g->arena, err);
    memcpy(text, p, len);
    if (strlen(text) != len)
        return chord_fail(err, CHORD_CORRUPT, "%s: %s at %" PRIu64 " holds a zero byte", w->store->name, what, at);
    *out = text;
    return CHORD_OK;
}

static chord_status take_type(chord_window *w, const char *key, chord_gguf_type *out, chord_error *err)
{
    uint64_t at = w->position;
    uint32_t type;
    CHORD_TRY(take_u32(w, "a metadata type", &type, err));
    if (type >= CHORD_GGUF_TYPE_COUNT)
        return chord_fail(err, CHORD_CORRUPT, "%s: metadata '%s' at %" PRIu64 " has type %u, the last known is %u",
                          w->store->name, key, at, type, (unsigned)CHORD_GGUF_TYPE_COUNT - 1);
    *out = (chord_gguf_type)type;
    return CHORD_OK;
}

static chord_status take_array(chord_window *w, chord_gguf_value *value, chord_error *err)
{
    CHORD_TRY(take_type(w, value->key, &value->elem_type, err));
    CHORD_TRY(take_u64(w, value->key, &value->count, err));
    value->offset = w->position;
    uint32_t bytes = chord_gguf_type_bytes(value->elem_type);
    uint64_t left = w->store->size_bytes - w->position;
    if (value->elem_type == CHORD_GGUF_ARRAY)
        return chord_fail(err, CHORD_UNSUPPORTED, "%s: metadata '%s' is an array of arrays", w->store->name,
                          value->key);
    if (value->count > left / (bytes != 0 ? bytes : 8))
        return chord_fail(err, CHORD_CORRUPT,
                          "%s: metadata '%s' claims %" PRIu64 " elements, %" PRIu64 " bytes are left", w->store->name,
                          value->key, value->count, left);
    if (bytes != 0) CHORD_TRY(chord_window_skip(w, value->count * bytes, value->key, err));
    else CHORD_TRY(chord_window_skip_texts(w, value->count, value->key, err));
    value->length = w->position - value->offset;
    return CHORD_OK;
}

static chord_status take_value(chord_gguf *g, chord_window *w, chord_gguf_value *value, chord_error *err)
{
    CHORD_TRY(take_name(g, w, "a metadata key", KEY_BYTES_MAX, &value->key, err));
    CHORD_TRY(take_type(w, value->key, &value->type, err));
    if (value->type == CHORD_GGUF_ARRAY) return take_array(w, value, err);
    if (value->type == CHORD_GGUF_STRING) {
        CHORD_TRY(take_u64(w, value->key, &value->count, err));
        value->offset = w->position;
        value->length = value->count;
        return chord_window_skip(w, value->count, value->key, err);
    }
    const uint8_t *p;
    value->offset = w->position;
    value->length = chord_gguf_type_bytes(value->type);
    value->count = 1;
    CHORD_TRY(chord_window_take(w, value->length, value->key, &p, err));
    chord_gguf_scalar(value->type, p, value);
    return CHORD_OK;
}

static chord_status check_dims(const chord_window *w, chord_tensor *t, chord_error *err)
{
    uint64_t elements = 1;
    for (uint32_t i = 0; i < t->dims_count; i++) {
        if (t->dims[i] == 0 || __builtin_mul_overflow(elements, t->dims[i], &elements) || elements > INT64_MAX / 8)
            return chord_fail(err, CHORD_CORRUPT, "%s: tensor '%s' has an impossible size: dimension %u is %" PRIu64,
                              w->store->name, t->name, i, t->dims[i]);
    }
    const chord_type_info *info = chord_type_get((uint32_t)t->type);
    if (info == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "%s: tensor '%s' has format number %u, which is not known",
                          w->store->name, t->name, (unsigned)t->type);
    if (t->dims[0] % info->block_elems != 0)
        return chord_fail(err, CHORD_CORRUPT, "%s: tensor '%s' has rows of %" PRIu64 " elements, %s has blocks of %u",
                          w->store->name, t->name, t->dims[0], info->name, info->block_elems);
    t->rows = elements / t->dims[0];
    t->file_type = (uint8_t)t->type;
    t->row_bytes = chord_tensor_file_row_bytes(t);
    t->bytes = t->rows * t->row_bytes; /* elements < 2^60 and no format has more than 8 bytes an element */
    return CHORD_OK;
}

/* Of a packed tensor the plain format. One that has no panels stays what no format is. */
static chord_status take_format(chord_window *w, chord_tensor *t, chord_error *err)
{
    uint32_t type;
    CHORD_TRY(take_u32(w, t->name, &type, err));
    chord_type plain = (chord_type)(type & ~CHORD_TYPE_PACKED);
    t->packed = type != (uint32_t)plain && chord_rows_have_panels(plain);
    t->type = t->packed ? plain : (chord_type)type;
    return CHORD_OK;
}

static chord_status take_tensor(chord_gguf *g, chord_window *w, chord_tensor *t, chord_error *err)
{
    CHORD_TRY(take_name(g, w, "a tensor name", NAME_BYTES_MAX, &t->name, err));
    uint32_t dims;
    CHORD_TRY(take_u32(w, t->name, &dims, err));
    if (dims == 0 || dims > CHORD_GGUF_DIMS_MAX)
        return chord_fail(err, CHORD_CORRUPT, "%s: tensor '%s' has %u dimensions, 1 to %u are allowed", w->store->name,
                          t->name, dims, CHORD_GGUF_DIMS_MAX);
    t->dims_count = (uint16_t)dims;
    for (uint32_t i = 0; i < CHORD_GGUF_DIMS_MAX; i++) t->dims[i] = 1;
    for (uint32_t i = 0; i < t->dims_count; i++) CHORD_TRY(take_u64(w, t->name, &t->dims[i], err));
    CHORD_TRY(take_format(w, t, err));
    CHORD_TRY(take_u64(w, t->name, &t->offset, err));
    return check_dims(w, t, err);
}

/* Offsets in the file are relative to the aligned end of the header; make them absolute and check that they fit. */
static chord_status place_tensors(chord_gguf *g, const chord_window *w, chord_tensor *tensors, uint64_t count,
                                  uint32_t shard, chord_error *err)
{
    uint64_t data = chord_align_up(w->position, g->alignment), size = w->store->size_bytes;
    for (uint64_t i = 0; i < count; i++) {
        chord_tensor *t = &tensors[i];
        t->shard = shard;
        if (t->offset % g->alignment != 0)
            return chord_fail(err, CHORD_CORRUPT, "%s: tensor '%s' lies at %" PRIu64 ", not a multiple of %u",
                              w->store->name, t->name, t->offset, g->alignment);
        if (data > size || t->offset > size - data || t->bytes > size - data - t->offset)
            return chord_fail(err, CHORD_CORRUPT,
                              "%s: tensor '%s' needs %" PRIu64 " bytes at %" PRIu64 ", the file has %" PRIu64
                              " (is it complete?)",
                              w->store->name, t->name, t->bytes, data + t->offset, size);
        t->offset += data;
    }
    return CHORD_OK;
}

/* ---- tensors whose bytes overlap ---------------------------------------------------------------------- */

static void sift_down(const chord_tensor **heap, uint64_t at, uint64_t count)
{
    for (uint64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1]->offset > heap[child]->offset) child++;
        if (heap[at]->offset >= heap[child]->offset) return;
        const chord_tensor *swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

/* Heap sort: bounded on any input. */
static void sort_by_offset(const chord_tensor **list, uint64_t count)
{
    for (uint64_t i = count / 2; i > 0; i--) sift_down(list, i - 1, count);
    for (uint64_t left = count; left > 1; left--) {
        const chord_tensor *last = list[0];
        list[0] = list[left - 1];
        list[left - 1] = last;
        sift_down(list, 0, left - 1);
    }
}

static chord_status check_overlaps(chord_gguf *g, const chord_store *store, const chord_tensor *tensors, uint64_t count,
                                   chord_error *err)
{
    const chord_tensor **order = chord_arena_get(&g->arena, (count + 1) * sizeof(*order));
    if (order == NULL) return chord_arena_fail(&g->arena, err);
    for (uint64_t i = 0; i < count; i++) order[i] = &tensors[i];
    sort_by_offset(order, count);
    for (uint64_t i = 1; i < count; i++) {
        const chord_tensor *a = order[i - 1], *b = order[i];
        if (b->offset - a->offset < a->bytes)
            return chord_fail(err, CHORD_CORRUPT,
                              "%s: tensor '%s' at %" PRIu64 " lies inside tensor '%s', which has %" PRIu64
                              " bytes at %" PRIu64,
                              store->name, b->name, b->offset, a->name, a->bytes, a->offset);
    }
    return CHORD_OK;
}

static chord_status take_counts(chord_window *w, uint32_t *version, uint64_t *tensors, uint64_t *values,
                                chord_error *err)
{
    const uint8_t *p;
    const char *name = w->store->name;
    size_t looked = (size_t)chord_min_u64(w->store->size_bytes, 24);
    CHORD_TRY(chord_window_take(w, looked, "the magic number", &p, err));
    if (looked < 24 || memcmp(p, "GGUF", 4) != 0) return chord_gguf_refuse_kind(p, looked, w->store, err);
    *version = chord_load_u32(p + 4);
    *tensors = chord_load_u64(p + 8);
    *values = chord_load_u64(p + 16);
    if ((*version & 0xffff) == 0 && *version != 0)
        return chord_fail(err, CHORD_UNSUPPORTED, "%s: a GGUF file in big endian; convert it to little endian", name);
    if (*version != 2 && *version != 3)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "%s: GGUF version %u; versions 2 and 3 in little endian are supported", name, *version);
    if (*tensors > TENSORS_MAX || *values > VALUES_MAX)
        return chord_fail(err, CHORD_CORRUPT,
                          "%s: %" PRIu64 " tensors and %" PRIu64 " metadata values; at most %u and %u "
                          "are allowed",
                          name, *tensors, *values, TENSORS_MAX, VALUES_MAX);
    /* The shortest record of either kind has 13 bytes: counts that cannot be true must not buy memory. */
    if (*tensors + *values > w->store->size_bytes / 13)
        return chord_fail(err, CHORD_CORRUPT,
                          "%s: %" PRIu64 " tensors and %" PRIu64 " metadata values do not fit in %" PRIu64 " bytes",
                          name, *tensors, *values, w->store->size_bytes);
    return CHORD_OK;
}

static chord_status take_alignment(chord_gguf *g, chord_store *store, chord_error *err)
{
    CHORD_TRY(chord_gguf_get_u32(g, "general.alignment", 32, &g->alignment, err));
    if (g->alignment < 8 || g->alignment > 65536 || (g->alignment & (g->alignment - 1)) != 0)
        return chord_fail(err, CHORD_CORRUPT, "%s: alignment %u is not a power of two from 8 to 65536", store->name,
                          g->alignment);
    return CHORD_OK;
}

static chord_status parse(chord_gguf *g, chord_window *w, uint32_t shard, chord_error *err)
{
    uint64_t tensor_count = 0, value_count = 0;
    uint32_t version = 0;
    CHORD_TRY(take_counts(w, &version, &tensor_count, &value_count, err));
    chord_gguf_value *values = chord_arena_get(&g->arena, (value_count + 1) * sizeof *values);
    chord_tensor *tensors = chord_arena_get(&g->arena, (tensor_count + 1) * sizeof *tensors);
    if (values == NULL || tensors == NULL) return chord_arena_fail(&g->arena, err);
    for (uint64_t i = 0; i < value_count; i++) CHORD_TRY(take_value(g, w, &values[i], err));
    if (shard == 0) {
        g->version = version;
        g->values = values;
        g->value_count = value_count;
        CHORD_TRY(chord_gguf_index_values(g, w->store, err));
        CHORD_TRY(take_alignment(g, w->store, err));
    }
    for (uint64_t i = 0; i < tensor_count; i++) CHORD_TRY(take_tensor(g, w, &tensors[i], err));
    CHORD_TRY(place_tensors(g, w, tensors, tensor_count, shard, err));
    CHORD_TRY(check_overlaps(g, w->store, tensors, tensor_count, err));
    g->shards[shard] = (chord_gguf_shard){.store = w->store,
                                          .tensors = tensors,
                                          .tensor_count = tensor_count,
                                          .header_bytes = chord_align_up(w->position, g->alignment)};
    g->shard_count = shard + 1;
    g->tensor_count += tensor_count;
    for (uint64_t i = 0; i < tensor_count; i++) g->data_bytes += tensors[i].bytes;
    return CHORD_OK;
}

static chord_status parse_shard(chord_gguf *g, chord_store *store, uint32_t shard, chord_error *err)
{
    chord_window window;
    CHORD_TRY(chord_window_open(g->heap, store, 0, &window, err));
    chord_status status = parse(g, &window, shard, err);
    chord_window_close(&window);
    return status;
}

/* What one program packed another reads only if it is of the same layout. */
static chord_status check_packed(const chord_gguf *g, const chord_gguf_shard *shard, chord_error *err)
{
    uint32_t version;
    CHORD_TRY(chord_gguf_get_u32(g, CHORD_GGUF_PACK_VERSION, 0, &version, err));
    for (uint64_t i = 0; version != CHORD_PACK_VERSION && i < shard->tensor_count; i++)
        if (shard->tensors[i].packed)
            return chord_fail(err, CHORD_UNSUPPORTED,
                              "%s: tensor '%s' is packed in layout %u, this program reads layout %u: pack the original "
                              "again with `chord pack`",
                              shard->store->name, shard->tensors[i].name, version, CHORD_PACK_VERSION);
    return CHORD_OK;
}

static chord_status open_shards(chord_gguf *g, chord_store *store, chord_error *err)
{
    CHORD_TRY(parse_shard(g, store, 0, err));
    CHORD_TRY(chord_gguf_get_u32(g, "split.count", 1, &g->shards_expected, err));
    if (g->shards_expected == 0) g->shards_expected = 1;
    if (g->shards_expected > CHORD_GGUF_SHARDS_MAX)
        return chord_fail(err, CHORD_CORRUPT, "%s: split.count is %u, at most %u files are allowed", store->name,
                          g->shards_expected, CHORD_GGUF_SHARDS_MAX);
    uint32_t number;
    CHORD_TRY(chord_gguf_get_u32(g, "split.no", 0, &number, err));
    if (number != 0)
        return chord_fail(err, CHORD_INVALID, "%s is part %u of a split model; name its first part (-00001-of-%05u)",
                          store->name, number + 1, g->shards_expected);
    CHORD_TRY(check_packed(g, &g->shards[0], err));
    return g->shards_expected == 1 ? chord_gguf_index_tensors(g, err) : CHORD_OK;
}

chord_status chord_gguf_open(chord_heap *heap, chord_store *store, chord_gguf **out, chord_error *err)
{
    void *memory = NULL;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_gguf), "the tensor directory", &memory, err));
    chord_gguf *g = memory;
    g->heap = heap;
    chord_arena_init(&g->arena, heap, METADATA_BYTES_MAX, "the tensor directory");
    chord_status status = open_shards(g, store, err);
    if (status != CHORD_OK) {
        chord_gguf_close(g);
        return status;
    }
    *out = g;
    return CHORD_OK;
}

void chord_gguf_close(chord_gguf *g)
{
    if (g == NULL) return;
    chord_arena_free(&g->arena);
    chord_free(g->heap, g);
}

chord_status chord_gguf_add_shard(chord_gguf *g, chord_store *store, chord_error *err)
{
    if (g->shard_count >= g->shards_expected)
        return chord_fail(err, CHORD_INVALID, "%s: all %u parts of this model are there already", store->name,
                          g->shards_expected);
    CHORD_TRY(parse_shard(g, store, g->shard_count, err));
    CHORD_TRY(check_packed(g, &g->shards[g->shard_count - 1], err));
    return g->shard_count == g->shards_expected ? chord_gguf_index_tensors(g, err) : CHORD_OK;
}
