/* guest_services.c - the services a host offers, and those of them a guest has. */
#include "guest_inner.h"

static const host_service *const SERVICES[] = {&v1_service, &memory64_service, &wasi_nn_service};
_Static_assert(CHORD_COUNT(SERVICES) <= HOST_SERVICES_MAX, "a guest has a place for each");

const host_import *guest_services_find(chord_guest *guest, const wasm_name_t *module, const wasm_name_t *name,
                                       uint32_t *service)
{
    for (uint32_t s = 0; s < CHORD_COUNT(SERVICES); s++) {
        if (!host_named(module, SERVICES[s]->module)) continue;
        for (uint32_t i = 0; i < SERVICES[s]->import_count; i++) {
            if (!host_named(name, SERVICES[s]->imports[i].name)) continue;
            guest->services[s].wanted = true;
            *service = s;
            return &SERVICES[s]->imports[i];
        }
    }
    return NULL;
}

/* Guests whose weights live in the host: what their own memory may take is set aside first. */
static chord_status charge_linear(chord_guest *guest, chord_error *err)
{
    bool holds_weights = false;
    for (uint32_t i = 0; i < CHORD_COUNT(SERVICES); i++)
        holds_weights = holds_weights || (guest->services[i].wanted && SERVICES[i]->holds_weights);
    uint64_t share = chord_min_u64(chord_heap_ceiling_bytes(guest->heap) / 4, 256 * CHORD_MIB);
    if (holds_weights && guest->options.linear_bytes_max == 0)
        guest->linear_bytes_max = chord_min_u64(guest->linear_bytes_max, share);
    return guest_charge_linear(guest, err);
}

chord_status guest_services_open(chord_guest *guest, chord_error *err)
{
    host_given given = {.guest = guest,
                        .heap = guest->heap,
                        .budget_bytes = guest->budget_bytes - HOST_LIBRARY_BYTES,
                        .model = &guest->model,
                        .options = &guest->options};
    CHORD_TRY(charge_linear(guest, err));
    for (uint32_t i = 0; i < CHORD_COUNT(SERVICES); i++)
        if (guest->services[i].wanted) CHORD_TRY(SERVICES[i]->open(&given, &guest->services[i].state, err));
    return CHORD_OK;
}

void guest_services_close(chord_guest *guest)
{
    for (uint32_t i = CHORD_COUNT(SERVICES); i-- > 0;) {
        if (guest->services[i].state != NULL) SERVICES[i]->close(guest->services[i].state);
        guest->services[i].state = NULL;
    }
}

void guest_services_cancel(chord_guest *guest)
{
    for (uint32_t i = 0; i < CHORD_COUNT(SERVICES); i++)
        if (guest->services[i].state != NULL && SERVICES[i]->cancel != NULL)
            SERVICES[i]->cancel(guest->services[i].state);
}

chord_status guest_services_check(chord_guest *guest, chord_error *err)
{
    for (uint32_t i = 0; i < CHORD_COUNT(SERVICES); i++)
        if (guest->services[i].state != NULL && SERVICES[i]->check != NULL)
            CHORD_TRY(SERVICES[i]->check(guest->services[i].state, err));
    return CHORD_OK;
}

void guest_services_stats(const chord_guest *guest, chord_guest_stats *out)
{
    for (uint32_t i = 0; i < CHORD_COUNT(SERVICES); i++)
        if (guest->services[i].state != NULL && SERVICES[i]->stats != NULL)
            SERVICES[i]->stats(guest->services[i].state, out);
}
