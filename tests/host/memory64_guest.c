/* memory64_guest.c - a guest that knows nothing but the imports' promise: wasm32, no libc, memory of its own. It finds
 * the tensors by reading the GGUF directory through memory64_read, and compares what memory64_load_layer gives with the
 * same bytes read one by one.
 *
 *   tests/host/build-guest FOLDER      memory64_guest.wasm          the four imports alone
 *                                      memory64_guest_more.wasm     with those offered beyond them (-DMORE)
 *                                      memory64_guest_hidden.wasm   exports its memory under a name no host looks for
 *
 * run(which, arg) -> i64: see the switch at the end. Only models in one file are understood. */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(memory64_load_layer) int32_t memory64_load_layer(uint32_t layer, void *ptr, uint32_t max);
IMPORT(memory64_read) int32_t memory64_read(uint64_t offset, void *ptr, uint32_t size);
IMPORT(memory64_is_enabled) int32_t memory64_is_enabled(void);
IMPORT(memory64_stats) int64_t memory64_stats(void);
#ifdef MORE
IMPORT(memory64_layer_count) int32_t memory64_layer_count(void);
IMPORT(memory64_layer_bytes) int64_t memory64_layer_bytes(uint32_t layer);
IMPORT(memory64_prefetch) int32_t memory64_prefetch(uint32_t layer);
IMPORT(memory64_preload) int32_t memory64_preload(void);
IMPORT(memory64_clear) int32_t memory64_clear(void);
IMPORT(memory64_stat) int64_t memory64_stat(uint32_t which);
#endif

#define TENSORS_MAX 4096u
#define WINDOW_BYTES 65536u

/* FAILED_LAYER: less the layer's number. */
enum { FAILED_READ = -1001, FAILED_FORMAT = -1002, FAILED_ROOM = -1003, FAILED_LAYER = -2000 };

typedef struct tensor {
    uint64_t offset, bytes;
    uint32_t layer;
} tensor;

static tensor tensors[TENSORS_MAX]; /* of layers only */
static uint32_t tensor_count, layer_count;
static int32_t failure;

/* ---- bytes of the file, in order --------------------------------------------------------------------------------- */

static uint8_t window[WINDOW_BYTES];
static uint64_t window_at, position;
static uint32_t window_bytes;

/* As much as there is from `position` on: the file's end is found by halving. */
static void refill(void)
{
    window_at = position;
    for (window_bytes = WINDOW_BYTES; window_bytes > 0; window_bytes /= 2)
        if (memory64_read(window_at, window, window_bytes) == (int32_t)window_bytes) return;
    failure = FAILED_READ;
}

static uint8_t take_u8(void)
{
    if (position < window_at || position >= window_at + window_bytes) refill();
    if (failure != 0) return 0;
    return window[position++ - window_at];
}

static uint64_t take(uint32_t bytes)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) value |= (uint64_t)take_u8() << 8 * i;
    return value;
}

/* ---- the directory ----------------------------------------------------------------------------------------------- */

