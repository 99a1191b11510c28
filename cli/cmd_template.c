/* cmd_template.c - messages through a chat template: what the model would read. */
#include "open.h"
#include "prompt.h"
#include "terminal.h"
#include "text_file.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct texts {
    char *messages, *template_text;
    size_t messages_len;
} texts;

/* Without a model: what BOS and EOS are is told on the command line. */
static chord_status render_alone(const cli_args *args, cli_open *o, const texts *t, char **text, size_t *len,
                                 chord_error *err)
{
    size_t cap = t->messages_len + 4096;
    *text = cli_alloc(NULL, cap);
    for (;;) {
        chord_status status = chord_template_render(o->runtime, t->template_text, t->messages, t->messages_len,
                                                    !args->no_generation_prompt, args->bos, args->eos, *text, cap, len,
                                                    err);
        if (status != CHORD_SHORT) return status;
        *text = cli_alloc(*text, cap = *len);
    }
}

static int show(const cli_args *args, cli_open *o, const texts *t)
{
    chord_error err;
    chord_status status;
    char *text = NULL;
    size_t len;
    if (args->model != NULL) {
        int code = cli_open_text(o, 0);
        if (code != CLI_OK) return code;
        status = cli_render(o->text, t->template_text, t->messages, t->messages_len, !args->no_generation_prompt, &text,
                            &len, &err);
    } else {
        status = render_alone(args, o, t, &text, &len, &err);
    }
    if (status == CHORD_OK) {
        cli_put(stdout, text, len);
        if (isatty(STDOUT_FILENO) && (len == 0 || text[len - 1] != '\n')) cli_put(stdout, "\n", 1);
    }
    free(text);
    return status == CHORD_OK ? cli_finish_output() : cli_fail_with(&err);
}

static int run(const cli_args *args)
{
    cli_open o = {0};
    texts t = {0};
    size_t len;
    if (args->model == NULL && args->template_file == NULL)
        return cli_usage(&cli_template, "which template? give a MODEL or --template-file F");
    if (args->messages == NULL)
        return cli_usage(&cli_template, "which messages? give --messages F.json, or - for stdin");
    if (args->model != NULL && (args->bos != NULL || args->eos != NULL))
        return cli_usage(&cli_template, "--bos and --eos go with --template-file alone: a model knows its own");
    int code = cli_read_text(args, CLI_TEXT_MESSAGES, args->messages, &t.messages, &t.messages_len);
    if (code == CLI_OK && args->template_file != NULL)
        code = cli_read_text(args, CLI_TEXT_TEMPLATE, args->template_file, &t.template_text, &len);
    if (code == CLI_OK) code = cli_open_runtime(args, &o);
    if (code == CLI_OK) code = show(args, &o, &t);
    free(t.messages);
    free(t.template_text);
    cli_close(&o);
    return code;
}

static const cli_option OPTIONS[] = {
    {"--messages", NULL, CLI_TEXT, CLI_FIELD(messages), "F",
     "JSON: a list of messages, or {\"messages\": [...], \"tools\": [...]}; - for stdin", 0, 0},
    {"--template-file", NULL, CLI_TEXT, CLI_FIELD(template_file), "F", "a template (Jinja) in place of the model's", 0,
     0},
    {"--no-generation-prompt", NULL, CLI_FLAG, CLI_FIELD(no_generation_prompt), NULL,
     "do not open the assistant's turn at the end", 0, 0},
    {"--bos", NULL, CLI_TEXT, CLI_FIELD(bos), "S", "bos_token, without a model", 0, 0},
    {"--eos", NULL, CLI_TEXT, CLI_FIELD(eos), "S", "eos_token, without a model", 0, 0},
    CLI_OPTION_MODEL,
};

const cli_command cli_template = {
    .name = "template",
    .summary = "messages through a chat template",
    .usage = "(MODEL | --template-file F) --messages F.json [options]",
    .text = "Prints the text that a model reads for a conversation, exactly as it is tokenised.",
    .examples = "  echo '[{\"role\": \"user\", \"content\": \"Hello\"}]' | chord template model.gguf --messages -\n"
                "  chord template --template-file chatml.jinja --messages talk.json --bos \"<s>\"\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 1,
    .reads = CLI_READS_HEADER,
    .run = run,
};
