// SPDX-License-Identifier: BSD-2-Clause
// Answers requests with a script in JavaScript, by Duktape: docs/scripts.md.
//
// Duktape's errors are longjmp() to the duk_safe_call() around, over functions of C++ without their destructors. So
// what such a call needs is made before it, and what it gives is taken after it.
#include <duktape.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "script.hpp"

EMBED_BINARY(js_prelude, JS_PRELUDE)

namespace {

// Random numbers of a request (xorshift128+). Duktape draws its own from what the frozen program knew, so they would be
// the same in each request.
class Random {
  public:
    void seed(std::array<std::uint64_t, 2> words) { state_ = words; }
    // From 0 up to 1.
    double next() {
        std::uint64_t a = state_[0];
        const std::uint64_t b = state_[1];
        state_[0] = b;
        a ^= a << 23;
        state_[1] = a ^ b ^ a >> 17 ^ b >> 26;
        return static_cast<double>((state_[1] + b) >> 11) * 0x1p-53;
    }

  private:
    std::array<std::uint64_t, 2> state_{1, 2};
};

Random random_numbers;

// log(VALUE...): a line in the log of the request.
duk_ret_t log_line(duk_context* js) {
    duk_push_string(js, " ");
    duk_insert(js, 0);
    duk_join(js, duk_get_top(js) - 1);
    duk_size_t length = 0;
    const char* line = duk_get_lstring(js, -1, &length);
    script::log({line, length});
    return 0;
}

duk_ret_t random_number(duk_context* js) {
    duk_push_number(js, random_numbers.next());
    return 1;
}

// read(FILE): its bytes.
duk_ret_t read_file(duk_context* js) {
    const char* name = duk_require_string(js, 0);
    std::FILE* file = std::fopen(name, "rb");
    if (file == nullptr) return duk_error(js, DUK_ERR_ERROR, "%s: %s", name, std::strerror(errno));
    constexpr duk_size_t piece = 65536;
    duk_size_t size = 0;
    auto* bytes = static_cast<char*>(duk_push_dynamic_buffer(js, piece));
    for (std::size_t got; (got = std::fread(bytes + size, 1, piece, file)) > 0;) {
        size += got;
        bytes = static_cast<char*>(duk_resize_buffer(js, -1, size + piece));
    }
    std::fclose(file);
    duk_resize_buffer(js, -1, size);
    return 1;
}

// load(FILE): runs another script.
duk_ret_t load_file(duk_context* js) {
    duk_push_c_function(js, read_file, 1);
    duk_dup(js, 0);
    duk_call(js, 1);
    duk_buffer_to_string(js, -1);
    duk_dup(js, 0);
    duk_compile(js, 0);
    duk_call(js, 0);
    return 1;
}

void push_bytes(duk_context* js, std::string_view bytes) {
    void* copy = duk_push_fixed_buffer(js, bytes.size());
    if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
}

class JavaScript : public script::Engine {
  public:
    JavaScript()
        : js_(duk_create_heap(nullptr, nullptr, nullptr, nullptr, [](void*, const char* message) {
              std::fprintf(stderr, "js: %s\n", message);
              std::abort();
          })) {
        if (js_ == nullptr) throw script::Error("There is not enough memory.");
    }
    ~JavaScript() override { duk_destroy_heap(js_); }
    JavaScript(const JavaScript&) = delete;
    JavaScript& operator=(const JavaScript&) = delete;

    const char* name() const override { return "js"; }

    void load(const std::string& file, const std::string& text, const std::vector<std::string>& arguments) override {
        bool complete = false;
        safely([&] {
            define_globals(arguments);
            duk_push_lstring(js_, text.data(), text.size());
            duk_push_lstring(js_, file.data(), file.size());
            duk_compile(js_, 0);
            duk_call(js_, 0);
            duk_get_global_literal(js_, "handle");
            complete = duk_is_function(js_, -1);
            duk_gc(js_, 0);  // what the script left is nothing for requests to collect
        });
        duk_pop(js_);
        if (!complete) script::refuse_script(file);
    }