/* GGUF value types; 8 string, 9 array */
static const uint8_t VALUE_BYTES[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static void skip_value(uint32_t type)
{
    if (type > 12) failure = FAILED_FORMAT;
    else if (type == 8) {
        uint64_t len = take(8); /* one after the other: both move the position */
        position += len;
    } else if (type == 9) {
        uint32_t elem = (uint32_t)take(4);
        uint64_t count = take(8);
        if (elem == 9 || elem > 12) failure = FAILED_FORMAT;
        else if (elem == 8)
            for (; count > 0 && failure == 0; count--) skip_value(8);
        else position += count * VALUE_BYTES[elem];
    } else position += VALUE_BYTES[type];
}

/* ggml types: elements and bytes of a block. */
static const struct {
    uint8_t elems, half_bytes;
} BLOCKS[31] = {
    [0] = {1, 2},   [1] = {1, 1},   [2] = {32, 9},  [3] = {32, 10}, [6] = {32, 11},  [7] = {32, 12}, [8] = {32, 17},
    [10] = {0, 42}, [11] = {0, 55}, [12] = {0, 72}, [13] = {0, 88}, [14] = {0, 105}, [30] = {1, 1},
}; /* elems 0: 256 */

static uint64_t bytes_of(uint32_t type, uint64_t elems)
{
    if (type > 30 || BLOCKS[type].half_bytes == 0) {
        failure = FAILED_FORMAT;
        return 0;
    }
    uint32_t block = BLOCKS[type].elems == 0 ? 256 : BLOCKS[type].elems;
    return elems / block * BLOCKS[type].half_bytes * 2;
}

/* "blk.N." -> N, else UINT32_MAX; the name is taken in any case. */
static uint32_t take_layer(void)
{
    static const char PREFIX[] = "blk.";
    uint64_t len = take(8);
    uint32_t layer = 0, digits = 0;
    int state = 0; /* characters of the prefix seen; 4: in the number, 5: after it, 6: another name */
    for (uint64_t i = 0; i < len && failure == 0; i++) {
        char c = (char)take_u8();
        if (state < 4) state = c == PREFIX[state] ? state + 1 : 6;
        else if (state == 4 && c >= '0' && c <= '9') layer = layer * 10 + (uint32_t)(c - '0'), digits++;
        else if (state == 4) state = c == '.' && digits > 0 ? 5 : 6;
    }
    return state == 5 ? layer : UINT32_MAX;
}

static void take_tensor(void)
{
    tensor t = {.layer = take_layer()};
    uint32_t dims = (uint32_t)take(4);
    uint64_t elems = 1;
    for (uint32_t i = 0; i < dims && failure == 0; i++) elems *= take(8);
    uint32_t type = (uint32_t)take(4);
    t.offset = take(8);
    if (t.layer == UINT32_MAX || failure != 0) return;
    t.bytes = bytes_of(type, elems);
    if (tensor_count == TENSORS_MAX) failure = FAILED_ROOM;
    else tensors[tensor_count++] = t;
    if (t.layer >= layer_count) layer_count = t.layer + 1;
}

/* Files with a general.alignment other than 32 are not made by our tests. */
static void read_directory(void)
{
    position = window_at = window_bytes = 0;
    tensor_count = layer_count = 0;
    failure = 0;
    if (take(4) != 0x46554747) failure = FAILED_FORMAT;
    take(4);
    uint64_t count = take(8), values = take(8);
    for (; values > 0 && failure == 0; values--) {
        uint64_t len = take(8);
        position += len;
        skip_value((uint32_t)take(4));
    }
    for (; count > 0 && failure == 0; count--) take_tensor();
    uint64_t data = (position + 31) / 32 * 32;
    for (uint32_t i = 0; i < tensor_count; i++) tensors[i].offset += data;
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

extern uint8_t __heap_base;

/* bytes of memory behind everything else, NULL: the host does not give that much. */
static uint8_t *room(uint64_t bytes)
{
    uint64_t end = (uint64_t)(uintptr_t)&__heap_base + bytes;
    uint64_t pages = (end + 65535) / 65536, have = (uint64_t)__builtin_wasm_memory_size(0);
    if (pages > 65536 || (pages > have && __builtin_wasm_memory_grow(0, (size_t)(pages - have)) == (size_t)-1))
        return NULL;
    return &__heap_base;
}

static uint64_t expected_bytes(uint32_t layer)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < tensor_count; i++)
        if (tensors[i].layer == layer) bytes += (tensors[i].bytes + 31) / 32 * 32;
    return bytes;
}

