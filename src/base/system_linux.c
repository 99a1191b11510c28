/* system_linux.c - what this machine or container can give: memory, cores, and what the process holds now.
 *
 * Limits come from the process's control groups, v1 and v2, and from every ancestor that can be seen. */
#define _GNU_SOURCE
#include "base/system_inner.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#define PATH_BYTES 4096
#define LINE_BYTES 4096
#define FILE_BYTES 8192 /* of meminfo, status and memory.stat, more is not looked at: what counts stands in front */
#define KERNEL_STACK_BYTES 16384u

/* ---- small files ------------------------------------------------------------------------------ */

/* Whole text of a small file, terminated; false when it cannot be read. */
static bool read_text(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t len = 0;
    ssize_t got;
    while (len < cap - 1 && (got = read(fd, out + len, cap - 1 - len)) > 0) len += (size_t)got;
    close(fd);
    out[len] = '\0';
    return true;
}

/* The number at text, "max" and what is no number: UINT64_MAX. */
static uint64_t number_at(const char *text)
{
    uint64_t value;
    size_t n = 0;
    while (*text == ' ' || *text == '\t') text++;
    while (text[n] >= '0' && text[n] <= '9') n++;
    return chord_text_to_u64(text, n, &value) ? value : UINT64_MAX;
}

/* The number behind key at the start of a line of text; missing when there is none. */
static uint64_t number_of(const char *text, const char *key, uint64_t missing)
{
    size_t len = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL)
        if (strncmp(line, key, len) == 0 && (line[len] == ' ' || line[len] == '\t')) return number_at(line + len);
    return missing;
}

/* The number a file in folder begins with. */
static uint64_t number_in(const char *folder, const char *file, uint64_t missing)
{
    char path[PATH_BYTES], text[64];
    chord_format(path, sizeof path, "%s/%s", folder, file);
    return read_text(path, text, sizeof text) ? number_at(text) : missing;
}

/* ---- where the groups are --------------------------------------------------------------------- */

/* A controller's folder tree as this process sees it: folder is mount point + the process's place below it. */
typedef struct group_tree {
    bool found, v2;
    size_t top_len; /* folder[0..top_len) is the mount point */
    char folder[PATH_BYTES];
} group_tree;

/* word stands in list, a comma-separated text of len bytes. */
static bool lists(const char *list, size_t len, const char *word)
{
    size_t n = strlen(word);
    for (size_t at = 0; at + n <= len; at++)
        if ((at == 0 || list[at - 1] == ',') && memcmp(list + at, word, n) == 0 &&
            (at + n == len || list[at + n] == ','))
            return true;
    return false;
}

/* Files that may be long (a container host has thousands of mounts) are read line by line. */
typedef struct line_reader {
    int fd;
    size_t at, len;
    char bytes[1024];
} line_reader;

static int next_byte(line_reader *reader)
{
    if (reader->at == reader->len) {
        ssize_t got = read(reader->fd, reader->bytes, sizeof reader->bytes);
        if (got <= 0) return -1;
        reader->at = 0;
        reader->len = (size_t)got;
    }
    return (unsigned char)reader->bytes[reader->at++];
}

/* The next line without its end; what does not fit is left out. False at the end of the file. */
static bool next_line(line_reader *reader, char *out, size_t cap)
{
    size_t len = 0;
    int c = next_byte(reader);
    if (c < 0) return false;
    for (; c >= 0 && c != '\n'; c = next_byte(reader))
        if (len < cap - 1) out[len++] = (char)c;
    out[len] = '\0';
    return true;
}

/* A line of /proc/self/cgroup, "ID:CONTROLLERS:PATH": the path when it is the controller's (NULL: the v2
 * hierarchy's). */
