/* drafts.c - a session guesses ahead: from its own text, or by asking the draft model. Checking the guesses is checks.c. */
#include "api/api_inner.h"

#define LEAF_LIKELY 0.04f /* less is not worth a row of the draft model */

/* A node of the tree that the draft model goes on from. */
typedef struct leaf {
    chord_session *session;
    uint32_t node;            /* CHORD_DRAFT_ROOT: the end of the text */
    chord_sequence *sequence; /* of the draft model, the node included */
} leaf;

/* How many guesses one pass can check here. */
static uint32_t nodes_max(const chord_session *s)
{
    const chord_generate_options *o = &s->generation.options;
    uint64_t most = chord_min_u64(o->draft_tokens, CHORD_DRAFT_NODES);
    most = chord_min_u64(most, chord_network_guesses_max(s->model->net));
    most = chord_min_u64(most, chord_network_rows_max(s->model->net) - 1u);
    if (o->max_tokens != 0) most = chord_min_u64(most, o->max_tokens - s->generation.result.tokens - 1);
    return (uint32_t)chord_min_u64(most, s->model->context_tokens - s->count - 1);
}

/* ---- the draft model ------------------------------------------------------------------------------------------------ */

/* A draft that fails is no failure of the session: it goes on without. */
static void give_up(chord_session *s, const chord_error *why)
{
    if (why->status == CHORD_CANCELLED) return;
    s->drafts.gave_up = true;
    chord_runtime_say(s->model->runtime, CHORD_LOG_WARN, "the draft model is not asked any more: %s", why->text);
}

static uint32_t percent(float p) { return (uint32_t)(p * 100.0f); }

/* What the draft model says of the token behind a leaf. */
static bool guess(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    (void)position;
    const leaf *l = ud;
    chord_session *s = l->session;
    const chord_sampling *sampling = &s->generation.options.sampling;
    uint32_t n = (uint32_t)chord_min_u64(vocabulary, s->model->drawable), ahead = 0;
    int32_t tokens[CHORD_DRAFT_CHILDREN], own = -1;
    float likely[CHORD_DRAFT_CHILDREN];
    if (l->node != CHORD_DRAFT_ROOT) ahead = s->drafts.tree.nodes[l->node].depth + 1;
    uint32_t found = chord_sample_likeliest(logits, n, sampling->temperature, CHORD_DRAFT_CHILDREN, tokens, likely);
    /* with the random number that the session itself will draw with: its own choice is the likelier to be the same */
    chord_sample_args args = {.sampling = sampling,
                              .past = s->tokens,
                              .past_count = s->count,
                              .position = s->count + ahead,
                              .biases = s->generation.options.biases,
                              .bias_count = s->generation.options.bias_count};
    if (chord_sample(&args, logits, n, s->sample_scratch, &own, NULL) != CHORD_OK) return true;
    for (uint32_t i = 0; i < found; i++)
        chord_draft_add(&s->drafts.tree, &s->drafts.gate, l->node, tokens[i],
                        tokens[i] == own ? CHORD_DRAFT_FIRST : CHORD_DRAFT_OTHER, percent(likely[i]));
    if (chord_draft_child(&s->drafts.tree, l->node, own) == CHORD_DRAFT_ROOT)
        chord_draft_add(&s->drafts.tree, &s->drafts.gate, l->node, own, CHORD_DRAFT_FIRST, 0);
    return true;
}

/* A branch was in one pass, with the others. */
static void count_branch(chord_session *s, const chord_sequence *sequence)
{
    chord_sequence_counts counts;
    chord_sequence_stats(s->model->draft->net, sequence, &counts);
    chord_mutex_lock(&s->counting);
    chord_pager_stats_add(&s->drafts.asked, &counts.pager, NULL);
    chord_mutex_unlock(&s->counting);
}

/* One pass of the draft model: behind each leaf there are its guesses afterwards. */
static bool ask(chord_session *s, leaf *leaves, uint32_t count)
{
    chord_network *net = s->model->draft->net;
    chord_forward_args args[CHORD_DRAFT_WIDTH];
    chord_forward_call calls[CHORD_DRAFT_WIDTH];
    chord_error err;
    uint32_t rows = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool root = leaves[i].node == CHORD_DRAFT_ROOT;
        uint32_t known = chord_sequence_length(leaves[i].sequence);
        args[i] = (chord_forward_args){.tokens = root ? s->tokens + known : &s->drafts.tree.nodes[leaves[i].node].token,
                                       .count = root ? s->count - known : 1,
                                       .on_row = guess,
                                       .ud = &leaves[i]};
        args[i].first_wanted = args[i].count - 1;
        calls[i] = (chord_forward_call){.sequence = leaves[i].sequence, .args = &args[i]};
        rows += args[i].count;
    }
    uint64_t start_ns = chord_clock_ns();
    chord_status status = chord_network_forward_all(net, calls, count, &err);
    if (rows <= 2 * CHORD_DRAFT_WIDTH) chord_draft_note_guess_pass(&s->drafts.gate, chord_clock_ns() - start_ns);
    if (leaves[0].node != CHORD_DRAFT_ROOT) count_branch(s, leaves[0].sequence);
    for (uint32_t i = 0; i < count && status == CHORD_OK; i++) {
        status = calls[i].status;
        if (status != CHORD_OK) err = calls[i].error;
    }
    if (status != CHORD_OK) give_up(s, &err);
    return status == CHORD_OK;
}

