/* vocab_inner.h - the vocabulary's private parts: one block of memory laid out at open, and the steps of encoding.
 *
 * Text goes: special tokens cut out (vocab_encode.c) -> pieces by the pre-tokenizer (pretoken_table.c, BPE only)
 * -> symbols that merge by priority (merge.c) under the rules of bpe.c or spm.c -> ids. The other kinds look up which tokens
 * a text begins with (prefix.c): wordpiece_libc.c, unigram.c, rwkv.c, plamo.c. */
#ifndef CHORD_VOCAB_INNER_H
#define CHORD_VOCAB_INNER_H

#include "text/text.h"

/* Ids and merge ranks share a 32-bit slot with an 8-bit tag that spares most string comparisons. */
#define CHORD_VOCAB_COUNT_MAX ((1u << 24) - 2)
#define CHORD_VOCAB_TOKEN_BYTES_MAX 32768u    /* below the reading window, so that reading never grows it */
#define CHORD_VOCAB_TEXT_BYTES_MAX (1u << 30) /* positions are 32-bit, and escaping may triple a text */
#define CHORD_VOCAB_ENDS_MAX 32
#define CHORD_NO_PRIORITY UINT32_MAX
#define CHORD_SPACE_MARK "\xE2\x96\x81" /* U+2581 stands for a space in SentencePiece's tokens */

/* What a token is, as bits: several can hold at once. */
enum {
    CHORD_TOKEN_UNKNOWN = 1,
    CHORD_TOKEN_CONTROL = 2,
    CHORD_TOKEN_USER = 4,
    CHORD_TOKEN_NORMAL = 8,
    CHORD_TOKEN_BYTE = 16,
    CHORD_TOKEN_STRIP_RIGHT = 32, /* white space after it belongs to it */
    CHORD_TOKEN_STRIP_LEFT = 64,  /* and before it */
    CHORD_TOKEN_LISTED = 128      /* while a vocabulary is read: prefix.c knows it */
};
#define CHORD_TOKEN_SPECIAL (CHORD_TOKEN_UNKNOWN | CHORD_TOKEN_CONTROL | CHORD_TOKEN_USER)

/* Values of tokenizer.ggml.model. */
typedef enum chord_vocab_kind {
    CHORD_VOCAB_BPE,           /* "gpt2", "gemma4" */
    CHORD_VOCAB_SENTENCEPIECE, /* "llama" */
    CHORD_VOCAB_WORDPIECE,     /* "bert" */
    CHORD_VOCAB_UNIGRAM,       /* "t5" */
    CHORD_VOCAB_RWKV,          /* "rwkv" */
    CHORD_VOCAB_PLAMO          /* "plamo2" */
} chord_vocab_kind;

typedef struct chord_pretoken chord_pretoken;
typedef struct chord_pair {
    uint32_t left, right;
} chord_pair;

struct chord_vocab {
    chord_heap *heap;
    uint64_t secret; /* of the heap: texts and merges are looked up by it */
    uint32_t count;
    chord_vocab_kind kind;
    const chord_pretoken *pretoken; /* BPE only */
    bool add_bos, add_eos, add_space_prefix;
    bool merge_spaces;             /* Unigram: runs of spaces count as one */
    bool lowercase, strip_accents; /* WordPiece */
    int32_t bos, eos, unknown;     /* -1: none */
    int32_t last;                  /* what ends a text where add_eos: EOS, of WordPiece the separator */
    int32_t ends[CHORD_VOCAB_ENDS_MAX];
    uint32_t end_count;
    int32_t byte_token[256];   /* -1: the vocabulary has none for this byte */
    uint32_t byte_symbol[256]; /* BPE only: what the byte is in merges, CHORD_NO_SYMBOL: in none */

    /* Token texts as the file has them, end to end: token i is text[start[i]] .. text[start[i + 1]]. */
    char *text;
    uint32_t *start;
    uint8_t *attr;
    uint32_t text_bytes, token_bytes_max;
    uint32_t *slots, slot_count; /* text -> id: tag << 24 | id + 1; 0: empty */

    float *scores;      /* SentencePiece, Unigram, PLaMo */
    chord_pair *merges; /* BPE only: by rank */
    uint32_t *merged;   /* rank -> the symbol it makes */
    uint32_t *merge_slots, merge_slot_count;

    /* Tokens in the order of their bytes; behind them (Unigram) once more those that the user defined. */
    uint32_t *listed, listed_count, user_count;
    /* Unigram: the map of characters as the file has it, its nodes, and what an unknown character scores. */
    uint8_t *charsmap;
    uint32_t charsmap_bytes, charsmap_nodes, charsmap_replacements; /* in bytes; how many; where they begin */
    float unknown_score;

