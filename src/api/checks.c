/* checks.c - guesses are checked in a pass: a row for each draws the session's own token there, and what was guessed right is
 * kept. */
#include "api/api_inner.h"

/* A row stands behind its call's token of this number. It counts if that token is the last that was drawn. */
static bool take_row(void *ud, size_t number, const float *logits, size_t vocabulary)
{
    (void)vocabulary;
    const chord_check *c = ud;
    chord_session *s = c->session;
    chord_drafts *d = &s->drafts;
    if (d->left || d->error.status != CHORD_OK) return false;
    uint32_t node = number == 0 ? CHORD_DRAFT_ROOT : c->path->nodes[number - 1];
    if (number != d->drawn_count || node != d->at) return true;
    if (chord_session_draw(s, logits, d->drawn_count, &d->error) != CHORD_OK) return false;
    int32_t token = d->drawn[d->drawn_count - 1].token;
    chord_draft_learn(&d->tree, &d->gate, d->at, token);
    node = chord_draft_child(&d->tree, d->at, token);
    d->left = node == CHORD_DRAFT_ROOT;
    if (!d->left) d->at = node;
    return !d->left;
}

/* path: NULL: there are no guesses. A check stays where it was made until the pass is over. */
static void make_check(chord_session *s, const chord_draft_path *path, uint32_t first_wanted, chord_sequence *sequence,
                       chord_check *c)
{
    *c = (chord_check){.session = s, .path = path, .sequence = sequence};
    c->tokens[0] = s->tokens[s->count - 1];
    for (uint32_t i = 0; path != NULL && i < path->count; i++)
        c->tokens[i + 1] = s->drafts.tree.nodes[path->nodes[i]].token;
    c->args = (chord_forward_args){.tokens = c->tokens,
                                   .count = path != NULL ? path->count + 1 : 1,
                                   .first_wanted = first_wanted,
                                   .on_row = take_row,
                                   .ud = c};
}

/* That of the session's own sequence. Gives how many paths there are, and a check for each is wanted. */
static uint32_t begin(chord_session *s, uint32_t paths_max, chord_check *check)
{
    chord_drafts *d = &s->drafts;
    d->drawn_count = d->given = 0;
    d->at = CHORD_DRAFT_ROOT;
    d->left = false;
    d->error.status = CHORD_OK;
    uint32_t paths = chord_draft_paths(&d->tree, paths_max, chord_network_rows_max(s->model->net), d->paths);
    make_check(s, paths > 0 ? &d->paths[0] : NULL, 0, s->sequence, check);
    chord_session_begin(s, &check->args, CHORD_PHASE_DECODE);
    chord_session_form_ahead(s, check->tokens + 1, check->args.count - 1);
    return paths;
}

/* A text that cannot be cut anywhere has one path. */
static uint32_t paths_max(const chord_session *s)
{
    return chord_network_can_guess(s->model->net) ? CHORD_DRAFT_PATHS : 1;
}

/* The first path is the session's own sequence's, branches take the others; those for which there is no branch are left
 * out. */
static uint32_t set_checks(chord_session *s, chord_check *checks)
{
    chord_drafts *d = &s->drafts;
    uint32_t count = 1, paths = begin(s, paths_max(s), &checks[0]);
    for (; count < paths; count++) {
        chord_sequence *sequence = chord_sequence_branch(s->model->net, s->sequence, s->count - 1);
        if (sequence == NULL) break;
        make_check(s, &d->paths[count], d->paths[count].own + 1, sequence, &checks[count]);
    }
    return count;
}

static chord_status run_checks(chord_session *s, chord_check *checks, uint32_t count, chord_error *err)
{
    chord_forward_call calls[CHORD_DRAFT_PATHS];
    for (uint32_t i = 0; i < count; i++)
        calls[i] = (chord_forward_call){.sequence = checks[i].sequence, .args = &checks[i].args};
    CHORD_TRY(chord_session_forward(s, calls, count, err));
    if (calls[0].status != CHORD_OK && err != NULL) *err = calls[0].error;
    return calls[0].status;
}

/* Of the checks one whose path begins with the nodes up to this one. */
static const chord_check *find_check(const chord_check *checks, uint32_t count, uint32_t node, uint32_t depth)
{
    for (uint32_t i = 0; i < count; i++)
        if (checks[i].path != NULL && checks[i].path->count > depth && checks[i].path->nodes[depth] == node)
            return &checks[i];
    return &checks[0];
}

/* The session's sequence ends with the last token but one that was drawn, whichever path that lies on; or earlier, where
 * layers' states cannot be made for that place (others took rows of the pass), and the rest is evaluated once more. */
static void settle(chord_session *s, const chord_check *checks, uint32_t count)
{
    chord_drafts *d = &s->drafts;
    uint32_t right = d->drawn_count > 0 ? d->drawn_count - 1 : 0, node = d->at;
    while (node != CHORD_DRAFT_ROOT && d->tree.nodes[node].depth + 1 > right) node = d->tree.nodes[node].parent;
    const chord_check *on = right > 0 ? find_check(checks, count, node, right - 1) : checks;
    if (on != checks) chord_sequence_copy(s->model->net, s->sequence, on->sequence, s->count + right);
    else chord_sequence_cut(s->model->net, s->sequence, s->count + right);
    for (uint32_t i = 1; i < count; i++) chord_sequence_close(s->model->net, checks[i].sequence);
    chord_mutex_lock(&s->counting);
    s->counted.drafted_tokens += d->tree.count;
    s->counted.accepted_tokens += right;
    s->counted.draft_passes += d->asked_now;
    s->counted.draft_accepted_tokens += d->asked_now ? right : 0;
    chord_mutex_unlock(&s->counting);
}

/* What became of the pass, when the guesses are settled: CHORD_OK: a token was drawn. */
static chord_status result_of(const chord_session *s, chord_status status, chord_error *err)
{
    const chord_drafts *d = &s->drafts;
    if (status != CHORD_OK || d->drawn_count > 0) return status;
    if (err != NULL) *err = d->error;
    return d->error.status;
}

static uint64_t stall_ns(const chord_session *s)
{
    chord_sequence_counts counts;
    chord_sequence_stats(s->model->net, s->sequence, &counts);
    return counts.pager.stall_ns;
}

static chord_status check_all(chord_session *s, chord_error *err)
{
    chord_drafts *d = &s->drafts;
    chord_check checks[CHORD_DRAFT_PATHS];
    uint32_t count = set_checks(s, checks);
    uint64_t start_ns = chord_clock_ns(), stalled_ns = stall_ns(s);
    chord_status status = run_checks(s, checks, count, err);
    if (status == CHORD_OK)
        chord_draft_note_pass(&d->gate, 1 + d->tree.count, chord_clock_ns() - start_ns, stall_ns(s) - stalled_ns);
    settle(s, checks, count);
    return result_of(s, status, err);
}

/* Weights that give no numbers: it may be a guess's fault. */
static chord_status once_more(chord_session *s, chord_status status, chord_error *err)
{
    if (status != CHORD_CORRUPT || s->drafts.tree.count == 0) return status;
    s->drafts.tree.count = 0;
    return check_all(s, err);
}

chord_status chord_check_guesses(chord_session *s, chord_error *err) { return once_more(s, check_all(s, err), err); }

void chord_check_begin(chord_session *s, chord_check *check) { (void)begin(s, 1, check); }

chord_status chord_check_end(const chord_check *check, chord_status status, chord_error *err)
{
    settle(check->session, check, 1);
    return once_more(check->session, result_of(check->session, status, err), err);
}
