/* states.h - what the rules may be doing at some place of a text, found out as it is needed. */
#ifndef CHORD_STATES_H
#define CHORD_STATES_H

#include "grammar/rules.h"

#define CHORD_STATE_DEAD 0u
#define CHORD_STATE_FULL UINT32_MAX /* there is no room for the state, or it is doing too much at once */

/* A frame of a stack: where to go on after a rule, or how often a body was read. Equal stacks are one. */
typedef struct chord_frame {
    uint32_t node, count, parent; /* parent: 0: the bottom */
} chord_frame;
#define CHORD_FRAME_RETURN UINT32_MAX /* count of those that are no repetition */

/* At this node with that stack. */
typedef struct chord_doing {
    uint32_t node, frame;
} chord_doing;

typedef struct chord_state {
    uint32_t first, count; /* doings[first ...]: nodes that read a byte, sorted */
    bool may_end;
} chord_state;

/* Sized once; when something is full, chord_states_forget makes room. */
typedef struct chord_grammar_states {
    const chord_rules *rules;
    chord_state *states;   /* from 1 on; 0 is dead */
    uint32_t *next;        /* (states, classes): UINT32_MAX - 1: not known yet */
    uint32_t *state_slots; /* by hash: state, 0: none */
    chord_doing *doings;
    chord_frame *frames; /* from 1 on; a parent comes before its children */
    uint32_t *frame_slots;
    uint32_t state_count, state_max, doing_count, doing_max, frame_count, frame_max, state_slot_count, frame_slot_count;
    /* of one closure */
    chord_doing *work;
    uint32_t *seen_slots; /* by hash: place in work and 1 */
    uint32_t work_count, work_max, seen_slot_count;
    bool full, ends;
} chord_grammar_states;

uint64_t chord_grammar_states_bytes(const chord_rules *rules, uint64_t memory_bytes); /* what open takes */
void chord_grammar_states_open(chord_grammar_states *s, const chord_rules *rules, void *memory, uint64_t bytes);
uint32_t chord_grammar_states_begin(chord_grammar_states *s);
uint32_t chord_grammar_states_step(chord_grammar_states *s, uint32_t state, uint8_t byte);
/* Forgets all but this state; gives its new number. CHORD_STATE_FULL: it alone is too large. */
uint32_t chord_grammar_states_forget(chord_grammar_states *s, uint32_t state);

#endif