    script::Answer answer(const kvm::Request& request) override {
        random_numbers.seed(request.random());
        const std::map<std::string, std::string> headers = script::headers_of(request);
        safely([&] {
            duk_get_global_literal(js_, DUK_HIDDEN_SYMBOL("answer"));
            for (const std::string_view text :
                 {request.method(), request.url(), request.argument(), request.content_type()}) {
                push_bytes(js_, text);
            }
            duk_push_external_buffer(js_);
            duk_config_buffer(js_, -1, const_cast<char*>(request.text().data()), request.text().size());
            duk_push_buffer_object(js_, -1, 0, request.text().size(), DUK_BUFOBJ_ARRAYBUFFER);
            duk_remove(js_, -2);
            push_headers(headers);
            duk_call(js_, 6);
        });
        script::Answer answer = take_answer();
        duk_pop(js_);
        return answer;
    }

  private:
    // Does something that leaves at most one value on the stack, and throws what goes wrong.
    template <typename Work>
    void safely(Work work) {
        const auto call = [](duk_context*, void* function) -> duk_ret_t {
            (*static_cast<Work*>(function))();
            return 1;
        };
        if (duk_safe_call(js_, call, &work, 0, 1) == DUK_EXEC_SUCCESS) return;
        duk_safe_call(js_, describe, nullptr, 1, 1);
        const std::string message(duk_safe_to_string(js_, -1));
        duk_pop(js_);
        throw script::Error(message);
    }

    // An error as "FILE:LINE: message", when it has a place.
    static duk_ret_t describe(duk_context* js, void*) {
        if (duk_is_error(js, -1)) {
            duk_get_prop_literal(js, -1, "fileName");
            duk_get_prop_literal(js, -2, "lineNumber");
            duk_push_sprintf(js, "%s:%s: %s", duk_safe_to_string(js, -2), duk_safe_to_string(js, -1),
                             duk_safe_to_string(js, -3));
        }
        return 1;
    }

    void define_globals(const std::vector<std::string>& arguments) {
        const duk_function_list_entry functions[] = {
            {"log", log_line, DUK_VARARGS}, {"read", read_file, 1}, {"load", load_file, 1}, {nullptr, nullptr, 0}};
        duk_push_global_object(js_);
        duk_put_function_list(js_, -1, functions);
        duk_push_array(js_);
        for (std::size_t i = 0; i < arguments.size(); i++) {
            duk_push_lstring(js_, arguments[i].data(), arguments[i].size());
            duk_put_prop_index(js_, -2, static_cast<duk_uarridx_t>(i));
        }
        duk_put_prop_literal(js_, -2, "scriptArgs");
        duk_get_prop_literal(js_, -1, "Math");
        duk_push_c_function(js_, random_number, 0);
        duk_put_prop_literal(js_, -2, "random");
        duk_pop(js_);
        duk_push_lstring(js_, js_prelude, js_prelude_size);
        duk_push_literal(js_, "prelude.js");
        duk_compile(js_, DUK_COMPILE_EVAL);
        duk_call(js_, 0);
        duk_put_prop_literal(js_, -2, DUK_HIDDEN_SYMBOL("answer"));
        duk_pop(js_);
    }

    void push_headers(const std::map<std::string, std::string>& headers) {
        duk_push_array(js_);
        duk_uarridx_t index = 0;
        for (const auto& [name, value] : headers) {
            push_bytes(js_, name);
            duk_put_prop_index(js_, -2, index++);
            push_bytes(js_, value);
            duk_put_prop_index(js_, -2, index++);
        }
    }

    // The list of the prelude is on the stack.
    script::Answer take_answer() {
        std::vector<std::string> texts;
        const auto length = static_cast<duk_uarridx_t>(duk_get_length(js_, -1));
        for (duk_uarridx_t i = 1; i < length; i++) {
            duk_get_prop_index(js_, -1, i);
            duk_size_t size = 0;
            const auto* bytes = static_cast<const char*>(duk_get_buffer_data(js_, -1, &size));
            texts.emplace_back(bytes == nullptr ? "" : bytes, size);
            duk_pop(js_);
        }
        duk_get_prop_index(js_, -1, 0);
        script::Answer answer{script::checked_status(duk_get_number(js_, -1)), texts[0], {}, texts[1]};
        duk_pop(js_);
        for (std::size_t i = 2; i + 1 < texts.size(); i += 2) answer.headers.emplace_back(texts[i], texts[i + 1]);
        return answer;
    }

    duk_context* js_;
};

}  // namespace

int main(int argc, char** argv) {
    JavaScript javascript;
    return script::run(javascript, argc, argv);
}
