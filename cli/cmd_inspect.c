/* cmd_inspect.c - what is in a GGUF file. */
#include "json_out.h"
#include "open.h"
#include "terminal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_SHOWN 8  /* of an array, in the table */
#define ITEMS_MAX 1000 /* of an array, in JSON */
#define VALUE_COLUMNS 70
#define FIRST_DEFAULT 16

typedef struct inspection {
    const cli_args *args;
    const chord_file *file;
    chord_file_info info;
} inspection;

/* The value as JSON text; free() it. */
static int value_text(const chord_file *file, uint64_t index, uint64_t items_max, char **text, size_t *len)
{
    chord_error err;
    size_t cap = 1024;
    *text = cli_alloc(NULL, cap);
    chord_status status = chord_file_value_text(file, index, items_max, *text, cap, len, &err);
    if (status == CHORD_SHORT) {
        *text = cli_alloc(*text, cap = *len);
        status = chord_file_value_text(file, index, items_max, *text, cap, len, &err);
    }
    if (status == CHORD_OK) return CLI_OK;
    free(*text);
    *text = NULL;
    return cli_fail_with(&err);
}

/* ---- tables --------------------------------------------------------------------------------------------- */

static int print_values(const inspection *in)
{
    for (uint64_t i = 0; i < in->info.values; i++) {
        char *text, type[64];
        size_t len;
        chord_file_value v;
        chord_file_value_at(in->file, i, &v);
        int code = value_text(in->file, i, ITEMS_SHOWN, &text, &len);
        if (code != CLI_OK) return code;
        if (v.elem_type != NULL) snprintf(type, sizeof type, "%s[%" PRIu64 "]", v.elem_type, v.count);
        else snprintf(type, sizeof type, "%s", v.type);
        size_t shown = len;
        if (shown > VALUE_COLUMNS)
            for (shown = VALUE_COLUMNS - 3; shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80; shown--) {
            } /* whole characters */
        cli_print("%-46s %-15s %.*s%s\n", v.key, type, (int)shown, text, shown < len ? "..." : "");
        free(text);
    }
    return CLI_OK;
}

static const char *shape_text(const chord_file_tensor *t, char *out, size_t cap)
{
    size_t used = 0;
    for (uint32_t i = 0; i < t->dims_count && used < cap; i++)
        used += (size_t)snprintf(out + used, cap - used, "%s%" PRIu64, i > 0 ? ", " : "", t->dims[i]);
    return out;
}

static void print_tensors(const inspection *in)
{
    cli_print("%-36s %-8s %-22s %15s %14s\n", "tensor", "type", "shape", "offset", "bytes");
    for (uint64_t i = 0; i < in->info.tensors; i++) {
        char shape[96] = "", part[24] = "";
        chord_file_tensor t;
        chord_file_tensor_at(in->file, i, &t);
        if (in->info.parts > 1) snprintf(part, sizeof part, "  part %u", t.part + 1);
        cli_print("%-36s %-8s %-22s %15" PRIu64 " %14" PRIu64 "%s%s\n", t.name, t.type,
                  shape_text(&t, shape, sizeof shape), t.offset, t.bytes, part, t.packed ? "  packed" : "");
    }
}

/* Bytes of experts, which lie together in tensors of three dimensions. */
static uint64_t expert_bytes(const inspection *in, uint64_t *experts)
{
    uint64_t bytes = 0;
    *experts = 0;
    for (uint64_t i = 0; i < in->info.tensors; i++) {
        chord_file_tensor t;
        chord_file_tensor_at(in->file, i, &t);
        if (strstr(t.name, "_exps.weight") == NULL || t.dims_count != 3) continue;
        bytes += t.bytes;
        *experts = t.dims[2];
    }
    return bytes;
}

static void print_mixture(const inspection *in)
{
    char all[32], one[32], rest[32];
    uint64_t experts, bytes = expert_bytes(in, &experts);
    if (bytes == 0) return;
    cli_print("mixture of %" PRIu64 " experts: %s, %s for one of each layer; %s are not experts'\n", experts,
              cli_size_text(bytes, all), cli_size_text(bytes / experts, one),
              cli_size_text(in->info.data_bytes - bytes, rest));
}

static int print_all(const inspection *in)
{
    char size[32], data[32];
    const chord_file_info *f = &in->info;
    cli_print("GGUF version %u, %s in %u part%s: %" PRIu64 " tensors, %.2f billion parameters, %s of weights\n",
              f->version, cli_size_text(f->file_bytes, size), f->parts, f->parts == 1 ? "" : "s", f->tensors,
              (double)f->parameters / 1e9, cli_size_text(f->data_bytes, data));
    if (f->packed_tensors > 0) cli_print("packed for streaming: %" PRIu64 " of the tensors\n", f->packed_tensors);
    print_mixture(in);
    cli_put(stdout, "\n", 1);
    int code = print_values(in);
    if (code != CLI_OK) return code;
    if (in->args->tensors) {
        cli_put(stdout, "\n", 1);
        print_tensors(in);
    }
    return cli_finish_output();
}

/* ---- JSON ---------------------------------------------------------------------------------------------------- */

static int put_values(const inspection *in, json_out *j)
{
    json_open(j, "metadata", '{');
    for (uint64_t i = 0; i < in->info.values; i++) {
        char *text;
        size_t len;
        chord_file_value v;
        chord_file_value_at(in->file, i, &v);
        int code = value_text(in->file, i, ITEMS_MAX, &text, &len);
        if (code != CLI_OK) return code;
        json_raw(j, v.key, text, len);
        free(text);
    }
    json_close(j, '}');
    return CLI_OK;
}

