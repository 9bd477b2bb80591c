#include "src/config/settings.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "src/base/field.hpp"
#include "src/base/guest_text.hpp"
#include "src/config/address_settings.hpp"
#include "src/config/source_settings.hpp"
#include "src/fetch/resource.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;
using Kind = Setting::Kind;

constexpr double most_text = 4096;

std::chrono::microseconds seconds(const json& value) {
    return std::chrono::microseconds(std::llround(value.get<double>() * 1e6));
}

std::size_t mebibytes(const json& value) { return value.get<std::size_t>() << 20; }

std::vector<std::string> texts(const json& value) { return value.get<std::vector<std::string>>(); }

std::string absolute(const std::string& path, const char* what) {
    return path.empty() || path.front() != '/' ? std::string(what) + " must begin with '/'" : std::string();
}

std::string store_environment(ProgramConfig& config, const json& value) {
    static constexpr std::array<std::string_view, 5> ours = {"KVM_NAME", "KVM_GROUP", "KVM_TYPE", "KVM_STATE",
                                                             "KVM_DEBUG"};
    std::vector<std::string> entries = texts(value);
    for (const std::string& entry : entries) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos || equals == 0) {
            return "\"" + entry + "\" is not of the form NAME=VALUE";
        }
        for (const std::string_view name : ours) {
            if (entry.substr(0, equals) == name) {
                return std::string(name) + " is always set by tinykvm itself";
            }
        }
    }
    config.environment = std::move(entries);
    return {};
}

std::string read_path(const json& value, PathRule& rule) {
    if (value.is_string()) {
        rule.virtual_path = value.get<std::string>();
        return absolute(rule.virtual_path, "a path");
    }
    for (const auto& [key, part] : value.items()) {
        if (key == "virtual" || key == "real") {
            if (!part.is_string() || part.get_ref<const std::string&>().find('\0') != std::string::npos) {
                return "\"" + key + "\" of a path must be a string";
            }
            (key == "virtual" ? rule.virtual_path : rule.real_path) = part.get<std::string>();
        } else if (key == "writable" || key == "prefix" || key == "symlink") {
            if (!part.is_boolean()) {
                return "\"" + key + "\" of a path must be true or false";
            }
            (key == "writable" ? rule.writable : key == "prefix" ? rule.prefix : rule.symlink) = part.get<bool>();
        } else {
            return "a path has no \"" + key + "\", only virtual, real, writable, prefix and symlink";
        }
    }
    if (rule.virtual_path.empty()) {
        rule.virtual_path = rule.real_path;
    }
    if (std::string problem = absolute(rule.virtual_path, "\"virtual\" of a path"); !problem.empty()) {
        return problem;
    }
    if (rule.symlink && rule.real_path.empty()) {
        return "a symlink needs \"real\", the guest path it points to";
    }
    return rule.real_path.empty() || rule.symlink ? std::string() : absolute(rule.real_path, "\"real\" of a path");
}

std::string store_paths(ProgramConfig& config, const json& value) {
    std::vector<PathRule> rules;
    for (const json& entry : value) {
        if (std::string problem = read_path(entry, rules.emplace_back()); !problem.empty()) {
            return problem;
        }
    }
    config.allowed_paths = std::move(rules);
    return {};
}

std::string read_warmup_headers(const json& value, Warmup& warmup) {
    const std::string what =
        "\"headers\" of warmup must be a list of at most " + std::to_string(max_fields) + " strings \"Name: value\"";
    if (!value.is_array() || value.size() > max_fields) {
        return what;
    }
    for (const json& header : value) {
        std::string why;
        if (!header.is_string() || !parse_field(header.get_ref<const std::string&>(), why)) {
            return what + (why.empty() ? "" : "; one " + why);
        }
        warmup.headers.push_back(header.get<std::string>());
    }
    return {};
}

std::string read_warmup_text(const std::string& key, const json& value, Warmup& warmup) {
    const auto* text = value.get_ptr<const std::string*>();
    if (key == "method") {
        if (text == nullptr || !is_field_name(*text)) {
            return "\"method\" of warmup must be the name of a method";
        }
        warmup.method = *text;
        return {};
    }
    if (text == nullptr || !text->starts_with('/') || text->size() > most_text || !is_field_value(*text) ||
        text->find(' ') != std::string::npos) {
        return "\"url\" of warmup must be a string of at most 4096 bytes that begins with '/', without spaces";
    }
    warmup.url = *text;
    return {};
}

