// The calls about regular expressions. Handles are part of what reset takes back: those of main() are valid in every
// request, those of a request end with it.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/calls/guest_calls.hpp"
#include "src/calls/regex.hpp"

namespace tinykvm::host {

namespace {

constexpr std::int64_t no_match = -1;

HostCallResult error(int code) { return HostCallResult::resume(-code); }

}  // namespace

const Regex* GuestCalls::regex(std::uint64_t handle) const {
    return registration_.regexes ? registration_.regexes->get(static_cast<std::uint32_t>(handle)) : nullptr;
}

// What a match that came to no result means for the guest, with a line in the log.
HostCallResult GuestCalls::regex_failed(const char* call, const Regex& regex, RegexMatch::Result result) {
    const std::string which = std::string(call) + ": \"" + printable(regex.pattern(), 80) + "\": ";
    switch (result) {
        case RegexMatch::Result::match:
        case RegexMatch::Result::no_match: break;
        case RegexMatch::Result::too_long: return error(ENOSPC);
        case RegexMatch::Result::too_much_work: note(which + "matching takes too much time"); return error(ETIMEDOUT);
        case RegexMatch::Result::too_much_memory: note(which + "matching takes too much memory"); return error(ENOMEM);
    }
    return HostCallResult::resume(no_match);
}

HostCallResult GuestCalls::regex_compile(const HostCall& call, GuestMemory& memory) {
    if (call.args[1] > max_regex_pattern) {
        return error(E2BIG);
    }
    const auto pattern = memory.read_bytes(call.args[0], call.args[1]);
    if (!pattern) {
        return error(EFAULT);
    }
    // The set is shared with the other VMs of the program: a changed one takes its place.
    auto changed = std::make_shared<RegexSet>();
    if (registration_.regexes) {
        *changed = *registration_.regexes;
    }
    std::optional<int> handle = changed->use(*pattern);
    if (!handle) {
        std::string why;
        auto compiled = Regex::compile(*pattern, why);
        if (!compiled) {
            note("sys_regex_compile: \"" + printable(*pattern, 80) + "\": " + why);
            return error(EINVAL);
        }
        handle = changed->add(std::move(compiled));
    }
    if (!handle) {
        note("sys_regex_compile: \"" + printable(*pattern, 80) + "\": the program has too many regular expressions");
        return error(ENOSPC);
    }
    registration_.regexes = std::move(changed);
    return HostCallResult::resume(*handle);
}

HostCallResult GuestCalls::regex_free(const HostCall& call, GuestMemory&) {
    if (regex(call.args[0]) == nullptr) {
        return error(EBADF);
    }
    auto changed = std::make_shared<RegexSet>(*registration_.regexes);
    changed->free(static_cast<std::uint32_t>(call.args[0]));
    registration_.regexes = std::move(changed);
    return HostCallResult::resume(0);
}

HostCallResult GuestCalls::regex_match(const HostCall& call, GuestMemory& memory) {
    const Regex* wanted = regex(call.args[0]);
    if (wanted == nullptr) {
        return error(EBADF);
    }
    if (call.args[2] > max_regex_subject) {
        return error(E2BIG);
    }
    const auto subject = memory.read_bytes(call.args[1], call.args[2]);
    if (!subject) {
        return error(EFAULT);
    }
    RegexMatch match(*wanted, subject->size(), call.deadline);
    const RegexMatch::Result result = match.find(*subject);
    return result == RegexMatch::Result::match ? HostCallResult::resume(static_cast<std::int64_t>(match.begin()))
                                               : regex_failed("sys_regex_match", *wanted, result);
}

HostCallResult GuestCalls::regex_subst(const HostCall& call, GuestMemory& memory) {
    const auto [handle, subject_at, replacement_at, out, room, flags] = call.args;
    const Regex* wanted = regex(handle);
    if (wanted == nullptr) {
        return error(EBADF);
    }
    const auto subject = memory.read_string(subject_at, max_regex_subject + 1);
    const auto replacement = memory.read_string(replacement_at, max_regex_subject + 1);
    if (!subject || !replacement) {
        // One of them is not readable, or has no end for so long.
        return error(memory.is_readable(subject_at, 1) && memory.is_readable(replacement_at, 1) ? E2BIG : EFAULT);
    }
    if (room == 0) {
        return error(ENOSPC);
    }
    const bool all = (flags & 1) != 0;
    RegexMatch match(*wanted, subject->size(), call.deadline);
    std::string text;
    const RegexMatch::Result result =
        match.substitute(*subject, *replacement, all, std::min<std::uint64_t>(room - 1, max_regex_subject), text);
    if (result != RegexMatch::Result::match) {
        return regex_failed("sys_regex_subst", *wanted, result);
    }
    const std::size_t size = text.size() + 1;  // with its zero
    return memory.write(out, text.c_str(), size) ? HostCallResult::resume(static_cast<std::int64_t>(size))
                                                 : error(EFAULT);
}

HostCallResult GuestCalls::regex_copyto(const HostCall& call, GuestMemory&) {
    const Regex* wanted = regex(call.args[0]);
    HeaderEdit* from = message(call.args[1]);
    HeaderEdit* to = message(call.args[2]);
    if (wanted == nullptr) {
        return error(EBADF);
    }
    if (from == nullptr || to == nullptr) {
        return error(EINVAL);
    }
    const std::vector<std::string> lines = from->lines();  // a copy: lines may be added to the same message
    std::size_t bytes = 0;
    for (const std::string& line : lines) {
        bytes += line.size();
    }
    RegexMatch match(*wanted, bytes, call.deadline);
    std::int64_t copied = 0;
    for (const std::string& line : lines) {
        const RegexMatch::Result result = match.find(line);
        if (result == RegexMatch::Result::no_match) {
            continue;
        }
        if (result != RegexMatch::Result::match) {
            return regex_failed("sys_regex_copyto", *wanted, result);
        }
        // Those that may not be set (Content-Length, ...) are left out.
        const long added = to->append(line);
        if (added == -ENOSPC) {
            return error(ENOSPC);
        }
        copied += added > 0 ? 1 : 0;
    }
    return HostCallResult::resume(copied);
}

}  // namespace tinykvm::host
