/* budget.h - a budget against what the system can give. */
#ifndef CLI_BUDGET_H
#define CLI_BUDGET_H

#include "cli.h"

/* memory_bytes: as --memory says, 0: not given. More than there is in all is refused, more than is free now, or than the
 * address space holds, is remarked on. */
int cli_check_budget(uint64_t memory_bytes);

#endif
