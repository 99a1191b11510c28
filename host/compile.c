/* compile.c - machine code of a module, made in a process of its own. A module of some megabytes can take a compiler
 * gigabytes and minutes; only the system can stop that in the middle. The child may map no more than the budget leaves,
 * and is killed when its time is over. It has one thread: then what it needs is the same each time, so that the
 * verdict on a module that was compiled before is the same too. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 1000000000ull   /* between two looks whether the child goes on */
#define STILL_NS 60000000000ull /* without any computing */

/* What the child says before the code. */
typedef struct compiled_head {
    chord_status status;
    uint64_t need_bytes, code_bytes;
    char text[256];
} compiled_head;

static uint64_t room_of(const module_limits *limits)
{
    uint64_t taken = limits->taken_bytes + chord_process_code_bytes() + HOST_LIBRARY_BYTES;
    return limits->budget_bytes > taken ? limits->budget_bytes - taken : 0;
}

uint64_t host_budget_to_compile(uint64_t need_bytes, uint64_t taken_bytes)
{
    return need_bytes + taken_bytes + chord_process_code_bytes() + HOST_LIBRARY_BYTES;
}

static chord_status fail_room(const char *path, const module_limits *limits, chord_error *err)
{
    return chord_fail(err, CHORD_BUDGET,
                      "%s: compiling it takes more than the %.1f MiB that a budget of %.1f MiB leaves for that", path,
                      (double)room_of(limits) / (double)CHORD_MIB, (double)limits->budget_bytes / (double)CHORD_MIB);
}

chord_status host_check_need(uint64_t need_bytes, const char *path, const module_limits *limits, chord_error *err)
{
    return need_bytes <= room_of(limits) ? CHORD_OK : fail_room(path, limits, err);
}

/* ---- the child ------------------------------------------------------------------------------------------- */

/* Addresses in use now, and most so far; 0 where the system does not tell. */
static void addresses(uint64_t *now, uint64_t *peak)
{
    char text[2048];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *size = strstr(text, "VmSize:"), *most = strstr(text, "VmPeak:");
    *now = size != NULL ? strtoull(size + 7, NULL, 10) * 1024 : 0;
    *peak = most != NULL ? strtoull(most + 7, NULL, 10) * 1024 : *now;
}

static uint64_t resident_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static void limit_addresses(uint64_t bytes)
{
    struct rlimit limit, none = {0};
    (void)setrlimit(RLIMIT_CORE, &none);
    if (getrlimit(RLIMIT_AS, &limit) != 0 || bytes >= limit.rlim_cur) return;
    limit.rlim_cur = bytes;
    (void)setrlimit(RLIMIT_AS, &limit);
}

/* Dies with its parent and by any signal, and says nothing. */
static void become_child(void)
{
    static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGABRT, SIGSEGV, SIGBUS, SIGPIPE};
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < CHORD_COUNT(SIGNALS); i++) signal(SIGNALS[i], SIG_DFL);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_WRONLY);
    if (null >= 0) dup2(null, STDERR_FILENO);
}

static void send(int fd, const void *bytes, size_t len)
{
    for (size_t put = 0; put < len;) {
        ssize_t n = write(fd, (const char *)bytes + put, len - put);
        if (n > 0) put += (size_t)n;
        else if (errno != EINTR) _exit(1);
    }
}

static wasmtime_error_t *compile(const chord_host *host, const uint8_t *wasm, size_t len, wasm_byte_vec_t *code)
{
    wasmtime_module_t *module;
    wasm_engine_t *engine = host_make_engine(host);
    if (engine == NULL) return wasmtime_error_new("no memory for a compiler (os error 12)");
    wasmtime_error_t *error = wasmtime_module_new(engine, wasm, len, &module);
    return error == NULL ? wasmtime_module_serialize(module, code) : error;
}

/* What Wasmtime says of a module with types, references or exceptions that the host was not opened for. */
static bool wants_gc(const chord_host *host, const char *sentence)
{
    static const char *const SIGNS[] = {"gc feature", "gc proposal", "exceptions proposal", "function references"};
    for (size_t i = 0; i < CHORD_COUNT(SIGNS) && !host->options.gc; i++)
        if (strstr(sentence, SIGNS[i]) != NULL) return true;
    return false;
}

