/* draft.h - guesses at the tokens that come next, and whether it pays to have them checked.
 *
 * A guess is a tree of tokens after the text. Checking it is one pass over the weights with a row for each of its
 * tokens, and gives the model's own token at each place: as far as the tree has them, they cost no pass of their own.
 * What comes out is what would have come out without; a bad guess costs time only. Guesses are looked up in the text
 * itself (lookup.c) or come from another model or the text's form (the caller); which of them are worth their rows is reckoned from what
 * passes took and how often such guesses were right (gate.c). Speculative decoding: Leviathan et al. 2023, trees: Miao et
 * al. 2023 (SpecInfer), Svirschevski et al. 2024 (SpecExec); lookup: Saxena 2023.
 *
 * Pure: no clocks, no files, no allocations. Not for several threads at once. */
#ifndef CHORD_DRAFT_H
#define CHORD_DRAFT_H

#include "base/base.h"

#define CHORD_DRAFT_NODES 32u /* most tokens of a tree */
#define CHORD_DRAFT_ROOT UINT32_MAX

/* ---- what is known of guesses and passes (gate.c) -------------------------------------------------------------- */

typedef enum chord_draft_source {
    CHORD_DRAFT_LOOKUP, /* strength: how many tokens before were the same */
    CHORD_DRAFT_FIRST,  /* the other model's own next token; strength: its probability, in percent */
    CHORD_DRAFT_OTHER,  /* others that it deems likely; likewise */
    CHORD_DRAFT_FORCED, /* the text's form leaves no choice; only how the text is cut into tokens is a guess; strength: 100 */
    CHORD_DRAFT_SOURCES
} chord_draft_source;

#define CHORD_DRAFT_LEVELS 8u      /* of strength */
#define CHORD_DRAFT_ROW_CLASSES 6u /* of rows: 1, 2, 4, 8, 16, more */
#define CHORD_DRAFT_COMPANY 32u    /* most texts that share a pass, for guesses to be reckoned there */

typedef struct chord_draft_gate {
    float right[CHORD_DRAFT_SOURCES][CHORD_DRAFT_LEVELS]; /* the share that was right, of such guesses lately */
    float child_mass; /* how likely the token is among the children that the other model gives a node, lately */
    double pass_ns[CHORD_DRAFT_ROW_CLASSES]; /* of a pass with so many rows, lately; 0: none yet */
    double compute_ns;                       /* of that of one row: in which it did not wait for bytes */
    double draft_ns;                         /* of a pass of the other model */
    double company_ns[CHORD_DRAFT_COMPANY];  /* of a pass that so many texts share, a row each, lately; 0: none yet */
    double company_row_ns;                   /* arithmetic of one row there */
    double guess_ns;                         /* what each guess added to such a pass, lately; below 0: none yet */
    double
        further_stall; /* what a further row adds to a pass's waiting, before it was seen; 0: all rows read the same */
    bool fixed;        /* times are as they were set: what passes take is not noted */
} chord_draft_gate;

void chord_draft_gate_init(chord_draft_gate *gate);
/* A pass of the model that is to be guessed: rows, time, and the part of it that it waited for bytes. */
void chord_draft_note_pass(chord_draft_gate *gate, uint32_t rows, uint64_t ns, uint64_t stall_ns);
void chord_draft_note_guess_pass(chord_draft_gate *gate, uint64_t ns); /* of the other model */
/* What a pass with so many rows will take, in ns; 0: not known. */
double chord_draft_pass_ns(const chord_draft_gate *gate, uint32_t rows);
/* The same of passes that several texts share: each has a row, and guesses, all of them together, more. own: those of the
 * gate's text. */
void chord_draft_note_company(chord_draft_gate *gate, uint32_t texts, uint32_t guesses, uint32_t own, uint64_t ns,
                              uint64_t stall_ns);
double chord_draft_company_ns(const chord_draft_gate *gate, uint32_t texts, uint32_t guesses);

