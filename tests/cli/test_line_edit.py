#!/usr/bin/env python3
"""test_line_edit.py CHORD LINE_EDIT_ECHO: keys typed on a pseudo terminal, the lines they make, and where the cursor is drawn."""
import re
from cli_test import *

echo = sys.argv[2]
LEFT, RIGHT, UP, DOWN, HOME, END, DELETE = "\033[D", "\033[C", "\033[A", "\033[B", "\033[H", "\033[F", "\033[3~"
A, B, C, D, E, F, K, L, N, P, U, W = (chr(ord(c) & 31) for c in "abcdefklnpuw")
BACKSPACE = "\x7f"
history = f"{home.name}/history"


class Screen:
    """What a terminal of so many columns shows: only the sequences that the editor writes."""

    def __init__(self, columns):
        self.columns, self.rows, self.row, self.column = columns, [[]], 0, 0

    def put(self, character):
        width = 2 if ord(character) >= 0x1100 and character not in "\u21b5" else 1
        row = self.rows[self.row]
        row.extend([" "] * (self.column + width - len(row)))
        row[self.column] = character
        if width == 2:
            row[self.column + 1] = ""
        self.column += width

    def feed(self, text):
        for sequence, number, letter, character in re.findall(r"(\033\[\??(\d*)([A-Za-z]))|(.)", text, re.DOTALL):
            if letter == "A":
                self.row -= int(number)
            elif letter == "C":
                self.column += int(number)
            elif letter == "J" and number == "":
                self.rows = self.rows[: self.row + 1]
                self.rows[self.row] = self.rows[self.row][: self.column]
            elif character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
                if self.row == len(self.rows):
                    self.rows.append([])
            elif character:
                self.put(character)

    def text(self):
        return "|".join("".join(row).rstrip() for row in self.rows)


def line_of(keys, **more):
    terminal = Terminal([echo], **more)
    terminal.wait_for("> ")
    terminal.type(keys + "\r")
    shown = terminal.wait_for(">\r\n") or ""
    terminal.wait_for("> ")
    terminal.type(D)
    code, rest = terminal.end()
    check(code == 0 and "[end]" in rest, f"{keys!r}: Ctrl-D ends it: {code} {rest!r}")
    check(terminal.before == terminal.after, f"{keys!r}: the terminal is left as it was")
    return shown[shown.rindex("<") + 1:shown.rindex(">")] if "<" in shown else None


for keys, line in [
    ("plain", "plain"),
    ("ac" + LEFT + "b", "abc"),
    ("ac" + B + "b" + F + "d", "abcd"),
    ("bc" + HOME + "a" + END + "d", "abcd"),
    ("bc" + A + "a" + E + "d", "abcd"),
    ("bc\033[1~a\033[4~d", "abcd"),
    ("bc\033OHa\033OFd", "abcd"),
    ("abx" + BACKSPACE + "c", "abc"),
    ("abxc" + LEFT + LEFT + DELETE, "abc"),
    ("abxc" + LEFT + LEFT + D, "abc"),
    ("abcxyz" + LEFT * 3 + K, "abc"),
    ("xyzabc" + LEFT * 3 + U, "abc"),
    ("abc xyz" + W, "abc "),
    ("one two three" + "\033[1;5D" * 2 + "X", "one Xtwo three"),
    ("one two" + A + "\033[1;5C" + "X", "oneX two"),
    ("abc" + L + "d", "abcd"),
    ("gone" + C + "kept", "kept"),
    ("äöü" + BACKSPACE + "x", "äöx"),
    ("日本語" + LEFT + BACKSPACE, "日語"),
    ("e\u0301x" + LEFT + LEFT + "a", "ae\u0301x"),
    ("e\u0301x" + LEFT + BACKSPACE + "a", "ax"),
    ("one\\\rtwo", "one\\ntwo"),
    ("\033[200~first\rsecond\nthird\033[201~!", "first\\nsecond\\nthird!"),
    (LEFT + RIGHT + BACKSPACE + DELETE + UP + DOWN + "\033[17~" + "\x01ok", "ok"),
    ("\033xok", "ok"),
]:
    got = line_of(keys)
    check(got == line, f"{keys!r} makes {got!r}, not {line!r}")

# What the screen shows after each key, wrapped over rows, wide characters never cut in two
terminal, screen = Terminal([echo], columns=20), Screen(20)
screen.feed(terminal.wait_for("> ") or "")


def shows(keys, text, row, column):
    terminal.type(keys)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        terminal.read(0.1)
        screen.feed(terminal.seen.decode(errors="ignore"))
        terminal.seen = b""
        if (screen.text(), screen.row, screen.column) == (text, row, column):
            break
    check((screen.text(), screen.row, screen.column) == (text, row, column),
          f"{keys!r} shows {screen.text()!r} with the cursor at {screen.row}, {screen.column}, not {text!r} at {row}, {column}")


shows("abcdefghijklmnopq", "> abcdefghijklmnopq", 0, 19)
shows("r", "> abcdefghijklmnopqr|", 1, 0)
shows("s", "> abcdefghijklmnopqr|s", 1, 1)
shows(HOME, "> abcdefghijklmnopqr|s", 0, 2)
shows("X", "> Xabcdefghijklmnopq|rs", 0, 3)
shows(END + "語語語語語語語語語", "> Xabcdefghijklmnopq|rs語語語語語語語語語|", 2, 0)
shows(LEFT, "> Xabcdefghijklmnopq|rs語語語語語語語語語", 1, 18)
shows(U, "> 語", 0, 2)
shows(K + "a" * 17 + "語", "> " + "a" * 17 + "|語", 1, 2)
shows(A + K + "\033[200~a\rb\033[201~", "> a\u21b5b", 0, 5)
terminal.type("\r")
terminal.wait_for(">\r\n")
terminal.wait_for("> ")
terminal.type(D)
check(terminal.end()[0] == 0, "Ctrl-D ends it")


