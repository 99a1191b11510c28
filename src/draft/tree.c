/* tree.c - guesses as a tree: what is worth a row of the pass, and the paths that are checked. */
#include "draft/draft.h"

#define LIKELY_MIN 0.002f /* no row is worth less */

/* Strengths grow slowly at first: the lengths 1, 2, 3, 4 and from 5, 7, 10, 16; percents from 0, 4, 10, 20, 35, 55, 75, 92. */
static uint32_t level_of(chord_draft_source source, uint32_t strength)
{
    static const uint32_t FROM[2][CHORD_DRAFT_LEVELS] = {{0, 2, 3, 4, 5, 7, 10, 16}, {0, 4, 10, 20, 35, 55, 75, 92}};
    const uint32_t *from = FROM[source != CHORD_DRAFT_LOOKUP];
    uint32_t level = CHORD_DRAFT_LEVELS - 1;
    while (level > 0 && strength < from[level]) level--;
    return level;
}

uint32_t chord_draft_child(const chord_draft_tree *tree, uint32_t parent, int32_t token)
{
    for (uint32_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].parent == parent && tree->nodes[i].token == token) return i;
    return CHORD_DRAFT_ROOT;
}

uint32_t chord_draft_add(chord_draft_tree *tree, const chord_draft_gate *gate, uint32_t parent, int32_t token,
                         chord_draft_source source, uint32_t strength)
{
    uint32_t level = level_of(source, strength), at = chord_draft_child(tree, parent, token);
    const chord_draft_node *before = parent != CHORD_DRAFT_ROOT ? &tree->nodes[parent] : NULL;
    chord_draft_node node = {.token = token,
                             .parent = parent,
                             .depth = before != NULL ? before->depth + 1 : 0,
                             .source = source,
                             .level = level,
                             .likely = gate->right[source][level] * (before != NULL ? before->likely : 1)};
    if (at == CHORD_DRAFT_ROOT) {
        if (tree->count == CHORD_DRAFT_NODES || node.likely < LIKELY_MIN) return CHORD_DRAFT_ROOT;
        at = tree->count++;
    } else if (tree->nodes[at].likely >= node.likely) {
        return at;
    }
    tree->nodes[at] = node;
    return at;
}

/* ---- what pays ------------------------------------------------------------------------------------------------ */

/* Nodes by likelihood, the likeliest first; a child, which is no likelier than its parent, behind it. */
static void order_nodes(const chord_draft_tree *tree, uint32_t *order)
{
    for (uint32_t i = 0; i < tree->count; i++) {
        uint32_t at = i;
        while (at > 0 && tree->nodes[order[at - 1]].likely < tree->nodes[i].likely) at--;
        memmove(order + at + 1, order + at, (i - at) * sizeof *order);
        order[at] = i;
    }
}

/* Only these nodes stay, in their order. */
static void keep_nodes(chord_draft_tree *tree, const bool *keep)
{
    uint32_t now[CHORD_DRAFT_NODES], count = 0;
    for (uint32_t i = 0; i < tree->count; i++) {
        chord_draft_node node = tree->nodes[i];
        now[i] = CHORD_DRAFT_ROOT;
        if (!keep[i]) continue;
        if (node.parent != CHORD_DRAFT_ROOT) node.parent = now[node.parent];
        now[i] = count;
        tree->nodes[count++] = node;
    }
    tree->count = count;
}

typedef struct choice {
    uint32_t nodes; /* the likeliest so many */
    double gain;    /* tokens for each ns */
} choice;

/* more: tokens that are expected besides, of a pass over more_rows further rows. */
static choice choose(const chord_draft_tree *tree, const chord_draft_gate *gate, const uint32_t *order,
                     uint32_t nodes_max, double spent_ns, double more, uint32_t more_rows)
{
    choice best = {0};
    double tokens = 1 + more;
    for (uint32_t n = 0; n <= tree->count && n <= nodes_max; n++) {
        double ns = chord_draft_pass_ns(gate, 1 + n + more_rows);
        if (n > 0) tokens += (double)tree->nodes[order[n - 1]].likely;
        if (ns > 0 && tokens / (ns + spent_ns) > best.gain) best = (choice){n, tokens / (ns + spent_ns)};
    }
    return best;
}

double chord_draft_prune(chord_draft_tree *tree, const chord_draft_gate *gate, uint32_t nodes_max, double spent_ns)
{
    uint32_t order[CHORD_DRAFT_NODES];
    bool keep[CHORD_DRAFT_NODES] = {false};
    order_nodes(tree, order);
    choice best = choose(tree, gate, order, nodes_max, spent_ns, 0, 0);
    for (uint32_t i = 0; i < best.nodes; i++) keep[order[i]] = true;
    keep_nodes(tree, keep);
    return best.gain;
}

double chord_draft_gain(const chord_draft_tree *tree, const chord_draft_gate *gate, uint32_t nodes_max, double spent_ns)
{
    uint32_t order[CHORD_DRAFT_NODES];
    order_nodes(tree, order);
    return choose(tree, gate, order, nodes_max, spent_ns, 0, 0).gain;
}

