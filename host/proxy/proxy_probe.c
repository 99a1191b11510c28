/* proxy_probe.c - the machine is the host's: chord_probe_run of a guest's commands is measured natively. Apart from
 * proxy.c, since only here the native names are meant. */
#include "proxy.h"

chord_status proxy_probe_run(chord_runtime *runtime, const chord_source *source, chord_probe *out, chord_error *err);

chord_status proxy_probe_run(chord_runtime *runtime, const chord_source *source, chord_probe *out, chord_error *err)
{
    chord_runtime_options options;
    proxy_native_options(runtime, &options);
    chord_runtime *native;
    chord_status status = chord_runtime_open(&options, &native, err);
    if (status != CHORD_OK) return status;
    status = chord_probe_run(native, source, out, err);
    chord_runtime_close(native);
    return status;
}
