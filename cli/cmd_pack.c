/* cmd_pack.c - a model's file written anew so that it streams at full speed. */
#include "parts.h"
#include "rewrite.h"
#include "terminal.h"

#include <stddef.h>

/* ---- verify ------------------------------------------------------------------------------------------- */

static int verify(cli_rewrite *p, const char *path)
{
    chord_error err;
    chord_file *file = NULL;
    chord_file_info info;
    int code = cli_rewrite_open(p, path, &file, &info);
    if (code != CLI_OK) return code;
    cli_rewrite_begin(p, "verifying");
    chord_status status = chord_file_verify(file, cli_rewrite_progress, p, &err);
    cli_live_clear(&p->open.live);
    if (status == CHORD_OK) cli_print("%s: all %" PRIu64 " tensors are what was packed\n", path, info.tensors);
    chord_file_close(file);
    return status == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}

/* ---- pack ---------------------------------------------------------------------------------------------- */

static int describe(cli_rewrite *p, const char *path)
{
    chord_file *file = NULL;
    chord_file_info info;
    char size[32];
    int code = cli_rewrite_open(p, path, &file, &info);
    if (code != CLI_OK) return code;
    cli_print("%s: %s in %u part%s, %" PRIu64 " of %" PRIu64 " tensors packed\n", path,
              cli_size_text(info.file_bytes, size), info.parts, info.parts == 1 ? "" : "s", info.packed_tensors,
              info.tensors);
    chord_file_close(file);
    return CLI_OK;
}

static chord_status make(cli_rewrite *p, const chord_pack_target *target, chord_error *err)
{
    chord_pack_options options = {
        .part_bytes = p->args->split_bytes, .plain = p->args->plain, .on_bytes = cli_rewrite_progress, .ud = p};
    return chord_pack(p->open.runtime, &p->open.source, &options, target, err);
}

static int pack(cli_rewrite *p)
{
    int code = cli_rewrite_run(p, "packing", make);
    if (code == CLI_OK) code = describe(p, cli_parts_first());
    return code == CLI_OK && p->args->verify ? verify(p, cli_parts_first()) : code;
}

static int run(const cli_args *args)
{
    cli_rewrite p = {.args = args};
    if (args->model == NULL) return cli_usage(&cli_pack, "which file? give the path of a GGUF file");
    if (args->words[0] == NULL && !args->verify)
        return cli_usage(&cli_pack, "and the name of the packed file? (or --verify)");
    if (args->words[0] == NULL && (args->plain || args->force || args->split_bytes != 0))
        return cli_usage(&cli_pack, "--split, --plain and --force go with the name of a file to write");
    int code = cli_open_runtime(args, &p.open);
    if (code == CLI_OK) code = args->words[0] != NULL ? pack(&p) : verify(&p, args->model);
    cli_close(&p.open);
    return code == CLI_OK ? cli_finish_output() : code;
}

static const cli_option OPTIONS[] = {
    {"--split", NULL, CLI_SIZE, CLI_FIELD(split_bytes), "SIZE",
     "several files of at most SIZE (a larger tensor has one of its own): OUT-00001-of-00003.gguf ...", 0, 0},
    {"--plain", NULL, CLI_FLAG, CLI_FIELD(plain), NULL,
     "order and align only: the rows stay as every program reads them; unpacks a packed IN", 0, 0},
    {"--verify", NULL, CLI_FLAG, CLI_FIELD(verify), NULL,
     "read it all again and compare the hashes in it; without OUT: those of IN, and write nothing", 0, 0},
    {"--force", "-f", CLI_FLAG, CLI_FIELD(force), NULL, "replace OUT where it is there already", 0, 0},
    CLI_OPTION_MEMORY,
    {"--verbose", "-v", CLI_FLAG, CLI_FIELD(verbose), NULL, "also say what is merely informative", 0, 0},
    CLI_OPTION_MODEL,
};

const cli_command cli_pack = {
    .name = "pack",
    .summary = "write a model's file anew so that it streams at full speed",
    .usage = "IN OUT [options]",
    .text =
        "Writes OUT with the metadata of IN, the weights in the order in which a pass reads them, and in the form "
        "that kernels compute with, so that none is rearranged when it comes from the disk. The answers are those "
        "of IN, to the bit. chord alone reads OUT, and a later chord may ask for it to be packed again: keep IN, or "
        "unpack OUT with --plain. A --plain OUT is in order, too, and every program reads it. OUT appears when it "
        "is whole. --memory is hardly needed: a few MiB are enough for any model.",
    .examples = "  chord pack model.gguf packed.gguf --verify\n"
                "  chord pack model.gguf packed.gguf --split 4G\n"
                "  chord pack --verify packed.gguf\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 2,
    .run = run,
};