static _Noreturn void run_child(const chord_host *host, const uint8_t *wasm, size_t len, const char *path,
                                const module_limits *limits, int fd)
{
    compiled_head head = {0};
    chord_error err;
    wasm_byte_vec_t code = {0};
    uint64_t before, now, peak, resident = resident_peak_bytes();
    become_child();
    addresses(&before, &peak);
    if (before != 0) limit_addresses(before + room_of(limits));
    wasmtime_error_t *error = compile(host, wasm, len, &code);
    if (error != NULL) {
        head.status = host_fail_wasmtime(&err, error, NULL, path);
        if (strstr(err.text, "os error 12") != NULL) _exit(1);
        chord_format(head.text, sizeof head.text, "%s%s", err.text, wants_gc(host, err.text) ? "(--gc allows it)" : "");
    } else {
        addresses(&now, &peak);
        head.need_bytes = before != 0 ? peak - before : resident_peak_bytes() - resident;
        /* as it is loaded: the bytes that came, and the code where it runs */
        head.need_bytes = chord_max_u64(head.need_bytes, 2 * code.size + len);
        head.code_bytes = code.size;
    }
    send(fd, &head, sizeof head);
    send(fd, code.data, code.size);
    _exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------------------- */

/* The child's bytes as they come, until its end or the time's. */
typedef struct receiver {
    pid_t child;
    int fd;
    const module_limits *limits;
    uint64_t computed_ns, moved_ns; /* by the child; when that last grew */
    bool late, still;
} receiver;

static void look_at_child(receiver *r, uint64_t now_ns)
{
    clockid_t clock;
    struct timespec computed = {0};
    if (clock_getcpuclockid(r->child, &clock) == 0) (void)clock_gettime(clock, &computed);
    uint64_t ns = (uint64_t)computed.tv_sec * 1000000000 + (uint64_t)computed.tv_nsec;
    if (ns != r->computed_ns) r->moved_ns = now_ns;
    r->computed_ns = ns;
    r->still = now_ns - r->moved_ns > STILL_NS;
}

/* Until there is something to read; false: no longer waited for. */
static bool wait_for_child(receiver *r)
{
    struct pollfd wanted = {.fd = r->fd, .events = POLLIN};
    while (true) {
        uint64_t now_ns = chord_clock_ns(), pause_ns = LOOK_NS, end_ns = r->limits->end_ns;
        if (end_ns != 0 && now_ns >= end_ns) r->late = true;
        if (r->late || r->still) return false;
        if (end_ns != 0) pause_ns = chord_min_u64(pause_ns, end_ns - now_ns);
        if (poll(&wanted, 1, (int)(pause_ns / 1000000) + 1) > 0) return true;
        look_at_child(r, now_ns);
    }
}

static bool receive(receiver *r, void *to, size_t len)
{
    for (size_t got = 0; got < len;) {
        if (!wait_for_child(r)) return false;
        ssize_t n = read(r->fd, (char *)to + got, len - got);
        if (n > 0) got += (size_t)n;
        else if (n == 0 || errno != EINTR) return false;
    }
    return true;
}

/* Of a child that did not come to its end. */
static chord_status explain(const receiver *r, int how, const char *path, chord_error *err)
{
    if (r->late)
        return chord_fail(err, CHORD_CANCELLED, "%s: compiling it took longer than the %.3f s it was given", path,
                          r->limits->seconds);
    if (r->still) return chord_fail(err, CHORD_IO, "%s: the process that compiles it does not go on", path);
    if (WIFSIGNALED(how) && (WTERMSIG(how) == SIGINT || WTERMSIG(how) == SIGTERM || WTERMSIG(how) == SIGHUP))
        return chord_fail(err, CHORD_CANCELLED, "%s: compiling it was interrupted", path);
    return fail_room(path, r->limits, err);
}

static chord_status take_code(receiver *r, const compiled_head *head, const char *path, uint8_t **code,
                              loaded_module *out, size_t *code_bytes, bool *whole, chord_error *err)
{
    if (head->status != CHORD_OK) return chord_fail(err, head->status, "%s", head->text);
    CHORD_TRY(host_check_need(head->need_bytes, path, r->limits, err));
    *code = malloc(head->code_bytes);
    if (*code == NULL) return chord_fail(err, CHORD_NO_MEMORY, "%s: no memory for its code", path);
    *code_bytes = head->code_bytes;
    out->need_bytes = head->need_bytes;
    *whole = receive(r, *code, head->code_bytes);
    return CHORD_OK;
}

static chord_status start_child(const chord_host *host, const uint8_t *wasm, size_t len, const char *path,
                                const module_limits *limits, receiver *r, chord_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return chord_fail_os(err, CHORD_IO, errno, "%s: a pipe for compiling it", path);
    pid_t child = fork();
    if (child == 0) run_child(host, wasm, len, path, limits, ends[1]);
    int failure = errno;
    close(ends[1]);
    *r = (receiver){.child = child, .fd = ends[0], .limits = limits, .moved_ns = chord_clock_ns()};
    if (child > 0) return CHORD_OK;
    close(ends[0]);
    return chord_fail_os(err, CHORD_IO, failure, "%s: a process for compiling it", path);
}

chord_status host_compile(const chord_host *host, const uint8_t *wasm, size_t len, const char *path,
                          const module_limits *limits, uint8_t **code, loaded_module *out, size_t *code_bytes,
                          chord_error *err)
{
    receiver r;
    compiled_head head;
    uint64_t start_ns = chord_clock_ns();
    int how = 0;
    *code = NULL;
    CHORD_TRY(start_child(host, wasm, len, path, limits, &r, err));
    chord_status status = CHORD_OK;
    bool whole = receive(&r, &head, sizeof head);
    if (whole) status = take_code(&r, &head, path, code, out, code_bytes, &whole, err);
    close(r.fd);
    if (!whole || status != CHORD_OK) kill(r.child, r.late || r.still ? SIGKILL : 0);
    while (waitpid(r.child, &how, 0) < 0 && errno == EINTR) {}
    if (!whole) status = explain(&r, how, path, err);
    if (status != CHORD_OK) {
        free(*code);
        *code = NULL;
    }
    out->compile_ns = chord_clock_ns() - start_ns;
    return status;
}
