// SPDX-License-Identifier: BSD-2-Clause
// What json and xml have in common: a document comes, and it, a part of it or where it is wrong is the answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "../program.hpp"
#include "options.hpp"

namespace documents {

// The Error of a document that is not well-formed, or of one that goes beyond a limit: with the line in X-ErrorLine.
gallery::Error error_in_line(int status, std::size_t line, const std::string& what);

struct Result {
    std::optional<std::string> made;  // unless it is the document as it came
    std::string content_type;
};

class Program : public gallery::Program {
  public:
    void configure(std::string_view argument) final;
    void warm_up() final;
    kvm::Response answer(const kvm::Request& request) final;
    std::string convert(const std::string& input) final;

  protected:
    // Throws an Error when the document is not well-formed, or has not what is to be picked.
    virtual Result process(std::string_view document, std::string_view content_type, const Options& options) = 0;
    // Throws an Error when the options ask for what cannot be.
    virtual void check(const Options& options) = 0;
    virtual bool has_namespaces() const = 0;
    virtual const char* content_type() const = 0;
    // A small document and a part of it, for what is done once before the program is frozen.
    virtual std::string_view example() const = 0;
    virtual std::string_view part_of_example() const = 0;

  private:
    Options parse(std::string_view argument);

    Options defaults_;
};

}  // namespace documents
