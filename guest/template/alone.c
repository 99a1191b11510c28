/* alone.c - the interpreter of chat templates as a module. */
#include "job.h"

#define MEMORY_MAX \
    (4 * CHORD_TEMPLATE_MEMORY_MAX) /* the messages, what a run makes of them, its text, what it was given */

static chord_heap *heap;
static chord_buffer made;
static chord_error error;

static chord_status open_heap(void) { return heap != NULL ? CHORD_OK : chord_heap_open(MEMORY_MAX, &heap, &error); }

void *template_place(size_t bytes)
{
    void *p = NULL;
    if (open_heap() != CHORD_OK) return NULL;
    return chord_alloc(heap, bytes, "what a template is given", &p, &error) == CHORD_OK ? p : NULL;
}

static const char *text_at(uint64_t address) { return (const char *)(uintptr_t)address; }

static chord_status run(const template_job *job)
{
    chord_arena arena;
    const chord_json *root;
    CHORD_TRY(open_heap());
    chord_arena_init(&arena, heap, CHORD_TEMPLATE_MEMORY_MAX, "the messages");
    chord_buffer_init(&made, heap, CHORD_TEMPLATE_OUTPUT_MAX);
    CHORD_TRY(chord_template_root(&arena, text_at(job->messages), job->messages_len, &root, &error));
    chord_template_args args = {.text = text_at(job->text),
                                .len = job->text_len,
                                .root = root,
                                .open_reply = job->open_reply != 0,
                                .bos = text_at(job->bos),
                                .eos = text_at(job->eos),
                                .now_unix_s = job->now_unix_s};
    return chord_template_run(heap, &args, &made, &error);
}

int32_t template_run(const template_job *job) { return (int32_t)run(job); }

const char *template_result(void) { return error.status == CHORD_OK ? made.data : error.text; }
size_t template_result_len(void) { return error.status == CHORD_OK ? made.len : strlen(error.text); }
