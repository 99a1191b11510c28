/* options.h - one table-driven parser for all commands: a command is a table of options and a function. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli.h"

#include <stddef.h>

#define CLI_WORDS_MAX 16 /* the most that words_max of a command says */
#define CLI_STOPS_MAX 16 /* of an option that may be given several times */

/* Everything a command line can say. A command sets what it wants other than zero before parsing. */
typedef struct cli_args {
    const char *words[CLI_WORDS_MAX]; /* after the options: MODEL and what follows it */
    uint32_t word_count;
    const char *model;
    const chord_source *reader; /* of a model that is on its way, in place of the file; NULL: the file */
    const char *prompt, *file, *system, *template_file, *messages, *bos, *eos, *ids, *tensor, *cpu, *draft, *peer,
        *requantize, *kv_dir, *grammar, *grammar_file, *schema, *schema_file, *peer_model, *bench_parallel, *importance,
        *output_type, *token_type, *host, *unix_path, *api_key_file, *alias;
    const char *stops[CLI_STOPS_MAX];
    uint32_t stop_count;
    uint64_t memory_bytes, draft_bytes, kv_dir_bytes, seed, split_bytes;
    int64_t predict, prefetch, chunks; /* -1: no limit, not given, all */
    uint32_t threads, context, chunk, first, bench_prompt, bench_depth, repetitions, top_k, draft_tokens, parallel,
        shared, patience, port, connections, queue, timeout, kv_tokens;
    float temperature, top_p, min_p, typical_p, repeat_penalty, presence_penalty, frequency_penalty;
    uint32_t kv_type, policy, mode; /* choices: positions in the option's list */
    bool raw, json, no_repack, tensors, special, no_generation_prompt, probe, verbose, no_history, ignore_end,
        seed_given, plain, verify, force, pure, no_auth, no_early_status, offline, no_cache, allow_http, newest;
} cli_args;

typedef enum cli_kind {
    CLI_FLAG,
    CLI_TEXT,
    CLI_TEXTS,
    CLI_U32,
    CLI_U64,
    CLI_I64,
    CLI_SIZE,
    CLI_F32,
    CLI_CHOICE
} cli_kind;

typedef struct cli_option {
    const char *name;    /* "--memory" */
    const char *aliases; /* "-c --ctx-size", or NULL; the first is shown by --help when it is one letter */
    cli_kind kind;
    size_t field;      /* offset in cli_args */
    const char *value; /* "SIZE"; of CLI_CHOICE: "auto|mapped|paged" */
    const char *help;
    double low, high; /* numbers; both 0: any */
} cli_option;

/* What a command reads of its model: so much must be here before it begins. */
typedef enum cli_reads {
    CLI_READS_FILE,   /* all of it, from a file */
    CLI_READS_HEADER, /* little */
    CLI_READS_PASSES, /* all of it, as passes need it */
    CLI_READS_NOTHING /* it has none */
} cli_reads;

typedef struct cli_command {
    const char *name, *summary, *usage; /* usage: what follows "chord NAME " */
    const char *text;                   /* what it does, for --help */
    const char *examples;               /* lines */
    const cli_option *options;
    size_t option_count;
    uint32_t words_max; /* words after the options, MODEL included */
    cli_reads reads;
    void (*defaults)(cli_args *args); /* may be NULL */
    int (*run)(const cli_args *args);
} cli_command;

extern const cli_command cli_run, cli_batch, cli_chat, cli_plan, cli_inspect, cli_tokenize, cli_template,
    cli_perplexity, cli_bench, cli_pack, cli_quantize, cli_pull, cli_models;

/* By its name or an alias; NULL: the command has none such. */
const cli_option *cli_find_option(const cli_command *command, const char *name);
/* CLI_OK, or CLI_USAGE after saying what is wrong. *help: --help was asked for. */
int cli_parse(const cli_command *command, int argc, char **argv, cli_args *args, bool *help);
/* How many words of a line this one begins: 0, it is no option of the command; 1, a flag or a value behind =; 2. */
int cli_option_words(const cli_command *command, const char *word);
void cli_print_help(const cli_command *command, FILE *out);
/* "512M", "1.5G", "4096": bytes; K, M, G are powers of 1024. */
bool cli_size(const char *text, uint64_t *out);
/* The nearest of count names to a misspelt one, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *names, size_t count);
/* "chord: NAME: <sentence>" and where help is; returns CLI_USAGE. */
int cli_usage(const cli_command *command, const char *format, ...) CLI_LIKE_PRINTF(2, 3);

