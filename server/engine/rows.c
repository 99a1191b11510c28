/* rows.c - a pass may take nearly twice the time that it has without prompts: so long those wait who make tokens. What a row costs is
 * learned; where weights stream, many cost nothing. Rows change no result, so that timing may choose. */
#include "engine/engine_inner.h"

#define PART 0.75      /* of the time there is: one pass in a hundred takes half as long again */
#define LEAST 1u       /* row that is given in any case, */
#define BARE_EVERY 32u /* but in one of so many passes: what they take without rows is looked at again */
#define FIRST 8u       /* rows before anything is known */
/* How much of the last pass goes into what is known. What disturbs passes makes them longer, never shorter: without rows the short ones
 * are the true ones; with rows long ones are bad news. */
#define DECODE_UP 0.1
#define DECODE_DOWN 0.5
#define ROW_UP 0.25
#define ROW_DOWN 0.1

static void learn(double *of, double value, double up, double down)
{
    *of = *of > 0 ? *of + (value > *of ? up : down) * (value - *of) : value;
}

uint32_t rows_budget(rows_cost *cost)
{
    uint32_t most = cost->last > 0 ? cost->last * 2 : FIRST;
    double rows = cost->decode_ns > 0 && cost->row_ns > 0 ? PART * cost->decode_ns / cost->row_ns : FIRST;
    uint32_t budget = rows < most ? (uint32_t)rows : most;
    if (cost->with_rows >= BARE_EVERY) return 0;
    cost->last = budget > LEAST ? budget : LEAST;
    if (cost->last > 1u << 20) cost->last = 1u << 20;
    return cost->last;
}

void rows_note(rows_cost *cost, uint32_t texts, uint32_t rows, uint64_t pass_ns)
{
    double ns = (double)pass_ns, free_ns = 1000;
    if (texts == 0) return;
    cost->with_rows = rows > 0 ? cost->with_rows + 1 : 0;
    if (rows == 0) {
        learn(&cost->decode_ns, ns, DECODE_UP, DECODE_DOWN);
        return;
    }
    if (cost->decode_ns <= 0) return;
    double row_ns = ns > cost->decode_ns + free_ns ? (ns - cost->decode_ns) / rows : free_ns / rows;
    learn(&cost->row_ns, row_ns, ROW_UP, ROW_DOWN);
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
