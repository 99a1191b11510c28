/* reply_inner.h - the styles of calls, and the state of an answer that is being read. */
#ifndef CHORD_REPLY_INNER_H
#define CHORD_REPLY_INNER_H

#include "reply/reply.h"

/* ---- styles.c -------------------------------------------------------------------------------------------- */

typedef enum reply_body {
    REPLY_OBJECTS,  /* objects that hold a name and arguments; several may stand in a list */
    REPLY_KEYED,    /* {"name": {arguments}} */
    REPLY_NAMED,    /* a name, then the arguments as JSON */
    REPLY_TAGGED,   /* a name, then each parameter between tags */
    REPLY_PYTHON,   /* name(key=value), in a list */
    REPLY_LOOSE,    /* name{key:value}, keys bare */
    REPLY_NESTED,   /* a name, then elements, which may have others inside */
    REPLY_CHANNELS, /* messages with a header that says to whom they go */
} reply_body;

#define REPLY_BARE 1u       /* a call may be all of the answer, without a marker; then it has to name a tool there is */
#define REPLY_IN_THOUGHT 2u /* the begin of a call ends what is thought */
#define REPLY_LINES 4u      /* values stand on lines of their own */
#define REPLY_REPEATS 8u    /* several calls are one after the other as `written` has one */
#define REPLY_BEGINS 16u    /* the prompt ends with `open` */
#define REPLY_SAYS_TYPE 32u /* behind value_open comes true"> for a text, false"> for other kinds */
#define REPLY_TIGHT 64u     /* nothing between parameters */

typedef struct reply_tags {
    const char *open, *key_end, *value_open, *value_close;
} reply_tags;

typedef struct reply_style {
    const char *name;
    const char *signs[2]; /* the template's text holds them */
    reply_body body;
    uint32_t flags;
    const char *section, *section_end; /* around all calls; "": none */
    const char *open, *close;          /* of a call; open "": none */
    const char *name_end;              /* "": a line's end, or a tag */
    const reply_tags *tags;
    /* One call as the grammar lets it be written: %n the name, %a the arguments, %p parameters in tags, %k keywords, %g members,
     * %e elements */
    const char *written;
} reply_style;

typedef struct reply_thought {
    const char *open, *close;
    const char *sign; /* the template's text holds it */
    bool anywhere;    /* not only before anything else was said */
} reply_thought;

const reply_style *reply_style_of(const char *text, size_t len); /* never NULL: the last one is for any template */
const reply_thought *reply_thought_of(const char *text, size_t len);
/* Texts that a template puts around what is said; NULL: no more. */
const char *reply_quiet_of(const char *text, size_t len, uint32_t *at);
bool reply_holds(const char *text, size_t len, const char *part);

/* ---- flow.c ---------------------------------------------------------------------------------------------- */

typedef enum reply_want {
    FLOW_VALUE,
    FLOW_FIRST, /* of a list, or its end */
    FLOW_KEY,   /* or the object's end */
    FLOW_COLON,
    FLOW_NEXT, /* a comma, or an end */
    FLOW_STRING,
    FLOW_KEY_STRING,
    FLOW_WORD, /* a number, true, false, null */
    FLOW_DONE,
    FLOW_BAD
} reply_want;

#define FLOW_GAP 64u
#define FLOW_WORD_MAX 128u
/* One JSON value on its way through, so that what has come out is always the begin of a valid one. */
typedef struct reply_flow {
    reply_want want;
    uint32_t depth;
    uint64_t objects; /* a bit for each open bracket, the innermost lowest: it is an object */
    char gap[FLOW_GAP];
    uint32_t gap_len; /* white space and a comma: given when something follows */
    char word[FLOW_WORD_MAX];
    uint32_t word_len;
    char escape[6];
    uint32_t escape_len;
    bool owes;     /* a value, behind a colon */
    bool bad_word; /* it broke at `word` */
    bool at_colon; /* it broke where a colon should have been */
} reply_flow;
/* Takes what belongs to the value, and puts it into out; how much. FLOW_DONE: it is whole. FLOW_BAD: what comes is no JSON. */
size_t reply_flow_take(reply_flow *flow, const char *text, size_t len, chord_buffer *out, chord_status *status);
/* What makes a valid value of the begin that came out. */
void reply_flow_close(reply_flow *flow, chord_buffer *out, chord_status *status);
/* A word of JSON or Python as JSON has it; NULL: it is none. */
const char *reply_word(const char *text, size_t len);
void reply_put(chord_buffer *out, const char *text, size_t len, chord_status *status);

/* ---- tools.c --------------------------------------------------------------------------------------------- */

enum { KIND_TEXT = 1, KIND_NUMBER = 2, KIND_BOOL = 4, KIND_NULL = 8, KIND_LIST = 16, KIND_OBJECT = 32, KIND_ALL = 63 };

chord_status reply_tools_check(const chord_json *tools, chord_error *err);
const chord_json *reply_tool_function(const chord_json *tool);   /* {"name", "parameters"} */
const char *reply_tool_name(const chord_json *tool);             /* NULL: it is no function */
const chord_json *reply_tool_parameters(const chord_json *tool); /* NULL: any */
const chord_json *reply_tool_find(const chord_json *tools, const char *name);
uint32_t reply_param_kinds(const chord_json *tool, const char *key, size_t len); /* of KIND_ALL */
uint32_t reply_schema_kinds(const chord_json *schema, const chord_json *root);
uint32_t reply_value_kind(const chord_json *value);

/* ---- reading --------------------------------------------------------------------------------------------- */

