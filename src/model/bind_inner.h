/* bind_inner.h - what the files that bind tensors by name share. */
#ifndef CHORD_BIND_INNER_H
#define CHORD_BIND_INNER_H

#include "model/model_inner.h"

#define CHORD_NO_KIND "" /* the name has no suffix */

/* Which part of a tensor is meant: rows of a matrix, or elements of a vector. */
typedef struct chord_part {
    const char *name;
    uint32_t layer; /* or CHORD_NO_LAYER */
    uint64_t first, count, all;
    uint64_t each; /* of a vector for each expert, head or channel: elements of one; 0: there is one vector */
} chord_part;

/* bind_parts.c */
chord_part chord_whole(const char *name, uint32_t layer, uint64_t count);
/* NAME.KIND, or blk.LAYER.NAME.KIND; without .KIND where it is CHORD_NO_KIND. NULL: there is none. */
const chord_tensor *chord_find_tensor(const chord_gguf *gguf, const char *name, const char *kind, uint32_t layer,
                                      char full[128]);
bool chord_is_there(const chord_gguf *gguf, const char *name, uint32_t layer); /* NAME.weight */
/* *out stays NULL till the vectors are loaded, and when an optional one is not there. */
chord_status chord_bind_vector(chord_blueprint *p, const chord_gguf *gguf, const float **out, chord_part v,
                               bool optional, const char *kind, chord_error *err);
chord_status chord_bind_matrix(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, chord_part m,
                               uint64_t columns, chord_error *err); /* nothing but the tensor's rows */
chord_status chord_bind_weight(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, chord_part m,
                               uint64_t columns, chord_error *err); /* with its bias */
chord_status chord_bind_norm(chord_blueprint *p, const chord_gguf *gguf, chord_norm *out, chord_part v,
                             chord_error *err);
/* A matrix of m.count rows for each of so many heads. */
chord_status chord_bind_heads(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, chord_part m,
                              uint64_t heads, uint64_t columns, chord_error *err);
/* Rows that are read one by one. */
chord_status chord_bind_table(chord_blueprint *p, const chord_gguf *gguf, chord_table which, const char *name,
                              uint64_t rows, uint64_t columns, chord_error *err);

/* bind_mixers.c */
chord_status chord_bind_mixer(chord_blueprint *p, const chord_gguf *gguf, uint32_t layer, chord_error *err);
/* How residual streams are mixed: NAME_fn, NAME_base, NAME_scale. */
chord_status chord_bind_mixing(chord_blueprint *p, const chord_gguf *gguf, chord_mixing *out, const char *name,
                               uint32_t layer, chord_error *err);

/* bind_ff.c */
chord_status chord_bind_ff(chord_blueprint *p, const chord_gguf *gguf, uint32_t layer, chord_error *err);

#endif