static const char *path_in_line(const char *line, const char *controller)
{
    const char *names = strchr(line, ':');
    const char *path = names == NULL ? NULL : strchr(names + 1, ':');
    if (path == NULL) return NULL;
    size_t len = (size_t)(path - names - 1);
    return (controller == NULL ? len == 0 : lists(names + 1, len, controller)) ? path + 1 : NULL;
}

/* The process's place in a controller's hierarchy. */
static bool own_path(const char *root, const char *controller, char *out, size_t cap)
{
    char line[LINE_BYTES];
    chord_format(line, sizeof line, "%s/proc/self/cgroup", root);
    line_reader reader = {.fd = open(line, O_RDONLY | O_CLOEXEC)};
    const char *path = NULL;
    while (reader.fd >= 0 && path == NULL && next_line(&reader, line, sizeof line))
        path = path_in_line(line, controller);
    if (reader.fd >= 0) close(reader.fd);
    if (path != NULL) chord_format(out, cap, "%s", path);
    return path != NULL;
}

typedef struct mount_line {
    char root[1024], point[1024];
    char type[32], options[512];
} mount_line;

static const char *take_word(const char *at, char *out, size_t cap)
{
    size_t n = strcspn(at, " \n");
    if (out != NULL) chord_format(out, cap, "%.*s", (int)n, at);
    at += n;
    return *at == ' ' ? at + 1 : at;
}

/* "ID PARENT DEVICE ROOT POINT OPTIONS [FIELDS]... - TYPE SOURCE SUPER_OPTIONS" */
static void read_mount(const char *line, mount_line *out)
{
    *out = (mount_line){0};
    for (int i = 0; i < 3; i++) line = take_word(line, NULL, 0);
    line = take_word(line, out->root, sizeof out->root);
    line = take_word(line, out->point, sizeof out->point);
    while (*line != '\0' && *line != '\n' && !(line[0] == '-' && line[1] == ' ')) line = take_word(line, NULL, 0);
    if (*line != '-') return;
    line = take_word(line, NULL, 0);
    line = take_word(line, out->type, sizeof out->type);
    line = take_word(line, NULL, 0);
    take_word(line, out->options, sizeof out->options);
}

/* Below the mount's root lies what a container sees; a path outside of it (another namespace's) becomes the mount
 * point. */
static void place(group_tree *tree, const char *root, const mount_line *mount, const char *path)
{
    size_t root_len = chord_text_equal(mount->root, "/") ? 0 : strlen(mount->root);
    bool inside = strncmp(path, mount->root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == '\0') &&
                  strstr(path, "/..") == NULL;
    const char *below = inside ? path + root_len : "";
    if (chord_text_equal(below, "/")) below = "";
    tree->top_len = chord_format(tree->folder, sizeof tree->folder, "%s%s", root, mount->point);
    chord_format(tree->folder, sizeof tree->folder, "%s%s%s", root, mount->point, below);
    tree->found = tree->top_len < sizeof tree->folder;
}

static bool is_tree(const mount_line *mount, const char *controller, bool v2)
{
    if (v2) return chord_text_equal(mount->type, "cgroup2");
    return chord_text_equal(mount->type, "cgroup") && lists(mount->options, strlen(mount->options), controller);
}

static void find_tree(const char *root, const char *controller, bool v2, group_tree *out)
{
    char own[PATH_BYTES], line[LINE_BYTES];
    *out = (group_tree){.v2 = v2};
    if (!own_path(root, v2 ? NULL : controller, own, sizeof own)) return;
    chord_format(line, sizeof line, "%s/proc/self/mountinfo", root);
    line_reader reader = {.fd = open(line, O_RDONLY | O_CLOEXEC)};
    while (reader.fd >= 0 && !out->found && next_line(&reader, line, sizeof line)) {
        mount_line mount;
        read_mount(line, &mount);
        if (is_tree(&mount, controller, v2)) place(out, root, &mount, own);
    }
    if (reader.fd >= 0) close(reader.fd);
}

