/* template_tool - renders one chat template, for compare_templates.py:
 *     template_tool --template-file F --messages F.json [--no-generation-prompt] [--bos S] [--eos S] [--now SECONDS]
 * Text to stdout; an error as "status: sentence" to stderr and exit 1. */
#include "template/template.h"

#include <stdio.h>
#include <stdlib.h>

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    size_t cap = 1 << 16;
    char *data = malloc(cap);
    for (*len = 0;;) {
        size_t n = fread(data + *len, 1, cap - *len, file);
        if (n == 0) break;
        *len += n;
        if (*len == cap) data = realloc(data, cap *= 2);
    }
    fclose(file);
    return data;
}

static chord_status render(const char *template, size_t template_len, const char *messages, size_t messages_len,
                           chord_template_args *args, chord_error *err)
{
    chord_heap *heap;
    chord_arena arena;
    chord_buffer out;
    chord_json *root;
    CHORD_TRY(chord_heap_open(UINT64_C(1) << 30, &heap, err));
    chord_arena_init(&arena, heap, UINT64_C(1) << 28, "messages");
    chord_buffer_init(&out, heap, 64 * CHORD_MIB);
    chord_status status = chord_json_parse(&arena, messages, messages_len, &root, err);
    args->text = template;
    args->len = template_len;
    args->root = root;
    if (status == CHORD_OK) status = chord_template_run(heap, args, &out, err);
    fwrite(out.data, 1, out.len, stdout);
    chord_buffer_free(&out);
    chord_arena_free(&arena);
    chord_heap_close(heap);
    return status;
}

int main(int argc, char **argv)
{
    const char *template_path = "", *messages_path = "";
    chord_template_args args = {.open_reply = true};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (chord_text_equal(argv[i], "--no-generation-prompt")) args.open_reply = false;
        else if (more && chord_text_equal(argv[i], "--template-file")) template_path = argv[++i];
        else if (more && chord_text_equal(argv[i], "--messages")) messages_path = argv[++i];
        else if (more && chord_text_equal(argv[i], "--bos")) args.bos = argv[++i];
        else if (more && chord_text_equal(argv[i], "--eos")) args.eos = argv[++i];
        else if (more && chord_text_equal(argv[i], "--now")) args.now_unix_s = atoll(argv[++i]);
    }
    size_t template_len, messages_len;
    char *template = read_file(template_path, &template_len), *messages = read_file(messages_path, &messages_len);
    if (template == NULL || messages == NULL) return fprintf(stderr, "a file cannot be read\n"), 2;
    chord_error err = {0};
    chord_status status = render(template, template_len, messages, messages_len, &args, &err);
    if (status != CHORD_OK) fprintf(stderr, "%s: %s\n", chord_status_text(status), err.text);
    free(template);
    free(messages);
    return status != CHORD_OK;
}