void add_user_agent(Warmup& warmup) {
    const bool has_one = std::any_of(warmup.headers.begin(), warmup.headers.end(), [](const std::string& header) {
        std::string why;
        const auto field = parse_field(header, why);
        return field && same_name(field->name, "User-Agent");
    });
    if (!has_one) {
        warmup.headers.insert(warmup.headers.begin(), "User-Agent: tinykvm");
    }
}

std::string store_warmup(ProgramConfig& config, const json& value) {
    constexpr std::uint64_t most_requests = 65535;
    Warmup warmup;
    warmup.num_requests = 20;
    for (const auto& [key, part] : value.items()) {
        std::string problem;
        if (key == "num_requests") {
            if (!part.is_number_unsigned() || part.get<std::uint64_t>() > most_requests) {
                return "\"num_requests\" of warmup must be a whole number from 0 to 65535";
            }
            warmup.num_requests = part.get<unsigned>();
        } else if (key == "exact") {
            if (!part.is_boolean()) {
                return "\"exact\" of warmup must be true or false";
            }
            warmup.exact = part.get<bool>();
        } else if (key == "url" || key == "method") {
            problem = read_warmup_text(key, part, warmup);
        } else if (key == "headers") {
            problem = read_warmup_headers(part, warmup);
        } else {
            return "warmup has no \"" + printable(key, 80) + "\", only num_requests, exact, url, method and headers";
        }
        if (!problem.empty()) {
            return problem;
        }
    }
    add_user_agent(warmup);
    config.warmup = std::move(warmup);
    return {};
}

std::string read_host(const json& value, HostRule& rule) {
    bool allows_private = false, may_ignore_name = false;
    std::string host;
    if (value.is_string()) {
        host = value.get<std::string>();
    } else {
        for (const auto& [key, part] : value.items()) {
            if (key == "host" && part.is_string()) {
                host = part.get<std::string>();
            } else if ((key == "private" || key == "dont_verify_host") && part.is_boolean()) {
                (key == "private" ? allows_private : may_ignore_name) = part.get<bool>();
            } else {
                return "a host has \"host\", a string, \"private\" and \"dont_verify_host\", true or false, and "
                       "nothing else";
            }
        }
    }
    const auto parsed = HostRule::parse(host);
    if (!parsed) {
        return "\"" + host +
               "\" is no host; hosts are \"name\", \"name:port\", \"*.domain\", \"*\", IPv4 addresses and "
               "IPv6 addresses in brackets, each with or without a port";
    }
    rule = *parsed;
    rule.allows_private = allows_private;
    rule.may_ignore_name = may_ignore_name;
    return {};
}

std::string store_hosts(ProgramConfig& config, const json& value) {
    std::vector<HostRule> rules;
    for (const json& entry : value) {
        if (std::string problem = read_host(entry, rules.emplace_back()); !problem.empty()) {
            return problem;
        }
    }
    config.allowed_hosts = HostRules(std::move(rules));
    return {};
}

constexpr double day = 86400, most_mebibytes = 65536;

std::string store_on_error(ProgramConfig& config, const json& value) {
    using OnError = ProgramConfig::OnError;
    if (value.is_string() && value != "error" && value != "original") {
        return "the value is neither";
    }
    std::vector<OnError> order;
    const json list = value == "error"      ? json::array({"handler"})
                      : value == "original" ? json::array({"handler", "original"})
                                            : value;
    for (const json& one : list) {
        const OnError attempt = one == "original" ? OnError::original : OnError::handler;
        if ((one != "original" && one != "handler") || std::find(order.begin(), order.end(), attempt) != order.end()) {
            return "it has another value, or one twice";
        }
        order.push_back(attempt);
    }
    config.on_error = order;
    return order.empty() ? "it is empty" : "";
}