/* The parent group; false above the mount point. */
static bool climb(group_tree *tree)
{
    size_t len = strlen(tree->folder);
    if (len <= tree->top_len) return false;
    while (len > tree->top_len && tree->folder[len - 1] != '/') len--;
    if (len > tree->top_len) len--;
    tree->folder[len] = '\0';
    return true;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static void lessen(chord_memory *least, uint64_t total, uint64_t free)
{
    least->total_bytes = chord_min_u64(least->total_bytes, total);
    least->free_bytes = chord_min_u64(least->free_bytes, free);
}

/* Limit, and limit less usage, with the file cache that the kernel can take back counted as free. */
static void add_group(const group_tree *tree, chord_memory *least)
{
    uint64_t limit, usage;
    char path[PATH_BYTES + 32], text[FILE_BYTES] = "";
    chord_format(path, sizeof path, "%s/memory.stat", tree->folder);
    read_text(path, text, sizeof text);
    if (tree->v2) {
        limit = chord_min_u64(number_in(tree->folder, "memory.max", UINT64_MAX),
                              number_in(tree->folder, "memory.high", UINT64_MAX));
        usage = number_in(tree->folder, "memory.current", 0);
    } else {
        /* The hierarchical limit includes ancestors that a container does not show. */
        limit = chord_min_u64(number_in(tree->folder, "memory.limit_in_bytes", UINT64_MAX),
                              number_of(text, "hierarchical_memory_limit", UINT64_MAX));
        usage = number_in(tree->folder, "memory.usage_in_bytes", 0);
    }
    if (limit >= UINT64_MAX / 4) return;
    uint64_t cache = number_of(text, tree->v2 ? "inactive_file" : "total_inactive_file", 0) +
                     number_of(text, tree->v2 ? "active_file" : "total_active_file", 0);
    usage -= chord_min_u64(cache, usage);
    lessen(least, limit, limit > usage ? limit - usage : 0);
}

static void add_tree(const char *root, bool v2, chord_memory *least)
{
    group_tree tree;
    find_tree(root, "memory", v2, &tree);
    if (!tree.found) return;
    do add_group(&tree, least);
    while (climb(&tree));
}

static uint64_t kib_of(const char *text, const char *name)
{
    uint64_t kib = number_of(text, name, UINT64_MAX);
    return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

void chord_linux_memory(const char *root, chord_memory *out)
{
    char path[PATH_BYTES], text[FILE_BYTES] = "";
    *out = (chord_memory){UINT64_MAX, UINT64_MAX};
    chord_format(path, sizeof path, "%s/proc/meminfo", root);
    if (read_text(path, text, sizeof text)) lessen(out, kib_of(text, "MemTotal:"), kib_of(text, "MemAvailable:"));
    add_tree(root, false, out);
    add_tree(root, true, out);
    if (out->total_bytes == UINT64_MAX) out->total_bytes = 0;
    if (out->free_bytes == UINT64_MAX) out->free_bytes = 0;
}

/* A small container still gives three quarters of itself. */
static uint64_t less_others(uint64_t free_bytes)
{
    uint64_t spare = chord_min_u64(256 * CHORD_MIB, free_bytes / 4);
    return free_bytes - chord_max_u64(spare, free_bytes / 10);
}

uint64_t chord_linux_memory_available(const char *root)
{
    chord_memory memory;
    chord_linux_memory(root, &memory);
    return less_others(memory.free_bytes);
}

void chord_memory_describe(chord_memory *out)
{
    struct sysinfo info;
    chord_linux_memory("", out);
    if (out->total_bytes != 0 || sysinfo(&info) != 0) return;
    out->total_bytes = (uint64_t)info.totalram *
                       info.mem_unit; /* without /proc; file caches do not count as free then */
    out->free_bytes = ((uint64_t)info.freeram + info.bufferram) * info.mem_unit;
}

uint64_t chord_memory_available_bytes(void)
{
    chord_memory memory;
    chord_memory_describe(&memory);
    return chord_min_u64(less_others(memory.free_bytes), chord_process_budget_max());
}

/* Addresses that no budget counts: guard pages and untouched parts of stacks, what alignment loses. */
#define ADDRESS_SLACK_BYTES (4 * CHORD_MIB)

#define MAPPED_BYTES_GUESS (16 * CHORD_MIB) /* without /proc */

uint64_t chord_process_budget_max(void)
{
    static const struct {
        int limit;
        const char *used;
    } LIMITS[] = {{RLIMIT_AS, "VmSize:"}, {RLIMIT_DATA, "VmData:"}};
    char text[4096] = "";
    uint64_t least = UINT64_MAX;
    (void)read_text("/proc/self/status", text, sizeof text);
    for (size_t i = 0; i < CHORD_COUNT(LIMITS); i++) {
        struct rlimit limit;
        if (getrlimit(LIMITS[i].limit, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
        uint64_t mapped = kib_of(text, LIMITS[i].used), all = limit.rlim_cur;
        uint64_t used = (mapped != UINT64_MAX ? mapped : MAPPED_BYTES_GUESS) + ADDRESS_SLACK_BYTES;
        least = chord_min_u64(least,
                              chord_process_bytes() + chord_process_code_bytes() + (all > used ? all - used : 0));
    }
    return least;
}

uint64_t chord_process_code_bytes(void) { return 5 * CHORD_MIB; }

uint64_t chord_process_major_faults(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_majflt : 0;
}

uint64_t chord_process_bytes(void)
{
    static const char *const keys[] = {"RssAnon:", "RssShmem:", "VmPTE:"};
    char text[4096];
    uint64_t bytes = 0;
    if (!read_text("/proc/self/status", text, sizeof text)) return 0;
    for (size_t i = 0; i < CHORD_COUNT(keys); i++) bytes += number_of(text, keys[i], 0) * 1024;
    return bytes + number_of(text, "Threads:", 1) * KERNEL_STACK_BYTES;
}

/* ---- cores ------------------------------------------------------------------------------------ */

static uint64_t group_cores(const group_tree *tree)
{
    uint64_t quota, period;
    if (tree->v2) {
        char path[PATH_BYTES + 32], text[64];
        chord_format(path, sizeof path, "%s/cpu.max", tree->folder);
        if (!read_text(path, text, sizeof text)) return UINT64_MAX;
        const char *second = strchr(text, ' ');
        quota = number_at(text);
        period = second == NULL ? 100000 : number_at(second);
    } else {
        quota = number_in(tree->folder, "cpu.cfs_quota_us", UINT64_MAX); /* -1: none */
        period = number_in(tree->folder, "cpu.cfs_period_us", 100000);
    }
    return quota == UINT64_MAX || period == 0 || period == UINT64_MAX ? UINT64_MAX : chord_ceil_div(quota, period);
}

uint32_t chord_linux_cpu_quota(const char *root)
{
    uint64_t least = UINT32_MAX;
    for (int v2 = 0; v2 < 2; v2++) {
        group_tree tree;
        find_tree(root, "cpu", v2 != 0, &tree);
        if (!tree.found) continue;
        do least = chord_min_u64(least, group_cores(&tree));
        while (climb(&tree));
    }
    return (uint32_t)chord_max_u64(least, 1);
}

uint32_t chord_cpu_cores(void)
{
    uint64_t mask[128] = {0}; /* 8192 processors */
    uint32_t cores = 0;
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)(void *)mask) == 0)
        for (size_t i = 0; i < CHORD_COUNT(mask); i++) cores += (uint32_t)__builtin_popcountll(mask[i]);
    if (cores == 0) cores = 1;
    uint32_t quota = chord_linux_cpu_quota("");
    return cores < quota ? cores : quota;
}

#if defined(__aarch64__)
uint64_t chord_cpu_hwcap(void) { return getauxval(AT_HWCAP); }
#endif