double chord_draft_promise(const chord_draft_tree *tree, const chord_draft_gate *gate, uint32_t nodes_max,
                           double spent_ns, const uint32_t *leaves, uint32_t count)
{
    uint32_t order[CHORD_DRAFT_NODES];
    double more = 0;
    if (count >= nodes_max) return 0;
    for (uint32_t i = 0; i < count; i++)
        more += leaves[i] == CHORD_DRAFT_ROOT ? 1 : (double)tree->nodes[leaves[i]].likely;
    order_nodes(tree, order);
    return choose(tree, gate, order, nodes_max - count, spent_ns + gate->draft_ns, more * (double)gate->child_mass,
                  count)
        .gain;
}

/* ---- in company ------------------------------------------------------------------------------------------------ */

void chord_draft_keep_line(chord_draft_tree *tree, uint32_t nodes_max)
{
    float worth[CHORD_DRAFT_NODES], most = 0;
    uint32_t best = CHORD_DRAFT_ROOT;
    bool keep[CHORD_DRAFT_NODES] = {false};
    for (uint32_t i = 0; i < tree->count; i++) {
        const chord_draft_node *n = &tree->nodes[i];
        worth[i] = n->likely + (n->parent != CHORD_DRAFT_ROOT ? worth[n->parent] : 0);
        if (n->depth >= nodes_max || worth[i] <= most) continue;
        most = worth[i];
        best = i;
    }
    for (; best != CHORD_DRAFT_ROOT; best = tree->nodes[best].parent) keep[best] = true;
    keep_nodes(tree, keep);
}

/* Whose next guess is the likeliest; NULL: nobody has one. */
static chord_draft_line *next_line(chord_draft_line *lines, uint32_t count)
{
    chord_draft_line *best = NULL;
    for (chord_draft_line *l = lines; l < lines + count; l++)
        if (l->taken < l->tree->count &&
            (best == NULL || l->tree->nodes[l->taken].likely > best->tree->nodes[best->taken].likely))
            best = l;
    return best;
}

void chord_draft_share(chord_draft_line *lines, uint32_t count, const chord_draft_gate *gate, uint32_t texts,
                       uint32_t guesses_max)
{
    double tokens = texts, most = 0;
    uint32_t best = 0;
    chord_draft_line *next;
    for (uint32_t i = 0; i < count; i++) lines[i].taken = 0;
    for (uint32_t n = 0; n <= guesses_max; n++) {
        double ns = chord_draft_company_ns(gate, texts, n);
        if (ns > 0 && tokens / ns > most) {
            most = tokens / ns;
            best = n;
        }
        if ((next = next_line(lines, count)) == NULL) break;
        tokens += (double)next->tree->nodes[next->taken++].likely;
    }
    for (uint32_t i = 0; i < count; i++) lines[i].taken = 0;
    for (uint32_t n = 0; n < best; n++) next_line(lines, count)->taken++;
    for (uint32_t i = 0; i < count; i++) lines[i].tree->count = lines[i].taken;
}

/* ---- paths ---------------------------------------------------------------------------------------------------- */

static bool is_leaf(const chord_draft_tree *tree, uint32_t node)
{
    for (uint32_t i = node + 1; i < tree->count; i++)
        if (tree->nodes[i].parent == node) return false;
    return true;
}

static void path_to(const chord_draft_tree *tree, uint32_t leaf, chord_draft_path *path)
{
    path->count = tree->nodes[leaf].depth + 1;
    for (uint32_t i = path->count, at = leaf; i-- > 0; at = tree->nodes[at].parent) path->nodes[i] = at;
}

/* The most that the path shares with one before it. */
static uint32_t shared_with(const chord_draft_path *path, const chord_draft_path *paths, uint32_t count)
{
    uint32_t most = 0;
    for (uint32_t p = 0; p < count; p++) {
        uint32_t same = 0;
        while (same < path->count && same < paths[p].count && path->nodes[same] == paths[p].nodes[same]) same++;
        most = same > most ? same : most;
    }
    return most;
}

uint32_t chord_draft_paths(chord_draft_tree *tree, uint32_t paths_max, uint32_t rows_max, chord_draft_path *paths)
{
    uint32_t order[CHORD_DRAFT_NODES], count = 0, rows = 0;
    bool keep[CHORD_DRAFT_NODES] = {false};
    order_nodes(tree, order);
    for (uint32_t i = 0; i < tree->count && count < paths_max; i++) {
        chord_draft_path path = {0};
        if (!is_leaf(tree, order[i])) continue;
        path_to(tree, order[i], &path);
        if (rows + path.count + 1 > rows_max) continue;
        path.own = shared_with(&path, paths, count);
        rows += path.count + 1; /* each path begins with the last token that is known */
        paths[count++] = path;
        for (uint32_t n = 0; n < path.count; n++) keep[path.nodes[n]] = true;
    }
    uint32_t now = 0, moved[CHORD_DRAFT_NODES];
    for (uint32_t i = 0; i < tree->count; i++) moved[i] = keep[i] ? now++ : CHORD_DRAFT_ROOT;
    for (uint32_t p = 0; p < count; p++)
        for (uint32_t n = 0; n < paths[p].count; n++) paths[p].nodes[n] = moved[paths[p].nodes[n]];
    keep_nodes(tree, keep);
    return count;
}
