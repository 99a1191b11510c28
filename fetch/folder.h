/* folder.h - small files and folders of the cache. */
#ifndef FETCH_FOLDER_H
#define FETCH_FOLDER_H

#include "inner.h"

/* dir/name; false: too long. */
bool fetch_join(char out[FETCH_PATH_BYTES], const char *folder, const char *name);
/* A relative path that stays below its folder. */
bool fetch_is_safe_path(const char *path);
/* The first line of a small file; false: there is none. */
bool fetch_read_line(const char *path, char *out, size_t cap);
/* All of a file of at most 16 MiB. */
chord_status fetch_read_file(const char *path, chord_buffer *out, chord_error *err);
/* Beside it first, then in its place. */
chord_status fetch_write_file(const char *path, const char *text, size_t len, chord_error *err);
/* A symbolic link at path that leads to target, relative to where it lies. */
chord_status fetch_link(const char *path, const char *target, chord_error *err);
/* Every file below a folder, by its path in it, in no order; links lead on, folders that are links do not. */
void fetch_walk(const char *folder, void (*each)(void *ud, const char *path, uint64_t bytes), void *ud);
bool fetch_file_bytes(const char *path, uint64_t *bytes);
/* path and the folders above it that are empty, up to below `stay`. */
void fetch_remove_up(const char *path, const char *stay);

#endif
