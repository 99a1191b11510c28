/* kv_folder_posix.c - blocks that are kept, as files of a folder: 64 tokens each, all caches that have them, so a file is about
 * a MiB, is written at once, and texts with a common beginning have its files in common. A thread of its own writes what is new;
 * who looks for a text reads. The name has a hash of the model, of what else results depend on and of the layout, and the key
 * of the text up to there; the head has the tokens, which are compared, and checksums of all parts. */
#include "model/model_inner.h"

#define LAYOUT 1u               /* of the files, and of the blocks in them */
#define DEEPER_S 16u            /* a text's later blocks count as used so much earlier: they go first */
#define QUIET_NS 60000000000ull /* nothing is written for so long when it could not be */
#define NOTES_BYTES 65536ull    /* heads, lists, the folder's own memory */

static const char MAGIC[8] = {'c', 'h', 'o', 'r', 'd', 'k', 'v', 'b'};

/* Little endian, without holes; then a sum of each cache's block, 0: it is not here; then those blocks. */
typedef struct block_head {
    char magic[8];
    uint64_t kind, above, key, bytes; /* kind: of the model; bytes: of the file */
    uint64_t sum;                     /* of the head and what follows up to the blocks, itself 0 */
    uint32_t caches, reserved;
    int32_t tokens[CHORD_KV_BLOCK];
} block_head;
_Static_assert(sizeof(block_head) == 56 + 4 * CHORD_KV_BLOCK, "one layout everywhere");

struct chord_kv_folder {
    chord_network *net;
    chord_folder *files;
    chord_thread *thread; /* NULL: it could not be started, all is written at the end */
    uint64_t kind;
    uint64_t quiet_until_ns;
    bool stops;        /* guarded by the network's mutex, as the following */
    bool told[2];      /* of what cannot be read, cannot be written */
    char warning[256]; /* "": none */
    block_head *head;  /* what is written: a head, and blocks */
    uint8_t *blocks;
};

static uint64_t *sums_of(block_head *head) { return (uint64_t *)(void *)(head + 1); }

static uint64_t head_bytes(const chord_network *net)
{
    return sizeof(block_head) + net->print.caches * sizeof(uint64_t);
}

static uint64_t sum_of(const void *bytes, uint64_t len)
{
    uint64_t sum = chord_hash_of(bytes, (size_t)len);
    return sum != 0 ? sum : 1;
}

static uint64_t sum_of_head(const chord_network *net, block_head *head)
{
    uint64_t kept = head->sum;
    head->sum = 0;
    uint64_t sum = sum_of(head, head_bytes(net));
    head->sum = kept;
    return sum;
}

static void name_of(const chord_kv_folder *f, uint64_t key, char out[CHORD_FOLDER_NAME_BYTES])
{
    chord_format(out, CHORD_FOLDER_NAME_BYTES, CHORD_FOLDER_PREFIX "%016llx-%016llx.kv", (unsigned long long)f->kind,
                 (unsigned long long)key);
}

/* Once of each kind. */
static void warn(chord_kv_folder *f, bool writing, const char *sentence)
{
    chord_mutex_lock(&f->net->mutex);
    if (!f->told[writing])
        chord_format(f->warning, sizeof f->warning, "%s; %s", sentence,
                     writing ? "texts are not kept there for now" : "it is not used");
    f->told[writing] = true;
    chord_mutex_unlock(&f->net->mutex);
}

