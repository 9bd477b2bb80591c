// What one JSON object sets of a program's configuration, and the objects of a library.
//
// Thread safety: plain values.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "src/config/config.hpp"

namespace tinykvm::host {

// Checked but not yet applied: a program's configuration is made of several layers, of which later ones count more.
class ConfigLayer {
  public:
    // Comments are allowed. `name` is the program or group it is for. Throws ConfigError.
    static ConfigLayer parse(std::string_view name, std::string_view json);
    // Throws nothing: what is wrong with the object is the layer's mistake.
    static ConfigLayer from(std::string_view name, const nlohmann::json& object);
    // The first thing that is wrong with what the object sets, as ConfigError says it; empty: nothing. A layer with a
    // mistake still tells which group it names and whether it is that of a program.
    const std::string& mistake() const { return mistake_; }

    void apply(ProgramConfig& config) const;
    // Empty when the object does not name one.
    const std::string& group() const { return group_; }
    // Does it say where a program is? Else it is a group, or adds to what was said elsewhere.
    bool defines_program() const { return defines_program_; }
    // Puts `newer` on top of this layer.
    void add(ConfigLayer newer);

  private:
    std::vector<std::function<void(ProgramConfig&)>> assignments_;
    friend std::map<std::string, ConfigLayer, std::less<>> parse_library(std::string_view json);
    // Throws ConfigError.
    void take(std::string_view name, std::string_view key, nlohmann::json value);

    std::string group_;
    bool defines_program_ = false;
    std::string mistake_;
};

// The objects of a library, an object of such objects, under their names. What is wrong with one of them is the mistake
// of its layer. Throws ConfigError when the document as a whole is not of that form.
std::map<std::string, ConfigLayer, std::less<>> parse_library(std::string_view json);

}  // namespace tinykvm::host
