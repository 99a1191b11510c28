/* host.h - what differs between the systems the program runs on: host_posix.c, and host_wasi.c in a WebAssembly module. */
#ifndef CLI_HOST_H
#define CLI_HOST_H

#include "cli.h"

/* Of the terminal behind stderr, 80 where it does not say. */
size_t cli_terminal_columns(void);
/* `chord wasm ...`, `chord serve ...`: becomes the program chord-wasm, chord-serve that lies beside this one; comes back only
 * when that fails. */
int cli_become_wasm(char **argv);
int cli_become_serve(char **argv);
/* Nobody else who asks may write it until it is closed; false: somebody does. Systems without locks: true. */
bool cli_lock_file(int fd);
/* These bytes may go to the disk now, so that a later fsync has little to wait for. */
void cli_write_early(int fd, uint64_t offset, size_t len);
/* Where a file lies that may be named by a link; out holds PATH_MAX bytes. A system that follows none: path. */
bool cli_real_path(const char *path, char *out);
/* Whether there is a home folder, where histories and rates are kept. */
extern const bool cli_host_has_home;
/* For help: lines on what is different here. "": nothing. */
extern const char *const cli_host_help;
/* For the statistics: what the waiting for reads is here. "": nothing to say. */
extern const char *const cli_host_reads;

#endif
