/* jinja_time.c - strftime in UTC, with the C locale's names. */
#include "template/jinja_inner.h"

typedef struct date {
    int64_t year, unix_s;
    int month, day, hour, minute, second; /* month 0..11, day 1..31 */
    int weekday, yearday;                 /* weekday 0 Sunday; yearday 0..365 */
} date;

static const char *const weekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};

static bool is_leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static date date_of(int64_t unix_s)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int64_t first = -62135596800, last = 253402300799; /* years 1 to 9999, as Python's datetime */
    unix_s = unix_s < first ? first : unix_s > last ? last : unix_s;
    date d = {.unix_s = unix_s, .year = 1};
    int64_t days = (unix_s - first) / 86400, rest = (unix_s - first) % 86400;
    d.hour = (int)(rest / 3600);
    d.minute = (int)(rest / 60 % 60);
    d.second = (int)(rest % 60);
    d.weekday = (int)((days + 1) % 7); /* 1 January of year 1 was a Monday */
    d.year += days / 146097 * 400;     /* 400 years have 146097 days */
    for (days %= 146097; days >= 365 + is_leap(d.year); d.year++) days -= 365 + is_leap(d.year);
    d.yearday = (int)days;
    for (; days >= lengths[d.month] + (d.month == 1 && is_leap(d.year)); d.month++)
        days -= lengths[d.month] + (d.month == 1 && is_leap(d.year));
    d.day = (int)days + 1;
    return d;
}

/* Week of the year by ISO 8601, and the year it belongs to. */
static int iso_week(const date *d, int64_t *year)
{
    int monday = (d->weekday + 6) % 7, week = (d->yearday - monday + 10) / 7;
    *year = d->year;
    if (week < 1) {
        *year = d->year - 1;
        int last = d->yearday + 365 + is_leap(*year);
        return (last - monday + 10) / 7;
    }
    if (week == 53 && (d->yearday - monday + 3) >= 365 + is_leap(d->year)) { /* its Thursday lies in the next year */
        *year = d->year + 1;
        return 1;
    }
    return week;
}

/* One number, padded as the code wants unless the template says otherwise ('-': not, '_': with spaces, '0': zeros). */
static chord_status put_number(jinja_vm *vm, int64_t n, int width, char pad, char flag)
{
    char text[32];
    if (flag == '-') width = 0;
    if (flag == '_') pad = ' ';
    if (flag == '0') pad = '0';
    size_t len = pad == '0' ? chord_format(text, sizeof text, "%0*" PRIi64, width, n)
                            : chord_format(text, sizeof text, "%*" PRIi64, width, n);
    return jinja_put(vm, text, len);
}

static chord_status put_word(jinja_vm *vm, const char *word, size_t len)
{
    return jinja_put(vm, word, len < strlen(word) ? len : strlen(word));
}

static chord_status put_codes(jinja_vm *vm, const date *d, const char *codes, size_t len);

static chord_status put_code(jinja_vm *vm, const date *d, char code, char flag)
{
    int hour12 = d->hour % 12 == 0 ? 12 : d->hour % 12;
    int64_t year;
    int week = iso_week(d, &year);
    switch (code) {
    case 'Y': return put_number(vm, d->year, 0, '0', flag);
    case 'C': return put_number(vm, d->year / 100, 2, '0', flag);
    case 'y': return put_number(vm, d->year % 100, 2, '0', flag);
    case 'G': return put_number(vm, year, 0, '0', flag);
    case 'g': return put_number(vm, year % 100, 2, '0', flag);
    case 'm': return put_number(vm, d->month + 1, 2, '0', flag);
    case 'd': return put_number(vm, d->day, 2, '0', flag);
    case 'e': return put_number(vm, d->day, 2, ' ', flag);
    case 'H': return put_number(vm, d->hour, 2, '0', flag);
    case 'k': return put_number(vm, d->hour, 2, ' ', flag);
    case 'I': return put_number(vm, hour12, 2, '0', flag);
    case 'l': return put_number(vm, hour12, 2, ' ', flag);
    case 'M': return put_number(vm, d->minute, 2, '0', flag);
    case 'S': return put_number(vm, d->second, 2, '0', flag);
    case 'f': return put_word(vm, "000000", 6);
    case 'j': return put_number(vm, d->yearday + 1, 3, '0', flag);
    case 'u': return put_number(vm, d->weekday == 0 ? 7 : d->weekday, 1, '0', flag);
    case 'w': return put_number(vm, d->weekday, 1, '0', flag);
    case 'U': return put_number(vm, (d->yearday + 7 - d->weekday) / 7, 2, '0', flag);
    case 'W': return put_number(vm, (d->yearday + 7 - (d->weekday + 6) % 7) / 7, 2, '0', flag);
    case 'V': return put_number(vm, week, 2, '0', flag);
    case 's': return put_number(vm, d->unix_s, 0, '0', flag);
    case 'A': return put_word(vm, weekdays[d->weekday], 16);
    case 'a': return put_word(vm, weekdays[d->weekday], 3);
    case 'B': return put_word(vm, months[d->month], 16);
    case 'b':
    case 'h': return put_word(vm, months[d->month], 3);
    case 'p': return put_word(vm, d->hour < 12 ? "AM" : "PM", 2);
    case 'P': return put_word(vm, d->hour < 12 ? "am" : "pm", 2);
    case 'n': return put_word(vm, "\n", 1);
    case 't': return put_word(vm, "\t", 1);
    case '%': return put_word(vm, "%", 1);
    case 'Z':
    case 'z': return CHORD_OK; /* a time without a zone, as datetime.now() gives it */
    case 'F': return put_codes(vm, d, "%Y-%m-%d", 8);
    case 'D':
    case 'x': return put_codes(vm, d, "%m/%d/%y", 8);
    case 'T':
    case 'X': return put_codes(vm, d, "%H:%M:%S", 8);
    case 'R': return put_codes(vm, d, "%H:%M", 5);
    case 'r': return put_codes(vm, d, "%I:%M:%S %p", 11);
    case 'c': return put_codes(vm, d, "%a %b %e %H:%M:%S %Y", 20);
    default: return jinja_fail(vm, CHORD_UNSUPPORTED, "strftime_now: the code %%%c is not supported", code);
    }
}

static chord_status put_codes(jinja_vm *vm, const date *d, const char *codes, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        char flag = '\0';
        if (codes[at] != '%' || at + 1 == len) {
            CHORD_TRY(jinja_put(vm, &codes[at], 1));
            continue;
        }
        at++;
        if (at + 1 < len && (codes[at] == '-' || codes[at] == '_' || codes[at] == '0')) flag = codes[at++];
        CHORD_TRY(put_code(vm, d, codes[at], flag));
    }
    return CHORD_OK;
}

chord_status jinja_strftime(jinja_vm *vm, jinja_value format, int64_t unix_s, jinja_value *out)
{
    size_t start = vm->work.len;
    date d = date_of(unix_s);
    if (format.kind != JINJA_V_TEXT) return jinja_fail(vm, CHORD_INVALID, "strftime_now: the format is not a string");
    CHORD_TRY(jinja_spend(vm, format.len));
    CHORD_TRY(put_codes(vm, &d, format.text, format.len));
    return jinja_build_end(vm, start, out);
}
