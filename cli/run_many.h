/* run_many.h - `chord run --parallel N`. */
#ifndef CLI_RUN_MANY_H
#define CLI_RUN_MANY_H

#include "open.h"

/* One answer for each session of `open`, to one prompt. */
int cli_run_many(const cli_args *args, cli_open *open, const int32_t *ids, size_t id_count);

#endif