/* The likeliest nodes behind the leaves, which were just asked for. */
static uint32_t next_leaves(const chord_session *s, const leaf *leaves, uint32_t count, uint32_t *nodes)
{
    const chord_draft_tree *tree = &s->drafts.tree;
    uint32_t found = 0;
    for (uint32_t i = 0; i < tree->count; i++) {
        bool behind = false;
        for (uint32_t l = 0; l < count; l++) behind = behind || tree->nodes[i].parent == leaves[l].node;
        if (!behind || tree->nodes[i].likely < LEAF_LIKELY) continue;
        uint32_t at = found < CHORD_DRAFT_WIDTH ? found++ : CHORD_DRAFT_WIDTH;
        for (; at > 0 && tree->nodes[nodes[at - 1]].likely < tree->nodes[i].likely; at--)
            if (at < CHORD_DRAFT_WIDTH) nodes[at] = nodes[at - 1];
        if (at < CHORD_DRAFT_WIDTH) nodes[at] = i;
    }
    return found;
}

static const leaf *leaf_of(const leaf *leaves, uint32_t count, uint32_t node)
{
    for (uint32_t i = 0; i < count; i++)
        if (leaves[i].node == node) return &leaves[i];
    return NULL;
}

static void close_leaves(chord_session *s, leaf *leaves, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (leaves[i].node != CHORD_DRAFT_ROOT) chord_sequence_close(s->model->draft->net, leaves[i].sequence);
}

/* The leaves of the next pass: these nodes, each with a sequence of its own; fewer where there are no more branches. */
static uint32_t branch(chord_session *s, const leaf *leaves, uint32_t count, const uint32_t *nodes, uint32_t want,
                       leaf *out)
{
    chord_network *net = s->model->draft->net;
    uint32_t made = 0;
    for (; made < want; made++) {
        const leaf *from = leaf_of(leaves, count, s->drafts.tree.nodes[nodes[made]].parent);
        chord_sequence *sequence = chord_sequence_branch(net, from->sequence, chord_sequence_length(from->sequence));
        if (sequence == NULL) break;
        out[made] = (leaf){.session = s, .node = nodes[made], .sequence = sequence};
    }
    return made;
}

/* Goes on level by level while that is expected to pay; gives the time that it took. */
static double ask_while_it_pays(chord_session *s, uint32_t most)
{
    chord_drafts *d = &s->drafts;
    leaf leaves[CHORD_DRAFT_WIDTH] = {{.session = s, .node = CHORD_DRAFT_ROOT, .sequence = d->sequence}};
    uint32_t nodes[CHORD_DRAFT_WIDTH] = {CHORD_DRAFT_ROOT}, count = 1;
    double spent_ns = 0;
    d->known = chord_sequence_cut(s->model->draft->net, d->sequence, (uint32_t)chord_min_u64(d->known, s->count - 1));
    while (count > 0 && chord_draft_promise(&d->tree, &d->gate, most, spent_ns, nodes, count) >
                            chord_draft_gain(&d->tree, &d->gate, most, spent_ns)) {
        leaf next[CHORD_DRAFT_WIDTH];
        uint64_t start_ns = chord_clock_ns();
        if (!ask(s, leaves, count)) break;
        d->asked_now = true;
        if (leaves[0].node == CHORD_DRAFT_ROOT) d->known = s->count;
        spent_ns += (double)(chord_clock_ns() - start_ns);
        uint32_t want = next_leaves(s, leaves, count, nodes), made = branch(s, leaves, count, nodes, want, next);
        close_leaves(s, leaves, count);
        memcpy(leaves, next, made * sizeof *next);
        count = made;
    }
    close_leaves(s, leaves, count);
    return spent_ns;
}

/* What the form of the text leaves no choice about. */
static void add_forced(chord_session *s, uint32_t most)
{
    chord_drafts *d = &s->drafts;
    int32_t tokens[CHORD_DRAFT_NODES];
    uint32_t count = chord_session_form_forced(s, tokens, most), node = CHORD_DRAFT_ROOT;
    for (uint32_t i = 0; i < count; i++) {
        node = chord_draft_add(&d->tree, &d->gate, node, tokens[i], CHORD_DRAFT_FORCED, 100);
        if (node == CHORD_DRAFT_ROOT) break;
    }
}

/* Gives how many guesses a pass can check. */
static uint32_t look_up(chord_session *s)
{
    chord_drafts *d = &s->drafts;
    uint32_t most = nodes_max(s);
    d->tree.count = 0;
    d->asked_now = false;
    if (most > 0) add_forced(s, most);
    if (most > 0) chord_draft_lookup(&d->tree, &d->gate, s->tokens, s->count, most);
    return most;
}

void chord_drafts_look_up(chord_session *s) { chord_draft_keep_line(&s->drafts.tree, look_up(s)); }

static void propose(chord_session *s)
{
    chord_drafts *d = &s->drafts;
    uint32_t most = look_up(s);
    double spent_ns = 0;
    if (most > 0 && d->sequence != NULL && !d->gave_up && s->count <= s->model->draft->context_tokens)
        spent_ns = ask_while_it_pays(s, most);
    chord_draft_prune(&d->tree, &d->gate, most, spent_ns);
}

chord_status chord_drafts_pass(chord_session *s, chord_error *err)
{
    uint64_t start_ns = chord_clock_ns();
    propose(s);
    chord_mutex_lock(&s->counting);
    s->counted.decode_ns += chord_clock_ns() - start_ns;
    chord_mutex_unlock(&s->counting);
    return chord_check_guesses(s, err);
}
