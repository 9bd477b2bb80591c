/* Says hello, and gives a POSTed text back in capitals. */
#include <ctype.h>
#include <kvm_api.h>

static char greeting[] = "Hello";

/* Each request is answered in its own copy of what main() left. What is changed here is gone with the request. */
static void on_request(const struct kvm_request* request) {
    static char answer[65536];
    size_t length = 0;
    if (request->content_len > sizeof answer) {
        backend_response_str(413, "text/plain", "The text is too long.\n");
    }
    if (request->content_len > 0) {
        while (length < request->content_len) {
            answer[length] = (char)toupper(request->content[length]);
            length++;
        }
    } else {
        length = (size_t)snprintf(answer, sizeof answer, "%s, %.*s!\n", greeting, (int)request->arg_len, request->arg);
    }
    backend_response(200, "text/plain", 10, answer, length);
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        printf("%s, Linux!\n", greeting);
        return 0;
    }
    /* What all requests need is done here, once: files read, tables computed, networks loaded. */
    set_backend_request(on_request);
    wait_for_requests();
}
