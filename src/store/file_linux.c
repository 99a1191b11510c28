/* file_linux.c - direct reads, and a look into the page cache. */
#define _GNU_SOURCE
#include "store/file_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Newer than the headers of some systems we build on. */
#define STATX_DIOALIGN_BIT 0x2000u
#define CACHESTAT_CALL 451
#define STATX_BYTES 256
#define STATX_MASK_AT 0x00
#define STATX_DIO_MEM_ALIGN_AT 0x98
#define STATX_DIO_OFFSET_ALIGN_AT 0x9C
#define ALIGN_MAX 65536u

static bool is_power_of_two(uint32_t n) { return n != 0 && (n & (n - 1)) == 0; }

/* What direct reads of fd must be aligned to; 0: the file system has none. */
static uint32_t direct_align(int fd)
{
    uint8_t answer[STATX_BYTES] = {0};
    long rc = syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN_BIT, answer);
    if (rc != 0 || (chord_load_u32(answer + STATX_MASK_AT) & STATX_DIOALIGN_BIT) == 0) return 4096; /* does not say */
    uint32_t memory = chord_load_u32(answer + STATX_DIO_MEM_ALIGN_AT);
    uint32_t offset = chord_load_u32(answer + STATX_DIO_OFFSET_ALIGN_AT);
    /* Slots are aligned to 4096. */
    if (!is_power_of_two(memory) || !is_power_of_two(offset) || memory > 4096 || offset > ALIGN_MAX) return 0;
    return memory > offset ? memory : offset;
}

int chord_file_open_direct(const char *path, int fd, uint32_t *align)
{
    uint32_t need = direct_align(fd);
    if (need == 0) return -1;
    int direct = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
    if (direct < 0) return -1;
    struct stat plain, again;
    /* The name may point to another file by now. */
    if (fstat(fd, &plain) != 0 || fstat(direct, &again) != 0 || plain.st_dev != again.st_dev ||
        plain.st_ino != again.st_ino) {
        close(direct);
        return -1;
    }
    *align = need;
    return direct;
}

chord_cached chord_file_cached(int fd, uint64_t offset, uint64_t len)
{
    uint64_t range[2] = {offset, len}, answer[5] = {0}, page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (len == 0 || syscall(CACHESTAT_CALL, fd, range, answer, 0) != 0 || answer[0] == 0) return CHORD_CACHED_NONE;
    return answer[0] > (offset + len - 1) / page - offset / page ? CHORD_CACHED_ALL : CHORD_CACHED_SOME;
}

size_t chord_file_read_cached(int fd, uint64_t offset, void *dst, size_t len)
{
    struct iovec part = {.iov_base = dst, .iov_len = len};
    ssize_t got = preadv2(fd, &part, 1, (off_t)offset, RWF_NOWAIT); /* interrupted: the other way reads it */
    return got > 0 ? (size_t)got : 0;
}
