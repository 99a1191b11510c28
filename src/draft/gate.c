/* gate.c - what passes take and how often guesses are right: running averages, with something to begin with. */
#include "draft/draft.h"

#define NEWEST 0.125f    /* weight of the newest case */
#define NEWEST_PASS 0.25 /* and of the newest pass */
#define FORGET 0.01f     /* with each plain pass: what once was wrong is tried again some time */
#define FORGET_COST 0.05 /* and what was slow, in company */
#define MORE_ROWS 0.3    /* what a further row adds to a pass's arithmetic, before it was seen */

/* Chances to begin with. */
static const float LOOKUP_RIGHT[CHORD_DRAFT_LEVELS] = {0.15f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.85f};
static const float MODEL_RIGHT[CHORD_DRAFT_LEVELS] = {0.02f, 0.06f, 0.14f, 0.26f, 0.42f, 0.6f, 0.8f, 0.95f};
#define CHILD_MASS 0.8f

static float begin_with(uint32_t source, uint32_t level)
{
    return source == CHORD_DRAFT_LOOKUP ? LOOKUP_RIGHT[level] : MODEL_RIGHT[level];
}

void chord_draft_gate_init(chord_draft_gate *g)
{
    *g = (chord_draft_gate){.child_mass = CHILD_MASS, .guess_ns = -1};
    for (uint32_t s = 0; s < CHORD_DRAFT_SOURCES; s++)
        for (uint32_t l = 0; l < CHORD_DRAFT_LEVELS; l++) g->right[s][l] = begin_with(s, l);
}

static void forget(chord_draft_gate *g)
{
    g->child_mass += FORGET * (CHILD_MASS - g->child_mass);
    for (uint32_t s = 0; s < CHORD_DRAFT_SOURCES; s++)
        for (uint32_t l = 0; l < CHORD_DRAFT_LEVELS; l++)
            g->right[s][l] += FORGET * (begin_with(s, l) - g->right[s][l]);
}

static uint32_t class_of(uint32_t rows)
{
    uint32_t c = 0;
    while (c + 1 < CHORD_DRAFT_ROW_CLASSES && rows > 1u << c) c++;
    return c;
}

static void average(double *into, double ns) { *into = *into > 0 ? *into + NEWEST_PASS * (ns - *into) : ns; }

void chord_draft_note_pass(chord_draft_gate *g, uint32_t rows, uint64_t ns, uint64_t stall_ns)
{
    if (!g->fixed) average(&g->pass_ns[class_of(rows)], (double)ns);
    if (g->fixed || rows != 1) return;
    average(&g->compute_ns, (double)(ns > stall_ns ? ns - stall_ns : 1));
    forget(g);
}

void chord_draft_note_guess_pass(chord_draft_gate *g, uint64_t ns)
{
    if (!g->fixed) average(&g->draft_ns, (double)ns);
}

/* The arithmetic of so many rows, by that of one. */
static double rows_ns(double row_ns, uint32_t rows) { return row_ns * (1 + MORE_ROWS * (rows - 1)); }

double chord_draft_pass_ns(const chord_draft_gate *g, uint32_t rows)
{
    double one = g->pass_ns[0], seen = g->pass_ns[class_of(rows)];
    if (one <= 0 || seen > one) return seen;
    if (seen > 0) return one; /* more rows are not less work: the machine was busier then */
    double arithmetic = rows_ns(g->compute_ns, rows);
    double waiting = one > g->compute_ns ? (one - g->compute_ns) * g->further_stall * (rows - 1) : 0;
    return (arithmetic > one ? arithmetic : one) + waiting;
}

void chord_draft_note_company(chord_draft_gate *g, uint32_t texts, uint32_t guesses, uint32_t own, uint64_t ns,
                              uint64_t stall_ns)
{
    if (g->fixed || texts > CHORD_DRAFT_COMPANY) return;
    double *plain_ns = &g->company_ns[texts - 1], more_ns = (double)ns - *plain_ns, most_ns = *plain_ns / texts;
    if (own == 0) forget(g);
    if (guesses == 0) {
        average(plain_ns, (double)ns);
        average(&g->company_row_ns, (double)(ns > stall_ns ? ns - stall_ns : 1) / rows_ns(1, texts));
        if (g->guess_ns >= 0) g->guess_ns += FORGET_COST * (g->company_row_ns * MORE_ROWS - g->guess_ns);
    } else if (*plain_ns > 0) {
        double each_ns = more_ns > 0 ? more_ns / guesses : 0;
        if (each_ns > most_ns)
            each_ns = most_ns; /* no row takes more than all rows on average: it was something else */
        g->guess_ns = g->guess_ns < 0 ? each_ns : g->guess_ns + NEWEST_PASS * (each_ns - g->guess_ns);
    }
}

double chord_draft_company_ns(const chord_draft_gate *g, uint32_t texts, uint32_t guesses)
{
    double plain_ns = texts <= CHORD_DRAFT_COMPANY ? g->company_ns[texts - 1] : 0;
    if (plain_ns <= 0 || guesses == 0) return plain_ns;
    if (g->guess_ns >= 0) return plain_ns + g->guess_ns * guesses;
    double arithmetic_ns = rows_ns(g->company_row_ns, texts + guesses);
    return arithmetic_ns > plain_ns ? arithmetic_ns : plain_ns;
}

static void note_case(float *share, bool right) { *share += NEWEST * ((right ? 1.0f : 0.0f) - *share); }

void chord_draft_learn(const chord_draft_tree *tree, chord_draft_gate *g, uint32_t node, int32_t token)
{
    bool by_model = false, among = false;
    for (uint32_t i = 0; i < tree->count; i++) {
        const chord_draft_node *n = &tree->nodes[i];
        if (n->parent != node) continue;
        note_case(&g->right[n->source][n->level], n->token == token);
        if (n->source == CHORD_DRAFT_LOOKUP || n->source == CHORD_DRAFT_FORCED) continue;
        by_model = true;
        among = among || n->token == token;
    }
    if (by_model) note_case(&g->child_mass, among);
}
