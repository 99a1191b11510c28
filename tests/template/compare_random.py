#!/usr/bin/env python3
"""compare_random: random small templates through Python's jinja2 and through our interpreter.

    compare_random.py TEST_JINJA [COUNT [SEED]]

Writes the cases as test_jinja reads them and runs it on them; what differs is printed by it. Needs the package jinja2.
"""

import copy, json, pathlib, random, subprocess, sys, tempfile, warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import make_jinja
from make_jinja import NOW, VARIABLES, reference_jinja


def words_of(text):
    return [word.strip() for word in text.replace("\n", " ").split(" ; ")]


NAMES = words_of(r"""
s ; n ; neg ; f ; t ; u ; empty ; l ; e ; d ; words ; uni ; lines ; users ; nested ; missing ; x ; y ; html""")
FILTERS = words_of(r"""
upper ; lower ; title ; capitalize ; trim ; length ; first ; last ; list ; join ; join(', ') ; sort ; reverse|list ;
string ; tojson ; tojson(indent=2) ; int ; float ; abs ; round ; round(1) ; default('d') ; default('d', true) ;
unique|list ; min ; max ; sum ; map('upper')|list ; map('string')|join ; select|list ; reject('none')|list ;
items|list ; dictsort ; replace('a', 'b') ; replace('', '-') ; indent ; indent(2, true) ; truncate(7) ; wordcount ;
e ; safe ; batch(2)|list ; slice(2)|list ; map('length')|list ; map(attribute='name')|list ; sort(reverse=true) ;
select('string')|list ; center(9) ; map('int')|list ; map('first')|list ; selectattr('name')|list ; groupby('age') ;
urlencode ; format ; list|last ; attr('x')""")
METHODS = words_of(r"""
upper() ; lower() ; strip() ; lstrip('aH') ; rstrip('dl') ; split() ; split('l') ; split('l', 1) ; rsplit(none, 1) ;
rsplit('o', 1) ; splitlines() ; startswith('H') ; endswith('d') ; find('l') ; rfind('l') ; count('l') ;
replace('l', 'LL', 1) ; title() ; capitalize() ; swapcase() ; zfill(9) ; center(15, '*') ; partition('o') ;
rpartition('o') ; isdigit() ; isalpha() ; isupper() ; join(words) ; items() ; keys() ; values() ; get('a') ;
get('zz', 3) ; index(1) ; count(1) ; a ; name ; x ; format(1, 'b') ; removeprefix('He') ; isspace() ; islower() ;
ljust(14, '.') ; casefold ; nope""")
TESTS = words_of(r"""
defined ; undefined ; none ; string ; number ; integer ; float ; boolean ; mapping ; sequence ; iterable ; callable
; true ; false ; odd ; even ; divisibleby(2) ; eq(1) ; in([1, 's']) ; lower ; upper ; sameas(none) ; gt(1) ; escaped""")
LITERALS = words_of(r"""
0 ; 1 ; 2 ; -1 ; 3 ; 7 ; 1.5 ; 2.0 ; 0.1 ; 'a' ; '' ; 'Hello World' ; ' é日 ' ; "it's" ; true ; false ; none ; [] ;
{} ; () ; [1, 2] ; ['a', 'B'] ; {'a': 1} ; (1, 'x') ; '%s' ; '%d|%s' ; '{}' ; 'a,b'""")
OPERATORS = words_of(r"""
+ ; - ; * ; / ; // ; % ; ~ ; == ; != ; < ; > ; <= ; >= ; and ; or ; in ; not in ; **""")


