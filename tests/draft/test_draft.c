/* Guesses: what is looked up, what is worth a row, in which paths it is checked, and what is learned from it. */
#include "draft/draft.h"

#include "check.h"

static chord_draft_gate gate_with(double row_ns, double rows_ns)
{
    chord_draft_gate gate;
    chord_draft_gate_init(&gate);
    gate.fixed = true;
    gate.pass_ns[0] = row_ns;
    for (int i = 1; i < (int)CHORD_DRAFT_ROW_CLASSES; i++) gate.pass_ns[i] = rows_ns;
    return gate;
}

static void check_path(const chord_draft_tree *tree, const int32_t *tokens, uint32_t count)
{
    uint32_t node = CHORD_DRAFT_ROOT;
    for (uint32_t i = 0; i < count; i++) {
        node = chord_draft_child(tree, node, tokens[i]);
        CHECK_SAY(node != CHORD_DRAFT_ROOT && tree->nodes[node].depth == i, "token %u, %d, is not there", i, tokens[i]);
    }
}

static void check_lookup(void)
{
    chord_draft_gate gate = gate_with(1, 1);
    chord_draft_tree tree = {0};
    static const int32_t TEXT[] = {1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 2, 3, 4, 6, 1, 2, 3};
    chord_draft_lookup(&tree, &gate, TEXT, CHORD_COUNT(TEXT), 3);
    check_path(&tree, (const int32_t[]){4, 5, 9}, 3); /* 1 2 3 stood at the beginning */
    check_path(&tree, (const int32_t[]){4, 6, 1}, 3); /* 2 3 */
    check_path(&tree, (const int32_t[]){7, 8, 2}, 3);
    CHECK(tree.count == 8); /* the 4 stands once */
    uint32_t best = chord_draft_child(&tree, CHORD_DRAFT_ROOT, 4),
             other = chord_draft_child(&tree, CHORD_DRAFT_ROOT, 7);
    CHECK(tree.nodes[best].likely > tree.nodes[other].likely);
    for (uint32_t count = 0; count < 2; count++) {
        tree.count = 0;
        chord_draft_lookup(&tree, &gate, TEXT, count, 3);
        CHECK(tree.count == 0);
    }
    static const int32_t SAME[40] = {0};
    tree.count = 0;
    chord_draft_lookup(&tree, &gate, SAME, 40, 50);
    CHECK(tree.count > 4 && tree.count <= CHORD_DRAFT_NODES);
}

/* Three chains: A likely, B less, C hardly. */
static void make_tree(chord_draft_tree *tree, const chord_draft_gate *gate)
{
    tree->count = 0;
    uint32_t a = chord_draft_add(tree, gate, CHORD_DRAFT_ROOT, 10, CHORD_DRAFT_FIRST, 95);
    uint32_t b = chord_draft_add(tree, gate, CHORD_DRAFT_ROOT, 20, CHORD_DRAFT_OTHER, 25);
    uint32_t c = chord_draft_add(tree, gate, CHORD_DRAFT_ROOT, 30, CHORD_DRAFT_OTHER, 5);
    uint32_t a1 = chord_draft_add(tree, gate, a, 11, CHORD_DRAFT_FIRST, 80);
    chord_draft_add(tree, gate, a, 12, CHORD_DRAFT_OTHER, 15);
    chord_draft_add(tree, gate, b, 21, CHORD_DRAFT_FIRST, 60);
    chord_draft_add(tree, gate, c, 31, CHORD_DRAFT_FIRST, 60);
    chord_draft_add(tree, gate, a1, 13, CHORD_DRAFT_FIRST, 80);
}

static void check_pruning(void)
{
    chord_draft_tree tree;
    chord_draft_gate gate = gate_with(100, 100); /* rows are free */
    make_tree(&tree, &gate);
    uint32_t all = tree.count;
    double gain = chord_draft_gain(&tree, &gate, 32, 0);
    CHECK(chord_draft_prune(&tree, &gate, 32, 0) == gain && tree.count == all && gain > 1.0 / 100);
    chord_draft_prune(&tree, &gate, 3, 0);
    CHECK(tree.count == 3);
    check_path(&tree, (const int32_t[]){10, 11, 13}, 3);

    gate = gate_with(100, 170); /* a row beside the first costs 70: one likely guess is not enough, two are */
    make_tree(&tree, &gate);
    CHECK(chord_draft_prune(&tree, &gate, 1, 0) > 1.0 / 100 && tree.count == 1);
    gate = gate_with(100, 500);
    make_tree(&tree, &gate);
    CHECK(chord_draft_prune(&tree, &gate, 32, 0) == 1.0 / 100 && tree.count == 0);
    gate = gate_with(0, 0); /* not known yet */
    make_tree(&tree, &gate);
    CHECK(chord_draft_prune(&tree, &gate, 32, 0) == 0 && tree.count == 0);
}

