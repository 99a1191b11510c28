/* quant_types.c - names and sizes of the tensor formats. */
#include "quant/quant_types.h"

#define TYPE_INFO(id, name, elems, bytes) [id] = {#name, elems, bytes},
static const chord_type_info type_infos[CHORD_TYPE_ID_MAX] = {CHORD_TYPE_MAP(TYPE_INFO)};

const chord_type_info *chord_type_get(uint32_t id)
{
    return id < CHORD_TYPE_ID_MAX && type_infos[id].name != NULL ? &type_infos[id] : NULL;
}
