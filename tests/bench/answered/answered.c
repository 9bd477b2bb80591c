/* SPDX-License-Identifier: BSD-2-Clause
 * Directors that answer by themselves, in the least that Varnish needs for a response with a short body; one of them
 * enters a bare guest before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"

#include "cache/cache_filter.h"
#include "vcl.h"

#include "vcc_answered_if.h"

#include "src/vmod/private_api.h"
#include "tests/bench/answered/bare_entry.h"

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
static int enter(VRT_CTX)
{
    char why[256];
    if (answered_enter_bare_guest(why, sizeof why) == 0) return 0;
    VSLb(ctx->vsl, SLT_Error, "%s", why);
    return -1;
}
static int enter_and_give_headers(VRT_CTX, VCL_BACKEND director)
{
    return enter(ctx) == 0 ? give_headers(ctx, director) : -1;
}
static void finish(VRT_CTX, VCL_BACKEND director)
{
    (void)director;
    (void)tinykvm_close_connection(ctx->bo);
}
static const struct vdi_methods kinds[] = {
    {.magic = VDI_METHODS_MAGIC, .type = "answered", .gethdrs = give_headers, .finish = finish},
    {.magic = VDI_METHODS_MAGIC, .type = "entered", .gethdrs = enter_and_give_headers, .finish = finish}};
enum { answered, entered, number_of_kinds };
struct directors {
    VCL_BACKEND of[number_of_kinds];
};

int v_matchproto_(vmod_event_f) vmod_answered_event(VRT_CTX, struct vmod_priv *priv, enum vcl_event_e event)
{
    struct directors *directors = priv->priv;
    if (event == VCL_EVENT_LOAD) {
        directors = calloc(1, sizeof *directors);
        if (directors == NULL) return 1;
        for (int i = 0; i < number_of_kinds; i++)
            directors->of[i] = VRT_AddDirector(ctx, &kinds[i], NULL, "%s", kinds[i].type);
        priv->priv = directors;
    }
    if (event == VCL_EVENT_DISCARD) {
        for (int i = 0; i < number_of_kinds; i++) VRT_DelDirector(&directors->of[i]);
        free(directors);
    }
    return 0;
}

VCL_BACKEND vmod_backend(VRT_CTX, struct vmod_priv *priv)
{
    (void)ctx;
    return ((struct directors *)priv->priv)->of[answered];
}

VCL_BACKEND vmod_entered_backend(VRT_CTX, struct vmod_priv *priv)
{
    (void)ctx;
    return ((struct directors *)priv->priv)->of[entered];
}

VCL_VOID vmod_enter(VRT_CTX)
{
    if (enter(ctx) != 0) VRT_fail(ctx, "answered: the bare guest cannot be entered");
}
