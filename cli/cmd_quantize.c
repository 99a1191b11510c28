/* cmd_quantize.c - a model's file written anew with its weights in fewer bits. */
#include "parts.h"
#include "rewrite.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

/* NAME=TYPE, taken apart; the memory is the caller's to free. */
static char *split_pairs(const cli_args *args, chord_tensor_type *out)
{
    size_t bytes = 1;
    for (uint32_t i = 0; i < args->stop_count; i++) bytes += strlen(args->stops[i]) + 1;
    char *memory = malloc(bytes), *at = memory;
    for (uint32_t i = 0; i < args->stop_count && memory != NULL; i++) {
        size_t len = strlen(args->stops[i]) + 1;
        memcpy(at, args->stops[i], len);
        char *equals = strrchr(at, '=');
        if (equals == NULL) continue;
        *equals = '\0';
        out[i] = (chord_tensor_type){.name = at, .type = equals + 1};
        at += len;
    }
    return memory;
}

static chord_status make(cli_rewrite *r, const chord_pack_target *target, chord_error *err)
{
    const cli_args *args = r->args;
    chord_tensor_type types[CLI_STOPS_MAX];
    chord_source importance = {.uri = args->importance};
    char *memory = split_pairs(args, types);
    if (memory == NULL) {
        *err = (chord_error){.status = CHORD_NO_MEMORY, .text = "no memory for the names of tensors"};
        return CHORD_NO_MEMORY;
    }
    chord_quantize_options options = {.importance = args->importance != NULL ? &importance : NULL,
                                      .output_type = args->output_type,
                                      .token_embedding_type = args->token_type,
                                      .tensor_types = types,
                                      .tensor_type_count = args->stop_count,
                                      .pure = args->pure,
                                      .part_bytes = args->split_bytes,
                                      .on_bytes = cli_rewrite_progress,
                                      .ud = r};
    chord_status status = chord_quantize(r->open.runtime, &r->open.source, args->words[1], &options, target, err);
    free(memory);
    return status;
}

/* "model-q4.gguf: 386.4 MB in 1 part, 4.91 bits a weight (of 1.2 GB, 16.01)". */
static int describe(cli_rewrite *r, const char *path)
{
    chord_file *file = NULL;
    chord_file_info from = {0}, to = {0};
    char size[32], size_from[32];
    int code = cli_rewrite_open(r, r->args->model, &file, &from);
    chord_file_close(file);
    file = NULL;
    if (code == CLI_OK) code = cli_rewrite_open(r, path, &file, &to);
    chord_file_close(file);
    if (code != CLI_OK) return code;
    double weights = to.parameters != 0 ? (double)to.parameters : 1;
    cli_print("%s: %s in %u part%s, %.2f bits a weight (%s and %.2f before)\n", path,
              cli_size_text(to.file_bytes, size), to.parts, to.parts == 1 ? "" : "s",
              8 * (double)to.data_bytes / weights, cli_size_text(from.file_bytes, size_from),
              8 * (double)from.data_bytes / weights);
    return CLI_OK;
}

static int run(const cli_args *args)
{
    cli_rewrite r = {.args = args};
    if (args->model == NULL) return cli_usage(&cli_quantize, "which file? give the path of a GGUF file");
    if (args->words[0] == NULL) return cli_usage(&cli_quantize, "and the name of the new file?");
    if (args->words[1] == NULL) return cli_usage(&cli_quantize, "and the type? such as Q4_K_M or Q8_0");
    for (uint32_t i = 0; i < args->stop_count; i++)
        if (strchr(args->stops[i], '=') == NULL)
            return cli_usage(&cli_quantize, "--tensor-type takes NAME=TYPE, such as ffn_down=Q6_K, not '%s'",
                             args->stops[i]);
    int code = cli_open_runtime(args, &r.open);
    if (code == CLI_OK) code = cli_rewrite_run(&r, "quantising", make);
    if (code == CLI_OK) code = describe(&r, cli_parts_first());
    cli_close(&r.open);
    return code == CLI_OK ? cli_finish_output() : code;
}

static const cli_option OPTIONS[] = {
    {"--imatrix", NULL, CLI_TEXT, CLI_FIELD(importance), "FILE",
     "an importance matrix of this model (a GGUF file of llama-imatrix): columns that matter more err less", 0, 0},
    {"--tensor-type", NULL, CLI_TEXTS, CLI_FIELD(stops), "NAME=TYPE",
     "the format of the tensors whose names have NAME in them (* stands for anything), such as ffn_down=Q6_K; may be "
     "given several times, the first that fits counts",
     0, 0},
    {"--output-type", "--output-tensor-type", CLI_TEXT, CLI_FIELD(output_type), "TYPE",
     "the format of the output matrix", 0, 0},
    {"--token-embedding-type", NULL, CLI_TEXT, CLI_FIELD(token_type), "TYPE", "the format of the token embeddings", 0,
     0},
    {"--pure", NULL, CLI_FLAG, CLI_FIELD(pure), NULL, "no mix: all weights in the format that TYPE is named for", 0, 0},
    {"--split", NULL, CLI_SIZE, CLI_FIELD(split_bytes), "SIZE",
     "several files of at most SIZE (a larger tensor has one of its own): OUT-00001-of-00003.gguf ...", 0, 0},
    {"--force", "-f", CLI_FLAG, CLI_FIELD(force), NULL, "replace OUT where it is there already", 0, 0},
    CLI_OPTIONS_MACHINE,
    CLI_OPTION_MODEL,
};

const cli_command cli_quantize = {
    .name = "quantize",
    .summary = "write a model's file anew with its weights in fewer bits",
    .usage = "IN OUT TYPE [options]",
    .text =
        "Writes OUT with the metadata of IN and its weights as TYPE says; any program that reads GGUF files reads it. "
        "Good choices are Q4_K_M (about 4.9 bits a weight), Q5_K_M (5.7), Q6_K (6.6) and Q8_0 (8.5, hardly to be told "
        "from the original). The types, from the largest: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, "
        "Q4_K_M, Q4_K_S, Q4_1, Q4_0, IQ4_NL, IQ4_XS, MXFP4_MOE (experts as MXFP4, the rest as Q8_0), Q3_K_L, Q3_K_M, "
        "Q3_K_S, Q2_K, Q2_K_S. Those "
        "with a K and IQ4 are mixes: tensors to which a model is more sensitive get more bits. IN is best in F32, F16 or "
        "BF16; from a file that is quantised already the errors add up. OUT appears when it is whole. The model need "
        "not fit in memory: some 20 MiB are enough for any.",
    .examples = "  chord quantize model-f16.gguf model-q4.gguf Q4_K_M\n"
                "  chord quantize model-f16.gguf small.gguf Q3_K_M --imatrix imatrix.gguf\n"
                "  chord quantize model-f16.gguf mine.gguf Q4_K_S --tensor-type 'blk.0.*=Q8_0' --output-type Q8_0\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 3,
    .run = run,
};
