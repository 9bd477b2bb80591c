// The shortest program that does something useful, in the names of the TinyKVM ecosystem, for C++17: POSTed JSON
// without its white space. tests/vtc/wrapper_cpp17.vtc says what it answers; guest-api/programs/minify.cpp is the same
// with a check of the document, of its length and of what simdjson says.
#include <simdjson.h>

#include "kvm_api.hpp"

static constexpr size_t DST_BUFFER = size_t{64} << 20;  // as much as max_request_memory, so that no body is longer
static char dst[DST_BUFFER];

static void on_post(const char*, const char*, const char* content_type, const uint8_t* data, const size_t len) {
    size_t dst_len = DST_BUFFER;
    simdjson::minify((const char*)data, len, dst, dst_len);
    Backend::response(200, "application/json", {dst, dst_len});
}

int main() {
    set_backend_post(on_post);
    wait_for_requests();
}
