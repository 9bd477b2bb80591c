/* What differs between the versions of Varnish that the VMOD is built for: 7.1 and newer. All of it is here, except
 * how a request is marked as a pipe (private_api.c), which only Varnish's headers tell. Read by
 * private_api.c before Varnish's headers, and by C++ after cache.h. */
#ifndef TINYKVM_VARNISH_VERSIONS_H
#define TINYKVM_VARNISH_VERSIONS_H

#ifndef __cplusplus

/* What Varnish keeps to itself. 9.0 renamed the header when Varnish became Vinyl Cache. */
#if __has_include("cache/cache_vinyld.h")
#define TINYKVM_CACHE_INTERNALS "cache/cache_vinyld.h"
#else
#define TINYKVM_CACHE_INTERNALS "cache/cache_varnishd.h"
#endif

#else

/* The number in log records that belong to no request. 7.3 made numbers a structure and gave this one a name (a macro);
 * until then it is a plain zero. */
#ifndef NO_VXID
#define NO_VXID 0
#endif

/* The hdr_t of these bytes: the length of a header's name with its colon, the name, the colon, a zero. Up to 7.7 hdr_t is a
 * string of characters, since 8.0 a structure of the same layout. (Their own CAST_HDR has changed, too.) */
#define TINYKVM_HEADER_SPEC(bytes) ((hdr_t)(bytes))

#endif

#endif