/* Another pass of the draft model is promised only where it pays for itself. */
static void check_promise(void)
{
    chord_draft_tree tree = {0};
    chord_draft_gate gate = gate_with(100, 100);
    uint32_t leaf = CHORD_DRAFT_ROOT;
    gate.draft_ns = 10;
    CHECK(chord_draft_promise(&tree, &gate, 16, 0, &leaf, 1) > chord_draft_gain(&tree, &gate, 16, 0));
    gate.draft_ns = 90;
    CHECK(chord_draft_promise(&tree, &gate, 16, 0, &leaf, 1) < chord_draft_gain(&tree, &gate, 16, 0));
    gate.draft_ns = 10;
    leaf = chord_draft_add(&tree, &gate, CHORD_DRAFT_ROOT, 7, CHORD_DRAFT_FIRST, 95);
    CHECK(chord_draft_promise(&tree, &gate, 16, 10, &leaf, 1) > chord_draft_gain(&tree, &gate, 16, 10));
    tree.nodes[leaf].likely = 0.05f;
    CHECK(chord_draft_promise(&tree, &gate, 16, 10, &leaf, 1) < chord_draft_gain(&tree, &gate, 16, 10));
    CHECK(chord_draft_promise(&tree, &gate, 1, 0, &leaf, 1) == 0);
}

static void check_paths(void)
{
    chord_draft_tree tree;
    chord_draft_gate gate = gate_with(100, 100);
    chord_draft_path paths[5];
    make_tree(&tree, &gate);
    CHECK(chord_draft_paths(&tree, 5, 64, paths) == 4);
    for (uint32_t p = 0; p < 4; p++) {
        const chord_draft_path *path = &paths[p];
        for (uint32_t i = 0; i < path->count; i++) {
            const chord_draft_node *node = &tree.nodes[path->nodes[i]];
            CHECK(node->depth == i && node->parent == (i > 0 ? path->nodes[i - 1] : CHORD_DRAFT_ROOT));
        }
        CHECK(path->own < path->count);
    }
    CHECK(tree.nodes[paths[0].nodes[2]].token == 13 && paths[0].own == 0); /* the likeliest leaf first */
    CHECK(tree.nodes[paths[1].nodes[0]].token == 20 || paths[1].own == 1);
    make_tree(&tree, &gate);
    CHECK(chord_draft_paths(&tree, 2, 64, paths) == 2);
    CHECK(tree.count == 5); /* what lies on no path is gone */
    make_tree(&tree, &gate);
    CHECK(chord_draft_paths(&tree, 5, 4, paths) == 1 && paths[0].count == 3 && tree.count == 3);
}

static void check_learning(void)
{
    chord_draft_gate gate = gate_with(100, 100);
    chord_draft_tree tree;
    float before = gate.right[CHORD_DRAFT_FIRST][7], mass = gate.child_mass;
    make_tree(&tree, &gate);
    chord_draft_learn(&tree, &gate, CHORD_DRAFT_ROOT, 10);
    CHECK(gate.right[CHORD_DRAFT_FIRST][7] > before && gate.child_mass > mass);
    for (int i = 0; i < 200; i++) chord_draft_learn(&tree, &gate, CHORD_DRAFT_ROOT, 99);
    CHECK(gate.right[CHORD_DRAFT_FIRST][7] < 0.01f && gate.child_mass < 0.01f);
    gate = (chord_draft_gate){.child_mass = gate.child_mass};
    for (uint32_t source = 0; source < CHORD_DRAFT_SOURCES; source++)
        for (uint32_t l = 0; l < CHORD_DRAFT_LEVELS; l++) gate.right[source][l] = 0;
    for (int i = 0; i < 1000; i++)
        chord_draft_note_pass(&gate, 1, 100, 10); /* what was wrong is tried again some time */
    CHECK(gate.right[CHORD_DRAFT_FIRST][7] > 0.9f && gate.child_mass > 0.7f);
    CHECK(chord_draft_pass_ns(&gate, 1) > 99 && chord_draft_pass_ns(&gate, 1) < 101);
    CHECK(chord_draft_pass_ns(&gate, 8) > chord_draft_pass_ns(&gate, 2));
    double plain = chord_draft_pass_ns(&gate, 8);
    gate.further_stall = 0.5; /* a tenth of a pass is waiting: 5 more for each row */
    CHECK(chord_draft_pass_ns(&gate, 8) > plain + 34 && chord_draft_pass_ns(&gate, 8) < plain + 36);
    chord_draft_note_pass(&gate, 8, 400, 0);
    CHECK(chord_draft_pass_ns(&gate, 7) == chord_draft_pass_ns(&gate, 8) && chord_draft_pass_ns(&gate, 8) > 300);
}