constexpr Setting table[] = {
    {"filename", Kind::text, 1, most_text, "", "",
     "The program: an ELF file for x86-64 Linux, or an archive (`.tar.xz`, `.tar.zst`, `.zip`) with one in it. With "
     "`uri` it is where the program is kept between starts, in a folder Varnish may write to or make. An object with "
     "neither defines a group: settings that the programs naming it share.",
     [](ProgramConfig& c, const json& v) {
         c.filename = v.get<std::string>();
         return absolute(c.filename, "the path");
     },
     true},
    {"group", Kind::text, 1, 128, "\"test\"", "",
     "The group whose settings the program starts from. `test` always exists and has the defaults of this page.",
     [](ProgramConfig& c, const json& v) {
         c.group = v.get<std::string>();
         return std::string();
     }},
    {"key", Kind::text, 0, 250, "", "",
     "What a live update has to know to replace the program. Without it, or with `\"\"`, there are none, except from "
     "local "
     "files.",
     [](ProgramConfig& c, const json& v) {
         c.key = v.get<std::string>();
         return std::string();
     }},
    {"uri", Kind::text, 1, most_text, "", allowed_uris,
     "Where the program comes from: an ELF file or an archive as for `filename`. It is asked for at each start, within "
     "`max_boot_time` (the boot has as much again), but only fetched when it is not the one kept at `filename` any "
     "more. When it cannot be had, the log says why and the one at `filename` runs; without it the program does not "
     "start. Without `filename` it is fetched each time. Of an archive the program is the member named like `filename` "
     "or else like the program, or else the only ELF file.",
     [](ProgramConfig& c, const json& v) {
         c.uri = v.get<std::string>();
         return uri_problem(c.uri);
     }},
    {"sha256", Kind::text, 1, most_text, "", "a string of 64 hexadecimal digits",
     "The SHA-256 checksum of the file, which is the archive if it is one. It is checked before each start, of what "
     "was fetched and of what was kept; a file that does not have it is not used. When what is fetched does not have "
     "it, the program does not start.",
     [](ProgramConfig& c, const json& v) { return store_checksum(c.checksums.sha256, 64, v); }},
    {"md5", Kind::text, 1, most_text, "", "a string of 32 hexadecimal digits",
     "The same with MD5, which shows accidents but no intent.",
     [](ProgramConfig& c, const json& v) { return store_checksum(c.checksums.md5, 32, v); }},
    {"download", Kind::downloads, 1, most_text, "[]", "",
     "Files to fetch before the program starts: from `uri` to `filepath`, in order, as the program itself is from "
     "`uri` "
     "to `filename`. Folders that are missing are made. With `sha256` or `md5` a file must have that checksum, as "
     "`filename` its own: else the program does not start. To see the files the program needs `allowed_paths`.",
     store_downloads, true},
    {"start", Kind::boolean, 0, 0, "false", "",
     "Start the program when the VCL becomes warm, which it does after it was loaded, without delaying it. Else it is "
     "started when it is first needed, or by `tinykvm.start()`.",
     [](ProgramConfig& c, const json& v) {
         c.start = v.get<bool>();
         return std::string();
     }},
    {"concurrency", Kind::integer, 1, 255, "2", "",
     "How many requests the program serves at a time, each in a VM and a thread of its own. More wait in a queue. A "
     "program "
     "that asks Varnish for what it answers itself needs one for each request inside of another.",
     [](ProgramConfig& c, const json& v) {
         c.concurrency = v.get<unsigned>();
         return std::string();
     }},
    {"max_boot_time", Kind::seconds, 0.001, day, "16", "",
     "How long the program may take from its start to `wait_for_requests()`.",
     [](ProgramConfig& c, const json& v) {
         c.max_boot_time = seconds(v);
         return std::string();
     }},
    {"max_request_time", Kind::seconds, 0.001, day, "8", "",
     "How long a request may take in the program. The error handler has one second more.",
     [](ProgramConfig& c, const json& v) {
         c.max_request_time = seconds(v);
         return std::string();
     }},
    {"max_queue_time", Kind::seconds, 0, day, "60", "",
     "How long a request waits for a VM before it fails. 0: not at all.",
     [](ProgramConfig& c, const json& v) {
         c.max_queue_time = seconds(v);
         return std::string();
     }},
    {"max_memory", Kind::mebibytes, 1, most_mebibytes, "256", "",
     "How much memory the program may use while it boots, counted when it is most, and noticed at most 4 MiB later. "
     "Its "
     "file, the archive it comes in and a live update may be as large, 1 GiB at most, and loading it takes at most "
     "three "
     "times as much of the server's memory and 100 MiB.",
     [](ProgramConfig& c, const json& v) {
         c.max_memory = mebibytes(v);
         return std::string();
     }},
    {"max_request_memory", Kind::mebibytes, 1, most_mebibytes, "64", "",
     "How much memory a request may change or add, the request itself with its body included, counted when it is most: "
     "also what it gives back later. What earlier requests of its VM did does not count. A VM takes at most 4 MiB more "
     "than this from the host before a request that goes beyond it fails. `request_memory_peak` of `stats()` and "
     "`tinykvm request --repeat` say how much requests take.",
     [](ProgramConfig& c, const json& v) {
         c.max_request_memory = mebibytes(v);
         return std::string();
     }},
    {"limit_workmem_after_req", Kind::mebibytes, 0, most_mebibytes, "0", "",
     "What of the memory that requests changed or added a VM keeps for its next request; what is beyond is given back "
     "to the host after each request. Kept memory is made equal to the program as it was when it started to wait, "
     "which costs some 0.3 us for each page of 4 KiB; memory given back costs the next request that touches it much "
     "more, 1 to 25 us for each page. Pages that no request changes any more are given back after a while in any "
     "case. 0: no limit but `max_request_memory`.",
     [](ProgramConfig& c, const json& v) {
         c.limit_workmem_after_req = mebibytes(v);
         return std::string();
     }},
    {"ephemeral_keep_working_memory", Kind::boolean, 0, 0, "true", "",
     "Keep the memory that requests changed or added, made equal again, for the next request. With false all of it is "
     "given back to the host after each request: VMs that wait take least memory, requests more time.",
     [](ProgramConfig& c, const json& v) {
         c.ephemeral_keep_working_memory = v.get<bool>();
         return std::string();
     }},
    {"shared_memory", Kind::mebibytes, 0, most_mebibytes, "0", "",
     "Memory that all VMs of the program see: what one writes there the others read at once, and it outlives requests, "
     "their failures and the VMs. It is zero when the program starts to boot, and again when the program is loaded "
     "anew. The program finds it with `SHM_ALLOC_TYPE()` and its relatives. It is taken from the host when the program "
     "starts (a program does not load when the host has too little) and counts in none of the other limits.",
     [](ProgramConfig& c, const json& v) {
         c.shared_memory = mebibytes(v);
         return std::string();
     }},
    {"address_space", Kind::mebibytes, 128, most_mebibytes, "3072", "",
     "How much may be mapped for access at a time, whether it is used or not: the program, its stack, heap and "
     "mappings, "
     "shared memory and the area of a request. What is mapped without any right (`PROT_NONE`) does not count; what was "
     "accessible once counts as long as the VM lives, in blocks of 2 MiB. A mapping beyond it fails with `ENOMEM`, and "
     "the log says so once a request. It is never less than `max_memory`. "
     "Unused address space costs the host nothing, what is mapped 0.2 % of its size.",
     [](ProgramConfig& c, const json& v) {
         c.address_space = mebibytes(v);
         return std::string();
     }},
    {"max_threads", Kind::integer, 1, 1024, "64", "",
     "How many threads the program may have at a time, the first one among them. Each costs the host some 4 KiB beside "
     "the program's own memory, its stack. A further one fails with `EAGAIN`, and the log says so once a request. A "
     "thread "
     "mostly needs two mappings, of which a request may add 128: start more than 60 in `main()`.",
     [](ProgramConfig& c, const json& v) {
         c.max_threads = v.get<unsigned>();
         return std::string();
     }},
    {"remapping", Kind::ranges, 0, 0, "[]", "",
     "Addresses kept for the mappings that ask for them, as the runtimes of Go (`[\"0xC000000000\", 1024]`) and "
     "JavaScript do: whatever chooses its address freely, of the program or of ours, goes elsewhere. A program gets "
     "any "
     "free address it asks for in any case; this is for addresses below the stack (0x7FFF200000), where others are "
     "placed. It takes no memory, and nothing is there until it is mapped.",
     [](ProgramConfig& c, const json& v) { return read_address_ranges(v, c.remapping); }},
    {"executable_remapping", Kind::ranges, 0, 0, "[]", "",
     "More addresses as `remapping` has them, for code that a program makes. There is no other difference: what a "
     "program "
     "maps with `PROT_EXEC` can be executed anywhere.",
     [](ProgramConfig& c, const json& v) { return read_address_ranges(v, c.executable_remapping); }},
    {"blackout_area", Kind::ranges, 0, 0, "[]", "",
     "Addresses where there is never anything: nothing is placed there, a fixed mapping there fails with `ENOMEM`, the "
     "heap ends before it, and an access is a fault. A program that is linked to such addresses does not load.",
     [](ProgramConfig& c, const json& v) { return read_address_ranges(v, c.blackout_area); }},
    {"relocate_fixed_mmap", Kind::boolean, 0, 0, "false", "",
     "What becomes of an `mmap` with `MAP_FIXED` whose addresses cannot be had: below 0x10000, beyond 0x7FFFFFFFF000, "
     "in "
     "the block at 0x7FFFE00000 that belongs to tinykvm, in a `blackout_area` or in shared memory. false: it fails, as "
     "on "
     "Linux. true: it is placed elsewhere, and returns where. Addresses that can be had are always given, in place of "
     "what is mapped there; `MAP_FIXED_NOREPLACE` and `mremap` always fail.",
     [](ProgramConfig& c, const json& v) {
         c.relocate_fixed_mmap = v.get<bool>();
         return std::string();
     }},
    {"executable_heap", Kind::boolean, 0, 0, "false", "",
     "May code in memory of `brk` be executed? For programs that generate code into memory of `malloc()`. (What they "
     "map "
     "with `PROT_EXEC` can be executed in any case.) Requests that make the heap larger then get new executable "
     "memory, "
     "which only a new VM undoes: that takes longer than a reset.",
     [](ProgramConfig& c, const json& v) {
         c.executable_heap = v.get<bool>();
         return std::string();
     }},
    {"mmap_backed_files", Kind::boolean, 0, 0, "true", "",
     "What becomes of files that requests map (`mmap`). true: a file is copied once, all VMs map that copy, and only "
     "pages "
     "that a request writes count in `max_request_memory`; there are at most `max_memory` of such copies, of those "
     "that no "
     "request maps the ones not used for longest go first. false: each request gets a copy of its own, all of which "
     "counts. Copied for the request in any case are a file that was changed in the last seconds or finds no room any "
     "more, and a mapping of less than a quarter of its file. What the program maps while it boots is copied once, "
     "counts "
     "in `max_memory`, and is shared by its VMs like all its memory, with both values. A mapping never shows changes "
     "of "
     "the file that are made later.",
     [](ProgramConfig& c, const json& v) {
         c.mmap_backed_files = v.get<bool>();
         return std::string();
     }},
    {"transparent_hugepages", Kind::boolean, 0, 0, "false", "",
     "Ask the host for transparent huge pages of 2 MiB behind the memory of the program and of requests "
     "(`/sys/kernel/mm/transparent_hugepage/enabled` must not be `never`). The host gives them where it can; memory "
     "becomes resident in steps of up to 2 MiB then, of which limits still count the pages of 4 KiB that were changed.",
     [](ProgramConfig& c, const json& v) {
         c.transparent_hugepages = v.get<bool>();
         return std::string();
     }},
    {"hugepages", Kind::boolean, 0, 0, "false", "",
     "Use reserved huge pages (`/proc/sys/vm/nr_hugepages`) behind the program's memory while it boots: "
     "`hugepage_arena_size` of them, or `max_memory` when that is not set.",
     [](ProgramConfig& c, const json& v) {
         c.hugepages = v.get<bool>();
         return std::string();
     }},
    {"hugepage_arena_size", Kind::mebibytes, 0, most_mebibytes, "0", "",
     "How much of the program's memory may be reserved huge pages while it boots: blocks of 2 MiB that it maps as a "
     "whole, its stack first. Where it then changes the protection of a part, or unmaps it, small pages take their "
     "place. The program does not load when the host has too few. When it waits for requests they are given back, "
     "and VMs share its memory in small pages.",
     [](ProgramConfig& c, const json& v) {
         c.hugepage_arena_size = mebibytes(v);
         return std::string();
     }},
    {"request_hugepage_arena_size", Kind::mebibytes, 0, most_mebibytes, "0", "",
     "How much of each VM's memory that is zero when requests begin may be reserved huge pages: requests and their "
     "bodies first, then the program's unused memory, then what requests map. The pages are taken when a VM is made, "
     "and it keeps them. Where the host has too few a VM has small pages and logs it. Limits count what is changed, "
     "in pages of 4 KiB.",
     [](ProgramConfig& c, const json& v) {
         c.request_hugepage_arena_size = mebibytes(v);
         return std::string();
     }},
    {"request_hugepages", Kind::boolean_or_mebibytes, 0, most_mebibytes, "false", "",
     "`request_hugepage_arena_size` in short. true: as much as that says, or `max_request_memory` when it is not set. "
     "A "
     "number is `request_hugepage_arena_size`, false is 0.",
     [](ProgramConfig& c, const json& v) {
         c.request_hugepages = v == true;
         if (v != true) {
             c.request_hugepage_arena_size = v.is_number() ? mebibytes(v) : 0;
         }
         return std::string();
     }},
    {"split_hugepages", Kind::boolean, 0, 0, "true", "",
     "What requests write is copied in pages of 4 KiB, whatever the program's memory was made of. It is always so; "
     "`false` is refused.",
     [](ProgramConfig&, const json& v) {
         return v.get<bool>() ? std::string() : std::string("this version copies pages of 4 KiB only");
     }},
    {"main_arguments", Kind::texts, 0, most_text, "[]", "", "Arguments of `main()` after the program's name.",
     [](ProgramConfig& c, const json& v) {
         c.main_arguments = texts(v);
         return std::string();
     },
     true},
    {"environment", Kind::texts, 0, most_text, "[]", "",
     "The program's environment, NAME=VALUE each. KVM_NAME, KVM_GROUP, KVM_TYPE, KVM_STATE and KVM_DEBUG are always "
     "there as well. So are `USER=nobody`, unless another USER is given, and `LC_ALL=C`, unless LANG, LANGUAGE or a "
     "name "
     "that begins with LC_ is given.",
     store_environment, true},
    {"allowed_paths", Kind::paths, 0, most_text, "[]", "",
     "The files the program sees; without it none. A string is a file or directory that may be read under its own "
     "path. An object says more: `virtual`, the path in the program; `real`, the path on the host (the same unless "
     "said); `writable` (false); `prefix` (true): everything below it too; `symlink` (false): the program sees "
     "`virtual` as a symbolic link to `real`. `/proc`, `/sys` and `/dev` are made for each program and never the "
     "host's, "
     "also when `/` is allowed ([programs.md](programs.md#what-there-is-of-linux)); a rule that names them under "
     "`real` "
     "covers nothing, and the log says so. A single file of `/sys` may be named.",
     store_paths, true},
    {"allowed_hosts", Kind::hosts, 1, 300, "[]", "",
     "The hosts the program may fetch from with `sys_fetch()`; without it none. Varnish itself can always be asked, "
     "once "
     "`init_self_requests()` allows it. A string is a name (`example.com`), the names below a domain "
     "(`*.example.com`), an address (`192.0.2.1`, `[2001:db8::1]`) or any of them (`*`), with a port "
     "(`example.com:8080`) "
     "or for ports 80 and 443. Names lead to public addresses only, not to the machine itself or into private "
     "networks; "
     "`localhost` and addresses lead to what they say. An object says more: `host`, the string; `private` (false): any "
     "address will do; `dont_verify_host` (false): the program may accept certificates for other names, with the "
     "option "
     "of that name. Redirects are checked like the first URL.",
     store_hosts},
    {"current_working_directory", Kind::text, 1, most_text, "\"/\"", "", "Where the program's relative paths begin.",
     [](ProgramConfig& c, const json& v) {
         c.current_working_directory = v.get<std::string>();
         return absolute(c.current_working_directory, "the path");
     },
     true},
    {"ephemeral", Kind::boolean, 0, 0, "true", "",
     "Every request finds the program as it was when it started to wait. With false a VM keeps what requests change; "
     "it is made new only after a failure.",
     [](ProgramConfig& c, const json& v) {
         c.ephemeral = v.get<bool>();
         return std::string();
     }},
    {"control_ephemeral", Kind::boolean, 0, 0, "false", "",
     "Let the program decide about `ephemeral`, with `sys_make_ephemeral()`: in `main()` for all of its VMs, in a "
     "request for the VM that serves it. What a visitor's request leaves in memory is then the program's "
     "responsibility. With false the call fails.",
     [](ProgramConfig& c, const json& v) {
         c.control_ephemeral = v.get<bool>();
         return std::string();
     }},
    {"soft_reset", Kind::boolean, 0, 0, "true", "",
     "Honour the argument `soft_reset` of `to_string()` and `synth()`: a VM such a call has used is not made new "
     "before "
     "the next call of that kind, which finds what the others changed. Every other request still finds the program as "
     "it "
     "was when it started to wait. With false the argument has no effect.",
     [](ProgramConfig& c, const json& v) {
         c.soft_reset = v.get<bool>();
         return std::string();
     }},
    {"poll", Kind::choice_or_microseconds, 1, 10000, "\"off\"", "\"off\", \"auto\"",
     "Wait for the next request inside the guest, spinning, for so long after the last one: a request is then handed "
     "over in a microsecond instead of the time it takes to wake a thread and enter a VM. `auto` spins only while "
     "requests follow each other closely. At most half of the machine's CPUs spin, and requests behind each other are "
     "as isolated as without. For programs that answer in well under a tenth of a millisecond.",
     [](ProgramConfig& c, const json& v) {
         if (v.is_number()) {
             c.poll = {.automatic = false, .time = std::chrono::microseconds(v.get<int>())};
             return std::string();
         }
         const auto& text = v.get_ref<const std::string&>();
         c.poll = {.automatic = text == "auto", .time = std::chrono::microseconds(0)};
         return text == "auto" || text == "off" ? std::string() : std::string("the value is none of them");
     }},
    {"on_error", Kind::choices, 0, 0, "\"error\"",
     "\"error\", \"original\" or a list of \"handler\" and \"original\" in the order in which they are tried",
     "What the client gets when the program fails. `handler` is the answer of the program's error handler "
     "(`set_on_error`); `original` the body of the request as it came, with its content type, if it had one. They are "
     "tried in the order of the list, without them the client gets a 500. A handler whose answer, with a status from "
     "200 "
     "to 299, has no body although the request had one has not done its work when `original` comes after it: it runs "
     "in "
     "a fresh VM, where nothing is that the failed request stored. `\"error\"` is `[\"handler\"]`, `\"original\"` is "
     "`[\"handler\", \"original\"]`.",
     store_on_error},
    {"warmup", Kind::object, 0, 0, "{\"num_requests\": 0}", "an object {num_requests, exact, url, method, headers}",
     "Requests that the program answers when it has started to wait and before its VMs are made of it, so that what "
     "answering prepares (caches, compiled code, memory) is there for all requests: what they change stays, their "
     "responses go nowhere. `num_requests` (20): how many; `url` (`\"/\"`), `method` (`\"GET\"`) and `headers` (`[]`, "
     "of "
     "strings `\"Name: value\"`): what they are, without a body; `User-Agent: tinykvm` is there unless another "
     "User-Agent "
     "is. The program can tell them by `IS_WARMUP_REQUEST()`. With `exact` (false) there are as many as `num_requests` "
     "says; else there are more, until `num_requests` in a row were no faster than the fastest before, at most 100 "
     "times "
     "as many. What is beyond `num_requests` takes at most half of the time and memory the program has to boot. All of "
     "them count in `max_boot_time` and `max_memory`; when one is not answered, whatever its status, the program does "
     "not "
     "load.",
     store_warmup},
    {"verbose", Kind::boolean, 0, 0, "false", "",
     "Log unusual events: system calls and host calls that do not exist, paths that are refused (the first 64 of a "
     "program, each once), boots.",
     [](ProgramConfig& c, const json& v) {
         c.verbose = v.get<bool>();
         return std::string();
     }},
    {"stdout", Kind::boolean, 0, 0, "false", "",
     "Log what the program writes to its standard output and standard error. With false it is dropped.",
     [](ProgramConfig& c, const json& v) {
         c.standard_output = v.get<bool>();
         return std::string();
     }},
};

