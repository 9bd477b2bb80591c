// SPDX-License-Identifier: BSD-2-Clause
// A well-formed document with all its nodes: what is done to it, and what XPath finds in it.
#pragma once

#include <libxml/tree.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace xml {

using Namespaces = std::map<std::string, std::string>;  // by prefix

// Throws an Error that says what is wrong with it.
void check_expression(const std::string& expression);

class Tree {
  public:
    enum class Entities { kept, replaced };

    // Of a document that is well-formed. Throws an Error when its entities become too much.
    Tree(std::string_view document, const std::string& encoding, Entities entities);

    // Removes the white space between elements, where there is no other text and no xml:space="preserve".
    void strip();
    // As UTF-8; with a line for each element and so many spaces for each level, or as it is with a negative number.
    std::string text(int indent) const;

    // What XPath finds: a document when that is one element, else text with a line for each node. Throws an Error with
    // the status 404 when it finds nothing.
    struct Found {
        std::unique_ptr<Tree> document;
        std::string text;
    };
    Found find(const std::string& expression, const Namespaces& namespaces) const;

  private:
    struct Free {
        void operator()(xmlDoc* document) const { xmlFreeDoc(document); }
    };

    explicit Tree(xmlNode* element);

    std::unique_ptr<xmlDoc, Free> document_;
};

}  // namespace xml
