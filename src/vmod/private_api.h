/* What we need of Varnish's cache_varnishd.h (cache_vinyld.h), which is C that C++ cannot read. For C and C++; cache.h and
 * cache_filter.h come first.
 *
 * All of it is for the thread of a fetch, or of a pipe. */
#ifndef TINYKVM_PRIVATE_API_H
#define TINYKVM_PRIVATE_API_H

/* Gives a fetch whose director answers by itself the "connection" Varnish wants it to have: with a body of
 * `length` bytes, one of unknown length for -1, or none for 0. Non-zero when the workspace is full; nothing has changed
 * then. */
int tinykvm_open_connection(struct busyobj *, ssize_t length, void *priv);

/* Takes it away again and returns `priv`; NULL when there was none. */
void *tinykvm_close_connection(struct busyobj *);

/* Puts a filter at the source of a fetch. NULL when the workspace is full. */
struct vfp_entry *tinykvm_push_filter(struct vfp_ctx *, const struct vfp *);

/* What the client sent beyond its request, and Varnish has read: how many bytes, and where they are. Varnish does not look
 * at them any more. */
size_t tinykvm_take_pipelined(struct req *, const char **begin);

/* The request is a pipe: it is accounted for as one. */
void tinykvm_mark_as_pipe(struct req *);

/* The parameter default_keep, seconds. */
double tinykvm_default_keep(void);

#endif
