/* form.c - grammars and schemas for answers. */
#include "form.h"

#include "text_file.h"

#include <stdlib.h>
#include <string.h>

int cli_form_begin(const cli_command *command, const cli_args *a, cli_open *o)
{
    int count = (a->grammar != NULL) + (a->grammar_file != NULL) + (a->schema != NULL) + (a->schema_file != NULL);
    if (count > 1)
        return cli_usage(command,
                         "an answer has one form: --grammar, --grammar-file, --json-schema or --json-schema-file");
    if (count > 0 && a->ignore_end)
        return cli_usage(command, "--ignore-eos: an answer of a form ends where the form does");
    o->options.grammars = count > 0;
    return CLI_OK;
}

int cli_form_open(const cli_args *a, cli_open *o)
{
    chord_error err;
    char *read = NULL;
    const char *file = a->grammar_file != NULL ? a->grammar_file : a->schema_file,
               *text = a->grammar != NULL ? a->grammar : a->schema;
    size_t len = text != NULL ? strlen(text) : 0;
    if (!o->options.grammars) return CLI_OK;
    if (file != NULL) {
        int code = cli_read_text(a, CLI_TEXT_MESSAGES, file, &read, &len);
        if (code != CLI_OK) return code;
    }
    chord_grammar_kind kind = a->grammar != NULL || a->grammar_file != NULL ? CHORD_GRAMMAR_GBNF
                                                                            : CHORD_GRAMMAR_JSON_SCHEMA;
    chord_status status = chord_grammar_open(o->text, kind, file != NULL ? read : text, len, NULL, &o->grammar, &err);
    free(read);
    return status == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}
