/* SPDX-License-Identifier: BSD-2-Clause
 * A program in C as those of the TinyKVM ecosystem are written: it uses every name that their kvm_api.h has and ours once
 * had not, or had otherwise. C++ takes it as well. It answers with what each of them gave. */
#include "kvm_api.h"

EMBED_BINARY(own_source, __FILE__)

static const int asked = REQUEST;
static const unsigned largest_field = HTTP_FMT_SIZE;
static char report[16384];

static void note(const char *format, ...)
{
    const size_t used = strlen(report);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report + used, sizeof report - used, format, arguments);
    va_end(arguments);
}

static void in_storage(size_t n, struct virtbuffer buffers[], size_t res)
{
    (void)res;
    if (n == 0)
        storage_return_nothing();
    else
        storage_return(buffers[0].data, buffers[0].len);
}

static void task(void *data, size_t len)
{
    (void)data;
    (void)len;
}

static void on_cpu(void *argument)
{
    (void)argument;
}

static void prepare_sockets(int thread)
{
    struct kvm_socket_event events[4];
    const int count = wait_for_socket_events_paused(events, 4);
    (void)thread;
    for (int i = 0; i < count; i++) {
        switch (events[i].event) {
        case SOCKET_CONNECT:
            vlogf("%s %s", events[i].remote, events[i].arg);
            break;
        case SOCKET_READ:
            vlogf("%zu bytes at %p of %d", events[i].data_len, (const void *)events[i].data, events[i].fd);
            break;
        case SOCKET_WRITABLE:
        case SOCKET_DISCONNECT:
            break;
        }
    }
}

static void headers(void)
{
    char field[HTTP_FMT_SIZE];
    int where = RESP;
    note("where %d%d%d%d%d%d room %u; ", REQ, RESP, REQUEST, RESPONSE, BEREQ, BERESP, largest_field);
#ifdef HAS_BUILTIN_MALLOC
    const char *method = http_alloc_method(), *found = http_alloc_find(asked, "x-asked");
    note("%s [%s] ", method, found);
#endif
    const unsigned len = http_find_str(REQ, "X-Asked", field, sizeof field);
    note("%u %.*s; ", len, (int)len, field);
    http_append_str(where, "X-Appended: 1");
    where = RESPONSE;
    http_setf(where, "X-Set: %d", 2);
    http_unset_str(RESP, "X-Appended");
}

static void embedded(void)
{
    char *text = own_source;
    unsigned size = own_source_size;
    note("embedded %d %.7s ", size == strlen(text), text);
    text[0] = '#';
    note("%.2s; ", own_source);
}

static void where_am_i(void)
{
    note("storage %d request %d debug %d cpu %d %d; ", IS_STORAGE() ? 1 : 0, IS_REQUEST() ? 1 : 0, IS_DEBUG() ? 1 : 0,
         vcpuid(), vcpureqid());
}

static void unavailable(void)
{
    struct kvm_socket_event event;
    char out[16];
    memset(&event, 0, sizeof event);
    event.fd = 1;
    event.event = SOCKET_WRITABLE;
    event.data = (const uint8_t *)"text";
    event.data_len = 4;
    note("sockets %d%d%d%d %d %d %ld; ", SOCKET_CONNECT, SOCKET_READ, SOCKET_WRITABLE, SOCKET_DISCONNECT,
         wait_for_socket_events_paused(&event, 1), wait_for_socket_event_paused(&event), sys_sockets_write(&event, 1));
    note("storage %ld %ld %ld %ld; cpus %ld %ld", STORAGE_ALLOW(in_storage),
         storage_call(in_storage, "text", 4, out, sizeof out), storage_task(task, "text", 4), stop_storage_task(1),
         multiprocess(2, (multiprocess_t)on_cpu, NULL), multiprocess_wait());
}

static void on_get(const char *url, const char *arg)
{
    static char large[3000];
    (void)url;
    (void)arg;
    headers();
    embedded();
    where_am_i();
    unavailable();
    memset(large, 'x', sizeof large);
    vlogf("%02047d", 7);
    vlogf("%02500d", 7);
    sys_log(large, 2048);
    sys_log(large, sizeof large);
    backend_response_str(200, "text/plain", report);
}

static void on_post(const char *url, const char *arg, const char *ctype, const uint8_t *data, size_t len)
{
    (void)url;
    (void)arg;
    sys_backend_response(201, ctype, strlen(ctype), data, len, NULL);
}

static void on_request(const struct backend_request *req)
{
    backend_response(202, req->content_type, req->content_type_len, req->method, req->method_len);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "request") == 0)
        register_func(3, on_request);
    register_func(1, on_get);
    register_func(2, TRUST_ME(on_post));
    set_socket_prepare_for_pause(prepare_sockets);
    wait_for_requests();
}
