// SPDX-License-Identifier: BSD-2-Clause
// Serves the files of a folder, which it reads before it is frozen: a request opens nothing, and the folder may change
// or go without effect until the program is loaded again. On Linux: files JSON [FILE] reads the path of a URL and
// writes what is there.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "accept.hpp"
#include "options.hpp"
#include "program.hpp"

namespace {

namespace fs = std::filesystem;

using gallery::Error;

constexpr int not_found = 404;

constexpr std::array<std::pair<std::string_view, const char*>, 28> types{{
    {".avif", "image/avif"},
    {".css", "text/css; charset=utf-8"},
    {".csv", "text/csv; charset=utf-8"},
    {".gif", "image/gif"},
    {".htm", "text/html; charset=utf-8"},
    {".html", "text/html; charset=utf-8"},
    {".ico", "image/vnd.microsoft.icon"},
    {".jpeg", "image/jpeg"},
    {".jpg", "image/jpeg"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".md", "text/markdown; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".mp3", "audio/mpeg"},
    {".mp4", "video/mp4"},
    {".ogg", "audio/ogg"},
    {".opus", "audio/ogg"},
    {".pdf", "application/pdf"},
    {".png", "image/png"},
    {".svg", "image/svg+xml"},
    {".txt", "text/plain; charset=utf-8"},
    {".wasm", "application/wasm"},
    {".wav", "audio/wav"},
    {".webm", "video/webm"},
    {".webmanifest", "application/manifest+json"},
    {".webp", "image/webp"},
    {".woff2", "font/woff2"},
    {".xml", "application/xml"},
}};

std::string content_type(const fs::path& file) {
    std::string suffix = file.extension().string();
    std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const auto* const found =
        std::find_if(types.begin(), types.end(), [&](const auto& type) { return type.first == suffix; });
    return found == types.end() ? "application/octet-stream" : found->second;
}

// A strong validator: another content has another one (FNV-1a, 64 bits, and the length).
std::string entity_tag(std::string_view content) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char byte : content) {
        hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
    std::array<char, 48> tag{};
    std::snprintf(tag.data(), tag.size(), "\"%016llx-%zx\"", static_cast<unsigned long long>(hash), content.size());
    return tag.data();
}

struct File {
    std::string content, type, tag;
};

std::string read(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (!stream) throw Error(gallery::bad_configuration, "cannot read " + path.string());
    return content;
}

// The path of a URL without its query, and without escapes. Nothing when one of these is broken.
std::optional<std::string> decoded_path(std::string_view url) {
    std::string path;
    url = url.substr(0, url.find('?'));
    for (std::size_t i = 0; i < url.size(); i++) {
        if (url[i] != '%') {
            path += url[i];
            continue;
        }
        const auto digit = [&](std::size_t at) -> int {
            static constexpr std::string_view digits = "0123456789abcdef0123456789ABCDEF";
            const std::size_t found = at < url.size() ? digits.find(url[at]) : digits.npos;
            return found == digits.npos ? -1 : static_cast<int>(found % 16);
        };
        if (digit(i + 1) < 0 || digit(i + 2) < 0) return std::nullopt;
        path += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
        i += 2;
    }
    return path;
}

// Does a client have the file already (RFC 9110, section 13.1.2)? Tags are compared weakly: one that Varnish has made
// weak, because it compressed the file, is the same file's.
bool names_tag(std::string_view if_none_match, std::string_view tag) {
    for (std::string_view item : gallery::elements(if_none_match)) {
        if (item.substr(0, 2) == "W/") item.remove_prefix(2);
        if (item == tag || item == "*") return true;
    }
    return false;
}

class Files : public gallery::Program {
  public:
    const char* name() const override { return "files"; }

    const char* usage() const override {
        return "files JSON [FILE]\n"
               "Serves the files of a folder. On a terminal: reads the path of a URL, writes the file that is there.\n"
               "Keys: \"folder\"; \"index\", the file that stands for its folder (\"index.html\"); \"max_age\", the\n"
               "seconds for which a file may be cached (300).\n";
    }

    void configure(std::string_view argument) override {
        std::string folder;
        gallery::take(
            "", gallery::parse_argument(argument),
            {
                {"folder", [&](const auto& key, const auto& value) { folder = gallery::text(key, value); }},
                {"index", [&](const auto& key, const auto& value) { index_ = gallery::text(key, value); }},
                {"max_age",
                 [&](const auto& key, const auto& value) { max_age_ = gallery::integer(key, value, 0, 31'536'000); }},
            });
        if (folder.empty()) gallery::refuse("folder", "is missing");
        load(folder);
    }

    kvm::Response answer(const kvm::Request& request) override {
        if (request.method() != "GET" && request.method() != "HEAD") {
            kvm::Response refusal(gallery::method_not_allowed, "text/plain", "Files are there for GET and HEAD.\n");
            return refusal.header("Allow", "GET, HEAD");
        }
        const std::optional<std::string> path = decoded_path(request.url());
        const File* file = path ? find(*path) : nullptr;
        if (path && file == nullptr && find(*path + "/") != nullptr) return to_folder(request.url());
        if (file == nullptr) return kvm::Response(not_found, "text/plain", "There is no such file.\n");
        const bool known = names_tag(request.header("If-None-Match").value_or(""), file->tag);
        kvm::Response response(known ? 304 : 200, file->type);
        if (!known) response.borrow(file->content.data(), file->content.size());
        response.header("ETag", file->tag);
        response.header("Cache-Control", "max-age=" + std::to_string(max_age_));
        return response;
    }

    std::string convert(const std::string& input) override {
        const File* file = find(decoded_path(input.substr(0, input.find('\n'))).value_or(""));
        if (file == nullptr) throw Error(not_found, "There is no such file.");
        return file->content;
    }

  private:
    // What begins with a dot is not meant for the public. Links are not followed: they could lead out of the folder.
    void load(const fs::path& folder) {
        std::error_code error;
        for (fs::recursive_directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
            const fs::path& path = i->path();
            if (path.filename().string().front() == '.' || i->is_symlink()) {
                i.disable_recursion_pending();
            } else if (i->is_regular_file()) {
                std::string content = read(path);
                std::string tag = entity_tag(content);
                files_["/" + path.lexically_relative(folder).generic_string()] = {std::move(content),
                                                                                  content_type(path), std::move(tag)};
            }
        }
        if (error) {
            throw Error(gallery::bad_configuration, "cannot read " + folder.string() + ": " + error.message());
        }
    }

    const File* find(const std::string& path) const {
        const auto found = files_.find(!path.empty() && path.back() == '/' ? path + index_ : path);
        return found == files_.end() ? nullptr : &found->second;
    }

    // Links in a folder's page are relative to the folder.
    static kvm::Response to_folder(std::string_view url) {
        const std::size_t query = std::min(url.find('?'), url.size());
        kvm::Response response(301, "text/plain", "The folder's page is elsewhere.\n");
        response.header("Location", std::string(url.substr(0, query)) + "/" + std::string(url.substr(query)));
        return response;
    }

    std::map<std::string, File> files_;
    std::string index_ = "index.html";
    std::int64_t max_age_ = 300;
};

}  // namespace

int main(int argc, char** argv) {
    Files files;
    return gallery::run(files, argc, argv);
}