bool is_false(const json& v) { return v == false; }
bool is_false_or_empty(const json& v) { return is_false(v) || v == "" || (v.is_structured() && v.empty()); }
bool is_false_or_zero(const json& v) { return is_false(v) || v == 0; }
bool is_one_processor(const json& v) { return is_false(v) || v == 0 || v == 1; }
bool is_time(const json& v) { return v.is_number() && v >= 0; }

constexpr LaterSetting later[] = {
    {"storage", "false or \"\"", is_false_or_empty},
    {"max_storage_time", "any number of seconds", is_time},  // without storage none of them means anything
    {"cold_start_file", "\"\"", is_false_or_empty},
    {"default", "false", is_false},
    {"profiling", "false or 0", is_false_or_zero},
    {"smp", "0 or 1", is_one_processor},
    {"allow_debug", "false", is_false},
    {"remote_debug_on_exception", "false", is_false},
    {"verbose_syscalls", "false", is_false},
    {"verbose_pagetables", "false", is_false},
    {"server", "{}", is_false_or_empty},
    {"websocket_server", "{}", is_false_or_empty},
};

constexpr Alias other_names[] = {
    {"req_mem_limit_after_reset", "limit_workmem_after_req"},
    {"experimental_keep_working_memory", "ephemeral_keep_working_memory"},
};

