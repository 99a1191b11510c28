/* text.h - between text and token ids: vocabularies, JSON, chat templates.
 *
 * All input is bounded: nesting, steps and bytes have limits named here, and going past one is an
 * error with its place. */
#ifndef CHORD_TEXT_H
#define CHORD_TEXT_H

#include "gguf/gguf.h"

/* ---- vocabulary ------------------------------------------------------------------------------ */

typedef struct chord_vocab chord_vocab;
/* Reads tokenizer.ggml.*: byte-level BPE ("gpt2", by its tokenizer.ggml.pre) and SentencePiece ("llama"). Another
 * model or an unknown pre-tokenizer is CHORD_UNSUPPORTED by name. Memory is drawn from heap once, at open;
 * encoding takes scratch from it and gives it back: 40 bytes for each byte of the longest piece (BPE), for each
 * character (SentencePiece). */
chord_status chord_vocab_open(chord_heap *heap, const chord_gguf *gguf, chord_vocab **out, chord_error *err);
void chord_vocab_close(chord_vocab *vocab);
/* What open would take from the heap, without building it (from the directory's counts; an upper bound). */
chord_status chord_vocab_estimate_bytes(const chord_gguf *gguf, uint64_t *out, chord_error *err);

uint32_t chord_vocab_size(const chord_vocab *vocab);
/* The ids that the reference runtime's tokenizer gives. PLAIN: text alone, though user-defined tokens are always found.
 * SPECIAL: special tokens inside text too, BOS and EOS where the vocabulary asks for them; a text that begins with BOS
 * gets no second one. RAW: the same without EOS. Text is never refused for its bytes: where it is not UTF-8, each bad
 * byte is U+FFFD (BPE) or its own byte token (SentencePiece). */
chord_status chord_vocab_encode(const chord_vocab *vocab, const char *text, size_t len, chord_tokenize_mode mode,
                                int32_t *out, size_t cap, size_t *need, chord_error *err);
/* A token's bytes (may be part of a character); control tokens give nothing unless special. Appends to out. The space
 * that SentencePiece puts before a text stands in its first token: leaving it out is the caller's matter.
 * CHORD_INVALID: id out of range. */
chord_status chord_vocab_decode(const chord_vocab *vocab, int32_t token, bool special, chord_buffer *out,
                                chord_error *err);
int32_t chord_vocab_bos(const chord_vocab *vocab); /* -1: none */
int32_t chord_vocab_eos(const chord_vocab *vocab);
/* EOS, EOT, EOM and end tokens the reference knows by name ("<|im_end|>", "<end_of_turn>", ...). */
bool chord_vocab_is_end(const chord_vocab *vocab, int32_t token);

/* ---- JSON (RFC 8259) --------------------------------------------------------------------------- */

typedef enum chord_json_kind {
    CHORD_JSON_NULL,
    CHORD_JSON_BOOL,
    CHORD_JSON_INT,
    CHORD_JSON_FLOAT,
    CHORD_JSON_TEXT,
    CHORD_JSON_LIST,
    CHORD_JSON_OBJECT
} chord_json_kind;
typedef struct chord_json chord_json;
struct chord_json {
    chord_json_kind kind;
    bool boolean;
    int64_t integer; /* CHORD_JSON_INT: fits 64 bits; larger numbers become CHORD_JSON_FLOAT */
    double number;
    const char *text;   /* terminated UTF-8; may hold zero bytes: use len */
    size_t len;         /* bytes of text, or items of a list or object */
    chord_json **items; /* list items or object values, in order */
    chord_json **keys;  /* object keys (CHORD_JSON_TEXT); duplicates: the last one wins its place stays the first's */
};
#define CHORD_JSON_DEPTH_MAX 64
/* The tree lives in arena. Errors name line and column. */
chord_status chord_json_parse(chord_arena *arena, const char *text, size_t len, chord_json **out, chord_error *err);
const chord_json *chord_json_get(const chord_json *object, const char *key); /* NULL: not an object, or no such key */
/* Append text as a JSON string with quotes. Invalid UTF-8 becomes U+FFFD. */
chord_status chord_json_quote(chord_buffer *out, const char *text, size_t len, chord_error *err);

/* ---- chat templates: Jinja as Hugging Face's transformers runs it -------------------------------- */

/* Settings: trim_blocks, lstrip_blocks, loop controls, the generation tag, keep_trailing_newline off; raise_exception,
 * strftime_now, tojson (ensure_ascii off), namespace, range, dict, cycler and joiner. Sandboxed: lists and mappings
 * cannot be changed. Every template ends: after at most CHORD_TEMPLATE_STEPS_MAX steps, each of which is one node, item or
 * comparison, 64 bytes copied, compared or hashed, or 16 bytes looked at one by one (seconds in all, whatever the template
 * says); output and memory stay within the ceilings given (CHORD_BUDGET), and the stack within 192 KiB. A construct we lack is CHORD_UNSUPPORTED with line and column; a syntax error
 * CHORD_CORRUPT, another error of the template CHORD_INVALID, both with their place; raise_exception is CHORD_INVALID
 * with its message alone. Lacking: inheritance, include and import, autoescape; integers beyond 64 bits; powers with a
 * fraction; %e and %g. */
#define CHORD_TEMPLATE_STEPS_MAX 20000000ull
#define CHORD_TEMPLATE_OUTPUT_MAX (16 * CHORD_MIB)
#define CHORD_TEMPLATE_MEMORY_MAX (64 * CHORD_MIB)
typedef struct chord_template_args {
    const char *text;
    size_t len;
    const chord_json *root; /* an object: its members become template variables ("messages", "tools", ...) */
    bool open_reply;        /* add_generation_prompt */
    const char *bos, *eos;  /* bos_token, eos_token; NULL: undefined */
    int64_t now_unix_s;     /* for strftime_now */
    uint64_t steps_max;     /* 0: CHORD_TEMPLATE_STEPS_MAX */
} chord_template_args;
chord_status chord_template_run(chord_heap *heap, const chord_template_args *args, chord_buffer *out, chord_error *err);

#endif
