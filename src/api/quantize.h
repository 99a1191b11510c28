/* quantize.h - which format each tensor of a model gets. */
#ifndef CHORD_QUANTIZE_H
#define CHORD_QUANTIZE_H

#include "api/rewrite.h"

/* A name such as Q4_K_M: what most tensors become, and the number the file says it by (general.file_type). */
typedef struct chord_mix {
    const char *name, *alias; /* alias: NULL, or what it is called for short */
    uint32_t file_type;
    chord_type base;
} chord_mix;
const chord_mix *chord_mix_find(const char *name, chord_error *err); /* NULL: there is none */

/* What the choice of formats depends on besides the tensors. */
typedef struct chord_mix_choice {
    const chord_mix *mix;
    const chord_quantize_options *options;
    chord_type output, token_embedding; /* CHORD_TYPE_ID_MAX: as the mix has it */
    bool weighed;                       /* there are importances */
} chord_mix_choice;
chord_status chord_mix_choose(chord_rewrite *f, const chord_mix_choice *choice, chord_error *err);

/* A matrix that nobody would leave as it is when a model is quantised; a table that is read row by row is none. */
bool chord_tensor_is_quantised(const chord_tensor *tensor);

/* A format by its name, in any case, that tensors can be written in. */
chord_status chord_encodable(const char *name, chord_type *out, chord_error *err);

#endif
