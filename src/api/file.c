/* file.c - a GGUF file as it is: its metadata as JSON text, its tensors, their first values. */
#include "api/api_inner.h"

#include "quant/quant.h"

#define VALUE_TEXT_BYTES_MAX (64 * CHORD_MIB)
#define READ_BYTES_MAX (1 * CHORD_MIB)

chord_status chord_file_open(chord_runtime *runtime, const chord_source *source, chord_file **out, chord_error *err)
{
    void *memory = NULL;
    CHORD_NEED(out, "the place for the file");
    *out = NULL;
    CHORD_NEED(runtime, "the runtime");
    CHORD_NEED(source, "the source");
    CHORD_TRY(chord_alloc(runtime->heap, sizeof(chord_file), "the file", &memory, err));
    chord_file *file = memory;
    file->runtime = runtime;
    chord_status status = chord_files_open(runtime, source, &file->files, err);
    if (status != CHORD_OK) {
        chord_free(runtime->heap, file);
        return status;
    }
    chord_runtime_keep(runtime);
    *out = file;
    return CHORD_OK;
}

void chord_file_close(chord_file *file)
{
    if (file == NULL) return;
    chord_runtime *runtime = file->runtime;
    chord_files_close(&file->files);
    chord_free(runtime->heap, file);
    chord_runtime_drop(runtime);
}

void chord_file_describe(const chord_file *file, chord_file_info *out)
{
    const chord_gguf *g = file->files.gguf;
    *out = (chord_file_info){.version = chord_gguf_version(g),
                             .parts = file->files.count,
                             .data_bytes = chord_gguf_data_bytes(g),
                             .values = chord_gguf_value_count(g),
                             .tensors = chord_gguf_tensor_count(g)};
    for (uint32_t i = 0; i < file->files.count; i++) out->file_bytes += file->files.stores[i]->size_bytes;
    for (uint64_t i = 0; i < out->tensors; i++) {
        const chord_tensor *t = chord_gguf_tensor_at(g, i);
        out->parameters += t->rows * t->dims[0];
        out->packed_tensors += t->packed;
    }
}

/* ---- metadata ---------------------------------------------------------------------------------------- */

bool chord_file_value_at(const chord_file *file, uint64_t index, chord_file_value *out)
{
    *out = (chord_file_value){.key = "", .type = ""};
    if (file == NULL || index >= chord_gguf_value_count(file->files.gguf)) return false;
    const chord_gguf_value *v = chord_gguf_value_at(file->files.gguf, index);
    bool array = v->type == CHORD_GGUF_ARRAY, counted = array || v->type == CHORD_GGUF_STRING;
    *out = (chord_file_value){.key = v->key,
                              .type = chord_gguf_type_name(v->type),
                              .elem_type = array ? chord_gguf_type_name(v->elem_type) : NULL,
                              .count = counted ? v->count : 1};
    return true;
}

/* The double whose shortest decimal text reads back as this float: 1e-05 instead of 9.999999747378752e-06. */
static double shorten_f32(float value)
{
    double scale = 1.0, size = value < 0 ? -(double)value : (double)value;
    if (size == 0 || size < 1e-22 || size > 1e22) return (double)value;
    while (size * scale < 1e8 && scale < 1e22) scale *= 10; /* nine digits always suffice */
    for (double tail = 1e8; tail >= 1;
         tail /= 10) { /* powers of ten up to 10^22 are exact: each candidate is rounded once */
        double candidate = scale >= tail ? (double)(int64_t)(size * (scale / tail) + 0.5) / (scale / tail)
                                         : (double)(int64_t)(size / (tail / scale) + 0.5) * (tail / scale);
        if ((float)candidate == (float)size) return value < 0 ? -candidate : candidate;
    }
    return (double)value;
}

static chord_status put_number(chord_buffer *out, double value, bool single, chord_error *err)
{
    char text[32];
    if (!(value - value == 0)) return chord_buffer_append(out, "null", 4, err); /* JSON has no infinities */
    if (single) value = shorten_f32((float)value);
    return chord_buffer_append(out, text, chord_f64_to_text(value, text), err);
}

static chord_status put_scalar(chord_buffer *out, const chord_gguf_value *v, chord_error *err)
{
    switch (v->type) {
    case CHORD_GGUF_BOOL: return chord_buffer_printf(out, err, "%s", v->scalar.u != 0 ? "true" : "false");
    case CHORD_GGUF_F32:
    case CHORD_GGUF_F64: return put_number(out, v->scalar.f, v->type == CHORD_GGUF_F32, err);
    case CHORD_GGUF_I8:
    case CHORD_GGUF_I16:
    case CHORD_GGUF_I32:
    case CHORD_GGUF_I64: return chord_buffer_printf(out, err, "%" PRIi64, v->scalar.i);
    default: return chord_buffer_printf(out, err, "%" PRIu64, v->scalar.u);
    }
}

