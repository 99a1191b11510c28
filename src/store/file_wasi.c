/* file_wasi.c - a file of a WASI host as a store: plain reads with 64-bit offsets. Nothing is mapped, nothing reads
 * ahead; what the host's system keeps in its page cache is its own affair, and outside this module's memory. */
#include "store/file_plain_posix.h"
#include "store/store_inner.h"

#include <fcntl.h>

typedef struct file_store {
    chord_store store;
    int fd;
} file_store;

static chord_status file_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    return file_read_exact(store, ((file_store *)store)->fd, offset, dst, len, err);
}

static void file_close(chord_store *store)
{
    file_store *self = (file_store *)store;
    if (self->fd >= 0) close(self->fd);
}

static const chord_store_ops file_ops = {.read = file_read, .close = file_close};

static chord_status open_fd(file_store *self, const char *path, chord_error *err)
{
    struct stat info;
    bool found = stat(path, &info) == 0;
    /* before: some hosts wait for a pipe's writer when they open it */
    if (found) CHORD_TRY(file_check_kind(path, &info, err));
    self->fd = found ? open(path, O_RDONLY) : -1;
    if (self->fd < 0 || fstat(self->fd, &info) != 0)
        return chord_fail_os(err, CHORD_IO, errno,
                             "cannot open %s (only what lies in the folders given to the WASI host can be)", path);
    self->store.size_bytes = (uint64_t)info.st_size;
    return file_check_kind(path, &info, err);
}

chord_status chord_store_open_file(chord_heap *heap, const char *path, chord_store **out, chord_error *err)
{
    CHORD_TRY(chord_store_new(heap, sizeof(file_store), path, &file_ops, out, err));
    file_store *self = (file_store *)*out;
    self->fd = -1;
    chord_status status = open_fd(self, path, err);
    if (status == CHORD_OK) return CHORD_OK;
    chord_store_close(*out);
    *out = NULL;
    return status;
}
