/* store.h - where bytes come from: a file, memory, or the caller's own reader.
 *
 * A store is a small table of functions and the state behind it. Its contract:
 *  - read is exact: all of len bytes at offset, or an error naming the store, the offset and the numbers. A short
 *    read, a file that shrank and an interrupted call (EINTR) are the store's business, never the caller's.
 *  - read and fetch may be called from any thread at the same time.
 *  - size_bytes never changes while the store is open. */
#ifndef CHORD_STORE_H
#define CHORD_STORE_H

#include "base/base.h"

typedef struct chord_store chord_store;
typedef struct chord_store_ops {
    chord_status (*read)(chord_store *, uint64_t offset, void *dst, size_t len, chord_error *);
    /* NULL: fetch is a read. See chord_store_fetch. */
    chord_status (*fetch)(chord_store *, uint64_t offset, size_t len, void *slot, size_t slot_bytes, uint8_t **data,
                          chord_error *);
    /* The same from the device alone, whole blocks; NULL: there is no such way. */
    chord_status (*fetch_device)(chord_store *, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                                 uint8_t **data, chord_error *);
    bool (*cached)(chord_store *, uint64_t offset, uint64_t len); /* NULL: nothing is known to be */
    const void *(*map)(chord_store *, chord_error *);             /* NULL: cannot map */
    void (*unmap)(chord_store *, const void *base);
    void (*close)(chord_store *);
} chord_store_ops;

struct chord_store {
    const chord_store_ops *ops;
    chord_heap *heap;
    uint64_t size_bytes;
    uint32_t align;   /* of offset, length and address in fetch: 1, or the device's (statx DIOALIGN, else 4096) */
    const char *name; /* for error sentences */
};

/* A local file. Buffered reads for read(); fetch() takes what already lies in the page cache from there
 * (cachestat, preadv2 with RWF_NOWAIT) and the rest by O_DIRECT, or buffered + DONTNEED where O_DIRECT is refused
 * or was measured slower on the first real fetches. A directory, an empty file, a missing file: a sentence. */
chord_status chord_store_open_file(chord_heap *heap, const char *path, chord_store **out, chord_error *err);
/* bytes stay the caller's and must outlive the store. */
chord_status chord_store_open_memory(chord_heap *heap, const void *bytes, uint64_t size_bytes, const char *name,
                                     chord_store **out, chord_error *err);
/* The caller's reader (source->uri == NULL). Its failure is reported as CHORD_IO with the offset. */
chord_status chord_store_open_callback(chord_heap *heap, const chord_source *source, chord_store **out,
                                       chord_error *err);
void chord_store_close(chord_store *store);

chord_status chord_store_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err);

/* Bring [offset, offset + len) into slot, which is aligned to 4096 and holds at least len + 2 * max(align, 4096)
 * bytes, by the cheapest way this store has; *data gets the address of the first wanted byte inside the slot. A
 * failed read is tried again once before it is reported. */
chord_status chord_store_fetch(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                               uint8_t **data, chord_error *err);
/* To measure a device: as fetch, but what lies in the page cache is read again, where the system reads past it. */
chord_status chord_store_fetch_device(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                                      uint8_t **data, chord_error *err);
/* What a slot for len bytes must hold. */
size_t chord_store_slot_bytes(const chord_store *store, uint64_t len);

/* True when all of [offset, offset + len) lies in the system's page cache now, and it says so. */
bool chord_store_cached(chord_store *store, uint64_t offset, uint64_t len);

/* True when the store can map and the guard is installed. */
bool chord_store_can_map(const chord_store *store);
/* Map the whole store read-only. The mapping is registered with the guard; NULL + error when the store cannot map or
 * the guard is not installed. */
const void *chord_store_map(chord_store *store, chord_error *err);
void chord_store_unmap(chord_store *store, const void *base);
/* Whoever touches a page of a mapping may get what lies around it in the page cache, too: 64 KiB, or a large page. */
#define CHORD_MAP_ALONG_BYTES (2 * CHORD_MIB)
/* Give the pages of [offset, offset + len) of a mapping back to the system (they come back by themselves when
 * touched), and those beside them that came along when these were touched. */
void chord_store_map_release(chord_store *store, const void *base, uint64_t offset, uint64_t len);
/* True once a read through this mapping met SIGBUS: the bytes seen since were zeros. Reading it clears it. */
bool chord_store_map_failed(chord_store *store, const void *base);

/* The descriptor a local file is read through, still the store's; -1: it is none. Systems with mmap only. */
int chord_store_file_descriptor(const chord_store *store);

/* Test stores: fail the n-th read/fetch from now with EIO (0: never), and delay every fetch by delay_ns. Wraps inner,
 * which it closes. */
chord_status chord_store_open_faulty(chord_heap *heap, chord_store *inner, uint64_t fail_nth, uint64_t fail_count,
                                     uint64_t delay_ns, chord_store **out, chord_error *err);

/* A folder of files that are worth something and may go any time, those used least lately first; several processes may use
 * one. Names begin with CHORD_FOLDER_PREFIX; files of other names are left alone. From any threads. POSIX only. */
#define CHORD_FOLDER_PREFIX "chord-"
#define CHORD_FOLDER_NAME_BYTES 64u
typedef struct chord_folder chord_folder;
/* It is made where it is not there. bytes_max 0: 16 GiB, or a tenth of what is free there. */
chord_status chord_folder_open(chord_heap *heap, const char *path, uint64_t bytes_max, chord_folder **out,
                               chord_error *err);
void chord_folder_close(chord_folder *folder);
/* A file's descriptor, to be left again; -1: there is none. *bytes: its length. */
int chord_folder_find(chord_folder *folder, const char *name, uint64_t *bytes);
void chord_folder_leave(int file);
chord_status chord_folder_read(int file, uint64_t offset, void *dst, size_t len, chord_error *err);
void chord_folder_ahead(int file); /* all of it will be read soon */
/* It was used now; or so long ago, where others are to stay longer. */
void chord_folder_use(int file, uint32_t ago_s);
typedef struct chord_folder_part {
    const void *bytes;
    size_t len;
} chord_folder_part;
/* Whole, or not at all: in place of one of that name. Others make room. CHORD_FULL: it is larger than all may be. */
chord_status chord_folder_write(chord_folder *folder, const char *name, const chord_folder_part *parts, uint32_t count,
                                uint32_t ago_s, chord_error *err);
void chord_folder_remove(chord_folder *folder, const char *name);

/* The guard: mappings whose SIGBUS is ours (chord_guard_install). Stores add their own; so do hosts that
 * map a file elsewhere. */
bool chord_guard_installed(void);
bool chord_guard_add(const void *base, uint64_t bytes); /* false: the list is full */
void chord_guard_remove(const void *base);
bool chord_guard_take_failed(const void *base);

#endif
