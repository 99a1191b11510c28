/* gguf.h - the header of GGUF v2/v3 files: metadata and the tensor directory, bounded and validated. Never touches
 * tensor data. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * Scalars are kept; strings and arrays stay in the file and are known by offset and length, so that a vocabulary of
 * 250k entries costs nothing until somebody walks it. */
#ifndef CHORD_GGUF_H
#define CHORD_GGUF_H

#include "quant/quant_types.h"
#include "store/store.h"

#define CHORD_GGUF_DIMS_MAX 4
#define CHORD_GGUF_SHARDS_MAX 1024

/* What `chord pack` adds to a file: the packed layout's version (quant_types.h), rows of a panel; and of any file of its
 * make the xxHash64 of each tensor in the order of the directory, then that of each part's header without these. */
#define CHORD_GGUF_PACK "chord.pack."
#define CHORD_GGUF_PACK_VERSION CHORD_GGUF_PACK "version"
#define CHORD_GGUF_PACK_PANEL_ROWS CHORD_GGUF_PACK "panel_rows"
#define CHORD_GGUF_PACK_HASHES CHORD_GGUF_PACK "hashes"

typedef enum chord_gguf_type {
    CHORD_GGUF_U8,
    CHORD_GGUF_I8,
    CHORD_GGUF_U16,
    CHORD_GGUF_I16,
    CHORD_GGUF_U32,
    CHORD_GGUF_I32,
    CHORD_GGUF_F32,
    CHORD_GGUF_BOOL,
    CHORD_GGUF_STRING,
    CHORD_GGUF_ARRAY,
    CHORD_GGUF_U64,
    CHORD_GGUF_I64,
    CHORD_GGUF_F64,
    CHORD_GGUF_TYPE_COUNT
} chord_gguf_type;
const char *chord_gguf_type_name(chord_gguf_type type);

typedef struct chord_gguf_value {
    const char *key;
    chord_gguf_type type;      /* of the value */
    chord_gguf_type elem_type; /* of an array's elements */
    uint64_t count;            /* elements of an array; bytes of a string */
    uint64_t offset, length;   /* where string bytes or array elements lie in the first shard's file */
    union {
        uint64_t u;
        int64_t i;
        double f;
    } scalar; /* u: also bool; i: signed types; f: floats */
} chord_gguf_value;

typedef struct chord_tensor {
    const char *name;
    chord_type type;
    uint16_t dims_count;
    bool packed;       /* its whole panels are packed (quant.h); only formats that have such */
    uint8_t file_type; /* a chord_type: type, but of a tensor that is made anew (chord_gguf_remake) the file's */
    uint64_t dims[CHORD_GGUF_DIMS_MAX]; /* GGUF order: dims[0] is the row length; unused ones are 1 */
    uint32_t shard, number;             /* number: of chord_gguf_tensor_at */
    uint64_t offset;                    /* absolute in the shard's file */
    uint64_t bytes;
    uint64_t rows; /* dims[1] * dims[2] * dims[3] */
    uint64_t row_bytes;
} chord_tensor;

typedef struct chord_gguf chord_gguf;

/* Parse the first shard. The stores stay the caller's and must outlive the directory. */
chord_status chord_gguf_open(chord_heap *heap, chord_store *store, chord_gguf **out, chord_error *err);
void chord_gguf_close(chord_gguf *gguf);
/* Shards named by split.count (1: a single file), and adding the next one in order. Tensors can be looked
 * up once all are there. */
uint32_t chord_gguf_shards_expected(const chord_gguf *gguf);
chord_status chord_gguf_add_shard(chord_gguf *gguf, chord_store *store, chord_error *err);
chord_store *chord_gguf_store(const chord_gguf *gguf, uint32_t shard);
/* From here on another store gives the shard's bytes, and a tensor in another format, which takes no more of them than the
 * file's: it begins at the same offset. */
void chord_gguf_set_store(chord_gguf *gguf, uint32_t shard, chord_store *store);
void chord_gguf_remake(chord_gguf *gguf, uint64_t index, chord_type type);
/* "x-00001-of-00005.gguf" -> the path of shard `shard` (from 0). CHORD_INVALID when the name is not of that form. */
chord_status chord_gguf_shard_path(const char *first_path, uint32_t shard, uint32_t shards, char *out, size_t cap,
                                   chord_error *err);

uint32_t chord_gguf_version(const chord_gguf *gguf);
uint64_t chord_gguf_value_count(const chord_gguf *gguf);
const chord_gguf_value *chord_gguf_value_at(const chord_gguf *gguf, uint64_t index);
uint64_t chord_gguf_tensor_count(const chord_gguf *gguf);
const chord_tensor *chord_gguf_tensor_at(const chord_gguf *gguf, uint64_t index); /* file order, shard by shard */
const chord_gguf_value *chord_gguf_find(const chord_gguf *gguf, const char *key); /* NULL: not there */
const chord_tensor *chord_gguf_tensor(const chord_gguf *gguf, const char *name);  /* NULL: not there */
uint64_t chord_gguf_data_bytes(const chord_gguf *gguf);                           /* of all tensors, in the files */
uint64_t chord_tensor_file_row_bytes(const chord_tensor *tensor);
uint64_t chord_gguf_header_bytes(const chord_gguf *gguf, uint32_t shard); /* up to the first tensor's place */