    /* Lengths that special tokens have, longest first, and for each first byte which of them may begin with it: a set of
     * so many words. One block of its own. */
    uint32_t *special_length, special_length_count, special_words;
    uint64_t *special_by_byte;
};

/* The symbols that merges join are tokens or, from the count of tokens on, texts that are no token: what they join may be
 * one again. */
#define CHORD_NO_SYMBOL UINT32_MAX

static inline uint32_t chord_vocab_len(const chord_vocab *v, uint32_t id) { return v->start[id + 1] - v->start[id]; }

/* The block of so many lengths of special tokens. */
static inline uint64_t chord_vocab_special_bytes(uint64_t lengths)
{
    return 256 * ((lengths + 63) / 64) * sizeof(uint64_t) + lengths * sizeof(uint32_t);
}
static inline uint32_t chord_vocab_slot_of(uint64_t hash, uint32_t slot_count)
{
    return (uint32_t)((hash >> 32) * slot_count >> 32);
}
/* vocab_find.c. The slot of a text, of a merge: where it is, or where it would go. */
uint32_t *chord_vocab_text_slot(const chord_vocab *v, uint64_t hash, const char *text, size_t len);
uint32_t *chord_vocab_merge_slot(const chord_vocab *v, chord_pair pair);
uint64_t chord_vocab_hash_pair(const chord_vocab *v, chord_pair pair);
/* -1: no such token. sum: the text's chord_name_sum with the vocabulary's secret. */
int32_t chord_vocab_find_summed(const chord_vocab *v, const char *text, size_t len, uint64_t sum);
int32_t chord_vocab_find(const chord_vocab *v, const char *text, size_t len);
/* Rank of the merge of two symbols; CHORD_NO_PRIORITY: they do not merge. */
uint32_t chord_vocab_merge_rank(const chord_vocab *v, uint32_t left, uint32_t right);

/* A string of metadata into a small buffer, terminated; missing or longer: "". */
chord_status chord_vocab_short_text(const chord_gguf *gguf, const char *key, char *out, size_t cap, chord_error *err);

/* vocab_merges.c: reads tokenizer.ggml.merges, and which symbol each byte is. */
chord_status chord_vocab_read_merges(chord_vocab *v, chord_gguf_walk *walk, chord_error *err);
/* Which tokens end generation, which are special by name, and which eat white space: vocab_roles.c. */
chord_status chord_vocab_assign_roles(chord_vocab *v, const chord_gguf *gguf, chord_error *err);

/* ---- encoding ---------------------------------------------------------------------------------- */

/* Where ids go: counts all, writes what fits. */
typedef struct chord_id_sink {
    int32_t *out;
    size_t cap, count;
} chord_id_sink;
static inline void chord_id_put(chord_id_sink *sink, int32_t id)
{
    if (sink->count < sink->cap) sink->out[sink->count] = id;
    sink->count++;
}

chord_status chord_bpe_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                              chord_error *err);
/* Byte-level tokens spell each byte as a code point of its own: writes it, at most 2 bytes; and back (-1: none). */
size_t chord_bpe_spell(uint8_t byte, char *out);
int32_t chord_bpe_byte_of(uint32_t code);
chord_status chord_spm_encode(const chord_vocab *v, const char *text, size_t len, bool space_first, chord_id_sink *sink,
                              chord_error *err);
/* Spaces become CHORD_SPACE_MARK, one more of them before the text when space_first; returns the bytes. out NULL: only
 * that. */
size_t chord_escape_spaces(const char *text, size_t len, bool space_first, char *out);
/* Bytes of a character by its first one alone, as the reference cuts them: broken ones stay together too. */
size_t chord_character_bytes(char first);
/* CHORD_UNSUPPORTED where it is left out. */
chord_status chord_wordpiece_allowed(chord_error *err);
chord_status chord_wordpiece_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                    chord_error *err);
chord_status chord_unigram_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                  chord_error *err);
/* charsmap.c: takes the map apart; and what a text is once it has been through the map and its spaces are marked,
 * appended to out. */
chord_status chord_charsmap_open(chord_vocab *v, chord_error *err);
chord_status chord_charsmap_normalise(const chord_vocab *v, const char *text, size_t len, chord_buffer *out,
                                      chord_error *err);
