/* rows.c - a pass may take twice the time that it has without prompts: so long those wait who make tokens. What a row costs is
 * learned; where weights stream, many cost nothing. Rows change no result, so that timing may choose. */
#include "engine/engine_inner.h"

#define WEIGHT 0.25 /* of the last pass in the means */
#define PART 0.9    /* of the time there is: passes differ */
#define LEAST 8u    /* rows that are given in any case */
#define FIRST 32u   /* before anything is known */

static void mean(double *of, double value) { *of = *of > 0 ? *of + WEIGHT * (value - *of) : value; }

uint32_t rows_budget(rows_cost *cost)
{
    uint32_t most = cost->last > 0 ? cost->last * 2 : FIRST;
    double rows = cost->decode_ns > 0 && cost->row_ns > 0 ? PART * cost->decode_ns / cost->row_ns : FIRST;
    uint32_t budget = rows < most ? (uint32_t)rows : most;
    cost->last = budget > LEAST ? budget : LEAST;
    if (cost->last > 1u << 20) cost->last = 1u << 20;
    return cost->last;
}

void rows_note(rows_cost *cost, uint32_t texts, uint32_t rows, uint64_t pass_ns)
{
    double ns = (double)pass_ns, free_ns = 1000;
    if (texts == 0) return;
    if (rows == 0) {
        mean(&cost->decode_ns, ns);
        return;
    }
    if (cost->decode_ns <= 0) return;
    mean(&cost->row_ns, ns > cost->decode_ns + free_ns ? (ns - cost->decode_ns) / rows : free_ns / rows);
}

void rows_deal(uint32_t budget, const uint32_t *left, uint32_t *given, uint32_t count, uint32_t *turn)
{
    uint32_t idle = 0;
    memset(given, 0, count * sizeof *given);
    while (budget > 0 && idle < count) {
        uint32_t at = *turn = (*turn + 1) % count, quantum = budget < ROWS_QUANTUM ? budget : ROWS_QUANTUM;
        uint32_t need = left[at] - given[at], rows = need < quantum ? need : quantum;
        idle = rows > 0 ? 0 : idle + 1;
        given[at] += rows;
        budget -= rows;
    }
}
