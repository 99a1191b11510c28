/* proxy.h - chord.h answered by a guest. The commands of cli/ are compiled a second time with proxy_names.h before
 * them, and so run, unchanged, on a model that a WebAssembly module computes. */
#ifndef CHORD_PROXY_H
#define CHORD_PROXY_H

#include "chord_host.h"

/* Set before the command runs: the host, and what its guest is opened with (model, budget_bytes, threads
 * and ud are filled in). */
extern chord_host *proxy_host;
extern chord_guest_options proxy_guest_options;
extern chord_host_options proxy_host_options;
extern const char *proxy_cpu; /* the guest's fastest kernels to use; NULL: the best */
/* What a native runtime beside the guest may use: the same threads, and what the guest leaves of the budget. */
void proxy_native_options(const chord_runtime *runtime, chord_runtime_options *out);
/* Called before the guest is closed, NULL: nobody asks. */
extern void (*proxy_on_close)(const chord_guest *guest);

#endif
