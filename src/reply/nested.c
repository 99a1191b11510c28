/* nested.c - elements in elements, each mark of which has a sign before it: values are texts, members of objects, or items of lists. They
 * are looked at when they are whole. */
#include "reply/reply_inner.h"

#define DEPTH_MAX 32u
static const char BEGIN[] = REPLY_NESTED_SIGN "<", END[] = REPLY_NESTED_SIGN "</", ITEM[] = "item";

/* What a value may be: its schema, and where its references lead. */
typedef struct form {
    const chord_json *schema, *root;
} form;

static void put(chord_reply *r, const char *text, size_t len) { reply_put(&r->made, text, len, &r->status); }

static bool is_word(reply_text word, const char *text)
{
    return reply_left(word) == strlen(text) && memcmp(word.at, text, strlen(text)) == 0;
}

static form form_of(form of, reply_text key)
{
    const chord_json *properties = chord_json_get(of.schema, "properties");
    form none = {NULL, of.root};
    if (is_word(key, ITEM)) none.schema = chord_json_get(of.schema, "items");
    for (size_t i = 0; properties != NULL && properties->kind == CHORD_JSON_OBJECT && i < properties->len; i++)
        if (is_word(key, properties->keys[i]->text)) none.schema = properties->items[i];
    return none;
}

/* <key>, or </key>, behind `mark`. */
static reply_found pass_tag(reply_text *t, const char *mark, reply_text *key)
{
    reply_found found = reply_begins(*t, mark);
    if (found != REPLY_IS) return found;
    t->at += strlen(mark);
    return reply_name(t, ">", key);
}

static bool is_element(reply_text t)
{
    reply_skip_space(&t);
    return reply_begins(t, BEGIN) == REPLY_IS && reply_begins(t, END) == REPLY_NOT;
}

static reply_found value(chord_reply *r, reply_text *t, form f, uint32_t depth);

/* All up to an end: a list where they are items. The end stays. */
static reply_found elements(chord_reply *r, reply_text *t, form f, uint32_t depth)
{
    reply_text key = {t->at, t->at}, end;
    bool follows = false, list = false;
    size_t first = r->made.len;
    reply_found found;
    put(r, "{", 1);
    for (;; follows = true) {
        reply_skip_space(t);
        found = reply_begins(*t, END);
        if (found == REPLY_IS || t->at == t->end) break;
        if ((found = pass_tag(t, BEGIN, &key)) != REPLY_IS) return found;
        if (!follows) list = depth > 0 && is_word(key, ITEM);
        if (follows) put(r, ",", 1);
        if (!list && r->status == CHORD_OK) r->status = chord_json_quote(&r->made, key.at, reply_left(key), NULL);
        if (!list) put(r, ":", 1);
        if ((found = value(r, t, form_of(f, key), depth + 1)) != REPLY_IS) return found;
        if ((found = pass_tag(t, END, &end)) != REPLY_IS) return found;
    }
    if (t->at == t->end) return REPLY_WAIT;
    put(r, list ? "]" : "}", 1);
    if (list && r->status == CHORD_OK) r->made.data[first] = '[';
    return REPLY_IS;
}

static reply_found value(chord_reply *r, reply_text *t, form f, uint32_t depth)
{
    if (depth > DEPTH_MAX) return REPLY_NOT;
    if (is_element(*t)) return elements(r, t, f, depth);
    const char *end = reply_find(*t, END);
    if (end == NULL) return REPLY_WAIT;
    r->kinds = f.schema != NULL ? reply_schema_kinds(f.schema, f.root) : KIND_ALL;
    reply_put_value(r, (reply_text){t->at, end}, false);
    t->at = end;
    return REPLY_IS;
}

reply_found reply_nested_object(chord_reply *r, reply_text *t)
{
    const chord_json *tool = reply_tool_find(r->tools, r->name),
                     *root = tool != NULL ? reply_tool_parameters(tool) : NULL;
    return elements(r, t, (form){root, root}, 0);
}
