/* gate.c - what passes take and how often guesses are right: running averages, with something to begin with. */
#include "draft/draft.h"

#define NEWEST 0.125f    /* weight of the newest case */
#define NEWEST_PASS 0.25 /* and of the newest pass */
#define FORGET 0.01f     /* with each plain pass: what once was wrong is tried again some time */
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
    *g = (chord_draft_gate){.child_mass = CHILD_MASS};
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

double chord_draft_pass_ns(const chord_draft_gate *g, uint32_t rows)
{
    double one = g->pass_ns[0], seen = g->pass_ns[class_of(rows)];
    if (one <= 0 || seen > one) return seen;
    if (seen > 0) return one; /* more rows are not less work: the machine was busier then */
    double further = rows - 1, arithmetic = g->compute_ns * (1 + MORE_ROWS * further);
    double waiting = one > g->compute_ns ? (one - g->compute_ns) * g->further_stall * further : 0;
    return (arithmetic > one ? arithmetic : one) + waiting;
}

static void note_case(float *share, bool right) { *share += NEWEST * ((right ? 1.0f : 0.0f) - *share); }

void chord_draft_learn(const chord_draft_tree *tree, chord_draft_gate *g, uint32_t node, int32_t token)
{
    bool by_model = false, among = false;
    for (uint32_t i = 0; i < tree->count; i++) {
        const chord_draft_node *n = &tree->nodes[i];
        if (n->parent != node) continue;
        note_case(&g->right[n->source][n->level], n->token == token);
        if (n->source == CHORD_DRAFT_LOOKUP) continue;
        by_model = true;
        among = among || n->token == token;
    }
    if (by_model) note_case(&g->child_mass, among);
}