constexpr IgnoredSetting ignored[] = {
    {"dylink_address_hint", "where a dynamic loader goes: a free place is found"},
    {"heap_address_hint", "where the heap goes: a free place is found"},
    {"double_buffered", "two VMs for each that serves: `concurrency` is how many there are"},
    {"max_storage_memory", "about `storage`"},
    {"storage_memory", "about `storage`"},
    {"storage_arguments", "about `storage`"},
    {"storage_filename", "about `storage`"},
    {"storage_dylink_address_hint", "about `storage`"},
    {"storage_1_to_1", "about `storage`"},
    {"storage_serialized", "about `storage`"},
};

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.15g", value);
    return text;
}

}  // namespace

std::span<const Setting> settings() { return table; }

std::span<const LaterSetting> later_settings() { return later; }

std::span<const Alias> aliases() { return other_names; }

std::span<const IgnoredSetting> ignored_settings() { return ignored; }

std::string_view unit(const Setting& setting) {
    switch (setting.kind) {
        case Kind::seconds: return "s";
        case Kind::choice_or_microseconds: return "us";
        case Kind::mebibytes: return "MiB";
        case Kind::boolean:
        case Kind::boolean_or_mebibytes:
        case Kind::integer:
        case Kind::text:
        case Kind::texts:
        case Kind::paths:
        case Kind::object:
        case Kind::hosts:
        case Kind::ranges:
        case Kind::downloads:
        case Kind::choices:
        case Kind::choice: return "";
    }
    return "";
}

