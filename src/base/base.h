/* base.h - what every room stands on: status and error text, counted memory, bounded input, number <-> text,
 * threads, clock. Two faces implement it: hosted (POSIX), WASI (one thread) and
 * freestanding (WebAssembly, no libc; threads where its host has some).
 *
 * No room above the programs may include a libc header other than the freestanding ones of C17 (stdint, stddef,
 * stdbool, stdarg, limits, float, inttypes' PRI macros through this file); what it needs comes from here. */
#ifndef CHORD_BASE_H
#define CHORD_BASE_H

#include "chord.h"

#include <stdarg.h>
#include <stdatomic.h>

/* ---- the few words C leaves to a library --------------------------------------------------- */

/* A guest of chord_host_v1: no libc, the host's services. (A WASI command has a libc and is not one.) */
#if defined(__wasm__) && !defined(__wasi__)
#define CHORD_FREESTANDING 1
#endif

#if defined(CHORD_FREESTANDING)
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *text);
#define PRIu64 "llu"
#define PRIi64 "lld"
#define PRIx64 "llx"
#else
#include <inttypes.h>
#include <string.h>
#endif

#define CHORD_LIKE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define CHORD_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CHORD_MIB ((uint64_t)1048576)

/* assert is for our own bugs only; input never reaches one. */
#ifdef NDEBUG
#define CHORD_ASSERT(condition) ((void)0)
#else
#define CHORD_ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())
#endif

static inline uint64_t chord_min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t chord_max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline uint64_t chord_ceil_div(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }
/* unit is a power of two. */
static inline uint64_t chord_align_up(uint64_t value, uint64_t unit) { return (value + unit - 1) & ~(unit - 1); }
static inline uint64_t chord_align_down(uint64_t value, uint64_t unit) { return value & ~(unit - 1); }

static inline bool chord_text_equal(const char *a, const char *b)
{
    size_t n = strlen(a);
    return n == strlen(b) && memcmp(a, b, n) == 0;
}

