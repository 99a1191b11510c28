/* Arbitrary bytes as a template: it ends, with text or with a sentence, and leaves nothing behind. */
#include "fuzz.h"
#include "template/template.h"

static chord_heap *heap;
static chord_arena arena; /* the variables; they live as long as the process */
static chord_json *root;
static chord_error err;

static const char variables[] =
    "{\"s\":\"Hello World\",\"n\":7,\"neg\":-3,\"f\":2.5,\"t\":true,\"u\":null,\"e\":[],\"l\":[3,1,2],\"d\":{\"b\":2,\"a\":1},"
    "\"uni\":\"Gr\xC3\xBC\xC3\x9F\x65 \xE6\x97\xA5\",\"lines\":\"one\\ntwo\\n\\nthree\\n\",\"html\":\"<a href='x'>&\\\"</a>\","
    "\"users\":[{\"name\":\"Ann\",\"age\":30,\"tags\":[\"x\"]},{\"name\":\"bob\",\"age\":25}],"
    "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":1}]}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (heap == NULL) {
        MUST(chord_heap_open(UINT64_C(1) << 28, &heap, &err) == CHORD_OK);
        chord_arena_init(&arena, heap, 1 << 20, "variables");
        MUST(chord_json_parse(&arena, variables, sizeof variables - 1, &root, &err) == CHORD_OK);
    }
    uint64_t before = chord_heap_used_bytes(heap);
    chord_template_args args = {
        .text = (const char *)data, .len = size, .root = root, .open_reply = true, .bos = "<s>", .steps_max = 100000};
    chord_buffer out;
    chord_buffer_init(&out, heap, 1 << 24);
    err.text[0] = '\0';
    chord_status status = chord_template_run(heap, &args, &out, &err);
    /* raise_exception('') is an error with an empty sentence. */
    MUST(status == CHORD_OK || (out.len == 0 && (err.text[0] != '\0' || status == CHORD_INVALID)));
    for (size_t at = 0; at < out.len;) { /* what comes out of text is text */
        uint32_t code;
        size_t used = chord_utf8_decode(out.data + at, out.len - at, &code);
        MUST(used > 1 || (unsigned char)out.data[at] < 0x80);
        at += used;
    }
    chord_buffer_free(&out);
    MUST(chord_heap_used_bytes(heap) == before);
    return 0;
}