def expression(r, depth):
    if depth <= 0 or r.random() < 0.15:
        return r.choice(NAMES) if r.random() < 0.6 else r.choice(LITERALS)
    inner = lambda: expression(r, depth - 1)
    kind = r.randrange(12)
    if kind <= 2:
        return f"{inner()}|{r.choice(FILTERS)}"
    if kind <= 4:
        return f"({inner()} {r.choice(OPERATORS)} {inner()})"
    if kind == 5:
        return f"({inner()}).{r.choice(METHODS)}"
    # A slice of a literal that has none is undefined to jinja2, which folds constants; of a variable it is an error, as
    # with us.
    if kind == 6 and r.random() < 0.5:
        return f"{r.choice(NAMES)}[{r.choice(['1:', ':-1', '::-1', '::2', '-2:', '5:1:-2'])}]"
    if kind == 6:
        return f"({inner()})[{r.choice(['0', '-1', inner(), 'n'])}]"
    if kind == 7:
        return f"({inner()} is {r.choice(['', 'not '])}{r.choice(TESTS)})"
    if kind == 8:
        return f"({inner()} if {inner()} else {inner()})"
    if kind == 9:
        return f"[{inner()}, {inner()}]"
    if kind == 10:
        return f"{{{r.choice(['1', chr(39) + 'k' + chr(39), inner()])}: {inner()}}}"
    return f"{r.choice(['not ', '-', ''])}{inner()}"


def tag(r, text):
    open_sign, close_sign = r.choice(["", "", "", "-", "+"]), r.choice(["", "", "", "-", "+"])
    return f"{{%{open_sign} {text} {close_sign}%}}"


def data(r):
    return r.choice(["", " ", "\n", "a", " a ", "\n  ", "  \n", "b\n", "\t"])


def body(r, depth, in_loop):
    return "".join(statement(r, depth, in_loop) for _ in range(r.randrange(1, 4)))


def statement(r, depth, in_loop):
    kind, inner = r.randrange(16), lambda loop=in_loop: data(r) + body(r, depth - 1, loop) + data(r)
    if depth <= 0 or kind <= 4:
        return data(r) + r.choice(["{{ %s }}", "{{- %s }}", "{{ %s -}}"]) % expression(r, r.randrange(3))
    value = lambda: expression(r, 2)
    name = r.choice(["x", "y", "n", "z", "s"])
    if kind <= 6:
        return tag(r, f"set {name} = {value()}")
    if kind <= 8:
        return (
            tag(r, f"if {value()}")
            + inner()
            + (tag(r, "else") + inner() if r.random() < 0.5 else "")
            + tag(r, "endif")
        )
    if kind <= 11:
        target, over = r.choice(
            [("x", value()), ("x", "l"), ("y", "words"), ("k, v", "d.items()"), ("x", "users"), ("n", "range(3)")]
        )
        test = r.choice(["", "", "", f" if {value()}", f" if {target.split(',')[0]}"])
        more = r.choice(
            [
                "",
                "{{ loop.index }}",
                "{{ loop.last }}",
                "{{ loop.length }}",
                "{{ loop.nextitem }}",
                "{{ loop.revindex0 }}",
            ]
        )
        return (
            tag(r, f"for {target} in {over}{test}")
            + more
            + inner(True)
            + (tag(r, "else") + inner() if r.random() < 0.2 else "")
            + tag(r, "endfor")
        )
    if kind == 12:
        return (
            tag(r, f"macro m(a, b={value()})")
            + "{{ a }}{{ b }}"
            + inner(False)
            + tag(r, "endmacro")
            + "{{ m(%s) }}" % value()
        )
    if kind == 13:
        return tag(r, f"set {name}") + inner() + tag(r, "endset")
    if kind == 14:
        return tag(r, f"with {name} = {value()}") + inner() + tag(r, "endwith")
    return tag(r, r.choice(["break", "continue"])) if in_loop else r.choice(["{# c #}", "{#- c -#}", "{# c\n#}"])


def main():
    count, seed = (int(a) for a in (sys.argv[2:] + ["3000", "1"][len(sys.argv) - 2 :]))
    r, cases = random.Random(seed), []
    warnings.simplefilter("ignore")
    while len(cases) < count:
        text = "{{ %s }}" % expression(r, 4) if r.random() < 0.5 else body(r, 3, False)
        kind, out = reference_jinja.render(text, copy.deepcopy(VARIABLES), True, "<s>", "</s>", NOW)
        if " at 0x" not in out:
            cases.append({"template": text, "kind": kind, "text": out if kind in ("ok", "raised") else ""})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"now": NOW, "bos": "<s>", "eos": "</s>", "variables": VARIABLES, "cases": cases}, file)
        file.flush()
        return subprocess.run([sys.argv[1], file.name]).returncode


if __name__ == "__main__":
    sys.exit(main())
