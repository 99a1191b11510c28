/* guest_world.c - what a WASI guest finds: words, environment, folders; and how it ends. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the end ----------------------------------------------------------------------------------------------- */

/* proc_exit is ours: Wasmtime's own keeps no code above 125. */
static wasm_trap_t *leave(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t count)
{
    static const char WORDS[] = "the guest has ended by itself";
    chord_guest *guest = guest_instance_of(wasmtime_caller_context(caller))->guest;
    (void)env, (void)count;
    atomic_store(&guest->exit_code, (uint32_t)raw[0].i32);
    atomic_store(&guest->exited, true);
    return wasmtime_trap_new(WORDS, sizeof WORDS - 1);
}

chord_status guest_world_link(chord_guest *guest, chord_error *err)
{
    static const char MODULE[] = "wasi_snapshot_preview1", NAME[] = "proc_exit";
    wasmtime_error_t *error = wasmtime_linker_define_wasi(guest->linker);
    if (error != NULL) return host_fail_wasmtime(err, error, NULL, "WASI");
    wasm_functype_t *type = wasm_functype_new_1_0(wasm_valtype_new(WASM_I32));
    wasmtime_linker_allow_shadowing(guest->linker, true);
    error = wasmtime_linker_define_func_unchecked(guest->linker, MODULE, sizeof MODULE - 1, NAME, sizeof NAME - 1, type,
                                                  leave, NULL, NULL);
    wasmtime_linker_allow_shadowing(guest->linker, false);
    wasm_functype_delete(type);
    return error == NULL ? CHORD_OK : host_fail_wasmtime(err, error, NULL, NAME);
}

/* ---- the beginning ------------------------------------------------------------------------------------------- */

/* WASI has UTF-8 only; */
static bool is_utf8(const char *text)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t n = chord_utf8_decode(text + at, len - at, &code);
        if (n == 0 || (code == 0xFFFD && n == 1)) return false;
        at += n;
    }
    return true;
}

static chord_status set_words(wasi_config_t *wasi, const chord_guest_options *o, chord_error *err)
{
    for (size_t i = 0; i < o->arg_count; i++)
        if (!is_utf8(o->args[i]))
            return chord_fail(err, CHORD_INVALID, "word %zu for the guest, '%s', is not UTF-8", i, o->args[i]);
    const char **argv = calloc(o->arg_count + 1, sizeof *argv);
    if (argv == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for %zu words", o->arg_count);
    for (size_t i = 0; i < o->arg_count; i++) argv[i] = o->args[i];
    bool good = wasi_config_set_argv(wasi, o->arg_count, argv);
    free(argv);
    return good ? CHORD_OK : chord_fail(err, CHORD_INVALID, "the guest's words are refused by WASI");
}

/* NAME=VALUE becomes two texts in one copy. */
static chord_status split_variable(const char *entry, const char **name, const char **value, chord_error *err)
{
    const char *equals = strchr(entry, '=');
    if (equals == NULL || equals == entry || !is_utf8(entry))
        return chord_fail(err, CHORD_INVALID, "'%s' is no variable: NAME=VALUE in UTF-8 is one", entry);
    char *copy = strdup(entry);
    if (copy == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for the guest's environment");
    copy[equals - entry] = '\0';
    *name = copy;
    *value = copy + (equals - entry) + 1;
    return CHORD_OK;
}

static chord_status set_environment(wasi_config_t *wasi, const chord_guest_options *o, chord_error *err)
{
    const char **names = calloc(2 * o->env_count + 1, sizeof *names), **values = names + o->env_count;
    if (names == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for the guest's environment");
    chord_status status = CHORD_OK;
    for (size_t i = 0; status == CHORD_OK && i < o->env_count; i++)
        status = split_variable(o->env[i], &names[i], &values[i], err);
    if (status == CHORD_OK && !wasi_config_set_env(wasi, o->env_count, names, values))
        status = chord_fail(err, CHORD_INVALID, "the guest's environment is refused by WASI");
    for (size_t i = 0; i < o->env_count; i++) free((void *)(uintptr_t)names[i]);
    free(names);
    return status;
}

static chord_status add_folder(wasi_config_t *wasi, const chord_guest_folder *folder, chord_error *err)
{
    struct stat at;
    if (stat(folder->host, &at) != 0)
        return chord_fail_os(err, CHORD_IO, errno, "a folder for the guest, %s", folder->host);
    if (!S_ISDIR(at.st_mode)) return chord_fail_os(err, CHORD_IO, ENOTDIR, "a folder for the guest, %s", folder->host);
    if (access(folder->host, R_OK | X_OK) != 0)
        return chord_fail_os(err, CHORD_IO, errno, "a folder for the guest, %s", folder->host);
    if (wasi_config_preopen_dir(wasi, folder->host, folder->guest, false)) return CHORD_OK;
    return chord_fail(err, CHORD_IO, "a folder for the guest, %s: WASI cannot give it as '%s'", folder->host,
                      folder->guest);
}

static chord_status fill(wasi_config_t *wasi, chord_guest *guest, chord_error *err)
{
    const chord_guest_options *o = &guest->options;
    wasi_config_inherit_stdin(wasi);
    guest_set_output(guest, wasi);
    CHORD_TRY(set_words(wasi, o, err));
    CHORD_TRY(set_environment(wasi, o, err));
    for (size_t i = 0; i < o->folder_count; i++) CHORD_TRY(add_folder(wasi, &o->folders[i], err));
    return CHORD_OK;
}

chord_status guest_world_open(guest_instance *instance, chord_error *err)
{
    wasi_config_t *wasi = wasi_config_new();
    if (wasi == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for WASI");
    chord_status status = fill(wasi, instance->guest, err);
    if (status != CHORD_OK) {
        wasi_config_delete(wasi);
        return status;
    }
    wasmtime_error_t *error = wasmtime_context_set_wasi(instance->context, wasi);
    return error == NULL ? CHORD_OK : host_fail_wasmtime(err, error, NULL, "WASI");
}
