/* SPDX-License-Identifier: BSD-2-Clause
 * A link of chains: gives the body back with a line about what it saw added, "NAME METHOD URL ARG (TYPE)!", as
 * text/NAME. The argument is also a list of things to do, separated by ';':
 *   status:N       answer with status N
 *   show:NAME      the value of this request header is part of the line
 *   extra:FIELD    a response header in the extra part
 *   beresp:FIELD   sys_http_set() for the response
 *   bereq:FIELD    sys_http_set() for the request
 *   cached         the response may be cached
 *   empty          no body
 *   crash          if there is a body, or for a GET */
#include "kvm_api.h"

static char shown[4096];
static struct ResponseHeader headers[16];
static struct BackendResponseExtra extra = {.headers = headers};
static int16_t status = 200;
static bool is_empty;

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void show(const struct kvm_request *request, const char *name)
{
    size_t length;
    const char *value = kvm_request_header_value(request, name, &length);
    size_t used = strlen(shown);
    snprintf(shown + used, sizeof shown - used, " %s=%.*s", name, value != NULL ? (int)length : 4,
             value != NULL ? value : "none");
}

static void obey(const struct kvm_request *request, const char *command)
{
    if (starts(command, "status:"))
        status = (int16_t)atoi(command + 7);
    else if (starts(command, "show:"))
        show(request, command + 5);
    else if (starts(command, "extra:"))
        headers[extra.num_headers++] = (struct ResponseHeader){command + 6, strlen(command + 6)};
    else if (starts(command, "beresp:"))
        http_set_str(BERESP, command + 7);
    else if (starts(command, "bereq:"))
        http_set_str(BEREQ, command + 6);
    else if (starts(command, "cached"))
        set_cacheable(true, 100, 0, 0);
    else if (starts(command, "empty"))
        is_empty = true;
    else if (starts(command, "crash"))
        __builtin_trap();
}

static void on_request(const struct kvm_request *request)
{
    char type[64], *body = malloc(request->content_len + 16384);
    char *commands = strdup(request->arg), *state;
    for (char *command = strtok_r(commands, ";", &state); command; command = strtok_r(NULL, ";", &state))
        obey(request, command);
    if (request->content_len > 0)
        memcpy(body, request->content, request->content_len);
    int added = snprintf(body + request->content_len, 16384, "%s %s %s %s (%s)%s!", getenv("KVM_NAME"),
                         request->method, request->url, request->arg, request->content_type, shown);
    snprintf(type, sizeof type, "text/%s", getenv("KVM_NAME"));
    backend_response_extra(status, type, strlen(type), body, is_empty ? 0 : request->content_len + (size_t)added,
                           &extra);
}

int main(void)
{
    set_backend_request(on_request);
    wait_for_requests();
}
