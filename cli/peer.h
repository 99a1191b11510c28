/* peer.h - another program's benchmark, run beside ours. */
#ifndef CLI_PEER_H
#define CLI_PEER_H

#include "cli.h"

/* Runs llama-bench for one test, once after its warm-up, and takes its tokens per second. Reports its own failure. */
typedef struct cli_peer_test {
    const char *model;
    uint32_t threads, prompt, answer, depth;
} cli_peer_test;
int cli_peer_run(const char *program, const cli_peer_test *test, double *tokens_per_second);

#endif