/* ---- options that several commands take ------------------------------------------------------------- */

#define CLI_FIELD(name) offsetof(cli_args, name)

#define CLI_PARALLEL_MAX 64
#define CLI_OPTION_PARALLEL(help) {"--parallel", "-np", CLI_U32, CLI_FIELD(parallel), "N", help, 1, CLI_PARALLEL_MAX}
#define CLI_OPTION_JSON \
    {"--json", NULL, CLI_FLAG, CLI_FIELD(json), NULL, "print one JSON object and nothing else", 0, 0}

/* clang-format off */
#define CLI_OPTIONS_FETCH                                                                                          \
    {"--offline", NULL, CLI_FLAG, CLI_FIELD(offline), NULL, "of models from elsewhere, only what is in the cache", 0, 0}, \
    {"--allow-http", NULL, CLI_FLAG, CLI_FIELD(allow_http), NULL,                                                  \
     "take models from other machines without TLS, too", 0, 0},                                                    \
    {"--patience", NULL, CLI_U32, CLI_FIELD(patience), "SECONDS",                                                  \
     "so long may a connection bring next to nothing (default 30); waits between attempts are in proportion", 1, 3600}
#define CLI_OPTION_MODEL                                                                                           \
    {"--model", "-m", CLI_TEXT, CLI_FIELD(model), "MODEL",                                                         \
     "the model, instead of as the first word: a file, a URL, hf:OWNER/REPO[:TAG] or ollama:NAME[:TAG] (`chord help pull`)", 0, 0}, \
    CLI_OPTIONS_FETCH
#define CLI_OPTION_NO_CACHE                                                                                        \
    {"--no-cache", NULL, CLI_FLAG, CLI_FIELD(no_cache), NULL,                                                      \
     "keep nothing of a model from elsewhere: what does not stay in memory comes over the network for each pass", 0, 0}
#define CLI_OPTION_MEMORY                                                                                          \
    {"--memory", NULL, CLI_SIZE, CLI_FIELD(memory_bytes), "SIZE",                                                  \
     "everything this process may use, such as 512M or 1.5G (default: what the machine or container has to give)", \
     0, 0}
#define CLI_OPTIONS_MACHINE                                                                                        \
    CLI_OPTION_MEMORY,                                                                                             \
    {"--threads", "-t", CLI_U32, CLI_FIELD(threads), "N",                                                          \
     "compute threads (default: the cores within the CPU quota)", 1, 256},                                         \
    {"--cpu", NULL, CLI_TEXT, CLI_FIELD(cpu), "NAME",                                                              \
     "no faster kernels than ref, avx2 or avx512 (Arm: ref, neon or neon-dot); the results are the same", 0, 0},    \
    {"--verbose", "-v", CLI_FLAG, CLI_FIELD(verbose), NULL, "also say what is merely informative", 0, 0}

#define CLI_OPTIONS_MODEL(context_help)                                                     \
    {"--ctx", "-c --ctx-size", CLI_U32, CLI_FIELD(context), "N", context_help, 1, 1 << 24}, \
    {"--kv-type", NULL, CLI_CHOICE, CLI_FIELD(kv_type), "f16|q8_0",                         \
     "how the KV cache is kept; q8_0 halves it and changes results", 0, 0},                 \
    {"--policy", NULL, CLI_CHOICE, CLI_FIELD(policy), "plan|lru|none",                      \
     "who stays in memory; lru and none are there to be compared with", 0, 0},              \
    {"--prefetch", NULL, CLI_I64, CLI_FIELD(prefetch), "N",                                 \
     "read at most N tiles ahead; 0: none (default: as many as fit)", 0, 1 << 20},          \
    {"--no-repack", NULL, CLI_FLAG, CLI_FIELD(no_repack), NULL,                             \
     "leave weights as the file has them, shared between processes", 0, 0},                 \
    {"--mode", NULL, CLI_CHOICE, CLI_FIELD(mode), "auto|mapped|paged",                      \
     "map the file or stream it (auto: map when all of it fits)", 0, 0},                    \
    {"--chunk", NULL, CLI_U32, CLI_FIELD(chunk), "N",                                       \
     "most prompt tokens in one pass (default: as the memory allows)", 1, 65536},           \
    {"--requantize", NULL, CLI_TEXT, CLI_FIELD(requantize), "TYPE", \
     "quantise weights that are larger in the file to TYPE (Q4_0, Q4_K, Q6_K, Q8_0, ...) when they are read, so that more of them stay in memory; changes results", 0, 0}

