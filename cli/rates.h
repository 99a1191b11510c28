/* rates.h - what this machine was seen to do, kept in $XDG_CACHE_HOME/wasm-chord/rates.json (or below ~/.cache). */
#ifndef CLI_RATES_H
#define CLI_RATES_H

#include "cli.h"

/* 0: not known. */
typedef struct cli_rates {
    double disk_bytes_per_s;    /* reads from the model's file system, measured by `bench --probe` */
    double memory_bytes_per_s;  /* all threads reading memory, measured by `bench --probe` */
    double weights_bytes_per_s; /* weights computed with when nothing has to be waited for: seen while decoding */
    double guesses_right;       /* the share of a draft model's guesses that were right with this model */
    double expert_habit;        /* hits of experts are (part of them in memory)^habit: 1 by chance, less with habits */
    bool from_network;          /* what streams comes over the network: disk_bytes_per_s is that of the link */
    bool weights_of_model;      /* seen with this model, not only with some model */
} cli_rates;

void cli_rates_load(const char *model, uint32_t threads, cli_rates *out);
/* Keep what is not 0. No place to keep it is no failure; one that is full is worth a note. */
void cli_rates_save(const char *model, uint32_t threads, const cli_rates *rates);

/* What a host was seen to give to downloads; 0: not known. */
double cli_rates_network(const char *host);
void cli_rates_keep_network(const char *host, double bytes_per_s);

/* $VARIABLE/wasm-chord/name, or ~/fallback/wasm-chord/name; makes the folders. false: no such place. */
bool cli_state_path(const char *variable, const char *fallback, const char *name, char *out, size_t cap);

#endif