static void put_tensor(const chord_file_tensor *t, json_out *j)
{
    json_text(j, "name", t->name);
    json_text(j, "type", t->type);
    json_open(j, "shape", '[');
    for (uint32_t i = 0; i < t->dims_count; i++) json_u64(j, NULL, t->dims[i]);
    json_close(j, ']');
    json_u64(j, "part", t->part);
    json_u64(j, "offset", t->offset);
    json_u64(j, "bytes", t->bytes);
    json_bool(j, "packed", t->packed);
}

static void put_tensors(const inspection *in, json_out *j)
{
    json_open(j, "tensors", '[');
    for (uint64_t i = 0; i < in->info.tensors; i++) {
        chord_file_tensor t;
        chord_file_tensor_at(in->file, i, &t);
        json_open(j, NULL, '{');
        put_tensor(&t, j);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static int print_json_all(const inspection *in)
{
    json_out j = {0};
    const chord_file_info *f = &in->info;
    json_open(&j, NULL, '{');
    json_u64(&j, "version", f->version);
    json_u64(&j, "parts", f->parts);
    json_u64(&j, "file_bytes", f->file_bytes);
    json_u64(&j, "data_bytes", f->data_bytes);
    json_u64(&j, "parameters", f->parameters);
    uint64_t experts, bytes = expert_bytes(in, &experts);
    json_u64(&j, "experts", experts);
    json_u64(&j, "expert_bytes", bytes);
    json_u64(&j, "tensor_count", f->tensors);
    json_u64(&j, "packed_tensor_count", f->packed_tensors);
    int code = put_values(in, &j);
    if (in->args->tensors) put_tensors(in, &j);
    json_close(&j, '}');
    if (code == CLI_OK) code = json_print(&j);
    json_free(&j);
    return code;
}

/* ---- one tensor -------------------------------------------------------------------------------------------------- */

static bool find_tensor(const inspection *in, const char *name, chord_file_tensor *out)
{
    for (uint64_t i = 0; i < in->info.tensors; i++) {
        chord_file_tensor_at(in->file, i, out);
        if (strcmp(out->name, name) == 0) return true;
    }
    return false;
}

static int print_tensor(const inspection *in)
{
    chord_error err;
    chord_file_tensor t;
    size_t first = in->args->first != 0 ? in->args->first : FIRST_DEFAULT, got = 0;
    if (!find_tensor(in, in->args->tensor, &t))
        return cli_fail("%s has no tensor named '%s' (--tensors lists them)", in->args->model, in->args->tensor);
    float *values = cli_alloc(NULL, first * sizeof *values);
    chord_status status = chord_file_tensor_values(in->file, t.name, values, first, &got, &err);
    if (status == CHORD_OK && in->args->json) {
        json_out j = {0};
        json_open(&j, NULL, '{');
        put_tensor(&t, &j);
        json_open(&j, "values", '[');
        for (size_t i = 0; i < got; i++) json_f64(&j, NULL, (double)values[i]);
        json_close(&j, ']');
        json_close(&j, '}');
        json_print(&j);
        json_free(&j);
    } else if (status == CHORD_OK) {
        char shape[96] = "";
        cli_print("%s  %s  (%s)  offset %" PRIu64 ", %" PRIu64 " bytes\n", t.name, t.type,
                  shape_text(&t, shape, sizeof shape), t.offset, t.bytes);
        for (size_t i = 0; i < got; i++) cli_print("%.9g\n", (double)values[i]);
    }
    free(values);
    return status == CHORD_OK ? cli_finish_output() : cli_fail_with(&err);
}

static int run(const cli_args *args)
{
    chord_error err;
    cli_open o;
    chord_file *file = NULL;
    if (args->model == NULL) return cli_usage(&cli_inspect, "which file? give the path of a GGUF file");
    if (args->first != 0 && args->tensor == NULL) return cli_usage(&cli_inspect, "--first goes with --tensor NAME");
    int code = cli_open_runtime(args, &o);
    if (code == CLI_OK && chord_file_open(o.runtime, &o.source, &file, &err) != CHORD_OK) code = cli_fail_with(&err);
    if (code == CLI_OK) {
        inspection in = {.args = args, .file = file};
        chord_file_describe(file, &in.info);
        code = args->tensor != NULL ? print_tensor(&in) : args->json ? print_json_all(&in) : print_all(&in);
    }
    chord_file_close(file);
    cli_close(&o);
    return code;
}

static const cli_option OPTIONS[] = {
    {"--tensors", NULL, CLI_FLAG, CLI_FIELD(tensors), NULL,
     "also list the tensors: shapes fastest first, offsets from the start of the file", 0, 0},
    {"--tensor", NULL, CLI_TEXT, CLI_FIELD(tensor), "NAME", "one tensor and its first values as numbers", 0, 0},
    {"--first", NULL, CLI_U32, CLI_FIELD(first), "N", "how many values of it (default 16)", 1, 1 << 26},
    CLI_OPTION_JSON,
    CLI_OPTION_MODEL,
    CLI_OPTION_NO_CACHE,
};

const cli_command cli_inspect = {
    .name = "inspect",
    .summary = "what is in a GGUF file",
    .usage = "MODEL [options]",
    .text = "Prints the file's metadata, and on request its tensors or the first values of one. Reads no more of the "
            "file than that.",
    .examples = "  chord inspect model.gguf --tensors\n"
                "  chord inspect model.gguf --tensor blk.0.attn_q.weight --first 32 --json\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 1,
    .reads = CLI_READS_HEADER,
    .run = run,
};
