// SPDX-License-Identifier: BSD-2-Clause
#include "checker.hpp"

#include <libxml/SAX2.h>
#include <libxml/encoding.h>
#include <libxml/xmlerror.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "../accept.hpp"
#include "../documents/program.hpp"

namespace xml {
namespace {

// Nobody gets anything from elsewhere, whatever the options of a parser are.
xmlParserInput* load_nothing(const char*, const char*, xmlParserCtxt*) { return nullptr; }

void ignore(void*, xmlError*) {}
// NOLINTNEXTLINE(cert-dcl50-cpp): the library's type is one with any arguments
void print_nothing(void*, const char*, ...) {}

bool has_mark(std::string_view document) {
    return document.starts_with("\xef\xbb\xbf") || document.starts_with("\xff\xfe") || document.starts_with("\xfe\xff");
}

// The document itself is not kept. What is in an entity is, since the parser looks into an entity when it meets it for
// the first time, and goes by what it has kept after that; it makes a node then that the rest is put into.
void start_element(void* data, const xmlChar* name, const xmlChar* prefix, const xmlChar* uri, int namespaces,
                   const xmlChar** namespace_list, int attributes, int defaulted, const xmlChar** attribute_list) {
    if (static_cast<xmlParserCtxt*>(data)->node == nullptr) return;
    xmlSAX2StartElementNs(data, name, prefix, uri, namespaces, namespace_list, attributes, defaulted, attribute_list);
}
void end_element(void* data, const xmlChar* name, const xmlChar* prefix, const xmlChar* uri) {
    if (static_cast<xmlParserCtxt*>(data)->node != nullptr) xmlSAX2EndElementNs(data, name, prefix, uri);
}
void characters(void* data, const xmlChar* text, int length) {
    if (static_cast<xmlParserCtxt*>(data)->node != nullptr) xmlSAX2Characters(data, text, length);
}
void reference(void* data, const xmlChar* name) {
    if (static_cast<xmlParserCtxt*>(data)->node != nullptr) xmlSAX2Reference(data, name);
}

// What libxml2 does not read although it may be XML, as a sentence of its own; empty when it is none of that.
std::string limit_of(int error) {
    if (error == XML_ERR_ENTITY_LOOP) return "its entities are in each other, or would become too much.";
    if (error == XML_ERR_INTERNAL_ERROR || error == XML_ERR_NAME_TOO_LONG || error == XML_ERR_NO_MEMORY) {
        return "it has more than 256 levels, or something in it is too long.";
    }
    return "";
}

}  // namespace

std::string encoding_of(std::string_view document, std::string_view content_type) {
    return has_mark(document) ? "" : gallery::charset_of(content_type).value_or("");
}

void begin() {
    xmlInitParser();
    xmlSetExternalEntityLoader(load_nothing);
    xmlSetStructuredErrorFunc(nullptr, reinterpret_cast<xmlStructuredErrorFunc>(ignore));
    xmlSetGenericErrorFunc(nullptr, print_nothing);
}

Reader::Reader(std::string_view document, std::string encoding)
    : document_(document), encoding_(std::move(encoding)), context_(xmlNewParserCtxt()) {
    if (context_ == nullptr) throw std::bad_alloc();
    context_->_private = this;
    context_->sax->serror = reinterpret_cast<xmlStructuredErrorFunc>(note);
    if (!encoding_.empty() && xmlFindCharEncodingHandler(encoding_.c_str()) == nullptr) {
        error_ = XML_ERR_UNSUPPORTED_ENCODING;
        what_ = "the content type says an encoding that is not known: " + encoding_;
    }
}

Reader::~Reader() { xmlFreeParserCtxt(context_); }

xmlDoc* Reader::read(int options) {
    if (error_ != 0) return nullptr;
    return xmlCtxtReadIO(context_, give, nullptr, this, nullptr, encoding_.empty() ? nullptr : encoding_.c_str(),
                         options | XML_PARSE_NONET);
}

int Reader::give(void* reader, char* room, int size) {
    std::string_view& rest = static_cast<Reader*>(reader)->document_;
    const std::size_t count = std::min<std::size_t>(rest.size(), static_cast<std::size_t>(size));
    std::memcpy(room, rest.data(), count);
    rest.remove_prefix(count);
    return static_cast<int>(count);
}

void Reader::note(void* context, xmlError* error) {
    auto& reader = *static_cast<Reader*>(static_cast<xmlParserCtxt*>(context)->_private);
    if (reader.error_ != 0 || error->level != XML_ERR_FATAL) return;
    reader.error_ = error->code;
    // Of the document: an error in an entity is where that is used.
    const xmlParserCtxt* main = reader.context_;
    if (main->inputNr > 0) reader.line_ = main->inputTab[0]->line;
    if (error->message != nullptr) reader.what_ = error->message;
    while (!reader.what_.empty() && (reader.what_.back() == '\n' || reader.what_.back() == ' '))
        reader.what_.pop_back();
    std::replace(reader.what_.begin(), reader.what_.end(), '\n', ' ');
}

void Reader::fail(int status) const {
    const auto line = static_cast<std::size_t>(line_);
    if (error_ == XML_ERR_UNSUPPORTED_ENCODING) throw documents::error_in_line(gallery::unknown_format, line, what_);
    if (const std::string limit = limit_of(error_); !limit.empty()) {
        throw documents::error_in_line(gallery::broken_input, line, limit);
    }
    throw documents::error_in_line(status, line, what_ + ".");
}

void check(std::string_view document, const std::string& encoding, int status) {
    Reader reader(document, encoding);
    xmlSAXHandler& handler = *reader.context()->sax;
    handler.startElementNs = start_element;
    handler.endElementNs = end_element;
    handler.characters = handler.ignorableWhitespace = handler.cdataBlock = characters;
    handler.reference = reference;
    handler.comment = nullptr;
    handler.processingInstruction = nullptr;
    xmlDoc* seen = reader.read(0);
    if (seen == nullptr) reader.fail(status);
    xmlFreeDoc(seen);
}

}  // namespace xml