static chord_status put_text(const chord_file *file, const chord_gguf_value *v, chord_buffer *out, chord_error *err)
{
    chord_window window;
    const uint8_t *bytes;
    if (v->count > VALUE_TEXT_BYTES_MAX / 8)
        return chord_fail(err, CHORD_UNSUPPORTED, "metadata '%s' is a text of %" PRIu64 " bytes", v->key, v->count);
    CHORD_TRY(chord_window_open(file->runtime->heap, file->files.stores[0], v->offset, &window, err));
    chord_status status = chord_window_take(&window, v->count, v->key, &bytes, err);
    if (status == CHORD_OK) status = chord_json_quote(out, (const char *)bytes, (size_t)v->count, err);
    chord_window_close(&window);
    return status;
}

static chord_status put_element(chord_gguf_walk *walk, chord_buffer *out, chord_error *err)
{
    chord_gguf_type type = walk->value->elem_type;
    if (type == CHORD_GGUF_STRING) {
        const char *text;
        size_t len;
        CHORD_TRY(chord_gguf_walk_text(walk, &text, &len, err));
        return chord_json_quote(out, text, len, err);
    }
    double number;
    CHORD_TRY(chord_gguf_walk_number(walk, &number, err));
    if (type == CHORD_GGUF_BOOL) return chord_buffer_printf(out, err, "%s", number != 0 ? "true" : "false");
    if (type == CHORD_GGUF_F32 || type == CHORD_GGUF_F64) return put_number(out, number, type == CHORD_GGUF_F32, err);
    return chord_buffer_printf(out, err, "%.0f", number);
}

static chord_status put_elements(chord_gguf_walk *walk, uint64_t items_max, chord_buffer *out, chord_error *err)
{
    uint64_t count = walk->value->count, shown = chord_min_u64(count, items_max);
    CHORD_TRY(chord_buffer_append(out, "[", 1, err));
    for (uint64_t i = 0; i < shown; i++) {
        if (i > 0) CHORD_TRY(chord_buffer_append(out, ",", 1, err));
        CHORD_TRY(put_element(walk, out, err));
    }
    if (shown < count) CHORD_TRY(chord_buffer_printf(out, err, "%s\"...\"", shown > 0 ? "," : ""));
    return chord_buffer_append(out, "]", 1, err);
}

static chord_status put_value(const chord_file *file, const chord_gguf_value *v, uint64_t items_max, chord_buffer *out,
                              chord_error *err)
{
    if (v->type == CHORD_GGUF_STRING) return put_text(file, v, out, err);
    if (v->type != CHORD_GGUF_ARRAY) return put_scalar(out, v, err);
    chord_gguf_walk walk;
    CHORD_TRY(chord_gguf_walk_open(file->files.gguf, v, &walk, err));
    chord_status status = put_elements(&walk, items_max, out, err);
    chord_gguf_walk_close(&walk);
    return status;
}

chord_status chord_file_value_text(const chord_file *file, uint64_t index, uint64_t items_max, char *out, size_t cap,
                                   size_t *need, chord_error *err)
{
    chord_buffer buffer;
    CHORD_NEED(file, "the file");
    CHORD_NEED(need, "the place for the count");
    if (index >= chord_gguf_value_count(file->files.gguf))
        return chord_fail(err, CHORD_INVALID, "there is no value %" PRIu64 ", the file has %" PRIu64, index,
                          chord_gguf_value_count(file->files.gguf));
    chord_buffer_init(&buffer, file->runtime->heap, VALUE_TEXT_BYTES_MAX);
    chord_status status = put_value(file, chord_gguf_value_at(file->files.gguf, index), items_max, &buffer, err);
    if (status == CHORD_OK) {
        size_t n = buffer.len < cap ? buffer.len : cap;
        if (n > 0) memcpy(out, buffer.data, n);
        *need = buffer.len;
        if (n < buffer.len)
            status = chord_fail(err, CHORD_SHORT, "%zu bytes are needed, %zu were given", buffer.len, cap);
    }
    chord_buffer_free(&buffer);
    return status;
}

/* ---- tensors ----------------------------------------------------------------------------------------- */

