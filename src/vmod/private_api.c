#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/vmod/varnish_versions.h"

#include TINYKVM_CACHE_INTERNALS

#include "cache/cache_filter.h"

#include "src/vmod/private_api.h"

int tinykvm_open_connection(struct busyobj *bo, ssize_t length, void *priv)
{
    struct http_conn *htc;

    AZ(bo->htc);
    htc = WS_Alloc(bo->ws, sizeof *htc);
    if (htc == NULL)
        return -1;
    INIT_OBJ(htc, HTTP_CONN_MAGIC);
    htc->doclose = SC_NULL; /* must never be a null pointer */
    htc->body_status = length > 0 ? BS_LENGTH : length < 0 ? BS_EOF : BS_NONE;
    htc->content_length = length;
    htc->priv = priv;
    bo->htc = htc;
    return 0;
}

void *tinykvm_close_connection(struct busyobj *bo)
{
    void *priv;

    if (bo->htc == NULL)
        return NULL;
    CHECK_OBJ_NOTNULL(bo->htc, HTTP_CONN_MAGIC);
    priv = bo->htc->priv;
    bo->htc->priv = NULL;
    bo->htc = NULL;
    return priv;
}

struct vfp_entry *tinykvm_push_filter(struct vfp_ctx *context, const struct vfp *filter)
{
    return VFP_Push(context, filter);
}

size_t tinykvm_take_pipelined(struct req *req, const char **begin)
{
    struct http_conn *htc = req->htc;
    size_t size = 0;

    CHECK_OBJ_NOTNULL(htc, HTTP_CONN_MAGIC);
    if (htc->pipeline_b != NULL) {
        *begin = htc->pipeline_b;
        size = (size_t)(htc->pipeline_e - htc->pipeline_b);
        htc->pipeline_b = htc->pipeline_e = NULL;
    }
    return size;
}

void tinykvm_mark_as_pipe(struct req *req)
{
#ifdef RES_PIPE /* a mode in 7.1, a flag later */
    req->res_mode = RES_PIPE;
#else
    req->res_pipe = 1;
#endif
}

double tinykvm_default_keep(void)
{
    return cache_param->default_keep;
}
