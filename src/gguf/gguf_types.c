/* gguf_types.c - the types of metadata: names, sizes, scalars. */
#include "gguf/gguf_inner.h"

static const struct {
    const char *name;
    uint32_t bytes; /* 0: not of fixed size */
} TYPES[CHORD_GGUF_TYPE_COUNT] = {
    [CHORD_GGUF_U8] = {"u8", 1},       [CHORD_GGUF_I8] = {"i8", 1},     [CHORD_GGUF_U16] = {"u16", 2},
    [CHORD_GGUF_I16] = {"i16", 2},     [CHORD_GGUF_U32] = {"u32", 4},   [CHORD_GGUF_I32] = {"i32", 4},
    [CHORD_GGUF_F32] = {"f32", 4},     [CHORD_GGUF_BOOL] = {"bool", 1}, [CHORD_GGUF_STRING] = {"string", 0},
    [CHORD_GGUF_ARRAY] = {"array", 0}, [CHORD_GGUF_U64] = {"u64", 8},   [CHORD_GGUF_I64] = {"i64", 8},
    [CHORD_GGUF_F64] = {"f64", 8},
};

const char *chord_gguf_type_name(chord_gguf_type type)
{
    return (uint32_t)type < CHORD_GGUF_TYPE_COUNT ? TYPES[type].name : "unknown";
}

uint32_t chord_gguf_type_bytes(chord_gguf_type type) { return TYPES[type].bytes; }

void chord_gguf_scalar(chord_gguf_type type, const uint8_t *p, chord_gguf_value *value)
{
    switch (type) {
    case CHORD_GGUF_U8:
    case CHORD_GGUF_BOOL: value->scalar.u = p[0]; break;
    case CHORD_GGUF_I8: value->scalar.i = (int8_t)p[0]; break;
    case CHORD_GGUF_U16: value->scalar.u = chord_load_u16(p); break;
    case CHORD_GGUF_I16: value->scalar.i = (int16_t)chord_load_u16(p); break;
    case CHORD_GGUF_U32: value->scalar.u = chord_load_u32(p); break;
    case CHORD_GGUF_I32: value->scalar.i = (int32_t)chord_load_u32(p); break;
    case CHORD_GGUF_U64: value->scalar.u = chord_load_u64(p); break;
    case CHORD_GGUF_I64: value->scalar.i = (int64_t)chord_load_u64(p); break;
    case CHORD_GGUF_F32: value->scalar.f = (double)chord_load_f32(p); break;
    case CHORD_GGUF_F64: {
        uint64_t bits = chord_load_u64(p);
        memcpy(&value->scalar.f, &bits, sizeof bits);
        break;
    }
    default: break;
    }
}
