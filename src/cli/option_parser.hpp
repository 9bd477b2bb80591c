// The options of one command of `tinykvm`: their names, what they do, and the lines of help about them. CLI11 takes the
// command line apart, in option_parser.cpp alone, because it is expensive to compile.
//
// Owner: main.cpp, while the command runs. Thread safety: one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tinykvm::cli {

class OptionParser {
  public:
    explicit OptionParser(const std::string& command);
    ~OptionParser();
    OptionParser(const OptionParser&) = delete;
    OptionParser& operator=(const OptionParser&) = delete;

    // An option without a value, and one with a value, which help calls `placeholder`. `act` is called each time the
    // option is given, in the order of the command line. It may throw Usage.
    void add_flag(const std::string& name, const std::string& meaning, std::function<void()> act);
    void add_value(const std::string& name, const std::string& placeholder, const std::string& meaning,
                   std::function<void(const std::string& value)> act);
    // From the first operand on everything is an operand: options there are those of a program that is run.
    void end_at_first_operand();

    // The operands, after the options have acted. Nullopt: help is asked for, and no option has acted. Throws Usage.
    std::optional<std::vector<std::string>> parse(std::span<char* const> arguments);

    // A line for each option.
    std::string help() const;

  private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

// The whole number, or the number, that `text` is. Throws Usage with `problem` when it is none or out of range.
unsigned long whole_number(const std::string& text, unsigned long least, unsigned long most, const char* problem);
double number(const std::string& text, double least, double most, const char* problem);

}  // namespace tinykvm::cli
