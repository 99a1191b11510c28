/* library.h - libcurl and libcrypto, opened when the first URL is met. Declared here is what is used of them: names and
 * numbers of their binary interfaces, which have not changed for as long as these names of the libraries exist. So the
 * program is built without their headers, and runs without the libraries as long as nobody names a URL. */
#ifndef FETCH_LIBRARY_H
#define FETCH_LIBRARY_H

#include "chord.h"

typedef struct fetch_curl_list {
    char *data;
    struct fetch_curl_list *next;
} fetch_curl_list;
typedef struct fetch_curl_message {
    int message; /* FETCH_CURL_DONE */
    void *easy;
    union {
        void *whatever;
        int result;
    } data;
} fetch_curl_message;
#define FETCH_CURL_DONE 1

enum { /* results */
       FETCH_CURL_OK = 0,
       FETCH_CURL_NO_HOST = 6,
       FETCH_CURL_NO_CONNECTION = 7,
       FETCH_CURL_ABORTED = 42,
       FETCH_CURL_CERTIFICATE = 60,
       FETCH_CURL_CERTIFICATES = 77
};

enum { /* options: whole numbers, pointers from 10000 on, functions from 20000 on */
       FETCH_CURL_NOPROGRESS = 43,
       FETCH_CURL_CONNECT_TIMEOUT = 78,
       FETCH_CURL_HTTP_VERSION = 84,
       FETCH_CURL_BUFFER_BYTES = 98,
       FETCH_CURL_NO_SIGNAL = 99,
       FETCH_CURL_PROTOCOLS = 181,
       FETCH_CURL_WRITE_DATA = 10001,
       FETCH_CURL_URL = 10002,
       FETCH_CURL_RANGE = 10007,
       FETCH_CURL_ERROR_BUFFER = 10010,
       FETCH_CURL_USER_AGENT = 10018,
       FETCH_CURL_HEADERS = 10023,
       FETCH_CURL_HEADER_DATA = 10029,
       FETCH_CURL_PROGRESS_DATA = 10057,
       FETCH_CURL_CA_FILE = 10065,
       FETCH_CURL_PRIVATE = 10103,
       FETCH_CURL_WRITE_FUNCTION = 20011,
       FETCH_CURL_HEADER_FUNCTION = 20079,
       FETCH_CURL_PROGRESS_FUNCTION = 20219
};
#define FETCH_CURL_HTTP_1_1 2L
#define FETCH_CURL_HTTP_AND_HTTPS 3L
#define FETCH_CURL_INFO_STATUS 0x200002
#define FETCH_CURL_INFO_REDIRECT 0x10001f
#define FETCH_CURL_INFO_PRIVATE 0x100015
#define FETCH_CURL_GLOBAL_ALL 3L

/* X(result, name, parameters): of libcurl. */
#define FETCH_CURL_MAP(X)                                                  \
    X(int, global_init, (long flags))                                      \
    X(void *, easy_init, (void))                                           \
    X(int, easy_setopt, (void *easy, int option, ...))                     \
    X(int, easy_perform, (void *easy))                                     \
    X(int, easy_getinfo, (void *easy, int info, ...))                      \
    X(void, easy_reset, (void *easy))                                      \
    X(void, easy_cleanup, (void *easy))                                    \
    X(const char *, easy_strerror, (int result))                           \
    X(fetch_curl_list *, slist_append, (fetch_curl_list *, const char *))  \
    X(void, slist_free_all, (fetch_curl_list *))                           \
    X(void *, multi_init, (void))                                          \
    X(int, multi_add_handle, (void *multi, void *easy))                    \
    X(int, multi_remove_handle, (void *multi, void *easy))                 \
    X(int, multi_perform, (void *multi, int *running))                     \
    X(int, multi_poll, (void *multi, void *, unsigned, int ms, int *))     \
    X(int, multi_wakeup, (void *multi))                                    \
    X(fetch_curl_message *, multi_info_read, (void *multi, int *messages)) \
    X(int, multi_cleanup, (void *multi))

/* Of libcrypto. */
#define FETCH_CRYPTO_MAP(X)                                           \
    X(void *, EVP_MD_CTX_new, (void))                                 \
    X(void, EVP_MD_CTX_free, (void *))                                \
    X(const void *, EVP_sha256, (void))                               \
    X(int, EVP_DigestInit_ex, (void *, const void *kind, void *))     \
    X(int, EVP_DigestUpdate, (void *, const void *bytes, size_t len)) \
    X(int, EVP_DigestFinal_ex, (void *, unsigned char *, unsigned *))

typedef struct fetch_library {
#define FETCH_MEMBER(result, name, parameters) result(*name) parameters;
    FETCH_CURL_MAP(FETCH_MEMBER)
    FETCH_CRYPTO_MAP(FETCH_MEMBER)
#undef FETCH_MEMBER
    bool opened;
} fetch_library;

/* Once; the libraries stay until the program ends. The sentence says what to install. */
chord_status fetch_library_open(fetch_library *library, chord_error *err);

#endif
