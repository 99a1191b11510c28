/* text.h - between text and token ids: vocabularies. */
#ifndef CHORD_TEXT_H
#define CHORD_TEXT_H

#include "gguf/gguf.h"

typedef struct chord_vocab chord_vocab;
/* Reads tokenizer.ggml.*: BPE ("gpt2", by its tokenizer.ggml.pre, and "gemma4"), SentencePiece ("llama") and its Unigram
 * ("t5"), WordPiece ("bert"), RWKV ("rwkv"), PLaMo 2 ("plamo2"). "none" and "no_vocab" say that the file has no vocabulary:
 * *out is NULL. Another model or an unknown pre-tokenizer is CHORD_UNSUPPORTED by name. Memory is drawn from heap once, at
 * open; encoding takes scratch from it and gives it back: 40 bytes for each byte of the longest piece (BPE), for each
 * character (SentencePiece), 17 for each byte of a text (Unigram, PLaMo). */
chord_status chord_vocab_open(chord_heap *heap, const chord_gguf *gguf, chord_vocab **out, chord_error *err);
void chord_vocab_close(chord_vocab *vocab);
/* What open would take from the heap, without building it (from the directory's counts; an upper bound). */
chord_status chord_vocab_estimate_bytes(const chord_gguf *gguf, uint64_t *out, chord_error *err);

uint32_t chord_vocab_size(const chord_vocab *vocab);
/* The ids that the reference runtime's tokenizer gives. PLAIN: text alone, though user-defined tokens are always found.
 * SPECIAL: special tokens inside text too, BOS and EOS (WordPiece: its separator) where the vocabulary asks for them; a text
 * that begins with BOS gets no second one. RAW: the same without EOS. Text is never refused for its bytes: where it is not
 * UTF-8, each bad byte is U+FFFD (BPE, PLaMo, Unigram), its own byte token (SentencePiece, RWKV) or nothing (WordPiece).
 * CHORD_CORRUPT: Unigram's map of characters leads out of itself there. CHORD_UNSUPPORTED: a PLaMo token whose score is the
 * mark of what is no token. */
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

#endif
