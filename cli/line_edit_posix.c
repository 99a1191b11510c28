/* line_edit_posix.c - keys to edits. What the screen shows is line_screen_posix.c's business, what was typed
 * before line_history_posix.c's. */
#include "line_edit.h"

#include "line_inner.h"

#include <errno.h>
#include <locale.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE_WAIT_MS 50

enum { KEY_ESCAPE = 27, KEY_BACKSPACE = 127 };
/* Keys that arrive as escape sequences, outside the range of bytes. */
enum {
    KEY_LEFT = 256,
    KEY_RIGHT,
    KEY_UP,
    KEY_DOWN,
    KEY_HOME,
    KEY_END,
    KEY_DELETE,
    KEY_WORD_LEFT,
    KEY_WORD_RIGHT,
    KEY_PASTE,
    KEY_OTHER,
    KEY_GONE
};
#define WITH_CTRL(letter) ((letter) & 31)

static struct termios terminal_before;
static volatile sig_atomic_t terminal_changed;

/* ---- the terminal ----------------------------------------------------------------------------------------- */

static bool raw_mode(void)
{
    if (tcgetattr(STDIN_FILENO, &terminal_before) != 0) return false;
    struct termios raw = terminal_before;
    raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal_changed = 1;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0) return false;
    line_write("\033[?2004h", 8); /* pasted text comes marked */
    return true;
}

void line_editor_restore(void)
{
    if (!terminal_changed) return;
    terminal_changed = 0;
    line_write("\033[?2004l", 8);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before);
}

/* One byte, or KEY_GONE at the end; wait_ms -1: for ever, else KEY_OTHER when none comes in time. */
static int read_byte(int wait_ms)
{
    struct pollfd at = {.fd = STDIN_FILENO, .events = POLLIN};
    if (wait_ms >= 0 && poll(&at, 1, wait_ms) <= 0) return KEY_OTHER;
    for (;;) {
        unsigned char byte;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n == 1) return byte;
        if (n == 0 || errno != EINTR) return KEY_GONE;
    }
}

/* ---- keys --------------------------------------------------------------------------------------------------- */

static int key_of_letter(int letter, bool word)
{
    switch (letter) {
    case 'A': return KEY_UP;
    case 'B': return KEY_DOWN;
    case 'C': return word ? KEY_WORD_RIGHT : KEY_RIGHT;
    case 'D': return word ? KEY_WORD_LEFT : KEY_LEFT;
    case 'H': return KEY_HOME;
    case 'F': return KEY_END;
    default: return KEY_OTHER;
    }
}

static int key_of_number(int number)
{
    switch (number) {
    case 1:
    case 7: return KEY_HOME;
    case 4:
    case 8: return KEY_END;
    case 3: return KEY_DELETE;
    case 200: return KEY_PASTE;
    default: return KEY_OTHER;
    }
}

/* "\033[" NUMBERS LETTER, as terminals send for keys beyond the alphabet. */
static int read_sequence(void)
{
    int numbers[2] = {0}, count = 0;
    for (;;) {
        int byte = read_byte(ESCAPE_WAIT_MS);
        if (byte >= '0' && byte <= '9') {
            if (numbers[count] < 1000) numbers[count] = numbers[count] * 10 + byte - '0';
        } else if (byte == ';') {
            count = 1;
        } else if (byte == '~') {
            return key_of_number(numbers[0]);
        } else {
            return key_of_letter(byte, count == 1 && (numbers[1] == 5 || numbers[1] == 3));
        }
    }
}

static int read_escape(void)
{
    int byte = read_byte(ESCAPE_WAIT_MS);
    if (byte == '[') return read_sequence();
    if (byte == 'O') return key_of_letter(read_byte(ESCAPE_WAIT_MS), false);
    if (byte == 'b') return KEY_WORD_LEFT;
    if (byte == 'f') return KEY_WORD_RIGHT;
    return KEY_OTHER;
}

/* ---- edits ---------------------------------------------------------------------------------------------------- */

/* A whole character that begins with byte. */
static void insert_typed(line_text *t, int byte)
{
    char bytes[4] = {(char)byte};
    size_t n = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 0, have = 1;
    for (; have < n; have++) {
        int next = read_byte(ESCAPE_WAIT_MS);
        if (next < 0x80 || next > 0xBF) return;
        bytes[have] = (char)next;
    }
    if (n > 0) line_insert(t, bytes, n);
}

/* Everything up to "\033[201~" is text; returns false when the terminal is gone. */
static bool insert_pasted(line_text *t)
{
    static const char END[] = "\033[201~";
    for (size_t matched = 0; END[matched] != '\0';) {
        int byte = read_byte(-1);
        if (byte == KEY_GONE) return false;
        if (byte == END[matched]) {
            matched++;
            continue;
        }
        matched = byte == END[0];
        if (byte == '\r') byte = '\n';
        if (byte >= ' ' || byte == '\n' || byte == '\t') line_insert(t, &(char){(char)byte}, 1);
    }
    return true;
}

