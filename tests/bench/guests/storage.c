/* SPDX-License-Identifier: BSD-2-Clause
 * A storage that does nothing, and requests that call it: "/call", that give it tasks: "/tasks", or neither. */
#include "kvm_api.h"

enum { tasks = 500 };

static void nothing(size_t n, struct virtbuffer buffers[], size_t room) {
    (void)n, (void)buffers, (void)room;
    storage_return("done", 4);
}
static void no_task(void* data, size_t length) { (void)data, (void)length; }

static void on_get(const char* url, const char* argument) {
    char answer[4];
    (void)argument;
    if (strcmp(url, "/call") == 0 && storage_call(nothing, "data", 4, answer, sizeof answer) != sizeof answer) return;
    if (strcmp(url, "/tasks") == 0) {
        for (int i = 0; i < tasks; i++)
            if (storage_task(no_task, "data", 4) <= 0) return;
    }
    backend_response_str(200, "text/plain", "done");
}

int main(void) {
    STORAGE_ALLOW(nothing);
    STORAGE_ALLOW(no_task);
    set_backend_get(on_get);
    wait_for_requests();
}