/* Typed reading. A key that is missing gives fallback; one of the wrong type or out of range is CHORD_CORRUPT. */
chord_status chord_gguf_get_u32(const chord_gguf *gguf, const char *key, uint32_t fallback, uint32_t *out,
                                chord_error *err);
/* The same, or an array with a number for each layer, of which the first `layers` must be equal (else CHORD_UNSUPPORTED). */
chord_status chord_gguf_get_u32_of_layers(const chord_gguf *gguf, const char *key, uint32_t fallback, uint32_t layers,
                                          uint32_t *out, chord_error *err);
chord_status chord_gguf_get_f32(const chord_gguf *gguf, const char *key, float fallback, float *out, chord_error *err);
chord_status chord_gguf_get_bool(const chord_gguf *gguf, const char *key, bool fallback, bool *out, chord_error *err);
/* Copies the string into the arena, terminated; missing: *out = NULL, *len = 0. Over len_max: CHORD_CORRUPT. */
chord_status chord_gguf_get_text(const chord_gguf *gguf, const char *key, size_t len_max, chord_arena *arena,
                                 const char **out, size_t *len, chord_error *err);
/* The same, but of a longer string only the first len_max bytes, whole characters. */
chord_status chord_gguf_get_text_start(const chord_gguf *gguf, const char *key, size_t len_max, chord_arena *arena,
                                       const char **out, size_t *len, chord_error *err);

/* A window that slides over a store front to back. */
typedef struct chord_window {
    chord_store *store;
    chord_heap *heap;
    uint8_t *bytes;
    size_t cap, len;
    uint64_t start, position; /* file offsets: of bytes[0], of the next byte to be taken */
} chord_window;
chord_status chord_window_open(chord_heap *heap, chord_store *store, uint64_t position, chord_window *out,
                               chord_error *err);
void chord_window_close(chord_window *window);
/* The next n bytes, contiguous, valid until the next call. Past the end of the store: CHORD_CORRUPT,
 * saying what was wanted. */
chord_status chord_window_take(chord_window *window, uint64_t n, const char *what, const uint8_t **out,
                               chord_error *err);
/* Go past n bytes without reading them. */
chord_status chord_window_skip(chord_window *window, uint64_t n, const char *what, chord_error *err);
/* Go past count strings, each behind its length. */
chord_status chord_window_skip_texts(chord_window *window, uint64_t count, const char *what, chord_error *err);

/* Walk an array front to back: text points into the window and lives until the next call. */
typedef struct chord_gguf_walk {
    chord_window window;
    const chord_gguf_value *value;
    uint64_t index;
} chord_gguf_walk;
chord_status chord_gguf_walk_open(const chord_gguf *gguf, const chord_gguf_value *value, chord_gguf_walk *out,
                                  chord_error *err);
void chord_gguf_walk_close(chord_gguf_walk *walk);
chord_status chord_gguf_walk_text(chord_gguf_walk *walk, const char **text, size_t *len, chord_error *err);
chord_status chord_gguf_walk_number(chord_gguf_walk *walk, double *out, chord_error *err); /* exact for up to 53 bits */

/* ---- writing ---------------------------------------------------------------------------------- */

/* A file is put together front to back. The first failure is kept, and nothing goes out after it. */
typedef struct chord_gguf_writer {
    chord_status (*write)(void *ud, uint64_t offset, const void *bytes, size_t len, chord_error *err); /* NULL: only
                                                                                                           counts */
    void *ud;
    chord_error *err;
    chord_status status;
    uint64_t position;
    chord_hash *hash; /* gets what is put; NULL: none does */
    size_t held;      /* put, not written yet */
    uint8_t bytes[8192];
} chord_gguf_writer;
void chord_gguf_put(chord_gguf_writer *w, const void *bytes, size_t len);
void chord_gguf_put_zeros(chord_gguf_writer *w, uint64_t len);
void chord_gguf_put_counts(chord_gguf_writer *w, uint64_t tensors, uint64_t values); /* what a file begins with */
void chord_gguf_put_value(chord_gguf_writer *w, const chord_gguf *gguf,
                          const chord_gguf_value *value); /* as it stands */
/* An integer of that type. */
void chord_gguf_put_number(chord_gguf_writer *w, const char *key, chord_gguf_type type, uint64_t value);
void chord_gguf_put_text(chord_gguf_writer *w, const char *key, const char *text);
/* The elements are put behind it. */
void chord_gguf_put_array(chord_gguf_writer *w, const char *key, chord_gguf_type elem_type, uint64_t count);
/* The tensor's record with another type and place: an offset from the end of the header. */
void chord_gguf_put_tensor(chord_gguf_writer *w, const chord_tensor *tensor, uint32_t type, uint64_t offset);
chord_status chord_gguf_put_end(chord_gguf_writer *w); /* all is written, or the first failure */

#endif
