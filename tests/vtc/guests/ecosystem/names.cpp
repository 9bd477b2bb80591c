// SPDX-License-Identifier: BSD-2-Clause
// A program in C++ as those of the TinyKVM ecosystem are written: it uses every global name of their kvm_api.hpp, in
// each of its forms, and ours beside them. The URL says which, the argument where to fetch from.
#include "kvm_api.hpp"

static void in_storage(size_t, struct virtbuffer[], size_t) { storage_return_nothing(); }
static void task(void*, size_t) {}

static std::string text(const Curl::Result& result) {
    return std::to_string(result.status) + (result.failed() ? " failed" : "") + " [" +
           std::string(result.content_type) + "] " + std::string(result.content) + "; ";
}

static void responses(std::string_view which) {
    static char dst[32] = "{\"a\":1} and the rest";
    const uint8_t bytes[] = {'b', 'y', 't', 'e', 's'};
    const std::string body = "a string";
    size_t dst_len = 7;
    if (which == "braces") Backend::response(200, "application/json", {dst, dst_len});
    if (which == "bytes") Backend::response(200, "text/plain", bytes, sizeof(bytes));
    if (which == "data") Backend::response(201, std::string("text/data"), dst, dst_len, {"X-One: 1", "X-Two: 2"});
    if (which == "cached") Backend::response(200, "text/plain", dst, dst_len, {}, 30.0f, 5.0f, 1.0f);
    if (which == "strings") Backend::response(200, "text/plain", body, {"X-One: one", "X-Two: two"}, 40, 6);
    if (which == "one") Backend::response(200, "text/plain", "literal", {"X-One: only"});
    if (which == "status") Backend::response(70000, "text/plain", "none");
    Backend::response(404, "text/plain", which);
}

static void headers() {
    Http::append(BERESP, "X-List: a");
    Http::append(RESP, std::string("X-List: b"));
    Http::append(BERESP, "X-Gone: soon");
    Http::set(BERESP, "X-Set: 1");
    Http::set(BERESP, "X-Set: " + std::to_string(2));
    Http::set(BERESP, "X-Gone");
    const std::string found = Http::get(BEREQ, "x-asked"), missing = Http::get(REQ, std::string("X-Missing"));
    const std::string large = Http::get(BEREQ, "X-Large");
    Backend::response(200, "text/plain", found + "|" + missing + "|" + std::to_string(large.size()) + large.back());
}

template <typename Call>
static std::string failure(Call call) {
    try {
        return std::string(call());
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

static void storage() {
    static char output[64];
    const std::vector<std::string> several = {"one", "two"};
    std::string all;
    all += failure([] { return Storage::get("argument", in_storage); }) + "; ";
    all += failure([] { return Storage::get<1024>(std::string("argument"), in_storage); }) + "; ";
    all += failure([&] { return Storage::get(several, in_storage); }) + "; ";
    all += failure([] { return Storage::get<1024>({"one", "two"}, in_storage); }) + "; ";
    all += failure([] { return Storage::get<sizeof(output)>(in_storage, output, "one", "two"); }) + "; ";
    all += failure([] { return Storage::get<sizeof(output)>(in_storage, output); }) + "; ";
    all += std::to_string(Storage::task(task)) + std::to_string(Storage::task(task, output, sizeof(output))) +
           std::to_string(Storage::task(task, std::string("text")));
    Backend::response(200, "text/plain", all);
}

static void fetches(const std::string& server) {
    const Curl::FieldList fields = {"X-Field: 1", "X-Other: 2"};
    curl_options options{};
    const Curl::Result first = Curl::fetch(server + "/first");
    std::string all = text(Curl::fetch(server + "/fields", fields, &options));
    all += text(Curl::head(server + "/head", {"X-Field: 3"}));
    all += text(Curl::post(server + "/post", "text/posted", "data", fields));
    all += text(Curl::self("/self", {"X-Field: 4"}));
    all += text(Curl::fetch("http://192.0.2.1/refused"));
    all += text(Curl::fetch(server, Curl::FieldList(13, "X-Many: 1")));
    all += text(first);  // is still there
    Backend::response(first.status, first.content_type, all);
}

// The same in namespace kvm, where C++17 has all but spans.
static void ours(const std::string& server) {
    kvm::Fetched fetched = kvm::fetch(server + "/ours", {"X-Field: 5"});
    std::string all = std::to_string(fetched.status()) + " [" + std::string(fetched.content_type()) + "] ";
    all += std::string(fetched.text()) + " " + std::string(fetched.head().substr(0, 12)) + "; ";
    fetched = kvm::post(server + "/posted", "text/posted", "data");
    all += std::to_string(fetched.status()) + " " + std::string(fetched.text()) + "; ";
    all += failure([] { return std::string(kvm::fetch("http://192.0.2.1/refused").text()); });
    kvm::Response(200, "text/plain").borrow(all.data(), all.size()).header("X-Ours", "yes").send();
}

static void on_get(const char* url, const char* arg) {
    const std::string_view path = url;
    if (path == "/headers") headers();
    if (path == "/storage") storage();
    if (path == "/fetches") fetches(arg);
    if (path == "/ours") ours(arg);
    responses(path.substr(1));
}

int main() {
    set_backend_get(on_get);
    wait_for_requests();
}
