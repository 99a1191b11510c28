/* listen.c - a socket to listen at: TCP, unix, or one that systemd opened. */
#define _GNU_SOURCE
#include "wire/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define SYSTEMD_FIRST_FD 3

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->sa_family != AF_INET6) return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

/* How others reach it, from what the system says of it. */
static chord_status describe(wire_listener *l, chord_error *err)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[64] = "", port[16] = "";
    if (getsockname(l->fd, (struct sockaddr *)&address, &len) != 0)
        return chord_fail_os(err, CHORD_IO, errno, "the socket to listen at cannot be used");
    if (address.ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&address;
        l->local = true;
        snprintf(l->name, sizeof l->name, "unix:%s", len > sizeof un->sun_family ? un->sun_path : "");
        return CHORD_OK;
    }
    l->loopback = is_loopback((struct sockaddr *)&address);
    getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    bool six = strchr(host, ':') != NULL;
    snprintf(l->name, sizeof l->name, "http://%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
    return CHORD_OK;
}

/* ---- systemd ------------------------------------------------------------------------------------------- */

/* How many sockets were handed over; to us, not to who started us. */
static uint32_t handed_over(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t n, p;
    if (pid == NULL || count == NULL || !chord_text_to_u64(pid, strlen(pid), &p) || p != (uint64_t)getpid()) return 0;
    return chord_text_to_u64(count, strlen(count), &n) && n <= 1024 ? (uint32_t)n : 0;
}

static chord_status take_handed_over(uint32_t count, wire_listener *out, chord_error *err)
{
    int listens = 0;
    socklen_t len = sizeof listens;
    if (count > 1) return chord_fail(err, CHORD_UNSUPPORTED, "systemd hands over %u sockets, one can be served", count);
    out->fd = SYSTEMD_FIRST_FD;
    if (getsockopt(out->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || !listens)
        return chord_fail(err, CHORD_INVALID, "what systemd hands over as descriptor %d is no socket that listens",
                          out->fd);
    fcntl(out->fd, F_SETFD, FD_CLOEXEC);
    return describe(out, err);
}

void wire_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
    close(fd);
}

/* ---- unix ---------------------------------------------------------------------------------------------- */

/* The name of a server that was killed is in the way; that of one that runs stays. */
static chord_status make_way(const struct sockaddr_un *address, chord_error *err)
{
    struct stat found;
    if (lstat(address->sun_path, &found) != 0) return CHORD_OK;
    if (!S_ISSOCK(found.st_mode))
        return chord_fail(err, CHORD_INVALID, "%s is there already, and no socket", address->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return chord_fail_os(err, CHORD_IO, errno, "no socket");
    int failed = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    close(fd);
    if (failed == ECONNREFUSED && unlink(address->sun_path) == 0) return CHORD_OK;
    if (failed == 0) return chord_fail(err, CHORD_INVALID, "%s: somebody listens there already", address->sun_path);
    return chord_fail_os(err, CHORD_IO, failed, "%s is in the way", address->sun_path);
}

/* Bound under another name and renamed: who finds it may connect at once, and nobody else could for a moment. */
static chord_status listen_unix(const char *path, wire_listener *out, chord_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}, final;
    if (strlen(path) + 8 >= sizeof address.sun_path)
        return chord_fail(err, CHORD_INVALID, "--unix: %zu bytes are too many for the name of a socket", strlen(path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    CHORD_TRY(make_way(&address, err));
    final = address;
    snprintf(address.sun_path, sizeof address.sun_path, "%s.%u", path, (unsigned)getpid() % 1000000u);
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (out->fd < 0) return chord_fail_os(err, CHORD_IO, errno, "no socket");
    if (bind(out->fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(out->fd, BACKLOG) != 0 ||
        chmod(address.sun_path, 0660) != 0 || rename(address.sun_path, final.sun_path) != 0) {
        int failed = errno;
        unlink(address.sun_path);
        return chord_fail_os(err, CHORD_IO, failed, "cannot listen at %s", path);
    }
    out->unlink_path = path;
    out->local = true;
    snprintf(out->name, sizeof out->name, "unix:%s", path);
    return CHORD_OK;
}

/* ---- TCP ------------------------------------------------------------------------------------------------- */

static chord_status listen_at(const struct addrinfo *at, wire_listener *out)
{
    int on = 1;
    out->fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (out->fd < 0) return CHORD_IO;
    setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(out->fd, at->ai_addr, at->ai_addrlen) == 0 && listen(out->fd, BACKLOG) == 0) return CHORD_OK;
    int failed = errno;
    close(out->fd);
    out->fd = -1;
    errno = failed;
    return CHORD_IO;
}

static chord_status listen_tcp(const wire_place *place, wire_listener *out, chord_error *err)
{
    struct addrinfo *all = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char port[16];
    chord_status status = CHORD_IO;
    snprintf(port, sizeof port, "%u", place->port);
    int code = getaddrinfo(place->host, port, &hints, &all);
    if (code != 0)
        return chord_fail(err, CHORD_INVALID, "--host %s is no address of this machine: %s", place->host,
                          gai_strerror(code));
    errno = EADDRNOTAVAIL;
    for (const struct addrinfo *at = all; at != NULL && status != CHORD_OK; at = at->ai_next)
        status = listen_at(at, out);
    int failed = errno;
    freeaddrinfo(all);
    if (status == CHORD_OK) return describe(out, err);
    return chord_fail_os(err, CHORD_IO, failed, "cannot listen at %s port %u", place->host, place->port);
}

chord_status wire_listen(const wire_place *place, wire_listener *out, chord_error *err)
{
    *out = (wire_listener){.fd = -1};
    uint32_t count = handed_over();
    chord_status status = count > 0                  ? take_handed_over(count, out, err)
                          : place->unix_path != NULL ? listen_unix(place->unix_path, out, err)
                                                     : listen_tcp(place, out, err);
    if (status != CHORD_OK) wire_unlisten(out);
    return status;
}

void wire_unlisten(wire_listener *l)
{
    if (l->fd >= 0) close(l->fd);
    if (l->unlink_path != NULL) unlink(l->unlink_path);
    l->fd = -1;
    l->unlink_path = NULL;
}
