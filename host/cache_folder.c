/* cache_folder.c - the folder of compiled modules: chosen, looked at, kept small. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEPT_FILES_MAX 64u
#define KEPT_BYTES_MAX (512 * CHORD_MIB)
#define UNFINISHED_SECONDS 86400 /* what a process that ended early left behind */

/* ---- which ------------------------------------------------------------------------------------------------- */

static void make_folders(const char *path)
{
    char part[4096];
    for (size_t i = 1; path[i] != '\0' && i < sizeof part - 1; i++) {
        if (path[i + 1] != '/' && path[i + 1] != '\0') continue;
        memcpy(part, path, i + 1);
        part[i + 1] = '\0';
        mkdir(part, 0700);
    }
}

/* What lies there is run as machine code: it must be ours alone. */
static chord_status look_at(const char *path, chord_error *err)
{
    struct stat s;
    if (stat(path, &s) != 0) return chord_fail_os(err, CHORD_IO, errno, "the folder for compiled modules, %s", path);
    if (!S_ISDIR(s.st_mode)) return chord_fail_os(err, CHORD_IO, ENOTDIR, "the folder for compiled modules, %s", path);
    if (s.st_uid != geteuid())
        return chord_fail(err, CHORD_INVALID, "the folder for compiled modules, %s: it belongs to another user", path);
    if ((s.st_mode & 022) != 0)
        return chord_fail(err, CHORD_INVALID,
                          "the folder for compiled modules, %s: others may write there (chmod go-w would do)", path);
    if (access(path, R_OK | X_OK) != 0)
        return chord_fail_os(err, CHORD_IO, errno, "the folder for compiled modules, %s", path);
    return CHORD_OK;
}

void cache_folder_choose(chord_host *host)
{
    const char *given = host->options.cache_folder, *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *to = host->cache_folder, line[sizeof(chord_error) + 64];
    size_t cap = sizeof host->cache_folder, need = 0;
    chord_error why;
    if (given != NULL) need = chord_format(to, cap, "%s", given);
    else if (xdg != NULL && xdg[0] == '/') need = chord_format(to, cap, "%s/wasm-chord", xdg);
    else if (home != NULL && home[0] == '/') need = chord_format(to, cap, "%s/.cache/wasm-chord", home);
    if (to[0] == '\0') return;
    if (need < cap) {
        make_folders(to);
        if (look_at(to, &why) == CHORD_OK) return;
    } else {
        (void)chord_fail(&why, CHORD_INVALID, "the folder for compiled modules has a name of %zu bytes", need);
    }
    to[0] = '\0';
    chord_format(line, sizeof line, "%s; modules are compiled each time", why.text);
    if (host->options.log != NULL) host->options.log(host->options.log_ud, CHORD_LOG_WARN, line);
}

/* ---- how much ------------------------------------------------------------------------------------------------ */

typedef struct kept_file {
    char name[256];
    struct timespec used;
    uint64_t bytes;
} kept_file;

typedef struct kept_list {
    kept_file *files;
    size_t count, cap;
    uint64_t bytes;
} kept_list;

/* Modules are "….cwasm"; "….cwasm.PROCESS.NUMBER" is one that is being written. */
static bool is_module(const char *name)
{
    const char *end = strstr(name, ".cwasm");
    return end != NULL && end[6] == '\0';
}

static void look_at_file(int folder, const char *name, kept_list *list)
{
    struct stat s;
    if (strstr(name, ".cwasm") == NULL || strlen(name) >= sizeof list->files->name ||
        fstatat(folder, name, &s, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(s.st_mode))
        return;
    if (!is_module(name)) {
        if (time(NULL) - s.st_mtim.tv_sec > UNFINISHED_SECONDS) unlinkat(folder, name, 0);
        return;
    }
    if (list->count == list->cap) {
        size_t cap = list->cap * 2 + 64;
        kept_file *files = realloc(list->files, cap * sizeof *files);
        if (files == NULL) return;
        list->files = files;
        list->cap = cap;
    }
    kept_file *file = &list->files[list->count++];
    *file = (kept_file){.used = s.st_mtim, .bytes = (uint64_t)s.st_size};
    memcpy(file->name, name, strlen(name) + 1);
    list->bytes += file->bytes;
}

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const kept_file *)a)->used, *y = &((const kept_file *)b)->used;
    if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
    return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

void cache_folder_trim(const char *folder, const char *newest)
{
    kept_list list = {0};
    const char *slash = strrchr(newest, '/'), *stays = slash != NULL ? slash + 1 : newest;
    DIR *dir = opendir(folder);
    if (dir == NULL) return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) look_at_file(dirfd(dir), entry->d_name, &list);
    if (list.count > 0) qsort(list.files, list.count, sizeof *list.files, by_use);
    size_t left = list.count;
    for (size_t i = 0; i < list.count && (left > KEPT_FILES_MAX || list.bytes > KEPT_BYTES_MAX); i++) {
        if (strcmp(list.files[i].name, stays) == 0 || unlinkat(dirfd(dir), list.files[i].name, 0) != 0) continue;
        list.bytes -= list.files[i].bytes;
        left--;
    }
    free(list.files);
    closedir(dir);
}