/* One path of a tree, the one that promises most. */
static void check_line(void)
{
    chord_draft_tree tree;
    chord_draft_gate gate = gate_with(100, 100);
    for (uint32_t most = 0; most <= 4; most++) {
        make_tree(&tree, &gate);
        chord_draft_keep_line(&tree, most);
        CHECK(tree.count == (most < 3 ? most : 3));
        check_path(&tree, (const int32_t[]){10, 11, 13}, tree.count);
    }
    tree.count = 0;
    chord_draft_keep_line(&tree, 4);
    CHECK(tree.count == 0);
}

static void make_line(chord_draft_tree *tree, float first, float ratio, uint32_t count)
{
    tree->count = count;
    for (uint32_t i = 0; i < count; i++, first *= ratio)
        tree->nodes[i] = (chord_draft_node){.token = (int32_t)i, .parent = i - 1, .depth = i, .likely = first};
}

/* Texts that share a pass: rows go to the likeliest guesses, while they pay in such a pass. */
static void check_company(void)
{
    chord_draft_tree trees[3];
    chord_draft_line lines[3] = {{.tree = &trees[0]}, {.tree = &trees[1]}, {.tree = &trees[2]}};
    static const struct {
        double guess_ns; /* of passes that take 100 */
        uint32_t most, left[3];
    } CASES[] = {{0, 32, {8, 3, 5}},  {0, 4, {4, 0, 0}},    {0, 7, {6, 1, 0}},
                 {15, 32, {3, 0, 0}}, {100, 32, {0, 0, 0}}, {0, 0, {0, 0, 0}}};
    for (size_t i = 0; i < CHORD_COUNT(CASES); i++) {
        chord_draft_gate gate = gate_with(1, 1);
        gate.company_ns[3] = 100;
        gate.guess_ns = CASES[i].guess_ns;
        make_line(&trees[0], 0.9f, 0.9f, 8);
        make_line(&trees[1], 0.5f, 0.5f, 3);
        make_line(&trees[2], 0.1f, 0.9f, 5);
        chord_draft_share(lines, 3, &gate, 4, CASES[i].most);
        for (int t = 0; t < 3; t++)
            CHECK_SAY(trees[t].count == CASES[i].left[t], "case %zu, line %d: %u", i, t, trees[t].count);
        make_line(&trees[0], 0.9f, 0.9f, 8);
        chord_draft_share(lines, 1, &gate, 3, 32); /* of passes of three nothing is known */
        CHECK(trees[0].count == 0);
    }
}

static void check_company_learning(void)
{
    chord_draft_gate gate;
    chord_draft_gate_init(&gate);
    CHECK(chord_draft_company_ns(&gate, 4, 0) == 0 && chord_draft_company_ns(&gate, 4, 2) == 0);
    chord_draft_note_company(&gate, 4, 3, 3, 500, 0); /* more than what is not known */
    CHECK(chord_draft_company_ns(&gate, 4, 2) == 0);
    chord_draft_note_company(&gate, 4, 0, 0, 1000, 620); /* 4 rows take 380: one takes 200 */
    CHECK(chord_draft_company_ns(&gate, 4, 0) == 1000);
    CHECK(chord_draft_company_ns(&gate, 4, 2) == 1000); /* hidden by the bytes */
    CHECK(chord_draft_company_ns(&gate, 4, 20) > 1550 && chord_draft_company_ns(&gate, 4, 20) < 1600);
    chord_draft_note_company(&gate, 4, 5, 5, 1100, 0);
    CHECK(chord_draft_company_ns(&gate, 4, 10) == 1200);
    for (int i = 0; i < 100; i++) chord_draft_note_company(&gate, 4, 5, 5, 900, 0);
    CHECK(chord_draft_company_ns(&gate, 4, 10) < 1001);
    for (int i = 0; i < 40; i++)
        chord_draft_note_company(&gate, 4, 1, 1, 100000, 0); /* no more than each of the rows */
    CHECK(chord_draft_company_ns(&gate, 4, 1) > 1249 && chord_draft_company_ns(&gate, 4, 1) <= 1250);
    for (int i = 0; i < 60; i++) chord_draft_note_company(&gate, 4, 0, 0, 1000, 620); /* tried again some time */
    CHECK(chord_draft_company_ns(&gate, 4, 1) < 1075);
    chord_draft_note_company(&gate, CHORD_DRAFT_COMPANY + 1, 0, 0, 1000, 0);
    CHECK(chord_draft_company_ns(&gate, CHORD_DRAFT_COMPANY + 1, 0) == 0);
}

int main(void)
{
    check_lookup();
    check_pruning();
    check_promise();
    check_paths();
    check_learning();
    check_line();
    check_company();
    check_company_learning();
    return check_done();
}
