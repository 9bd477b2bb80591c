// SPDX-License-Identifier: BSD-2-Clause
// Is a document well-formed XML, by libxml2? Nothing outside of it is ever read.
#pragma once

#include <libxml/parser.h>

#include <optional>
#include <string>
#include <string_view>

namespace xml {

// The encoding that a content type says the document has. Its own mark at the beginning counts more (RFC 7303), and
// then it is empty, as it is when nothing is said.
std::string encoding_of(std::string_view document, std::string_view content_type);

// What a document is read with: what is wrong with it is remembered, not printed. To be made before each document.
class Reader {
  public:
    Reader(std::string_view document, std::string encoding);
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader();

    xmlParserCtxt* context() { return context_; }
    // Null when it is not well-formed; else what the handlers made of it. `options` are those of libxml2.
    xmlDoc* read(int options);

    // Of a document that is not well-formed; throws the Error. `status` is for one that is not XML; what libxml2 does
    // not read for other reasons has others.
    [[noreturn]] void fail(int status) const;

  private:
    static int give(void* reader, char* room, int size);
    static void note(void* context, xmlError* error);

    std::string_view document_;
    std::string encoding_;
    xmlParserCtxt* context_;
    // The first error that matters, and where the document was read then.
    int error_ = 0, line_ = 1;
    std::string what_ = "it cannot be read";
};

// To be called once.
void begin();

// Throws the Error of a document that is not well-formed. Of the document no more than some bytes are kept while it is
// read, whatever its size is.
void check(std::string_view document, const std::string& encoding, int status);

}  // namespace xml
