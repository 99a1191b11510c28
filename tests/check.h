/* check.h - the whole test harness: CHECK counts and reports, check_done() is main's return value. */
#ifndef CHORD_CHECK_H
#define CHORD_CHECK_H

#include <stdio.h>

/* For alarm(): what takes longer waits without end. That a machine is slow is no failure. */
#define CHECK_FOREVER_S 3000

/* Sanitizers make a test many times as slow. Where it goes over a long list, they see enough of every n-th. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHECK_EVERY(plainly, with_addresses, with_threads) (with_threads)
#elif __has_feature(address_sanitizer)
#define CHECK_EVERY(plainly, with_addresses, with_threads) (with_addresses)
#endif
#endif
#ifndef CHECK_EVERY
#define CHECK_EVERY(plainly, with_addresses, with_threads) (plainly)
#endif

static int check_failed_count, check_count;

#define CHECK(condition)                                                              \
    do {                                                                              \
        check_count++;                                                                \
        if (!(condition)) {                                                           \
            check_failed_count++;                                                     \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
        }                                                                             \
    } while (0)
/* With a sentence: CHECK_SAY(a == b, "row %d: %f is not %f", i, a, b) */
#define CHECK_SAY(condition, ...)                                                     \
    do {                                                                              \
        check_count++;                                                                \
        if (!(condition)) {                                                           \
            check_failed_count++;                                                     \
            fprintf(stderr, "%s:%d: not true: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                             \
            fputc('\n', stderr);                                                      \
        }                                                                             \
    } while (0)
/* A call that must succeed; prints its error sentence. `err` is the local chord_error. */
#define CHECK_OK(call)                                                               \
    do {                                                                             \
        check_count++;                                                               \
        if ((call) != CHORD_OK) {                                                    \
            check_failed_count++;                                                    \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, err.text); \
        }                                                                            \
    } while (0)

static inline int check_done(void)
{
    printf("%d checks, %d failed\n", check_count, check_failed_count);
    return check_failed_count != 0 || check_count == 0;
}

#endif