static bool move_or_erase(line_text *t, int key)
{
    switch (key) {
    case KEY_LEFT:
    case WITH_CTRL('b'): t->cursor = line_before(t, t->cursor); return true;
    case KEY_RIGHT:
    case WITH_CTRL('f'): t->cursor = line_after(t, t->cursor); return true;
    case KEY_WORD_LEFT: t->cursor = line_word_left(t); return true;
    case KEY_WORD_RIGHT: t->cursor = line_word_right(t); return true;
    case KEY_HOME:
    case WITH_CTRL('a'): t->cursor = 0; return true;
    case KEY_END:
    case WITH_CTRL('e'): t->cursor = t->len; return true;
    case KEY_BACKSPACE:
    case WITH_CTRL('h'): line_erase(t, line_before(t, t->cursor), t->cursor); return true;
    case KEY_DELETE:
    case WITH_CTRL('d'): line_erase(t, t->cursor, line_after(t, t->cursor)); return true;
    case WITH_CTRL('k'): line_erase(t, t->cursor, t->len); return true;
    case WITH_CTRL('u'): line_erase(t, 0, t->cursor); return true;
    case WITH_CTRL('w'): line_erase(t, line_word_left(t), t->cursor); return true;
    default: return false;
    }
}

/* Suspended, the terminal is the shell's; back again, it is ours. */
static void suspend(line_editor *e)
{
    line_editor_restore();
    raise(SIGTSTP);
    raw_mode();
    line_screen_forget(&e->screen);
}

/* LINE_FAILED: go on reading keys. */
static line_result handle_key(line_editor *e, int key)
{
    line_text *t = &e->text;
    if (key == KEY_GONE) return LINE_END;
    if (key == '\r' || key == '\n') return LINE_OK;
    if (key == WITH_CTRL('d') && t->len == 0) return LINE_END;
    if (key == WITH_CTRL('c')) {
        if (t->len == 0) return LINE_INTERRUPT;
        line_set(t, "");
    } else if (key == KEY_UP || key == WITH_CTRL('p')) line_history_go(&e->history, t, -1);
    else if (key == KEY_DOWN || key == WITH_CTRL('n')) line_history_go(&e->history, t, 1);
    else if (key == WITH_CTRL('l')) line_screen_clear(&e->screen);
    else if (key == WITH_CTRL('z')) suspend(e);
    else if (key == KEY_PASTE) return insert_pasted(t) ? LINE_FAILED : LINE_END;
    else if (!move_or_erase(t, key) && ((key >= ' ' && key < 256) || key == '\t')) insert_typed(t, key);
    return LINE_FAILED;
}

static line_result edit_line(line_editor *e, const char *prompt)
{
    line_result result = LINE_FAILED;
    line_set(&e->text, "");
    line_screen_forget(&e->screen);
    while (result == LINE_FAILED) {
        line_screen_draw(&e->screen, prompt, &e->text);
        int key = read_byte(-1);
        if (key == KEY_ESCAPE) key = read_escape();
        result = handle_key(e, key);
    }
    e->text.cursor = e->text.len;
    line_screen_draw(&e->screen, prompt, &e->text);
    line_write("\r\n", 2);
    return result;
}

/* ---- the door ---------------------------------------------------------------------------------------------------- */

static line_result read_one(line_editor *e, const char *prompt)
{
    if (!raw_mode()) {
        line_editor_restore();
        cli_fail("the terminal cannot be used: %s", strerror(errno));
        return LINE_FAILED;
    }
    line_result result = edit_line(e, prompt);
    line_editor_restore();
    return result;
}

line_result line_editor_read(line_editor *e, const char *prompt, const char **line, size_t *len)
{
    line_result result;
    line_text *whole = &e->whole, *t = &e->text;
    if (!e->terminal) return line_plain_read(&e->plain, NULL, line, len);
    line_set(whole, "");
    for (bool more = true; more; prompt = ". ") {
        result = read_one(e, prompt);
        if (result == LINE_INTERRUPT && whole->len > 0) { /* gives up the lines so far, not the program */
            line_set(whole, "");
            result = LINE_OK;
            break;
        }
        if (result != LINE_OK) return result;
        more = t->len > 0 && t->data[t->len - 1] == '\\';
        line_insert(whole, t->data, t->len - more);
        if (more) line_insert(whole, "\n", 1);
        whole->cut = whole->cut || t->cut;
    }
    if (whole->cut) return LINE_LONG;
    if (whole->len > 0) line_history_add(&e->history, whole->data);
    *line = whole->data;
    *len = whole->len;
    return result;
}

line_editor *line_editor_open(const char *history_path, size_t bytes_max)
{
    line_editor *e = cli_alloc(NULL, sizeof *e);
    *e = (line_editor){.terminal = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0,
                       .text = {.bytes_max = bytes_max},
                       .whole = {.bytes_max = bytes_max},
                       .plain = {.bytes_max = bytes_max}};
    if (!e->terminal) return e;
    if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8"); /* for wcwidth */
    line_history_open(&e->history, history_path);
    return e;
}

void line_editor_close(line_editor *e)
{
    if (e == NULL) return;
    line_history_close(&e->history);
    free(e->screen.out.data);
    free(e->text.data);
    free(e->whole.data);
    line_plain_free(&e->plain);
    free(e);
}
