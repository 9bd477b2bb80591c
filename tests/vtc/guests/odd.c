/* SPDX-License-Identifier: BSD-2-Clause
 * Says what a program may say and hardly any server does: header fields that mean something to Varnish with values that
 * do not, names of all lengths, any status, bodies at once and in pieces. Its argument, a number, decides all of it. */
#include "kvm_api.h"

#define ONE_OF(list) ((list)[below(sizeof(list) / sizeof *(list))])
enum { longest = 9000 };

static const char *const names[] = {
    "Accept-Encoding", "Accept-Ranges", "Age", "Authorization", "Cache-Control", "Connection", "Content-Encoding",
    "Content-Language", "Content-Length", "Content-Range", "Content-Type", "Cookie", "Date", "ETag", "Expires", "Host",
    "If-Modified-Since", "If-None-Match", "Last-Modified", "Location", "Pragma", "Range", "Retry-After", "Server",
    "Set-Cookie", "Surrogate-Control", "Transfer-Encoding", "Vary", "Via", "Warning", "X-A", "X-Varnish"};
static const char *const values[] = {
    "", "*", "0", "-1", "99999999999999999999", "1e400", "\"", "\"x\"", "W/\"x\"", "a,b,c", "X-A,,, ,", "\xff\xfe",
    "br", "gzip", "deflate, gzip", "identity", "text/html", "no-cache", "private", "max-age=99999999999999999999",
    "s-maxage=", "max-age=10, stale-while-revalidate=5", "Thu, 01 Jan 1970 00:00:00 GMT", "bytes 0-10/5", "bytes */*",
    "bytes */0", "items 0-1/2", "bytes=0-", "bytes=-5,7-", "Accept-Encoding, X-A", "content=\"ESI/1.0\""};
static const int16_t statuses[] = {200, 200, 200, 200, 204, 206, 301, 302, 304, 400, 404, 416, 500, 503, 599};

static char body[65536];
static uint64_t state;

static size_t below(size_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state * 0x2545F4914F6CDD1D >> 33) % limit;
}

static void letters(char *to, size_t size, const char *of)
{
    for (size_t i = 0; i < size; i++)
        to[i] = of[below(strlen(of))];
    to[size] = '\0';
}

/* "Name: value"; for a call that is allowed to fail, also bare names and names that are too long. */
static size_t make_field(char *to, bool may_fail)
{
    static char value[longest];
    strcpy(to, ONE_OF(names));
    strcpy(value, ONE_OF(values));
    if (below(6) == 0)
        letters(to, 1 + below(may_fail ? 260 : 126), "abcXYZ-_!#$%&'*+.^`|~09");
    if (below(8) == 0)
        letters(value, below(below(10) == 0 ? 8300 : 300), "abcdefghijklmnop, ;=\"");
    if (!may_fail || below(12) != 0)
        strcat(strcat(to, below(3) != 0 ? ": " : ":"), value);
    return strlen(to);
}

static struct streaming_content more(void *arg, size_t max, size_t written, size_t total)
{
    size_t left = total != STREAMING_UNKNOWN_LENGTH ? total - written : below(4) != 0 ? max : 0;
    struct streaming_content piece = {body, left < max ? left : max};
    (void)arg;
    piece.len = piece.len < sizeof body ? piece.len : sizeof body;
    piece.len += below(30) == 0 ? 5 : 0;
    return piece;
}

static void on_request(const struct kvm_request *request)
{
    static const char esi[] =
        "<esi:include src=\"/x\"/><esi:remove>x</esi:remove><!--esi <p>--><esi:comment text=\"\"/>";
    static struct ResponseHeader headers[64];
    static char fields[64][longest];
    struct BackendResponseExtra extra = {.headers = headers};

    state = strtoull(request->arg, NULL, 10) * 0x9E3779B97F4A7C15 + 1;
    if (below(3) == 0)
        memcpy(body, esi, sizeof esi - 1);
    for (size_t n = below(40); n > 0; n--) {
        size_t size = make_field(fields[0], true);
        (void)(below(3) == 0 ? sys_http_append(below(2), fields[0], size) : sys_http_set(below(2), fields[0], size));
    }
    extra.num_headers = (uint16_t)below(below(3) == 0 ? 64 : 8);
    for (size_t i = 0; i < extra.num_headers; i++)
        headers[i] = (struct ResponseHeader){fields[i], make_field(fields[i], false)};
    extra.cached = below(2) == 0;
    extra.ttl = (float)below(100);
    extra.grace = (float)below(50);
    extra.keep = (float)below(50);

    const char *type = ONE_OF(values);
    if (below(5) == 0)
        begin_streaming_response(ONE_OF(statuses), type, strlen(type),
                                 below(2) == 0 ? STREAMING_UNKNOWN_LENGTH : below(200000), more, NULL);
    size_t size = below(below(4) == 0 ? sizeof body : 2000);
    backend_response_extra(ONE_OF(statuses), type, strlen(type), body, size, &extra);
}

int main(void)
{
    state = 1;
    letters(body, sizeof body - 1, "<abcdefghijklmnopqrstuvwxyz>");
    set_backend_request(on_request);
    wait_for_requests();
}