/* The bytes at `at` are the file's, [offset, offset + len). */
static int same_as_file(const uint8_t *at, uint64_t offset, uint64_t len)
{
    static uint8_t piece[WINDOW_BYTES];
    while (len > 0) {
        uint32_t n = len < WINDOW_BYTES ? (uint32_t)len : WINDOW_BYTES;
        if (memory64_read(offset, piece, n) != (int32_t)n) return 0;
        for (uint32_t i = 0; i < n; i++)
            if (piece[i] != at[i]) return 0;
        at += n, offset += n, len -= n;
    }
    return 1;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_more(uint64_t hash, const uint8_t *at, uint64_t len)
{
    for (; len > 0; len--) hash = (hash ^ *at++) * 0x100000001B3ull;
    return hash;
}
#define HASH_START 0xCBF29CE484222325ull

/* One layer against the file, tensor by tensor, and zeros up to 32. Tensors of one layer lie in the directory's order
 * in the files of our tests. */
static int layer_is_right(uint32_t layer)
{
    uint64_t bytes = expected_bytes(layer);
    uint8_t *to = room(bytes + 64);
    if (to == NULL || memory64_load_layer(layer, to, (uint32_t)bytes) != (int64_t)bytes) return 0;
    for (uint32_t i = 0; i < tensor_count; i++) {
        if (tensors[i].layer != layer) continue;
        if (!same_as_file(to, tensors[i].offset, tensors[i].bytes)) return 0;
        uint64_t padded = (tensors[i].bytes + 31) / 32 * 32;
        for (uint64_t k = tensors[i].bytes; k < padded; k++)
            if (to[k] != 0) return 0;
        to += padded;
    }
    return 1;
}

/* How many layers there are, all of them right. */
static int64_t check_layers(void)
{
    read_directory();
    if (failure != 0) return failure;
    for (uint32_t i = 0; i < layer_count; i++)
        if (!layer_is_right(i)) return FAILED_LAYER - (int64_t)i;
    return layer_count;
}

static int64_t hash_layer(uint32_t layer)
{
    read_directory();
    uint64_t bytes = failure == 0 ? expected_bytes(layer) : 0;
    uint8_t *to = room(bytes);
    if (failure != 0 || to == NULL) return failure != 0 ? failure : FAILED_ROOM;
    int32_t got = memory64_load_layer(layer, to, (uint32_t)bytes);
    return got < 0 ? got : (int64_t)hash_more(HASH_START, to, (uint64_t)got);
}

/* The layers in a circle, `rounds` times. */
static int64_t circle(int64_t rounds)
{
    read_directory();
    if (failure != 0) return failure;
    for (int64_t r = 0; r < rounds; r++)
        for (uint32_t i = 0; i < layer_count; i++) {
            uint8_t *to = room(expected_bytes(i));
            int32_t got = to == NULL ? FAILED_ROOM : memory64_load_layer(i, to, 0x7FFFFFFF);
            if (got < 0) return got;
        }
    return memory64_stats();
}

static void *outside(void) { return (void *)(uintptr_t)0xFFFFFFF0u; }

EXPORT(run) int64_t run(int32_t which, int64_t arg)
{
    static uint8_t small[64];
    uint64_t eight = 0;
    /* 10: the 8 bytes at any offset; 12: the code itself, after 1, 2 or 3 made room */
    switch (which) {
    case 0: return memory64_is_enabled();
    case 1: return check_layers();                                /* layers, all equal to the file; or FAILED_* */
    case 2: return hash_layer((uint32_t)arg);                     /* FNV-1a of the layer's bytes */
    case 3: return circle(arg);                                   /* reads served */
    case 4: return memory64_load_layer(0xFFFFFFFFu, small, 64);   /* -2 */
    case 5: return memory64_load_layer((uint32_t)arg, small, 64); /* -3 */
    case 6: return memory64_load_layer((uint32_t)arg, outside(), 0x7FFFFFFF); /* -6 */
    case 7: return memory64_read(~0ull, small, 1);                            /* -2 */
    case 8: return memory64_read(0, small, 0x80000000u);                      /* -2 */
    case 9: return memory64_read(0, outside(), 64);                           /* -4 */
    case 10: return memory64_read((uint64_t)arg, &eight, 8) == 8 ? (int64_t)eight : FAILED_READ;
    case 11: return memory64_read((uint64_t)arg, small, 8); /* the code itself */
    case 12: return memory64_load_layer((uint32_t)arg, &__heap_base, 0x7FFFFFFF);
    case 13: return memory64_stats();
#ifdef MORE
    case 20: return memory64_layer_count();
    case 21: return memory64_layer_bytes((uint32_t)arg);
    case 22: return memory64_prefetch((uint32_t)arg);
    case 23: return memory64_preload();
    case 24: return memory64_clear();
    case 25: return memory64_stat((uint32_t)arg);
#endif
    default: return INT64_MIN;
    }
}
