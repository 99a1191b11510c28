/* pager_window_wasm.c - a module cannot map: there is no window. */
#include "pager/pager_inner.h"

void pager_window_open(chord_pager *pager) { (void)pager; }
void pager_window_close(chord_pager *pager) { (void)pager; }

bool pager_window_has(const chord_pager *pager, uint32_t tile)
{
    (void)pager, (void)tile;
    return false;
}

const uint8_t *pager_window_show(chord_pager *pager, uint32_t tile)
{
    (void)pager, (void)tile;
    return NULL;
}

void pager_window_hide(chord_pager *pager) { (void)pager; }

chord_status pager_window_pass_end(chord_pager *pager, chord_error *err)
{
    (void)pager, (void)err;
    return CHORD_OK;
}
