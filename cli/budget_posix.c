/* budget_posix.c - the machine, the container, and ulimit -v. */
#include "budget.h"

#include <sys/resource.h>

#define PAGE_BYTES_MAX 65536             /* a container's limit is rounded down to whole pages */
#define SLACK_BYTES ((uint64_t)32 << 20) /* free memory changes while one looks, and what we have taken is not free */

static void check_address_space(uint64_t budget)
{
    struct rlimit limit;
    char has[32], wanted[32];
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= budget) return;
    cli_note("this process may have %s of address space (ulimit -v), less than its budget of %s",
             cli_size_text(limit.rlim_cur, has), cli_size_text(budget, wanted));
}

int cli_check_budget(uint64_t memory_bytes)
{
    chord_memory memory;
    char has[32], wanted[32];
    chord_memory_describe(&memory);
    cli_size_text(memory_bytes, wanted);
    if (memory.total_bytes != 0 && memory_bytes > memory.total_bytes + PAGE_BYTES_MAX)
        return cli_fail("a budget of %s cannot be had: this machine or container has %s in all (--memory)", wanted,
                        cli_size_text(memory.total_bytes, has));
    uint64_t slack = memory_bytes / 16 > SLACK_BYTES ? memory_bytes / 16 : SLACK_BYTES;
    if (memory.free_bytes != 0 && memory_bytes > memory.free_bytes + slack)
        cli_note(
            "a budget of %s is more than the %s that are free here now: others may have to give way, or this process",
            wanted, cli_size_text(memory.free_bytes, has));
    check_address_space(memory_bytes != 0 ? memory_bytes : chord_memory_available_bytes());
    return CLI_OK;
}
