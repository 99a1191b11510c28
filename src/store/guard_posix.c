/* guard_posix.c - SIGBUS in one of our file mappings becomes an I/O error of the call that met it.
 *
 * The handler puts a page of zeros where the file's page could not be had, notes it, and lets the reader go on
 * (writable: in a window of a guest the host itself may be writing); the pager asks before it trusts what was computed.
 * Everything else goes to whoever handled SIGBUS before. The list of mappings is the one piece of global state in the
 * library: a signal handler is given nothing else. */
#define _GNU_SOURCE
#include "store/store_inner.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAPPINGS_MAX 1024

/* base 0: free. bytes is written before base, so whoever sees base sees bytes. */
typedef struct mapping {
    _Atomic uintptr_t base;
    _Atomic uintptr_t bytes;
    _Atomic bool failed;
} mapping;

static mapping mappings[MAPPINGS_MAX];
static uintptr_t page_bytes;
static struct sigaction previous;
static _Atomic int install_state; /* 0: no, 1: being installed, 2: yes */

static _Atomic uint32_t removals; /* how often a mapping left the list */

static const uintptr_t reserved = 1; /* base of an entry that is being filled */

static mapping *find(uintptr_t address)
{
    for (size_t i = 0; i < MAPPINGS_MAX; i++) {
        uintptr_t base = atomic_load(&mappings[i].base);
        if (base > reserved && address >= base && address - base < atomic_load(&mappings[i].bytes)) return &mappings[i];
    }
    return NULL;
}

static void pass_on(int signal_number, siginfo_t *info, void *context)
{
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(signal_number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(signal_number);
    } else {
        /* Returning repeats the access, which now ends the process as it would have without us. */
        signal(signal_number, SIG_DFL);
    }
}

/* A mapping may be taken away between the fault and its handler; then the access, made again, finds other memory there.
 * A second fault at the same address with no mapping taken away meanwhile is not ours. */
static bool may_have_left(uintptr_t address)
{
    static _Thread_local uintptr_t last_address;
    static _Thread_local uint32_t last_removals;
    uint32_t now = atomic_load(&removals);
    bool again = address == last_address && now == last_removals;
    last_address = address;
    last_removals = now;
    return now != 0 && !again;
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    mapping *ours = find(address);
    void *page = (void *)(address & ~(page_bytes - 1));
    /* mmap is a plain system call on every system we build for, so it may be made here. */
    if (ours != NULL &&
        mmap(page, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
        atomic_store(&ours->failed, true);
    else if (ours != NULL || !may_have_left(address)) pass_on(signal_number, info, context);
    errno = saved;
}

bool chord_guard_installed(void) { return atomic_load(&install_state) == 2; }

chord_status chord_guard_install(chord_error *err)
{
    int idle = 0;
    if (!atomic_compare_exchange_strong(&install_state, &idle, 1)) {
        while (atomic_load(&install_state) == 1) {}
        if (chord_guard_installed()) return CHORD_OK;
        return chord_fail(err, CHORD_UNSUPPORTED, "cannot handle SIGBUS");
    }
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    int rc = sigaction(SIGBUS, NULL, &previous);
    if (rc == 0) rc = sigaction(SIGBUS, &action, NULL);
    atomic_store(&install_state, rc == 0 ? 2 : 0);
    return rc == 0 ? CHORD_OK : chord_fail_os(err, CHORD_UNSUPPORTED, errno, "cannot handle SIGBUS");
}

bool chord_guard_add(const void *base, uint64_t bytes)
{
    for (size_t i = 0; i < MAPPINGS_MAX; i++) {
        uintptr_t empty = 0;
        if (!atomic_compare_exchange_strong(&mappings[i].base, &empty, reserved)) continue;
        atomic_store(&mappings[i].bytes, chord_align_up((uintptr_t)bytes, page_bytes));
        atomic_store(&mappings[i].failed, false);
        atomic_store(&mappings[i].base, (uintptr_t)base);
        return true;
    }
    return false;
}

void chord_guard_remove(const void *base)
{
    mapping *ours = find((uintptr_t)base);
    if (ours == NULL) return;
    atomic_store(&ours->base, 0);
    atomic_fetch_add(&removals, 1);
}

bool chord_guard_take_failed(const void *base)
{
    mapping *ours = find((uintptr_t)base);
    return ours != NULL && atomic_exchange(&ours->failed, false);
}
