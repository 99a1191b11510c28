/* memory.c - the budget, before anything is opened. */
#include "memory.h"

#include "wire/wire.h"

#define MIB ((uint64_t)1048576)
#define CONNECTIONS_DEFAULT 64u
#define CONNECTIONS_LEAST 16u
#define BUDGET_OF_ONE (16 * MIB) /* so much budget for each connection there may be */
#define HEAP_PART 16u            /* of the budget for requests */
#define HEAP_LEAST (8 * MIB)
#define HEAP_MOST (256 * MIB)
#define BODY_PART 4u /* of that for one body */
#define BODY_MOST (32 * MIB)
#define LIBRARY_BYTES (4 * MIB) /* of HTTP, with all that it loads */

static uint64_t within(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

server_memory server_memory_of(const cli_args *args)
{
    server_memory m = {.budget_bytes = args->memory_bytes, .connections = args->connections};
    if (m.budget_bytes == 0) m.budget_bytes = chord_memory_available_bytes();
    if (m.connections == 0)
        m.connections = (uint32_t)within(m.budget_bytes / BUDGET_OF_ONE, CONNECTIONS_LEAST, CONNECTIONS_DEFAULT);
    m.heap_bytes = within(m.budget_bytes / HEAP_PART, HEAP_LEAST, HEAP_MOST);
    m.body_bytes_max = within(m.heap_bytes / BODY_PART, 1, BODY_MOST);
    m.reserved_bytes = m.heap_bytes + m.connections * wire_connection_bytes() + LIBRARY_BYTES;
    return m;
}