void chord_rwkv_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink);
/* A token as RWKV's files write it: its bytes into out, which has room for len; returns how many. */
size_t chord_rwkv_unescape(const char *text, size_t len, char *out);
chord_status chord_plamo_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                chord_error *err);

/* ---- tokens by their bytes ------------------------------------------------------------------------- */

/* ids[low..high) begin with the bytes that were stepped over, depth of them. */
typedef struct chord_prefix {
    const uint32_t *ids;
    uint32_t low, high, depth;
} chord_prefix;
void chord_prefix_index(chord_vocab *v);
chord_prefix chord_prefix_start(const chord_vocab *v, bool user);
bool chord_prefix_step(const chord_vocab *v, chord_prefix *p, char byte); /* whether any token goes on so */
int32_t chord_prefix_token(const chord_vocab *v, const chord_prefix *p);  /* that ends here, -1: none */
/* The longest token that text begins with, -1: none. */
int32_t chord_prefix_longest(const chord_vocab *v, const char *text, size_t len, size_t *bytes);

/* A list of symbols in which the neighbours of the best priority (lowest number, then leftmost) join until none can. */
typedef struct chord_merger {
    const chord_vocab *vocab;
    const char *text;      /* SentencePiece: what the symbols are cut from */
    uint32_t count, cap;   /* symbols */
    uint32_t *value;       /* BPE: symbol; SentencePiece: where the symbol starts (one more entry: the text's end) */
    uint32_t *prev, *next; /* neighbours; count: none */
    uint32_t *priority;    /* of the pair that starts here */
    uint64_t *queue;       /* priority << 32 | symbol, a binary heap */
    uint32_t queue_count;
    uint32_t (*priority_of)(const struct chord_merger *m, uint32_t left, uint32_t right);
    void *memory;
} chord_merger;
/* Makes room for count symbols; what was there is lost. Free with chord_merger_free. */
chord_status chord_merger_reserve(chord_merger *m, uint32_t count, chord_error *err);
void chord_merger_free(chord_merger *m);
/* value[0..count) is set: join. Afterwards symbols are walked from 0 by next. */
void chord_merger_run(chord_merger *m);

/* ---- pre-tokenizers ------------------------------------------------------------------------------ */

#define CHORD_PRETOKEN_STEPS_MAX 7
enum {
    CHORD_PRETOKEN_WHOLE = 1,        /* a piece that is a token needs no merges */
    CHORD_PRETOKEN_ADD_BOS = 2,      /* unless the file says otherwise */
    CHORD_PRETOKEN_NO_BOS = 4,       /* there is none unless the file names one */
    CHORD_PRETOKEN_CHARACTERS = 8,   /* merges join characters, not bytes, and bytes are "<0x41>" */
    CHORD_PRETOKEN_SPACE_MARKS = 16, /* and spaces are CHORD_SPACE_MARK */
    CHORD_PRETOKEN_GEMMA = 32        /* BOS whatever the file says; line breaks that are a token need no merges */
};
struct chord_pretoken {
    const char *names;                       /* values of tokenizer.ggml.pre, with spaces between */
    uint8_t steps[CHORD_PRETOKEN_STEPS_MAX]; /* pretoken_table.c; 0: no more */
    uint8_t flags;
};
const chord_pretoken *chord_pretoken_find(const char *name); /* NULL: unknown */
/* A step cuts the next piece off text[begin..end), of which begin..at is cut already, at < end, and returns where it ends
 * (> at). Text is canonical UTF-8. */
size_t chord_pretoken_cut(uint32_t step, const char *text, size_t begin, size_t at, size_t end);

/* ---- canonical UTF-8 ------------------------------------------------------------------------------ */

/* Decodes as the reference does: surrogates and overlong forms pass; anything else malformed is U+FFFD and one byte.
 * at < end. Returns the bytes used. */
size_t chord_lenient_decode(const char *text, size_t at, size_t end, uint32_t *code);
/* Its bytes, though they may stand for a code point beyond U+10FFFF; 0: malformed. */
size_t chord_lenient_bytes(const char *text, size_t at, size_t end);
/* Bytes that text takes once every code point is written in its shortest form; *same: it already is. */
size_t chord_canonical_bytes(const char *text, size_t len, bool *same);
void chord_canonical_write(const char *text, size_t len, char *out);
/* One code point in its shortest form, even a surrogate; at most 4 bytes. */
size_t chord_canonical_put(uint32_t code, char *out);
/* Han characters, by the blocks that the reference lists (pretoken.c). */
bool chord_is_han(uint32_t code);

#endif