#define CLI_OPTIONS_KV_DIR                                                                                             \
    {"--kv-dir", NULL, CLI_TEXT, CLI_FIELD(kv_dir), "DIR",                                                             \
     "keep what was evaluated of texts in DIR, in files of 64 tokens, and find it again there: a prompt, or the "      \
     "beginning of one, is evaluated once, also after a restart; results stay the same. Who can read DIR can read "    \
     "the texts",                                                                                                      \
     0, 0},                                                                                                            \
    {"--kv-dir-size", NULL, CLI_SIZE, CLI_FIELD(kv_dir_bytes), "SIZE",                                                 \
     "most that DIR may have, what was used least lately goes (default: 16G, or a tenth of the free disk)", 0, 0}

#define CLI_DRAFT_TOKENS_DEFAULT 16
#define CLI_OPTIONS_DRAFT_MODEL                                                                                        \
    {"--draft", "-md --model-draft", CLI_TEXT, CLI_FIELD(draft), "MODEL",                                              \
     "a small model of the same vocabulary that guesses ahead; several guesses are checked in one pass over the "      \
     "weights, and the text stays the same",                                                                           \
     0, 0},                                                                                                            \
    {"--draft-memory", NULL, CLI_SIZE, CLI_FIELD(draft_bytes), "SIZE",                                                 \
     "how much of --memory the draft model gets (default: what is expected to be fastest)", 0, 0}
#define CLI_OPTION_DRAFT_MAX(help) \
    {"--draft-max", "--draft-n", CLI_U32, CLI_FIELD(draft_tokens), "N", help, 0, 32}
#define CLI_OPTIONS_DRAFT    \
    CLI_OPTIONS_DRAFT_MODEL, \
        CLI_OPTION_DRAFT_MAX("most tokens guessed ahead for one pass, with or without a draft model (default 16; 0: none)")

/* Where 0 is taken, it means 0: the API's "0: off" is cli_sampling's business. */
#define CLI_OPTIONS_SAMPLING(temperature_help, top_p_help, seed_help)                            \
    {"--temp", "--temperature", CLI_F32, CLI_FIELD(temperature), "T", temperature_help, 0, 100}, \
    {"--top-k", NULL, CLI_U32, CLI_FIELD(top_k), "K",                                            \
     "draw from the K likeliest tokens (default 0: all)", 0, 1 << 24},                           \
    {"--top-p", NULL, CLI_F32, CLI_FIELD(top_p), "P", top_p_help, 0, 1},                         \
    {"--min-p", NULL, CLI_F32, CLI_FIELD(min_p), "P",                                            \
     "drop tokens less likely than P times the likeliest (default 0: none)", 0, 1},                                \
    {"--typical", "--typical-p", CLI_F32, CLI_FIELD(typical_p), "P",                             \
     "locally typical sampling with mass P (default 1: off)", 0, 1},                                              \
    {"--repeat-penalty", NULL, CLI_F32, CLI_FIELD(repeat_penalty), "R",                          \
     "make tokens of the last 64 less likely (default 1: off)", 0.01, 100},                                 \
    {"--presence-penalty", NULL, CLI_F32, CLI_FIELD(presence_penalty), "R",                      \
     "a fixed amount off for tokens that stood there", -100, 100},                               \
    {"--frequency-penalty", NULL, CLI_F32, CLI_FIELD(frequency_penalty), "R",                    \
     "an amount off for each time they stood there", -100, 100},                                 \
    {"--seed", "-s", CLI_U64, CLI_FIELD(seed), "S", seed_help, 0, 0},  \
    {"--stop", NULL, CLI_TEXTS, CLI_FIELD(stops), "TEXT",                                        \
     "end the text where TEXT would appear; may be given several times", 0, 0}
/* clang-format on */

#endif
