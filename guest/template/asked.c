/* asked.c - the room template of modules whose host runs the interpreter elsewhere. */
#include "job.h"

static void put(uint64_t *at, uint64_t *len, const char *text, size_t bytes)
{
    *at = (uintptr_t)text;
    *len = bytes;
}

static chord_status take_text(size_t len, chord_buffer *out, chord_error *err)
{
    void *text;
    CHORD_TRY(chord_alloc(out->heap, len, "what a template made", &text, err));
    template_asked_result(text);
    chord_status status = chord_buffer_append(out, text, len, err);
    chord_free(out->heap, text);
    return status;
}

chord_status chord_template_run(chord_heap *heap, const chord_template_args *args, chord_buffer *out, chord_error *err)
{
    (void)heap;
    template_job job = {.now_unix_s = args->now_unix_s, .open_reply = args->open_reply};
    put(&job.text, &job.text_len, args->text, args->len);
    put(&job.messages, &job.messages_len, args->messages, args->messages_len);
    if (args->bos != NULL) put(&job.bos, &job.bos_size, args->bos, strlen(args->bos) + 1);
    if (args->eos != NULL) put(&job.eos, &job.eos_size, args->eos, strlen(args->eos) + 1);
    chord_status status = (chord_status)template_asked_run(&job);
    size_t len = template_asked_len();
    if (status == CHORD_OK) return take_text(len, out, err);
    char sentence[sizeof err->text] = "the host cannot run templates";
    if (len > 0 && len < sizeof sentence) {
        template_asked_result(sentence);
        sentence[len] = '\0';
    }
    return chord_fail(err, status, "%s", sentence);
}