/* ---- trees (tree.c) -------------------------------------------------------------------------------------------- */

typedef struct chord_draft_node {
    int32_t token;
    uint32_t parent, depth;    /* CHORD_DRAFT_ROOT, 0: follows the text */
    chord_draft_source source; /* and how strong a guess: of what it is a case in gate->right */
    uint32_t level;
    float likely; /* that the text goes on so, up to and with this token */
} chord_draft_node;

typedef struct chord_draft_tree {
    chord_draft_node nodes[CHORD_DRAFT_NODES]; /* parents before children */
    uint32_t count;
} chord_draft_tree;

/* The node for this token behind parent, which may be there already: then the likelier guess counts. strength as the
 * source says. CHORD_DRAFT_ROOT: there is no room, or it is too unlikely. */
uint32_t chord_draft_add(chord_draft_tree *tree, const chord_draft_gate *gate, uint32_t parent, int32_t token,
                         chord_draft_source source, uint32_t strength);
/* CHORD_DRAFT_ROOT: none. parent may be CHORD_DRAFT_ROOT. */
uint32_t chord_draft_child(const chord_draft_tree *tree, uint32_t parent, int32_t token);

/* Leaves the nodes whose checking pays best, at most nodes_max: the most tokens for each ns, when the guess has cost
 * spent_ns already. Gives these tokens for each ns; 0: what passes take is not known yet, and nothing is left. */
double chord_draft_prune(chord_draft_tree *tree, const chord_draft_gate *gate, uint32_t nodes_max, double spent_ns);
/* The same, and nothing is taken away. */
double chord_draft_gain(const chord_draft_tree *tree, const chord_draft_gate *gate, uint32_t nodes_max,
                        double spent_ns);
/* The same if the other model's pass were spent on the `count` likeliest leaves (the text's end is one, where the tree has
 * no node of the other model). */
double chord_draft_promise(const chord_draft_tree *tree, const chord_draft_gate *gate, uint32_t nodes_max,
                           double spent_ns, const uint32_t *leaves, uint32_t count);

/* From the root to a leaf. Those that leave an earlier path somewhere come behind it. */
typedef struct chord_draft_path {
    uint32_t nodes[CHORD_DRAFT_NODES], count;
    uint32_t own; /* the first of them that is in no earlier path */
} chord_draft_path;
/* Cuts the tree down to at most paths_max, the likeliest, of at most rows_max tokens in sum; gives how many there are. */
uint32_t chord_draft_paths(chord_draft_tree *tree, uint32_t paths_max, uint32_t rows_max, chord_draft_path *paths);

/* Leaves the one path that promises most tokens, at most nodes_max of it. */
void chord_draft_keep_line(chord_draft_tree *tree, uint32_t nodes_max);

/* A tree of one path, among those of other texts in the same pass. */
typedef struct chord_draft_line {
    chord_draft_tree *tree;
    uint32_t taken;
} chord_draft_line;
/* Cuts the lines down to the guesses with which the pass is expected to give most tokens for each ns, in sum at most
 * guesses_max: the likeliest get the rows, whosoever they are. texts: that share the pass, those without a line included. */
void chord_draft_share(chord_draft_line *lines, uint32_t count, const chord_draft_gate *gate, uint32_t texts,
                       uint32_t guesses_max);

/* The model's token behind `node` (CHORD_DRAFT_ROOT: behind the text) is known: the guesses there were right or not. */
void chord_draft_learn(const chord_draft_tree *tree, chord_draft_gate *gate, uint32_t node, int32_t token);

/* ---- guesses from the text (lookup.c) -------------------------------------------------------------------------- */

/* What followed where the text's end stood before: the longest agreements, the latest of equals. tokens: (count) the
 * text; the guesses are at most length_max long. */
void chord_draft_lookup(chord_draft_tree *tree, const chord_draft_gate *gate, const int32_t *tokens, uint32_t count,
                        uint32_t length_max);

#endif
