/* proxy_names.h - made by scripts/make-constants from host/proxy; do not edit. Put before every file of cli/ when it is
 * compiled for `chord wasm` (proxy.h): chord.h's functions by the proxy's names. No include may stand here, since the
 * files behind it choose their system's features first. */
#define chord_runtime_open proxy_runtime_open
#define chord_runtime_close proxy_runtime_close
#define chord_runtime_threads proxy_runtime_threads
#define chord_model_plan proxy_model_plan
#define chord_model_open proxy_model_open
#define chord_model_close proxy_model_close
#define chord_model_describe proxy_model_describe
#define chord_tokenize proxy_tokenize
#define chord_detokenize proxy_detokenize
#define chord_reply_open proxy_reply_open
#define chord_chat_render proxy_chat_render
#define chord_probe_run proxy_probe_run
#define chord_session_open proxy_session_open
#define chord_session_close proxy_session_close
#define chord_session_reset proxy_session_reset
#define chord_session_sync proxy_session_sync
#define chord_session_feed proxy_session_feed
#define chord_session_copy proxy_session_copy
#define chord_session_score proxy_session_score
#define chord_generate_start proxy_generate_start
#define chord_generate_result_get proxy_generate_result_get
#define chord_session_generate proxy_session_generate
#define chord_sessions_step proxy_sessions_step
#define chord_session_cancel proxy_session_cancel
#define chord_session_on_progress proxy_session_on_progress
#define chord_session_stats proxy_session_stats
#define chord_session_stats_reset proxy_session_stats_reset