typedef enum reply_state {
    REPLY_TEXT,
    REPLY_THOUGHT,
    REPLY_HEAD,    /* behind the begin of a call, up to its arguments */
    REPLY_JSON,    /* arguments */
    REPLY_TAIL,    /* what an object has behind its arguments */
    REPLY_PARAM,   /* between parameters */
    REPLY_VALUE,   /* of a parameter */
    REPLY_BETWEEN, /* behind a call */
    REPLY_HEADER,  /* of a message */
    REPLY_SKIP     /* a message to somebody else */
} reply_state;

typedef enum reply_mark_kind {
    MARK_THOUGHT,
    MARK_THOUGHT_END,
    MARK_SECTION,
    MARK_CALL,
    MARK_QUIET,
    MARK_HEADER /* a message ends, or begins */
} reply_mark_kind;
typedef struct reply_mark {
    const char *text;
    size_t len;
    reply_mark_kind kind;
} reply_mark;

#define REPLY_MARKS_MAX 16u
#define REPLY_SPECIALS_MAX 16u
#define REPLY_NAME_MAX 256u
#define REPLY_HEAD_MAX 65536u /* a head that is longer is none */

struct chord_reply {
    chord_heap *heap;
    chord_arena arena; /* of the tools, and of what is kept of the template */
    const chord_json *tools;
    const reply_style *style;                   /* NULL: nothing is a call */
    const reply_thought *thought;               /* NULL: nothing is thought */
    bool thought_open, keep_thoughts, channels; /* thought_open: the prompt ends inside of it */
    reply_mark marks[REPLY_MARKS_MAX];
    uint32_t mark_count;
    const char *specials[REPLY_SPECIALS_MAX];
    uint32_t special_count;

    reply_state state;
    char begun[4]; /* a character that is not whole yet */
    uint32_t begun_len;
    chord_buffer held, made; /* made: arguments that are to be given */
    size_t at;               /* of held: what lies before is done with */
    size_t mark_len;         /* of the marker before a head */
    bool mark_is_section, from_thought;
    bool final;      /* nothing comes any more */
    bool said;       /* something that is no white space */
    bool no_bare;    /* it was looked whether the answer is a call without a marker */
    bool skip_space; /* what comes first of a text is left out, when it is white space */
    uint32_t calls;
    /* of a call */
    char name[REPLY_NAME_MAX], id[REPLY_NAME_MAX];
    reply_flow flow;
    uint32_t closing; /* braces behind the arguments */
    uint32_t params;
    uint32_t kinds; /* of a parameter's value */
    size_t looked;  /* of a value: its end is not before here */
    bool line, text_begun, in_list;

    chord_on_reply on_event;
    void *ud;
    chord_status status;
};

typedef struct reply_text {
    const char *at, *end;
} reply_text;
static inline reply_text reply_rest(const chord_reply *r)
{
    return (reply_text){r->held.data + r->at, r->held.data + r->held.len};
}
static inline size_t reply_left(reply_text t) { return (size_t)(t.end - t.at); }
static inline bool reply_is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
static inline void reply_skip_space(reply_text *t)
{
    while (t->at < t->end && reply_is_space(*t->at)) t->at++;
}

#define REPLY_BLOCK "```json"
/* What is known of some text: more has to come, it is not that, it is. */
typedef enum reply_found { REPLY_WAIT, REPLY_NOT, REPLY_IS } reply_found;
reply_found reply_begins(reply_text t, const char *what); /* does it begin so? Nothing begins with "" */
const char *reply_find(reply_text t, const char *what);   /* NULL: nowhere */
static inline reply_found reply_skip_to(reply_text *t)    /* what follows white space; REPLY_WAIT: nothing yet */
{
    reply_skip_space(t);
    return t->at < t->end ? REPLY_IS : REPLY_WAIT;
}
/* A name, up to `end`, which t->at moves behind. */
reply_found reply_name(reply_text *t, const char *end, reply_text *out);

/* events.c */
void reply_say(chord_reply *r, chord_reply_part part, const char *text, size_t len);
void reply_call_begin(chord_reply *r);
void reply_arguments(chord_reply *r); /* what was made of them */
void reply_call_end(chord_reply *r);
bool reply_set_name(chord_reply *r, const char *text, size_t len);
bool reply_set_id(chord_reply *r, const char *text, size_t len);

/* json.c: of a text that may not be whole. Each moves t->at behind what it found. */
reply_found reply_json_string(reply_text *t, reply_text *inside);
reply_found reply_json_value(reply_text *t, reply_text *whole);

/* loose.c: a value of Python's or of Gemma's notation as JSON, behind r->made. */
reply_found reply_loose_value(chord_reply *r, reply_text *t, uint32_t depth);
reply_found reply_loose_object(chord_reply *r, reply_text *t, uint32_t depth);
reply_found reply_python_call(chord_reply *r, reply_text *t);

/* nested.c: elements up to the end of what they are in, which stays, as JSON. */
#define REPLY_NESTED_SIGN "]<]minimax[>["
reply_found reply_nested_object(chord_reply *r, reply_text *t);

/* params.c: JSON where the kinds have it, else text; what was cut off, and is neither, is null. */
void reply_put_value(chord_reply *r, reply_text v, bool cut);

/* head.c: of a text behind the marker; moves t->at to the arguments, and sets the state that reads them. Where r->made has something,
 * these are they. */
reply_found reply_head(chord_reply *r, reply_text *t);
reply_found reply_tail(chord_reply *r, reply_text *t);

/* Each goes on as far as it can; false: more has to come. */
bool reply_scan(chord_reply *r);   /* scan.c */
bool reply_header(chord_reply *r); /* channels.c */
bool reply_skip(chord_reply *r);
bool reply_param(chord_reply *r); /* params.c */
bool reply_value(chord_reply *r);

#endif
