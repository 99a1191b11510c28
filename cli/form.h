/* form.h - the form that an answer is to have, as the command line says: a grammar or a JSON schema. */
#ifndef CLI_FORM_H
#define CLI_FORM_H

#include "open.h"

/* Before the text model is opened: memory for a grammar is wanted, when there is one. CLI_USAGE: there are several. */
int cli_form_begin(const cli_command *command, const cli_args *args, cli_open *o);
/* With the text model there. */
int cli_form_open(const cli_args *args, cli_open *o);

#endif
