// SPDX-License-Identifier: BSD-2-Clause
#include "tree.hpp"

#include <libxml/parser.h>
#include <libxml/xmlsave.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include <new>

#include "../options.hpp"
#include "../program.hpp"
#include "checker.hpp"

namespace xml {
namespace {

const xmlChar* chars(const std::string& text) { return reinterpret_cast<const xmlChar*>(text.c_str()); }

// Takes a string of the library's.
std::string taken(xmlChar* text) {
    if (text == nullptr) throw std::bad_alloc();
    const std::unique_ptr<xmlChar, void (*)(void*)> owner(text, [](void* memory) { xmlFree(memory); });
    return reinterpret_cast<const char*>(text);
}

bool is_text(const xmlNode* node) {
    return node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE || node->type == XML_ENTITY_REF_NODE;
}

void strip_element(xmlNode* element) {
    bool has_elements = false, has_text = xmlNodeGetSpacePreserve(element) == 1;
    for (xmlNode* child = element->children; child != nullptr; child = child->next) {
        if (child->type == XML_ELEMENT_NODE) {
            strip_element(child);
            has_elements = true;
        }
        has_text = has_text || (is_text(child) && xmlIsBlankNode(child) == 0);
    }
    if (has_text || !has_elements) return;
    for (xmlNode* child = element->children; child != nullptr;) {
        xmlNode* next = child->next;
        if (child->type == XML_TEXT_NODE) {
            xmlUnlinkNode(child);
            xmlFreeNode(child);
        }
        child = next;
    }
}

struct FreeExpression {
    void operator()(xmlXPathCompExpr* expression) const { xmlXPathFreeCompExpr(expression); }
};
using Expression = std::unique_ptr<xmlXPathCompExpr, FreeExpression>;

[[noreturn]] void refuse(const std::string& what) {
    const xmlError* error = xmlGetLastError();
    std::string why = error != nullptr && error->message != nullptr ? error->message : "it is none";
    why.erase(why.find_last_not_of("\n ") + 1);
    gallery::refuse("pick", what + " (" + why + ")");
}

Expression compiled(const std::string& text) {
    xmlResetLastError();
    Expression expression(xmlXPathCompile(chars(text)));
    if (!expression) refuse("must be an XPath expression, such as \"/a/b[1]\"");
    return expression;
}

std::string text_of_node(xmlNode* node) {
    if (node->type != XML_ELEMENT_NODE && node->type != XML_COMMENT_NODE && node->type != XML_PI_NODE) {
        return taken(xmlXPathCastNodeToString(node));
    }
    const std::unique_ptr<xmlBuffer, decltype(&xmlBufferFree)> buffer(xmlBufferCreate(), &xmlBufferFree);
    if (!buffer || xmlNodeDump(buffer.get(), node->doc, node, 0, 0) < 0) throw std::bad_alloc();
    return {reinterpret_cast<const char*>(xmlBufferContent(buffer.get())),
            static_cast<std::size_t>(xmlBufferLength(buffer.get()))};
}

}  // namespace

void check_expression(const std::string& expression) { (void)compiled(expression); }

Tree::Tree(std::string_view document, const std::string& encoding, Entities entities) {
    Reader reader(document, encoding);
    // It was checked with the usual limits, and is not refused now for having a long text.
    document_.reset(reader.read(entities == Entities::replaced ? XML_PARSE_NOENT : XML_PARSE_HUGE));
    if (!document_) reader.fail(gallery::broken_input);
}

Tree::Tree(xmlNode* element) : document_(xmlNewDoc(nullptr)) {
    xmlNode* copy = document_ ? xmlDocCopyNode(element, document_.get(), 1) : nullptr;
    if (copy == nullptr) throw std::bad_alloc();
    xmlDocSetRootElement(document_.get(), copy);
}

void Tree::strip() {
    if (xmlNode* root = xmlDocGetRootElement(document_.get()); root != nullptr) strip_element(root);
}

std::string Tree::text(int indent) const {
    const std::string level(indent > 0 ? static_cast<std::size_t>(indent) : 0, ' ');
    xmlIndentTreeOutput = 1;
    xmlTreeIndentString = level.c_str();
    xmlChar* text = nullptr;
    int size = 0;
    xmlDocDumpFormatMemoryEnc(document_.get(), &text, &size, "UTF-8", indent < 0 ? 0 : 1);
    xmlTreeIndentString = "  ";
    return taken(text);
}

Tree::Found Tree::find(const std::string& expression, const Namespaces& namespaces) const {
    const Expression its = compiled(expression);
    const std::unique_ptr<xmlXPathContext, decltype(&xmlXPathFreeContext)> context(xmlXPathNewContext(document_.get()),
                                                                                   &xmlXPathFreeContext);
    if (!context) throw std::bad_alloc();
    for (const auto& [prefix, name] : namespaces) xmlXPathRegisterNs(context.get(), chars(prefix), chars(name));
    const std::unique_ptr<xmlXPathObject, decltype(&xmlXPathFreeObject)> found(
        xmlXPathCompiledEval(its.get(), context.get()), &xmlXPathFreeObject);
    if (!found) refuse("cannot be used on the document");

    if (found->type != XPATH_NODESET) return {nullptr, taken(xmlXPathCastToString(found.get())) + "\n"};
    const xmlNodeSet* nodes = found->nodesetval;
    const int count = nodes != nullptr ? nodes->nodeNr : 0;
    if (count == 0) throw gallery::Error(404, "The document has nothing at " + expression + ".");
    if (count == 1 && nodes->nodeTab[0]->type == XML_ELEMENT_NODE) {
        return {std::unique_ptr<Tree>(new Tree(nodes->nodeTab[0])), ""};
    }
    std::string text;
    for (int i = 0; i < count; i++) text += text_of_node(nodes->nodeTab[i]) + "\n";
    return {nullptr, std::move(text)};
}

}  // namespace xml