# History: up and down, the line being typed is kept; from one run to the next
def gives(editor, keys, line):
    editor.type(keys + "\r")
    shown = editor.wait_for(">\r\n") or ""
    check(shown.endswith(f"<{line}>\r\n"), f"{keys!r} gives {shown!r}, not {line!r}")
    editor.wait_for("> ")


first = Terminal([echo, history])
first.wait_for("> ")
gives(first, "one", "one")
gives(first, "two\\\rlines", "two\\nlines")
gives(first, "back\\\\slash", "back\\\\slash")
gives(first, "new" + UP + UP + DOWN + DOWN + "er", "newer")
gives(first, UP + UP + UP, "two\\nlines")
first.type(D)
check(first.end()[0] == 0, "Ctrl-D ends it")
check(os.stat(history).st_mode & 0o777 == 0o600, "the history is nobody else's")
second = Terminal([echo, history])
second.wait_for("> ")
gives(second, P * 3, "back\\\\slash")
gives(second, UP * 9 + N, "two\\nlines")
second.type(C)
check(second.wait_for("[interrupt]") is not None, "Ctrl-C on an empty line is told")
second.wait_for("> ")
second.type("half\\\r" + C)
check(second.wait_for("<>") is not None, "Ctrl-C in a later line gives up the earlier ones")
second.wait_for("> ")
gives(second, "whole", "whole")
second.type(D)
check(second.end()[0] == 0, "Ctrl-D ends it")

# Without a terminal: plain lines
piped = subprocess.run([echo], input="one\ntwo\\\nthree\n\nlast", capture_output=True, text=True, env=environment)
check(piped.stdout == "<one>\n<two\\nthree>\n<>\n<last>\n[end]\n", f"piped: {piped.stdout!r}")


# What other systems and other programs write into a pipe
def reads(given, wanted, *arguments):
    piped = execute([echo, *arguments], stdin=given)
    check(piped.stdout == wanted, f"{given!r:.60} gives {piped.stdout!r:.80}, not {wanted!r:.80} {piped.stderr!r}")


reads("\ufeffone\r\ntwo\r\n", "<one>\n<two>\n[end]\n")
reads("one\\\r\ntwo\r\n\r\n", "<one\\ntwo>\n<>\n[end]\n")
reads("a\0b\0\nnext\n", "<a\\0b\\0>\n<next>\n[end]\n")
reads("mid\rdle\nnot first: \ufeff\n", "<mid\rdle>\n<not first: \ufeff>\n[end]\n")
reads("goes on\\", "<goes on>\n[end]\n")
reads("goes on\\\n", "<goes on>\n[end]\n")
reads("12345678\n123456789\nafter\n", "<12345678>\n[long]\n<after>\n[end]\n", history, "8")
reads("1234567\\\n12345\\\r\n12\nafter\n", "[long]\n<after>\n[end]\n", history, "8")
reads("x" * 100001 + "\\\nstill the same\nafter", "[long]\n<after>\n[end]\n", history, "100")

# Nor is more taken from a terminal than a line may have, and it is said
short = Terminal([echo, history, "10"])
short.wait_for("> ")
short.type("\033[200~" + "y" * 30 + "\033[201~\r")
check(short.wait_for("[long]") is not None, "a long paste is not a line")
short.wait_for("> ")
short.type("y" * 30 + U + "short\r")
check(short.wait_for("<short>") is not None, "an emptied line can be typed again")
short.wait_for("> ")
short.type(D)
check(short.end()[0] == 0, "Ctrl-D ends it")

# A history of any bytes is bounded and never in the way; a full disk is named, once
for content in [b"\0\xff\\\n" * 5000, b"z" * 3000000 + b"\nlast typed\n", b"q\n" * 3000000 + b"last typed", b"\\"]:
    pathlib.Path(history).write_bytes(content)
    editor = Terminal([echo, history])
    editor.wait_for("> ")
    if b"last" in content:
        gives(editor, UP, "last typed")
    gives(editor, "new", "new")
    editor.type(D)
    code, _ = editor.end()
    check(code == 0, f"a history of {content[:10]!r}: exit {code}")
    check(pathlib.Path(history).read_bytes().endswith(b"\nnew\n"), "and goes on")
check(os.stat(history).st_size < 1 << 20, "a long history is shortened")
full = pathlib.Path(home.name) / "full"
full.symlink_to("/dev/full")
editor = Terminal([echo, full])
editor.wait_for("> ")
editor.type("one\r")
shown = editor.wait_for("<one>") or ""
check("No space left" in shown, f"a history that cannot be written: {shown!r}")
editor.type("two\r")
shown = editor.wait_for("<two>") or ""
check("No space left" not in shown, f"is told once: {shown!r}")
editor.wait_for("> ")  # what is typed between two lines is not the editor's
editor.type(D)
check(editor.end()[0] == 0, "Ctrl-D ends it")
done()