std::string allowed_values(const Setting& setting) {
    const std::string range = " from " + number(setting.least) + " to " + number(setting.most);
    switch (setting.kind) {
        case Kind::boolean: return "true or false";
        case Kind::integer: return "a whole number" + range;
        case Kind::seconds: return "a number of seconds" + range;
        case Kind::mebibytes: return "a whole number of MiB" + range;
        case Kind::boolean_or_mebibytes: return "true, false or a whole number of MiB" + range;
        case Kind::text:
            return !setting.allowed.empty() ? std::string(setting.allowed)
                   : setting.least == 0     ? "a string of at most " + number(setting.most) + " bytes"
                                            : "a string of 1 to " + number(setting.most) + " bytes";
        case Kind::texts: return "a list of strings of at most " + number(setting.most) + " bytes";
        case Kind::paths: return "a list of strings and of objects {virtual, real, writable, prefix, symlink}";
        case Kind::hosts: return "a list of strings and of objects {host, private, dont_verify_host}";
        case Kind::ranges: return address_ranges_allowed;
        case Kind::downloads: return "a list of objects {uri, filepath, sha256, md5}, with or without the last two";
        case Kind::object:
        case Kind::choices:
        case Kind::choice: return std::string(setting.allowed);
        case Kind::choice_or_microseconds:
            return std::string(setting.allowed) + " or a whole number of microseconds" + range;
    }
    return {};
}

}  // namespace tinykvm::host
