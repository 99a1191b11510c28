/* budget_wasi.c - a module cannot ask what the machine has. */
#include "budget.h"

int cli_check_budget(uint64_t memory_bytes)
{
    (void)memory_bytes;
    return CLI_OK;
}
