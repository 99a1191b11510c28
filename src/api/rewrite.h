/* rewrite.h - a model's file written anew, part by part: who asks for it says which values are added and what becomes of
 * each tensor; where all that goes, and in how many parts, is the same for all. */
#ifndef CHORD_REWRITE_H
#define CHORD_REWRITE_H

#include "api/api_inner.h"

#define CHORD_REWRITE_ALIGNMENT 4096u /* of tensors: what direct reads want */

typedef struct chord_rewrite_tensor {
    const chord_tensor *from;
    uint64_t bytes, offset; /* of what is written; in its part, from the end of the header */
    uint32_t type, part;    /* type: as the file says it */
} chord_rewrite_tensor;

typedef struct chord_rewrite chord_rewrite;
struct chord_rewrite {
    chord_heap *heap;
    chord_files files;
    const chord_pack_target *target;
    uint64_t part_bytes; /* of one file at most; 0: one file for all */
    chord_on_bytes on_bytes;
    void *on_bytes_ud;
    chord_rewrite_tensor *tensors; /* in the order of the file */
    uint64_t count;
    uint32_t parts, part;
    uint64_t *hashes;                 /* of tensors, then of the parts' headers; NULL: nobody asks */
    uint64_t done_bytes, total_bytes; /* of the source */
    chord_gguf_writer writer;
    bool (*leaves_out)(const char *key); /* values of the source that are not carried over; NULL: all are */
    uint64_t (*put_values)(chord_rewrite *,
                           chord_gguf_writer *); /* the first part's further ones: how many; NULL: only that */
    chord_status (*put_tensor)(chord_rewrite *, const chord_rewrite_tensor *, chord_hash *, chord_error *);
    void *ud;
};

/* The source and room for its tensors, which the caller lists. */
chord_status chord_rewrite_open(chord_rewrite *w, chord_runtime *runtime, const chord_source *source, chord_error *err);
void chord_rewrite_close(chord_rewrite *w);
/* What goes where. */
chord_status chord_rewrite_place(chord_rewrite *w, chord_error *err);
chord_status chord_rewrite_parts(chord_rewrite *w, chord_error *err);
/* Bytes of a tensor of which so many of the source were read. */
chord_status chord_rewrite_put(chord_rewrite *w, const void *bytes, uint64_t len, uint64_t read, chord_hash *hash,
                               chord_error *err);
/* Once more, in the part that is at hand. */
chord_status chord_rewrite_piece(void *w, uint64_t offset, const void *bytes, size_t len, chord_error *err);

#endif
