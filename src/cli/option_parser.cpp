#include "src/cli/option_parser.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "src/cli/command.hpp"

namespace tinykvm::cli {

namespace {

struct OptionAction {
    std::string label;  // name and placeholder
    std::string meaning;
    std::function<void(const std::string& value)> act;
    CLI::Option* option;  // owned by the App
};

template <typename Number>
Number parse_number(const std::string& text, Number least, Number most, const char* problem) {
    Number value{};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || !(value >= least && value <= most)) throw Usage{problem, text};
    return value;
}

}  // namespace

struct OptionParser::Parser : CLI::App {
    explicit Parser(const std::string& command) : CLI::App("", command) { allow_extras(); }

    // What CLI11 could not place: operands, and options that were not declared.
    std::vector<std::string> operands() const {
        std::vector<std::string> result;
        for (const auto& [kind, word] : missing_) {
            if (kind == CLI::detail::Classifier::NONE) {
                result.push_back(word);
            } else if (kind != CLI::detail::Classifier::POSITIONAL_MARK) {
                throw Usage{get_name() + " has no such option", word};
            }
        }
        return result;
    }

    std::vector<OptionAction> actions;
};

OptionParser::OptionParser(const std::string& command) : parser_(std::make_unique<Parser>(command)) {}

OptionParser::~OptionParser() = default;

void OptionParser::add_flag(const std::string& name, const std::string& meaning, std::function<void()> act) {
    CLI::Option* const option = parser_->add_flag(name)->disable_flag_override();
    parser_->actions.push_back({name, meaning, [act = std::move(act)](const std::string&) { act(); }, option});
}

void OptionParser::add_value(const std::string& name, const std::string& placeholder, const std::string& meaning,
                             std::function<void(const std::string& value)> act) {
    // Without a variable CLI11 keeps values as they are; for lists of its own it would split "[a,b]".
    CLI::Option* const option = parser_->add_option(name, CLI::callback_t{});
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    parser_->actions.push_back({name + " " + placeholder, meaning, std::move(act), option});
}

void OptionParser::end_at_first_operand() { parser_->prefix_command(); }

std::optional<std::vector<std::string>> OptionParser::parse(std::span<char* const> arguments) {
    std::vector<std::string> words(arguments.rbegin(), arguments.rend());  // the order in which CLI11 takes them
    try {
        parser_->parse(std::move(words));
    } catch (const CLI::CallForHelp&) {
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        // "--name: 1 required TEXT missing", or "name was given ..." for a flag with a value.
        const std::string what = error.what(), name = what.substr(0, what.find_first_of(": "));
        if (what.ends_with(" missing")) throw Usage{"a value is missing after", name};
        throw Usage{"no value belongs to", "--" + name};
    }
    std::map<const CLI::Option*, std::size_t> given;
    for (const CLI::Option* option : parser_->parse_order()) {
        const auto action = std::find_if(parser_->actions.begin(), parser_->actions.end(),
                                         [&](const OptionAction& one) { return one.option == option; });
        if (action != parser_->actions.end()) action->act(option->results().at(given[option]++));
    }
    return parser_->operands();
}

std::string OptionParser::help() const {
    constexpr std::size_t width = 17;
    std::string text;
    for (const OptionAction& action : parser_->actions) {
        std::string label = action.label;
        label.append(label.size() < width ? width - label.size() : 2, ' ');
        text += "  " + label + action.meaning + "\n";
    }
    return text;
}

unsigned long whole_number(const std::string& text, unsigned long least, unsigned long most, const char* problem) {
    return parse_number(text, least, most, problem);
}

double number(const std::string& text, double least, double most, const char* problem) {
    return parse_number(text, least, most, problem);
}

}  // namespace tinykvm::cli
