/* job.h - what a guest without the interpreter of chat templates asks of its host, and what the interpreter's own module gives.
 *
 * A page downloads and compiles what it runs: the interpreter is a quarter of the code, for a model's chats alone. So the
 * modules for the web leave it out (asked.c), and it is a module by itself (alone.c), which the host loads beside them: an
 * instance for each run, thrown away with its memory. Modules for chord_host.h have it inside. */
#ifndef CHORD_TEMPLATE_JOB_H
#define CHORD_TEMPLATE_JOB_H

#include "template/template.h"

/* Addresses and lengths of `template_texts` texts, then what is no text. bos, eos: with the zero behind them; 0, 0:
 * undefined. */
typedef struct template_job {
    uint64_t text, text_len, messages, messages_len, bos, bos_size, eos, eos_size;
    int64_t now_unix_s;
    uint64_t open_reply;
} template_job;
_Static_assert(sizeof(template_job) == 80, "web/src/guest/template.ts knows it");

/* What a run gives: the text, or the sentence of its failure. */
#define TEMPLATE_IMPORT(name) __attribute__((import_module("chord_template_v1"), import_name(#name)))
TEMPLATE_IMPORT(run) int32_t template_asked_run(const template_job *job); /* a chord_status */
TEMPLATE_IMPORT(result_len) size_t template_asked_len(void);
TEMPLATE_IMPORT(result) void template_asked_result(char *to);

#define TEMPLATE_EXPORT(name) __attribute__((export_name(#name))) name
void *TEMPLATE_EXPORT(template_place)(size_t bytes); /* NULL: there is no memory */
int32_t TEMPLATE_EXPORT(template_run)(const template_job *job);
const char *TEMPLATE_EXPORT(template_result)(void);
size_t TEMPLATE_EXPORT(template_result_len)(void);

#endif
