/* A mapping whose file shrinks gives zeros and says so; a SIGBUS that is not ours goes to whoever had it before. */
#define _GNU_SOURCE
#include "store/store.h"

#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_BYTES 100000u

static chord_heap *heap;
static chord_error err;
static char path[64];

static void fill_file(size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)(i % 251 + 1);
        if (write(fd, &byte, 1) != 1) exit(1);
    }
    close(fd);
}

static uint64_t sum(const uint8_t *bytes, size_t first, size_t end)
{
    uint64_t total = 0;
    for (size_t i = first; i < end; i++) total += ((const volatile uint8_t *)bytes)[i];
    return total;
}

static void check_shrinking(void)
{
    chord_store *store, *other;
    CHECK_OK(chord_store_open_file(heap, path, &store, &err));
    CHECK_OK(chord_store_open_file(heap, path, &other, &err));
    CHECK(chord_store_can_map(store));
    const uint8_t *base = chord_store_map(store, &err), *second = chord_store_map(other, &err);
    CHECK(base != NULL && second != NULL);
    for (size_t i = 0; i < FILE_BYTES; i++)
        if (base[i] != (uint8_t)(i % 251 + 1)) CHECK_SAY(false, "byte %zu", i);
    uint64_t whole = sum(base, 0, FILE_BYTES);
    chord_store_map_release(store, base, 1, FILE_BYTES - 2);
    CHECK(sum(base, 0, FILE_BYTES) == whole &&
          !chord_store_map_failed(store, base)); /* pages come back by themselves */
    CHECK(truncate(path, 20480) == 0);
    CHECK(sum(base, 0, 20480) > 0 && !chord_store_map_failed(store, base));
    CHECK(sum(base, 20480, FILE_BYTES) == 0);
    CHECK(chord_store_map_failed(store, base));
    CHECK(!chord_store_map_failed(store, base));   /* reading it clears it */
    CHECK(!chord_store_map_failed(other, second)); /* nobody read through this one */
    chord_store_unmap(store, base);
    chord_store_unmap(other, second);
    chord_store_unmap(other, NULL);
    chord_store_close(store);
    chord_store_close(other);
}

static void on_theirs(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    _exit(signal_number == SIGBUS && info->si_addr != NULL ? 7 : 8);
}

/* In a child: a mapping of its own, not registered with us, fails. */
static int foreign_fault(bool with_handler)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct sigaction action = {.sa_sigaction = on_theirs, .sa_flags = SA_SIGINFO};
        if (with_handler) sigaction(SIGBUS, &action, NULL);
        else signal(SIGBUS, SIG_DFL);
        if (chord_guard_install(NULL) != CHORD_OK) _exit(9);
        int fd = open(path, O_RDWR);
        const uint8_t *base = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
        if (ftruncate(fd, 0) != 0) _exit(9);
        _exit((int)sum(base, 50000, 50001));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

int main(void)
{
    snprintf(path, sizeof path, "/tmp/chord-guard-%d", (int)getpid());
    CHECK_OK(chord_heap_open(1 << 20, &heap, &err));
    fill_file(FILE_BYTES);
    chord_store *store;
    CHECK_OK(chord_store_open_file(heap, path, &store, &err));
    CHECK(!chord_store_can_map(store) && chord_store_map(store, &err) == NULL); /* not before the guard stands */
    CHECK_SAY(strstr(err.text, "chord_guard_install") != NULL, "%s", err.text);
    chord_store_close(store);

    int status = foreign_fault(true);
    CHECK_SAY(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x", (unsigned)status);
    fill_file(FILE_BYTES);
#if !defined(__SANITIZE_ADDRESS__) && !(defined(__has_feature) && __has_feature(address_sanitizer))
    status = foreign_fault(false);
    CHECK_SAY(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %x", (unsigned)status);
    fill_file(FILE_BYTES);
#endif
    CHECK_OK(chord_guard_install(&err));
    CHECK_OK(chord_guard_install(&err));
    check_shrinking();
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    unlink(path);
    return check_done();
}