bool chord_file_tensor_at(const chord_file *file, uint64_t index, chord_file_tensor *out)
{
    *out = (chord_file_tensor){.name = "", .type = ""};
    if (file == NULL || index >= chord_gguf_tensor_count(file->files.gguf)) return false;
    const chord_tensor *t = chord_gguf_tensor_at(file->files.gguf, index);
    *out = (chord_file_tensor){.name = t->name,
                               .type = chord_type_get(t->type)->name,
                               .part = t->shard,
                               .dims_count = t->dims_count,
                               .offset = t->offset,
                               .bytes = t->bytes,
                               .packed = t->packed};
    memcpy(out->dims, t->dims, sizeof out->dims);
    return true;
}

/* Read and dequantise n elements, a whole number of rows' blocks at a time. */
static chord_status read_values(const chord_file *file, const chord_tensor *t, const chord_format_ops *ops,
                                uint8_t *scratch, float *out, size_t n, chord_error *err)
{
    const chord_type_info *info = chord_type_get(t->type);
    uint64_t blocks_max = READ_BYTES_MAX / 2 / (info->block_bytes + info->block_elems * sizeof(float));
    float *values = (float *)(void *)(scratch + chord_align_up(blocks_max * info->block_bytes, 64));
    for (uint64_t done = 0; done < n;) {
        uint64_t blocks = chord_min_u64(blocks_max, chord_ceil_div(n - done, info->block_elems));
        uint64_t offset = t->offset + done / info->block_elems * info->block_bytes;
        uint64_t use = chord_min_u64(blocks * info->block_elems, n - done);
        CHORD_TRY(chord_store_read(file->files.stores[t->shard], offset, scratch, (size_t)(blocks * info->block_bytes),
                                   err));
        ops->dequantize(scratch, values, blocks * info->block_elems);
        memcpy(out + done, values, (size_t)use * sizeof *out);
        done += use;
    }
    return CHORD_OK;
}

/* The same out of panels, row by row; scratch holds seventeen rows and one in numbers. */
static chord_status read_packed_values(const chord_file *file, const chord_tensor *t, const chord_format_ops *ops,
                                       uint8_t *scratch, float *out, size_t n, chord_error *err)
{
    uint64_t columns = t->dims[0], panel_bytes = CHORD_PANEL_ROWS * t->row_bytes;
    uint32_t blocks = (uint32_t)(columns / chord_type_get(t->type)->block_elems);
    uint8_t *row = scratch + panel_bytes;
    float *values = (float *)(void *)(scratch + chord_align_up(panel_bytes + t->row_bytes, 64));
    for (uint64_t r = 0; r * columns < n; r++) {
        uint64_t lane = r % CHORD_PANEL_ROWS, rows = chord_min_u64(CHORD_PANEL_ROWS, t->rows - (r - lane));
        if (lane == 0)
            CHORD_TRY(chord_store_read(file->files.stores[t->shard], t->offset + r * t->row_bytes, scratch,
                                       (size_t)(rows * t->row_bytes), err));
        if (rows == CHORD_PANEL_ROWS) chord_unpack_row(t->type, scratch, blocks, (uint32_t)lane, row);
        else memcpy(row, scratch + lane * t->row_bytes, (size_t)t->row_bytes);
        ops->dequantize(row, values, columns);
        memcpy(out + r * columns, values, (size_t)chord_min_u64(columns, n - r * columns) * sizeof *out);
    }
    return CHORD_OK;
}

chord_status chord_file_tensor_values(const chord_file *file, const char *name, float *out, size_t n, size_t *got,
                                      chord_error *err)
{
    void *scratch = NULL;
    CHORD_NEED(file, "the file");
    CHORD_NEED(name, "the tensor's name");
    CHORD_NEED(got, "the place for the count");
    const chord_tensor *t = chord_gguf_tensor(file->files.gguf, name);
    *got = 0;
    if (t == NULL) return chord_fail(err, CHORD_INVALID, "the file has no tensor named '%s'", name);
    const chord_format_ops *ops = chord_format_get(t->type);
    if (ops == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "tensor '%s' has the format %s, which cannot be turned into numbers; known are %s", name,
                          chord_type_get(t->type)->name, chord_format_list());
    n = (size_t)chord_min_u64(n, t->rows * t->dims[0]);
    uint64_t bytes = t->packed ? (CHORD_PANEL_ROWS + 1) * t->row_bytes + 64 + t->dims[0] * sizeof(float)
                               : READ_BYTES_MAX;
    CHORD_TRY(chord_alloc(file->runtime->heap, bytes, "the tensor's values", &scratch, err));
    chord_status status = (t->packed ? read_packed_values : read_values)(file, t, ops, scratch, out, n, err);
    chord_free(file->runtime->heap, scratch);
    if (status == CHORD_OK) *got = n;
    return status;
}