bool chord_network_folder_warning(chord_network *net, char *out, size_t cap)
{
    if (net->folder == NULL) return false;
    chord_mutex_lock(&net->mutex);
    chord_format(out, cap, "%s", net->folder->warning);
    net->folder->warning[0] = '\0';
    chord_mutex_unlock(&net->mutex);
    return out[0] != '\0';
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Ours, and not as it was written: it goes. */
static void drop_damaged(chord_kv_folder *f, const char *name)
{
    char sentence[160];
    chord_format(sentence, sizeof sentence, "%s in the folder of evaluated texts was damaged", name);
    warn(f, false, sentence);
    chord_folder_remove(f->files, name);
}

/* The file of these tokens, its head read; -1: there is none that can be used. */
static int open_block(chord_kv_folder *f, uint64_t above, const int32_t *tokens, block_head *head)
{
    const chord_network *net = f->net;
    char name[CHORD_FOLDER_NAME_BYTES];
    uint64_t bytes = 0, key = chord_kept_key(above, tokens), head_len = head_bytes(net);
    name_of(f, key, name);
    int file = chord_folder_find(f->files, name, &bytes);
    if (file < 0) return -1;
    bool read = bytes >= head_len && chord_folder_read(file, 0, head, (size_t)head_len, NULL) == CHORD_OK;
    bool ours = !read || memcmp(head->magic, MAGIC, sizeof MAGIC) == 0;
    bool whole = read && head->sum == sum_of_head(net, head) && head->bytes == bytes;
    bool same = whole && head->kind == f->kind && head->caches == net->print.caches && head->above == above &&
                memcmp(head->tokens, tokens, sizeof head->tokens) == 0;
    if (ours && same) return file;
    chord_folder_leave(file);
    if (ours && !whole) drop_damaged(f, name);
    return -1;
}

/* A text can be gone on with behind so many blocks: what windows see from there is in the files. keys: above each block. */
static bool is_whole(chord_kv_folder *f, const uint64_t *keys, const int32_t *tokens, uint32_t blocks, block_head *head)
{
    chord_network *net = f->net;
    uint32_t widest = chord_cache_widest(net), seen = (uint32_t)chord_ceil_div(widest, CHORD_KV_BLOCK);
    for (uint32_t i = blocks > seen ? blocks - seen : 0; i < blocks && widest != 0; i++) {
        int file = open_block(f, keys[i], tokens + i * CHORD_KV_BLOCK, head);
        if (file < 0) return false;
        chord_folder_leave(file);
        for (uint32_t k = 0; k < net->print.caches; k++)
            if (chord_cache_of(&net->print, k).window != 0 && chord_cache_is_seen(net, k, blocks, i) &&
                sums_of(head)[k] == 0)
                return false;
    }
    return true;
}

uint32_t chord_kv_folder_reach(chord_network *net, uint64_t salt, const int32_t *tokens, uint32_t blocks,
                               uint32_t known, uint32_t least)
{
    chord_kv_folder *f = net->folder;
    void *memory = NULL;
    uint64_t bytes = head_bytes(net) + (blocks + 1ull) * sizeof(uint64_t);
    if (chord_alloc(net->heap, bytes, "a list of blocks", &memory, NULL) != CHORD_OK) return 0;
    block_head *head = memory;
    uint64_t *keys = sums_of(head) + net->print.caches;
    uint32_t found = 0;
    keys[0] = salt;
    for (; found < blocks; found++) {
        const int32_t *at = tokens + found * CHORD_KV_BLOCK;
        int file = found >= known ? open_block(f, keys[found], at, head) : -1;
        if (file < 0 && found >= known) break;
        if (file >= 0) chord_folder_ahead(file);
        if (file >= 0) chord_folder_leave(file);
        keys[found + 1] = chord_kept_key(keys[found], at);
    }
    while (found >= least && !is_whole(f, keys, tokens, found, head)) found--;
    chord_free(net->heap, memory);
    return found >= least ? found : 0;
}

static bool read_blocks(chord_kv_folder *f, int file, const block_head *head, uint8_t *const *to, bool *damaged)
{
    const chord_network *net = f->net;
    const uint64_t *sums = (const uint64_t *)(const void *)(head + 1);
    uint64_t offset = head_bytes(net);
    for (uint32_t k = 0; k < net->print.caches; k++) {
        uint64_t len = net->kv_pools[k].block_bytes;
        if (to[k] != NULL && sums[k] == 0) return false;
        if (to[k] != NULL && chord_folder_read(file, offset, to[k], (size_t)len, NULL) != CHORD_OK) return false;
        *damaged = to[k] != NULL && sum_of(to[k], len) != sums[k];
        if (*damaged) return false;
        offset += sums[k] != 0 ? len : 0;
    }
    return true;
}

bool chord_kv_folder_read(chord_network *net, uint64_t above, const int32_t *tokens, uint32_t index, uint8_t *const *to)
{
    chord_kv_folder *f = net->folder;
    void *memory = NULL;
    bool damaged = false;
    if (f == NULL || chord_alloc(net->heap, head_bytes(net), "a head", &memory, NULL) != CHORD_OK) return false;
    int file = open_block(f, above, tokens, memory);
    bool read = file >= 0 && read_blocks(f, file, memory, to, &damaged);
    if (read) chord_folder_use(file, index * DEEPER_S);
    if (file >= 0) chord_folder_leave(file);
    if (damaged) {
        char name[CHORD_FOLDER_NAME_BYTES];
        name_of(f, chord_kept_key(above, tokens), name);
        drop_damaged(f, name);
    }
    chord_free(net->heap, memory);
    return read;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* The first tokens of a text before those behind them. CHORD_KEPT_NONE: all is written. The mutex is held. */
static uint32_t find_unsaved(const chord_network *net)
{
    if (net->kept.unsaved == 0) return CHORD_KEPT_NONE;
    uint32_t i = net->kept.newest;
    while (i != CHORD_KEPT_NONE && chord_kept_at(net, i)->state == CHORD_KEPT_SAVED) i = chord_kept_at(net, i)->older;
    return i;
}

/* A copy of what may go any time; until they are made, sums tell which caches have a block. Of what was only used the blocks are
 * not wanted yet. The mutex is held. */
static void copy_out(chord_kv_folder *f, const chord_kept *e)
{
    chord_network *net = f->net;
    uint8_t *at = f->blocks;
    *f->head = (block_head){.kind = f->kind, .above = e->above, .key = e->key, .caches = net->print.caches};
    memcpy(f->head->magic, MAGIC, sizeof MAGIC);
    memcpy(f->head->tokens, e->tokens, sizeof e->tokens);
    for (uint32_t k = 0; k < net->print.caches; k++) {
        const chord_kv_pool *pool = &net->kv_pools[k];
        sums_of(f->head)[k] = e->blocks[k] != CHORD_KEPT_NONE;
        if (e->blocks[k] == CHORD_KEPT_NONE || e->state != CHORD_KEPT_NEW) continue;
        memcpy(at, chord_pool_block(pool, e->blocks[k]), (size_t)pool->block_bytes);
        at += pool->block_bytes;
    }
}

static uint64_t sum_up(chord_kv_folder *f)
{
    const chord_network *net = f->net;
    uint64_t *sums = sums_of(f->head), bytes = 0;
    for (uint32_t k = 0; k < net->print.caches; k++) {
        if (sums[k] == 0) continue;
        sums[k] = sum_of(f->blocks + bytes, net->kv_pools[k].block_bytes);
        bytes += net->kv_pools[k].block_bytes;
    }
    f->head->bytes = head_bytes(net) + bytes;
    f->head->sum = sum_of_head(net, f->head);
    return bytes;
}

/* There is a file, and none better is to be had: of what was found it has all, of what was evaluated anew though it is there
 * (it may be damaged) even more. */
static bool is_there(chord_kv_folder *f, chord_kept_state state, uint32_t depth)
{
    const chord_network *net = f->net;
    void *memory = NULL;
    if (chord_alloc(net->heap, head_bytes(net), "a head", &memory, NULL) != CHORD_OK) return false;
    int file = open_block(f, f->head->above, f->head->tokens, memory);
    bool all = file >= 0, more = false;
    for (uint32_t k = 0; k < net->print.caches && all; k++) {
        bool has = sums_of(memory)[k] != 0, wanted = sums_of(f->head)[k] != 0;
        all = has || !wanted;
        more = more || (has && !wanted);
    }
    bool there = all && (more || state == CHORD_KEPT_USED);
    if (there) chord_folder_use(file, depth * DEEPER_S);
    if (file >= 0) chord_folder_leave(file);
    chord_free(net->heap, memory);
    return there;
}

static void write_out(chord_kv_folder *f, uint32_t depth)
{
    char name[CHORD_FOLDER_NAME_BYTES];
    chord_error err;
    uint64_t bytes = sum_up(f);
    const chord_folder_part parts[] = {{f->head, (size_t)head_bytes(f->net)}, {f->blocks, (size_t)bytes}};
    name_of(f, f->head->key, name);
    if (chord_folder_write(f->files, name, parts, CHORD_COUNT(parts), depth * DEEPER_S, &err) == CHORD_OK) return;
    f->quiet_until_ns = chord_clock_ns() + QUIET_NS;
    warn(f, true, err.text);
}

/* With the mutex held, but not while files are looked at. */
static void settle(chord_kv_folder *f, uint32_t number)
{
    chord_network *net = f->net;
    chord_kept *e = chord_kept_at(net, number);
    chord_kept_state state = e->state;
    uint32_t depth = e->depth;
    copy_out(f, e);
    chord_kept_set_state(net, number, CHORD_KEPT_SAVED);
    chord_mutex_unlock(&net->mutex);
    bool done = chord_clock_ns() < f->quiet_until_ns || is_there(f, state, depth);
    if (!done && state == CHORD_KEPT_NEW) write_out(f, depth);
    chord_mutex_lock(&net->mutex);
    /* what was used and is not there any more: as if it were new, if it still is what it was */
    if (!done && state == CHORD_KEPT_USED && e->key == f->head->key) chord_kept_set_state(net, number, CHORD_KEPT_NEW);
}

/* Until it stops and all is written. */
static void run(void *ud)
{
    chord_kv_folder *f = ud;
    chord_network *net = f->net;
    chord_mutex_lock(&net->mutex);
    for (;;) {
        uint32_t number = find_unsaved(net);
        if (number == CHORD_KEPT_NONE && f->stops) break;
        if (number != CHORD_KEPT_NONE) settle(f, number);
        else chord_cond_wait(&net->kept.grown, &net->mutex);
    }
    chord_mutex_unlock(&net->mutex);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static uint64_t blocks_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < p->caches; k++)
        if (chord_cache_of(p, k).every != 0) bytes += chord_cache_block_bytes(p, needs, k);
    return bytes;
}

uint64_t chord_kv_folder_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    return blocks_bytes(p, needs) + NOTES_BYTES + CHORD_THREAD_BYTES;
}

