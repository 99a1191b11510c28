/* thoughts.c - thoughts of answers, shown dimly or kept apart. */
#include "thoughts.h"

#include "terminal.h"

#include <string.h>

void cli_thoughts_open(cli_thoughts *t, const chord_model *model, const char *template_text, const char *prompt,
                       size_t len, chord_generate_options *options)
{
    chord_reply_options o = {.template_text = template_text, .prompt = prompt, .prompt_len = len};
    t->reply = NULL;
    t->dim = false;
    if (chord_reply_open(model, &o, &t->reply, NULL) != CHORD_OK) return; /* then all of it is said */
    options->specials = chord_reply_specials(t->reply, &options->special_count);
    if (options->special_count > 0) return;
    options->specials = NULL;
    chord_reply_close(t->reply);
    t->reply = NULL;
}

static void show(cli_thoughts *t, bool thinks, const chord_reply_event *e)
{
    if (t->dim != thinks) cli_put_style(stdout, thinks ? CLI_DIM : CLI_PLAIN);
    if (t->dim && !thinks) cli_put(stdout, "\n\n", 2);
    t->dim = thinks;
    cli_put(stdout, e->text, e->len);
}

static void take(void *ud, const chord_reply_event *e)
{
    cli_thoughts *t = ud;
    bool thinks = e->part == CHORD_REPLY_REASONING;
    json_out *to = thinks ? t->thought : t->said;
    if (to != NULL) json_append(to, e->text, e->len);
    if (t->show) show(t, thinks, e);
}

bool cli_thoughts_take(cli_thoughts *t, const char *text, size_t len)
{
    if (t->reply == NULL) return false;
    if (chord_reply_feed(t->reply, text, len, take, t, NULL) == CHORD_OK) return true;
    cli_note("there is no memory to tell what is thought from what is said: the rest comes as it is");
    cli_thoughts_close(t);
    return false;
}

void cli_thoughts_close(cli_thoughts *t)
{
    if (t->reply != NULL) (void)chord_reply_end(t->reply, take, t, NULL);
    if (t->dim) cli_put_style(stdout, CLI_PLAIN);
    t->dim = false;
    chord_reply_close(t->reply);
    t->reply = NULL;
}
