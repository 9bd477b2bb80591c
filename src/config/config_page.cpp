#include "src/config/setting_kinds.hpp"
#include "src/config/settings.hpp"
#include "src/config/unsupported_settings.hpp"

namespace tinykvm::host {

namespace {

std::string section(const Setting& setting) {
    std::string text = "\n## `" + std::string(setting.key) + "`\n\n" + std::string(setting.meaning) + "\n\n";
    for (const Alias& alias : aliases()) {
        text += alias.key == setting.key ? "* Another name: `" + std::string(alias.name) + "`\n" : "";
    }
    text += "* Allowed: " + allowed_values(setting) + "\n* Default: ";
    if (setting.fallback.empty()) {
        return text + "none\n";
    }
    return text + "`" + std::string(setting.fallback) + "`" + (unit(setting).empty() ? "" : " ") +
           std::string(unit(setting)) + "\n";
}

}  // namespace

std::string configuration_page() {
    std::string page =
        "# Configuration of a program\n"
        "\n"
        "<!-- Made from the table in src/config/settings.cpp by build/bin/settings-page: change it there. -->\n"
        "\n"
        "A program is configured with a JSON object, in which comments are allowed:\n"
        "\n"
        "```vcl\n"
        "sub vcl_init {\n"
        "    tinykvm.configure(\"minify\", \"\"\"{\n"
        "        // four documents at a time\n"
        "        \"filename\": \"/usr/lib/tinykvm/minify\",\n"
        "        \"concurrency\": 4,\n"
        "        \"max_request_time\": 2\n"
        "    }\"\"\");\n"
        "}\n"
        "```\n"
        "\n"
        "A setting comes from the program's own object, else from its group, else it has the default given here. An\n"
        "object without `filename` and `uri` whose name is not that of a program defines a group. Unknown keys, keys\n"
        "that are there twice and values out of range fail the load of the VCL with a message that says which and\n"
        "what is allowed. A library, read with `tinykvm.library()`, is an object of such objects under their names; "
        "of\n"
        "its programs only those with such a mistake are not served ([vmod.md](vmod.md#library)).\n"
        "\n"
        "In `filename`, `download` (`filepath`), `allowed_paths`, `current_working_directory`, `main_arguments` and\n"
        "`environment`, `$HOME` is replaced by the HOME of the process that reads the configuration, and `$PWD` by "
        "its\n"
        "working directory. Of varnishd that is the folder it has for itself (`-n`), and as a service of systemd it "
        "mostly\n"
        "has no HOME, which is an error that says so. `$$HOME` and `$$PWD` stand for `$HOME` and `$PWD` themselves.\n";
    for (const Setting& setting : settings()) {
        page += section(setting);
    }
    page +=
        "\n## Keys of later versions\n\n"
        "In this version they only have values that ask for nothing, and others are refused, so that nobody believes "
        "they\n"
        "work:\n\n";
    for (const UnsupportedSetting& unsupported : unsupported_settings()) {
        page += "* `" + std::string(unsupported.key) + "`: " + std::string(unsupported.allowed) + "\n";
    }
    page +=
        "\n## Keys that mean nothing here\n\n"
        "Configurations of libvmod-tinykvm may have them, with any value:\n\n";
    for (const IgnoredSetting& ignored : ignored_settings()) {
        page += "* `" + std::string(ignored.key) + "`: " + std::string(ignored.why) + "\n";
    }
    return page;
}

}  // namespace tinykvm::host