/* Little endian, any alignment. Every host we build for is little endian (checked in base.c). */
/* clang-format off */
static inline uint16_t chord_load_u16(const void *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint32_t chord_load_u32(const void *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint64_t chord_load_u64(const void *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }
static inline float chord_load_f32(const void *p) { float v; memcpy(&v, p, sizeof v); return v; }
/* clang-format on */

/* ---- status and error text ----------------------------------------------------------------- */

#define CHORD_TRY(call)                          \
    do {                                         \
        chord_status status_ = (call);           \
        if (status_ != CHORD_OK) return status_; \
    } while (0)

/* Writes the sentence and returns status, so that a failing line reads `return chord_fail(...)`. err may be NULL. */
chord_status chord_fail(chord_error *err, chord_status status, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
/* The same, ending in the system's name for os_errno. */
chord_status chord_fail_os(chord_error *err, chord_status status, int os_errno, const char *format, ...)
    CHORD_LIKE_PRINTF(4, 5);

/* ---- number <-> text ----------------------------------------------------------------------- */

/* A small vsnprintf: %d %i %u %x %X %c %s %p %% with l, ll, z; width, '-', '0', precision for %s and %f; %f
 * (exact, round half to even), %g (shortest text that reads back as the same double). Returns the length the whole
 * text has; writes at most cap bytes including the terminator (cap 0: writes nothing). */
size_t chord_vformat(char *out, size_t cap, const char *format, va_list args);
size_t chord_format(char *out, size_t cap, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
/* Shortest decimal text that reads back as value, as Python's repr(float) writes it ("1.0", "1e+16", "inf").
 * out holds at least 32 bytes; returns the length. */
size_t chord_f64_to_text(double value, char *out);
/* Reads a decimal number (JSON's grammar, leading '+' or '.' tolerated) correctly rounded. Returns the bytes used,
 * 0 when there is no number. */
size_t chord_text_to_f64(const char *text, size_t len, double *out);
/* Whole decimal text -> number; false when empty, not a number, or out of range. */
bool chord_text_to_u64(const char *text, size_t len, uint64_t *out);
static inline uint32_t chord_hex_digit(char c) /* 16: it is none */
{
    char low = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? (uint32_t)(c - '0') : low >= 'a' && low <= 'f' ? (uint32_t)(low - 'a') + 10 : 16;
}

/* ---- memory that is counted ----------------------------------------------------------------- */

/* Every byte the library owns comes from a heap: an allocator with a ceiling. Thread-safe. Allocation from 64 KiB
 * are whole pages given back to the system when freed; smaller ones are counted with their header. */
typedef struct chord_heap chord_heap;
chord_status chord_heap_open(uint64_t ceiling_bytes, chord_heap **out, chord_error *err);
void chord_heap_close(chord_heap *heap); /* asserts that all was freed */
uint64_t chord_heap_used_bytes(const chord_heap *heap);
uint64_t chord_heap_peak_bytes(const chord_heap *heap);
uint64_t chord_heap_ceiling_bytes(const chord_heap *heap);

/* Zeroed, 64-byte aligned. Fails with CHORD_BUDGET (ceiling) or CHORD_NO_MEMORY; the sentence names `what` and the
 * numbers. bytes 0 gives a valid pointer. */
chord_status chord_alloc(chord_heap *heap, uint64_t bytes, const char *what, void **out, chord_error *err);
void chord_free(chord_heap *heap, void *p); /* NULL does nothing */

/* Regions for weights, KV and scratch: whole pages, 2 MiB aligned when they are that large (asks for huge pages),
 * zeroed, charged to the heap. touch: every page is made resident now, so that a budget that lies dies here; lock:
 * also mlock where the system allows it (never an error). */
typedef struct chord_region {
    void *base;
    uint64_t bytes;
} chord_region;
chord_status chord_region_open(chord_heap *heap, uint64_t bytes, const char *what, bool touch, bool lock,
                               chord_region *out, chord_error *err);
void chord_region_close(chord_heap *heap, chord_region *region);

/* Count bytes that are not the heap's own memory against its ceiling. */
chord_status chord_heap_charge(chord_heap *heap, uint64_t bytes, const char *what, chord_error *err);
void chord_heap_discharge(chord_heap *heap, uint64_t bytes);

/* Banks: more memory than addresses reach. A bank (a multiple of 64 KiB, zeroed, resident, charged to the heap) is seen
 * in a window of the same size, one at a time; what is written there stays when another bank takes its place. Windows
 * are pages of the caller's (a region); quickest when window address modulo 2 MiB is the skew. */
typedef struct chord_bank chord_bank;
typedef enum chord_bank_kind { CHORD_BANK_NONE, CHORD_BANK_WINDOWS, CHORD_BANK_COPIES } chord_bank_kind;
chord_bank_kind chord_bank_offered(void); /* copies: banks cannot be shown, only read and written */
uint64_t chord_bank_window_skew(void);
chord_status chord_bank_open(chord_heap *heap, uint64_t bytes, chord_bank **out, chord_error *err);
/* before: the bank that is in this window now, NULL: none. */
chord_status chord_bank_show(chord_bank *bank, chord_bank *before, void *window, chord_error *err);
/* Copies; the range lies inside the bank. From any thread. */
void chord_bank_read(chord_bank *bank, uint64_t at, void *to, size_t len);
void chord_bank_write(chord_bank *bank, uint64_t at, const void *from, size_t len);
void chord_bank_close(chord_heap *heap, chord_bank *bank); /* in a window: zeros remain there */
#if defined(CHORD_FREESTANDING)
/* What a host answered, as a failure of ours: its own sentence after `what`. */
chord_status chord_host_failure(chord_error *err, int64_t code, const char *what);
int32_t chord_bank_number(const chord_bank *bank); /* the host's */
#else
void *chord_bank_bytes(chord_bank *bank); /* where its bytes lie now: in the window, or parked */
#endif

/* Growing bytes with a ceiling, always terminated by a zero byte that len does not count. */
typedef struct chord_buffer {
    chord_heap *heap;
    char *data;
    size_t len, cap, len_max;
} chord_buffer;
void chord_buffer_init(chord_buffer *buffer, chord_heap *heap, size_t len_max);
void chord_buffer_free(chord_buffer *buffer);
chord_status chord_buffer_append(chord_buffer *buffer, const void *data, size_t len, chord_error *err);
chord_status chord_buffer_printf(chord_buffer *buffer, chord_error *err, const char *format, ...)
    CHORD_LIKE_PRINTF(3, 4);

/* Many small objects that die together: chunks of 64 KiB from the heap up to a ceiling of its own. */
typedef struct chord_arena_chunk chord_arena_chunk;
typedef struct chord_arena {
    chord_heap *heap;
    chord_arena_chunk *chunks;
    char *next, *end;
    uint64_t used_bytes, bytes_max;
    const char *what;
} chord_arena;
void chord_arena_init(chord_arena *arena, chord_heap *heap, uint64_t bytes_max, const char *what);
void chord_arena_free(chord_arena *arena);
/* Zeroed, 16-byte aligned; NULL when the ceiling or the heap refuses: then return chord_arena_fail(). */
void *chord_arena_get(chord_arena *arena, uint64_t bytes);
chord_status chord_arena_fail(const chord_arena *arena, chord_error *err);

/* Test builds (-DCHORD_FAULTS): the n-th fallible step from now (allocation, read, thread start) fails once. n 0:
 * disarm. */
#ifdef CHORD_FAULTS
void chord_fault_arm(uint64_t n);
bool chord_fault_fired(void);
bool chord_fault_now(void); /* true: this step must fail */
uint64_t chord_fault_live_blocks(void);
#else
#define chord_fault_now() false
#endif

/* ---- hashing --------------------------------------------------------------------------------- */

/* xxHash64, seed 0 (https://github.com/Cyan4973/xxHash, XXH64 specification), streaming. */
typedef struct chord_hash {
    uint64_t lane[4], total_bytes;
    uint8_t rest[32];
    uint32_t rest_bytes;
} chord_hash;
void chord_hash_start(chord_hash *hash);
void chord_hash_add(chord_hash *hash, const void *data, size_t len);
uint64_t chord_hash_end(const chord_hash *hash);
uint64_t chord_hash_of(const void *data, size_t len);

/* Names that others chose (keys of a file, tokens, members of an object) are looked up by a hash that nobody can aim at:
 * a polynomial of the bytes at a secret point, which each heap draws from the system. Two texts of n bytes meet for at
 * most n of 2^61 secrets. It grows a byte at a time, so that the hashes of all prefixes of a text come on the way. No
 * result depends on it: not an order, not an id. */
#define CHORD_NAME_PRIME ((UINT64_C(1) << 61) - 1)
uint64_t chord_heap_secret(const chord_heap *heap);
void chord_heap_set_secret(chord_heap *heap, uint64_t secret); /* for tests: before anything is looked up */
static inline uint64_t chord_name_add(uint64_t sum, uint32_t part, uint64_t secret)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)sum * secret + part + 1u; /* below 2^122; a zero counts */
    uint64_t folded = ((uint64_t)product & CHORD_NAME_PRIME) + (uint64_t)(product >> 61);
    return folded >= CHORD_NAME_PRIME ? folded - CHORD_NAME_PRIME : folded;
}
/* A sum (it began with 0) spread over all 64 bits. */
static inline uint64_t chord_name_end(uint64_t sum)
{
    sum = (sum ^ sum >> 32) * 0x9E3779B97F4A7C15u;
    return sum ^ sum >> 29;
}
uint64_t chord_name_sum(uint64_t secret, const void *data, size_t len);
uint64_t chord_name_hash(const chord_heap *heap, const void *data, size_t len);

/* ---- order ------------------------------------------------------------------------------------ */

/* Numbers so that none stands behind one that it is before; of equals any may be first. In place. */
typedef bool chord_before(const void *ud, uint32_t a, uint32_t b);
void chord_sort(uint32_t *ids, uint32_t count, chord_before *before, const void *ud);

/* ---- UTF-8 ------------------------------------------------------------------------------------ */

/* Decodes one code point from text[0..len), len > 0. Returns the bytes used; an invalid byte gives *code = 0xFFFD
 * and 1. */
size_t chord_utf8_decode(const char *text, size_t len, uint32_t *code);
/* Writes 1..4 bytes; returns how many. */
size_t chord_utf8_encode(uint32_t code, char *out);
/* How many bytes at the start of text are whole, valid or hopeless characters: the rest (at most 3 bytes) is the
 * beginning of one that may still be completed. */
size_t chord_utf8_whole(const char *text, size_t len);

/* ---- characters ------------------------------------------------------------------------------- */

typedef enum chord_char_class {
    CHORD_CHAR_OTHER,
    CHORD_CHAR_LETTER,
    CHORD_CHAR_NUMBER,
    CHORD_CHAR_MARK,
    CHORD_CHAR_PUNCTUATION,
    CHORD_CHAR_SYMBOL,
    CHORD_CHAR_SPACE,
    CHORD_CHAR_NONE /* past the end */
} chord_char_class;
chord_char_class chord_char_class_of(uint32_t code);
uint32_t chord_char_upper(uint32_t code);
uint32_t chord_char_lower(uint32_t code);
/* One character in upper or title case, 1 to 3 code points. */
size_t chord_char_upper_full(uint32_t code, uint32_t out[3]);
size_t chord_char_title_full(uint32_t code, uint32_t out[3]);
bool chord_char_is_cased(uint32_t code);
/* The first character of its canonical decomposition, which is itself when it has none. */
uint32_t chord_char_base(uint32_t code);
/* Control, format, private use, surrogate. */
bool chord_char_is_control(uint32_t code);

/* ---- threads, clock, system ------------------------------------------------------------------- */

uint64_t chord_clock_ns(void); /* monotonic */
/* Seconds since 1970 UTC for strftime_now; 0 where there is no clock. */
int64_t chord_clock_unix_s(void);
#ifdef CHORD_HARDTEST
void chord_sleep_ns(uint64_t ns); /* less than a second; test builds are late on purpose */
#endif

typedef struct chord_mutex chord_mutex;
typedef struct chord_cond chord_cond;
struct chord_mutex {
    _Alignas(16) unsigned char bytes[64];
};
struct chord_cond {
    _Alignas(16) unsigned char bytes[64];
};
void chord_mutex_init(chord_mutex *mutex);
void chord_mutex_free(chord_mutex *mutex);
void chord_mutex_lock(chord_mutex *mutex);
void chord_mutex_unlock(chord_mutex *mutex);
void chord_cond_init(chord_cond *cond);
void chord_cond_free(chord_cond *cond);
void chord_cond_wait(chord_cond *cond, chord_mutex *mutex);
/* At most about so long; it may return sooner, for nothing. */
void chord_cond_wait_for(chord_cond *cond, chord_mutex *mutex, uint64_t ns);
void chord_cond_wake_one(chord_cond *cond); /* at least one, when somebody waits */
void chord_cond_wake_all(chord_cond *cond);

typedef struct chord_thread chord_thread;
/* A long-lived thread with a 256 KiB stack, round-to-nearest, subnormals on, all signals blocked.
 * CHORD_UNSUPPORTED where there are none. */
chord_status chord_thread_start(chord_heap *heap, const char *name, void (*run)(void *ud), void *ud, chord_thread **out,
                                chord_error *err);
void chord_thread_join(chord_heap *heap, chord_thread *thread);
#define CHORD_THREAD_BYTES (192 * 1024ull) /* what one takes, no heap's: stack touched and kernel structures */
/* A number that no other thread of this process has. */
uintptr_t chord_thread_self(void);

/* A lock that is taken in order of arrival, so that nobody who waits is passed by for ever. A waiter gives up when its
 * flag is raised. Who wants turns enters first, and a thread that is inside already gets an error in place of waiting
 * for itself. */
typedef struct chord_turn {
    struct chord_turn *next;         /* in the line */
    struct chord_turn *next_visitor; /* of those inside */
    uintptr_t thread;
} chord_turn;
typedef struct chord_turns {
    chord_mutex mutex;
    chord_cond moved;
    chord_turn *first; /* whose turn it is; those behind wait */
    chord_turn *visitors;
} chord_turns;
void chord_turns_init(chord_turns *turns);
void chord_turns_free(chord_turns *turns);
/* mine lives until it leaves. CHORD_INVALID: this thread is inside. */
chord_status chord_turns_enter(chord_turns *turns, chord_turn *mine, chord_error *err);
void chord_turns_leave(chord_turns *turns, chord_turn *mine);
/* For one who is inside, any number of times. given_up may be NULL. CHORD_CANCELLED: the flag was raised, there is no
 * turn. */
chord_status chord_turns_take(chord_turns *turns, chord_turn *mine, const atomic_bool *given_up, chord_error *err);
void chord_turns_give(chord_turns *turns, chord_turn *mine);
/* Somebody's flag was raised: waiters look at theirs. */
void chord_turns_look(chord_turns *turns);

/* Items [first, end). */
typedef struct chord_share {
    uint64_t first, end;
} chord_share;

/* Compute threads that work through a range together. The caller is worker 0. Idle workers spin 50 us at most, then
 * sleep. */
typedef struct chord_pool chord_pool;
/* With fewer threads where the system refuses more; chord_pool_threads tells. */
chord_status chord_pool_open(chord_heap *heap, uint32_t threads, chord_pool **out, chord_error *err);
void chord_pool_close(chord_pool *pool);
uint32_t chord_pool_threads(const chord_pool *pool);
/* Whoever computes with the pool has its turn: a pass, a measurement. */
chord_turns *chord_pool_turns(chord_pool *pool);
/* Calls task on pieces that cover [0, count), each worker on those of a share of its own, then of others', and returns when all are done.
 * Pieces begin at multiples of grain and are such multiples, or reach the end. One caller at a time, the one that has
 * the turn, where there may be others. A NULL pool runs all of it here in one piece, as does a range within grain. */
typedef void chord_pool_task(void *ud, uint32_t worker, chord_share share);
void chord_pool_run(chord_pool *pool, uint64_t count, uint64_t grain, chord_pool_task *task, void *ud);

/* Work of one thread beside the rounds of others: whichever worker comes by on its way to a round does it first, and no round waits for
 * that worker. Nobody is woken for it, so where there is no round, or no worker but the caller, it is not done. */
typedef struct chord_errand {
    struct chord_errand *next; /* in the line */
    void (*run)(void *ud);
    void *ud;
    enum { CHORD_ERRAND_OFF, CHORD_ERRAND_WAITS, CHORD_ERRAND_RUNS } state; /* the pool's */
} chord_errand;
/* Both from any thread, one of them at a time for an errand. */
void chord_pool_send(chord_pool *pool, chord_errand *errand);
/* Then it is done, or will not be: it is awaited if it was begun. */
void chord_pool_recall(chord_pool *pool, chord_errand *errand);

/* Round-to-nearest and subnormals on for the calling thread; give the result to chord_float_leave. */
uint32_t chord_float_enter(void);
void chord_float_leave(uint32_t saved);

/* Instruction sets our kernels know, as bits. chord_cpu_features() is what this CPU and system allow. */
#define CHORD_CPU_ANY 0u
#define CHORD_CPU_AVX2 1u      /* AVX2, F16C, BMI2 (FMA is never used) */
#define CHORD_CPU_AVX512 2u    /* AVX-512 F, BW, DQ, VL, VBMI, VNNI */
#define CHORD_CPU_WASM_SIMD 4u /* 128-bit SIMD */
#define CHORD_CPU_WASM_RELAXED 8u
#define CHORD_CPU_HOST_ROWS 16u /* the host of a wasm guest multiplies with its own kernels */
#define CHORD_CPU_BANK_ROWS 32u /* also weights that lie in banks */
#define CHORD_CPU_NEON 64u
#define CHORD_CPU_NEON_DOT 128u /* the dot product of Armv8.4 */
uint32_t chord_cpu_features(void);
/* Cores within the affinity mask and the cgroup's CPU quota, at least 1. */
uint32_t chord_cpu_cores(void);
/* Anonymous + shared + page-table + kernel-stack bytes of this process now; 0 where unknown. */
uint64_t chord_process_bytes(void);
/* A host of WebAssembly refused memory that the budget has: what it gives shows only when it is asked. Elsewhere false. */
bool chord_memory_was_refused(void);
/* What code, libraries and the caller's own odds and ends take beside chord_process_bytes. */
uint64_t chord_process_code_bytes(void);
/* The largest budget that the process's own limits (address space and data: `ulimit -v`, `-d`) leave room for;
 * UINT64_MAX: there are none. */
uint64_t chord_process_budget_max(void);
/* Differs between a process and its forks; 0 where there are none. */
uint64_t chord_process_id(void);
/* Pages this process had to wait for from a disk since it began; 0 where unknown. */
uint64_t chord_process_major_faults(void);

#endif