/* Formats of tensors are part of it: weights may be quantised as they are read. */
static uint64_t kind_of(const chord_network *net, uint64_t digest)
{
    chord_hash hash;
    const uint64_t START[] = {digest, LAYOUT, chord_network_saved_kind(net), net->print.caches};
    chord_hash_start(&hash);
    chord_hash_add(&hash, START, sizeof START);
    for (uint32_t k = 0; k < net->print.caches; k++) {
        const uint64_t CACHE[] = {net->kv_pools[k].block_bytes, chord_cache_of(&net->print, k).window};
        chord_hash_add(&hash, CACHE, sizeof CACHE);
    }
    for (uint64_t i = 0; i < chord_gguf_tensor_count(net->gguf); i++) {
        uint64_t type = chord_gguf_tensor_at(net->gguf, i)->type;
        chord_hash_add(&hash, &type, sizeof type);
    }
    return chord_hash_end(&hash);
}

static chord_status open_parts(chord_kv_folder *f, const chord_model_options *options, chord_error *err)
{
    chord_network *net = f->net;
    void *memory = NULL;
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < net->print.caches; k++)
        if (net->sequences[0].kv[k].blocks != 0) bytes += net->kv_pools[k].block_bytes;
    CHORD_TRY(chord_alloc(net->heap, bytes, "a block on its way to a file", &memory, err));
    f->blocks = memory;
    CHORD_TRY(chord_alloc(net->heap, head_bytes(net), "the head of a file", &memory, err));
    f->head = memory;
    CHORD_TRY(chord_folder_open(net->heap, options->kv_dir, options->kv_dir_bytes, &f->files, err));
    if (chord_thread_start(net->heap, "chord-kept", run, f, &f->thread, NULL) != CHORD_OK) f->thread = NULL;
    return CHORD_OK;
}

