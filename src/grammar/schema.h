/* schema.h - a JSON Schema on its way to rules. What applies to a value is a view: a list of schemas, all of which it has to
 * satisfy. A view is a rule of its own, so schemas may refer to themselves. */
#ifndef CHORD_SCHEMA_H
#define CHORD_SCHEMA_H

#include "grammar/rules.h"

typedef enum chord_value_type {
    CHORD_VALUE_NULL = 1,
    CHORD_VALUE_BOOL = 2,
    CHORD_VALUE_INTEGER = 4,
    CHORD_VALUE_NUMBER = 8, /* integers are numbers, too */
    CHORD_VALUE_STRING = 16,
    CHORD_VALUE_ARRAY = 32,
    CHORD_VALUE_OBJECT = 64,
    CHORD_VALUE_ALL = 127
} chord_value_type;

/* What of a schema was put into other members of the view, and no longer counts. */
#define CHORD_PART_REF 1u
#define CHORD_PART_ALL_OF 2u
#define CHORD_PART_ANY_OF 4u
#define CHORD_PART_ONE_OF 8u

typedef struct chord_member {
    const chord_json *schema; /* an object */
    uint32_t done;            /* parts */
} chord_member;
typedef struct chord_view {
    chord_member *members;
    uint32_t count, cap;
    bool never; /* false is among them */
} chord_view;

typedef struct chord_schema {
    chord_maker maker;
    const chord_json *root;
    const chord_grammar_options *options;
    chord_view *views; /* by number of the rule; those of other rules are empty and not `known` */
    uint8_t *known;
    uint32_t views_cap, char_rule, space_rule;
    char sentence[376];
    chord_error *err;
} chord_schema;

/* CHORD_UNSUPPORTED with the keyword and its place; where the caller loosens, tells it and gives CHORD_OK: then the keyword is
 * as if it were not there. */
chord_status chord_schema_refuse(chord_schema *s, const chord_json *schema, const char *keyword, const char *why);
chord_status chord_schema_invalid(chord_schema *s, const chord_json *schema, const char *keyword, const char *why);
chord_status chord_schema_made(chord_schema *s, const chord_expr *e);

bool chord_view_add(chord_schema *s, chord_view *view, const chord_json *schema); /* true, false, or an object */
bool chord_view_copy(chord_schema *s, const chord_view *view, chord_view *out);
/* A rule of its own, to be set. */
chord_status chord_schema_rule(chord_schema *s, uint32_t *out);
/* What a value of this view is: a call of the view's rule, which may still have to be made. */
chord_status chord_schema_value(chord_schema *s, const chord_view *view, chord_expr **out);
/* Before all others; then values, each with all the rules it needs. `root` is where references of the view's schemas lead. */
chord_status chord_schema_open(chord_schema *s);
chord_status chord_schema_of(chord_schema *s, const chord_view *view, chord_expr **out);
/* The first member that has the keyword, from member *at on; moves *at behind it. NULL: there is none. */
const chord_json *chord_view_find(const chord_view *view, const char *keyword, uint32_t *at, const chord_json **schema);

/* The narrowest bounds of two keywords that are counts; CHORD_RULES_MANY: no upper one. */
chord_status chord_view_bounds(chord_schema *s, const chord_view *view, const char *least, const char *most,
                               uint32_t *low, uint32_t *high);

/* By types, of a view without references and alternatives. */
chord_status chord_schema_number(chord_schema *s, const chord_view *view, bool integer, chord_expr **out);
chord_status chord_schema_string(chord_schema *s, const chord_view *view, chord_expr **out);
chord_status chord_schema_array(chord_schema *s, const chord_view *view, chord_expr **out);
chord_status chord_schema_object(chord_schema *s, const chord_view *view, chord_expr **out);
/* The values that enum and const leave; *any: they say nothing. */
chord_status chord_schema_values(chord_schema *s, const chord_view *view, uint32_t types, bool *any, chord_expr **out);

bool chord_json_equal(const chord_json *a, const chord_json *b);
uint32_t chord_json_type(const chord_json *value);         /* one of chord_value_type; integers are INTEGER */
uint32_t chord_json_types_named(const chord_json *schema); /* of `type`; ALL: it says nothing; 0: it is wrong */
uint32_t chord_json_chars(const chord_json *text);         /* characters of a text */

chord_expr *chord_schema_space(chord_schema *s);
chord_expr *chord_schema_quoted(chord_schema *s, const char *text, size_t len); /* with quotes */
/* Characters of a string, each as it likes to be escaped. */
chord_expr *chord_schema_char(chord_schema *s);
/* The same, with each character written in one way only: so that it can be told which texts are none of some. */
chord_expr *chord_schema_plain_char(chord_schema *s);

#endif
