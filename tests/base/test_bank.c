/* Banks in windows, also where the system has no mremap that leaves both ends mapped. */
#define _GNU_SOURCE
#include "base/base.h"

#include "check.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BANK_BYTES (5 * CHORD_MIB)

static void check_banks(void)
{
    chord_heap *heap;
    chord_error err;
    chord_bank *a, *b;
    uint8_t *window = mmap(NULL, BANK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), last;
    CHECK(window != MAP_FAILED);
    CHECK_OK(chord_heap_open(64 * CHORD_MIB, &heap, &err));
    CHECK_OK(chord_bank_open(heap, BANK_BYTES, &a, &err));
    CHECK_OK(chord_bank_open(heap, BANK_BYTES, &b, &err));
    memset(chord_bank_bytes(a), 1, BANK_BYTES);
    memset(chord_bank_bytes(b), 2, BANK_BYTES);
    for (int round = 0; round < 3; round++) {
        CHECK_OK(chord_bank_show(a, round > 0 ? b : NULL, window, &err));
        CHECK(window[0] == 1 + round && window[BANK_BYTES - 1] == 1 + round);
        memset(window, 2 + round, BANK_BYTES); /* what is written there stays in the bank */
        CHECK_OK(chord_bank_show(b, a, window, &err));
        CHECK(window[0] == 2 && window[BANK_BYTES - 1] == 2);
        chord_bank_read(a, BANK_BYTES - 1, &last, 1);
        CHECK(last == 2 + round);
    }
    chord_bank_close(heap, b);
    chord_bank_close(heap, a);
    CHECK(window[0] == 0 && window[BANK_BYTES - 1] == 0); /* mapped still, and empty */
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    munmap(window, BANK_BYTES);
}

/* From now on mremap with the flag (4) fails as on a kernel that does not know it. */
static bool forbid(int failure)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)failure),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = CHORD_COUNT(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int main(void)
{
    static const int FAILURES[] = {EINVAL, ENOSYS, EPERM};
    for (size_t i = 0; i < CHORD_COUNT(FAILURES); i++) {
        int how = 0;
        pid_t child = fork();
        if (child == 0) {
            if (!forbid(FAILURES[i])) _exit(77);
            check_banks();
            _exit(check_done());
        }
        CHECK(waitpid(child, &how, 0) == child && WIFEXITED(how));
        if (WEXITSTATUS(how) == 77) printf("NOT TESTED: no seccomp here\n");
        else CHECK(WEXITSTATUS(how) == 0);
    }
    check_banks();
    return check_done();
}
