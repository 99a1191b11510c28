/* folder.c - files and folders. */
#define _GNU_SOURCE
#include "folder.h"

#include "part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 8
#define FILE_BYTES_MAX (16u << 20)

bool fetch_join(char out[FETCH_PATH_BYTES], const char *folder, const char *name)
{
    int n = snprintf(out, FETCH_PATH_BYTES, "%s/%s", folder, name);
    return n > 0 && n < FETCH_PATH_BYTES;
}

bool fetch_is_safe_path(const char *path)
{
    if (*path == '\0' || strlen(path) >= FETCH_NAME_BYTES) return false;
    for (const char *part = path; part != NULL; part = strchr(part, '/'), part += part != NULL) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')))) return false;
    }
    for (; *path != '\0'; path++)
        if ((unsigned char)*path < ' ' || *path == 0x7f || *path == '\\') return false;
    return true;
}

bool fetch_read_line(const char *path, char *out, size_t cap)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) return false;
    bool got = fgets(out, (int)cap, file) != NULL;
    fclose(file);
    if (got) out[strcspn(out, "\r\n")] = '\0';
    return got && out[0] != '\0';
}

chord_status fetch_read_file(const char *path, chord_buffer *out, chord_error *err)
{
    char piece[4096];
    size_t n;
    chord_status status = CHORD_OK;
    FILE *file = fopen(path, "rbe");
    if (file == NULL) return chord_fail_os(err, CHORD_IO, errno, "cannot read %.200s", path);
    out->len = 0;
    out->len_max = FILE_BYTES_MAX;
    while (status == CHORD_OK && (n = fread(piece, 1, sizeof piece, file)) > 0)
        status = chord_buffer_append(out, piece, n, err);
    if (ferror(file) && status == CHORD_OK) status = chord_fail_os(err, CHORD_IO, errno, "cannot read %.200s", path);
    fclose(file);
    return status;
}

chord_status fetch_write_file(const char *path, const char *text, size_t len, chord_error *err)
{
    char beside[FETCH_PATH_BYTES + 32];
    fetch_make_folders(path);
    snprintf(beside, sizeof beside, "%s.%x", path, (unsigned)getpid());
    FILE *file = fopen(beside, "wbe");
    bool whole = file != NULL && fwrite(text, 1, len, file) == len && fflush(file) == 0 && fdatasync(fileno(file)) == 0;
    int failed = errno;
    if (file != NULL && fclose(file) != 0 && whole) whole = false, failed = errno;
    if (whole && rename(beside, path) == 0) return CHORD_OK;
    if (whole) failed = errno;
    (void)unlink(beside);
    return chord_fail_os(err, CHORD_IO, failed, "cannot write %.200s", path);
}

chord_status fetch_link(const char *path, const char *target, chord_error *err)
{
    char relative[2 * FETCH_PATH_BYTES], beside[FETCH_PATH_BYTES + 32];
    size_t common = 0, used = 0;
    for (size_t i = 0; path[i] != '\0' && path[i] == target[i]; i++)
        if (path[i] == '/') common = i + 1;
    for (const char *at = path + common; (at = strchr(at, '/')) != NULL; at++) {
        memcpy(relative + used, "../", 3);
        used += 3;
    }
    snprintf(relative + used, sizeof relative - used, "%s", target + common);
    fetch_make_folders(path);
    snprintf(beside, sizeof beside, "%s.%x", path, (unsigned)getpid());
    (void)unlink(beside);
    if (symlink(relative, beside) == 0 && rename(beside, path) == 0) return CHORD_OK;
    int failed = errno;
    (void)unlink(beside);
    return chord_fail_os(err, CHORD_IO, failed, "cannot make the link %.200s", path);
}

bool fetch_file_bytes(const char *path, uint64_t *bytes)
{
    struct stat there;
    if (stat(path, &there) != 0 || !S_ISREG(there.st_mode)) return false;
    *bytes = (uint64_t)there.st_size;
    return true;
}

typedef struct walk {
    char path[FETCH_PATH_BYTES];
    size_t root;
    void (*each)(void *ud, const char *path, uint64_t bytes);
    void *ud;
} walk;

static void walk_folder(walk *w, int depth)
{
    struct dirent *entry;
    struct stat there;
    size_t len = strlen(w->path);
    DIR *folder = depth < DEPTH_MAX ? opendir(w->path) : NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if ((size_t)snprintf(w->path + len, sizeof w->path - len, "/%s", entry->d_name) >= sizeof w->path - len)
            continue;
        if (lstat(w->path, &there) == 0 && S_ISDIR(there.st_mode)) walk_folder(w, depth + 1);
        else if (stat(w->path, &there) == 0 && S_ISREG(there.st_mode))
            w->each(w->ud, w->path + w->root, (uint64_t)there.st_size);
    }
    w->path[len] = '\0';
    if (folder != NULL) closedir(folder);
}

void fetch_walk(const char *folder, void (*each)(void *ud, const char *path, uint64_t bytes), void *ud)
{
    walk *w = malloc(sizeof *w);
    if (w == NULL) return;
    snprintf(w->path, sizeof w->path, "%s", folder);
    w->root = strlen(w->path) + 1;
    w->each = each;
    w->ud = ud;
    walk_folder(w, 0);
    free(w);
}

void fetch_remove_up(const char *path, const char *stay)
{
    char at[FETCH_PATH_BYTES];
    size_t root = strlen(stay);
    snprintf(at, sizeof at, "%s", path);
    (void)unlink(at);
    for (char *slash; (slash = strrchr(at, '/')) != NULL && (size_t)(slash - at) > root;) {
        *slash = '\0';
        if (rmdir(at) != 0) return;
    }
}
