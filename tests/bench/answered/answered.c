/* SPDX-License-Identifier: BSD-2-Clause
 * A director that answers by itself, in the least that Varnish needs for a response with a short body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"

#include "cache/cache_filter.h"
#include "vcl.h"

#include "vcc_answered_if.h"

#include "src/vmod/private_api.h"

static const char page[] = "Hello, world!\n";
enum { page_size = sizeof page - 1 };

static enum vfp_status pull(struct vfp_ctx *context, struct vfp_entry *entry, void *to, ssize_t *size)
{
    (void)entry;
    if (*size < page_size) return VFP_Error(context, "answered: there is no room for the page");
    memcpy(to, page, page_size);
    *size = page_size;
    return VFP_END;
}
static const struct vfp body = {.name = "answered", .pull = pull};

static int give_headers(VRT_CTX, VCL_BACKEND director)
{
    (void)director;
    http_PutResponse(ctx->bo->beresp, "HTTP/1.1", 200, NULL);
    http_PrintfHeader(ctx->bo->beresp, "Content-Length: %d", page_size);
    http_PrintfHeader(ctx->bo->beresp, "Content-Type: text/plain");
    if (tinykvm_push_filter(ctx->bo->vfc, &body) == NULL) return -1;
    return tinykvm_open_connection(ctx->bo, page_size, NULL);
}
static void finish(VRT_CTX, VCL_BACKEND director)
{
    (void)director;
    (void)tinykvm_close_connection(ctx->bo);
}
static const struct vdi_methods methods[] = {
    {.magic = VDI_METHODS_MAGIC, .type = "answered", .gethdrs = give_headers, .finish = finish}};

int v_matchproto_(vmod_event_f) vmod_answered_event(VRT_CTX, struct vmod_priv *priv, enum vcl_event_e event)
{
    VCL_BACKEND director = priv->priv;
    if (event == VCL_EVENT_LOAD) {
        priv->priv = TRUST_ME(VRT_AddDirector(ctx, methods, NULL, "answered"));
        return priv->priv == NULL;
    }
    if (event == VCL_EVENT_DISCARD) VRT_DelDirector(&director);
    return 0;
}

VCL_BACKEND vmod_backend(VRT_CTX, struct vmod_priv *priv)
{
    (void)ctx;
    return priv->priv;
}