chord_status chord_network_keep_in(chord_network *net, const chord_model_options *options, uint64_t digest,
                                   chord_error *err)
{
    void *memory = NULL;
    if (net->kept.count == 0) return CHORD_OK;
    CHORD_TRY(chord_alloc(net->heap, sizeof(chord_kv_folder), "a folder of evaluated texts", &memory, err));
    chord_kv_folder *f = memory;
    f->net = net;
    f->kind = kind_of(net, digest);
    net->folder = f;
    return open_parts(f, options, err);
}

void chord_network_finish_folder(chord_network *net)
{
    chord_kv_folder *f = net->folder;
    if (f == NULL || f->stops) return;
    chord_mutex_lock(&net->mutex);
    f->stops = true;
    chord_cond_wake_all(&net->kept.grown);
    chord_mutex_unlock(&net->mutex);
    if (f->thread != NULL) chord_thread_join(net->heap, f->thread);
    else if (f->files != NULL) run(f);
}

void chord_kv_folder_close(chord_network *net)
{
    chord_kv_folder *f = net->folder;
    if (f == NULL) return;
    chord_network_finish_folder(net);
    chord_folder_close(f->files);
    chord_free(net->heap, f->head);
    chord_free(net->heap, f->blocks);
    chord_free(net->heap, f);
    net->folder = NULL;
}
