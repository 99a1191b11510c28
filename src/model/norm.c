/* norm.c - rows by the norm of an architecture. */
#include "model/model_inner.h"

void chord_norm_rows(const chord_network *net, float *out, const float *x, const chord_norm *norm, uint64_t rows,
                     bool layer)
{
    float eps = net->print.h.norm_eps;
    const chord_compute *c = &net->compute;
    if (layer) chord_layernorm(c, out, x, norm->weight, norm->bias, (uint32_t)rows, norm->n, eps);
    else chord_rmsnorm(c, out, x, norm->weight, (uint32_t)rows, norm->n, eps);
}
