/* parts.c - files beside their names, until they are whole. There is one set at a time: an interruption must find it. */
#include "parts.h"

#include "host.h"
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define BESIDE ".partial"

static struct {
    const char *path, *source;
    bool force;
    int fd; /* of part; -1: none is open */
    uint32_t part, parts, created;
    char name[PATH_BYTES];
} set = {.fd = -1};

/* "m.gguf" -> "m-00001-of-00003.gguf"; one part keeps its name. */
static void name_part(uint32_t part, const char *ending, char out[PATH_BYTES])
{
    static const char KIND[] = ".gguf";
    size_t len = strlen(set.path), kind = sizeof KIND - 1;
    if (len > kind && strcmp(set.path + len - kind, KIND) == 0) len -= kind;
    if (set.parts <= 1) snprintf(out, PATH_BYTES, "%s%s", set.path, ending);
    else snprintf(out, PATH_BYTES, "%.*s-%05u-of-%05u%s%s", (int)len, set.path, part + 1, set.parts, KIND, ending);
}

static chord_status fail(chord_error *err, const char *what, const char *name)
{
    *err = (chord_error){.status = CHORD_IO, .os_errno = errno};
    snprintf(err->text, sizeof err->text, "%s %.280s: %.60s", what, name, strerror(errno));
    return CHORD_IO;
}

static chord_status refuse(chord_error *err, const char *name, const char *why)
{
    *err = (chord_error){.status = CHORD_INVALID};
    snprintf(err->text, sizeof err->text, "%.280s %s", name, why);
    return CHORD_INVALID;
}

/* That the name is free, or may be taken. */
static chord_status check_name(const char *name, chord_error *err)
{
    struct stat there, source;
    if (stat(name, &there) != 0) return CHORD_OK;
    if (set.source != NULL && stat(set.source, &source) == 0 && there.st_dev == source.st_dev &&
        there.st_ino == source.st_ino)
        return refuse(err, name, "is the file that is read: give the result another name");
    if (S_ISDIR(there.st_mode)) return refuse(err, name, "is a directory: name a file");
    if (!S_ISREG(there.st_mode)) return refuse(err, name, "is not a regular file");
    return set.force ? CHORD_OK : refuse(err, name, "is there already (--force replaces it)");
}

static chord_status check_names(chord_error *err)
{
    for (uint32_t i = 0; i < set.parts; i++) {
        char name[PATH_BYTES];
        name_part(i, "", name);
        chord_status status = check_name(name, err);
        if (status != CHORD_OK) return status;
    }
    return CHORD_OK;
}

/* What was written is on the disk, or it is known that it is not. */
static chord_status close_part(chord_error *err)
{
    if (set.fd < 0) return CHORD_OK;
    int failed = fsync(set.fd) != 0 && errno != EINVAL ? errno : 0;
    if (close(set.fd) != 0 && failed == 0) failed = errno;
    set.fd = -1;
    errno = failed;
    return failed == 0 ? CHORD_OK : fail(err, "cannot write", set.name);
}

static chord_status open_part(uint32_t part, chord_error *err)
{
    bool again = part < set.created;
    name_part(part, BESIDE, set.name);
    if (set.force && !again) (void)unlink(set.name);
    cli_interrupt_hold(); /* who ends the program now must know what was created */
    set.fd = open(set.name, again ? O_WRONLY | O_CLOEXEC : O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (set.fd >= 0 && !again) set.created = part + 1;
    int failed = errno;
    cli_interrupt_release();
    errno = failed;
    if (set.fd < 0 && errno == EEXIST)
        return refuse(err, set.name, "is there: another one is writing it, or was killed (--force takes it away)");
    if (set.fd < 0) return fail(err, "cannot write", set.name);
    set.part = part;
    return CHORD_OK;
}

int cli_parts_start(const char *path, const char *source, bool force)
{
    chord_error err;
    set.path = path;
    set.source = source;
    set.force = force;
    set.created = 0;
    set.parts = 1;
    if (strlen(path) + sizeof "-00001-of-00001.gguf" BESIDE > PATH_BYTES)
        return cli_fail("%s is too long a name", path);
    if (check_name(path, &err) != CHORD_OK) return cli_fail_with(&err); /* of several, too: it is what was named */
    cli_interrupt_before_exit(cli_parts_abandon);
    return CLI_OK;
}

chord_status cli_parts_write(void *ud, uint32_t part, uint32_t parts, uint64_t offset, const void *bytes, size_t len,
                             chord_error *err)
{
    (void)ud;
    chord_status status = CHORD_OK;
    if (set.created == 0) {
        set.parts = parts;
        status = check_names(err);
    }
    if (status == CHORD_OK && set.fd >= 0 && set.part != part) status = close_part(err);
    if (status == CHORD_OK && set.fd < 0) status = open_part(part, err);
    const uint64_t start = offset;
    for (const char *at = bytes; status == CHORD_OK && len > 0;) {
        ssize_t n = pwrite(set.fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(err, "cannot write", set.name);
        at += n, offset += (uint64_t)n, len -= (size_t)n;
    }
    if (status == CHORD_OK) cli_write_early(set.fd, start, (size_t)(offset - start));
    return status;
}

int cli_parts_finish(void)
{
    chord_error err;
    if (close_part(&err) != CHORD_OK) return cli_fail_with(&err);
    while (set.created > 0) { /* the first part last: with it the model is there */
        char name[PATH_BYTES];
        name_part(set.created - 1, BESIDE, set.name);
        name_part(set.created - 1, "", name);
        if (rename(set.name, name) != 0) return cli_fail("cannot name %s: %s", name, strerror(errno));
        set.created--;
    }
    return CLI_OK;
}

void cli_parts_abandon(void)
{
    char name[PATH_BYTES]; /* not set.name: another thread may be at it */
    for (uint32_t i = set.created; i > 0; i--) {
        name_part(i - 1, BESIDE, name);
        (void)unlink(name);
    }
    set.created = 0;
}

const char *cli_parts_first(void)
{
    name_part(0, "", set.name);
    return set.name;
}
