/* memory.h - what of the budget is not the model's: connections, and requests with their answers. */
#ifndef SERVER_MEMORY_H
#define SERVER_MEMORY_H

#include "options.h"

typedef struct server_memory {
    uint64_t budget_bytes; /* of the whole process */
    uint64_t heap_bytes;   /* requests and answers */
    uint64_t body_bytes_max;
    uint64_t reserved_bytes; /* all that is not the runtime's */
    uint32_t connections;
} server_memory;
server_memory server_memory_of(const cli_args *args);

#endif
