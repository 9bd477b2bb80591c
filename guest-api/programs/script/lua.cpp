// SPDX-License-Identifier: BSD-2-Clause
// Answers requests with a script in Lua 5.4: docs/scripts.md. The library is the one that is compiled as C++, so that
// its errors are exceptions and no destructor is left out.
#ifdef LUA_HAS_CXX_NAMES
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#else
#include <lua.hpp>
#endif

#include "script.hpp"

namespace {

std::string_view text_at(lua_State* lua, int index) {
    std::size_t length = 0;
    const char* text = lua_tolstring(lua, index, &length);
    return {text, length};
}

void push(lua_State* lua, std::string_view text) { lua_pushlstring(lua, text.data(), text.size()); }

void set_field(lua_State* lua, const char* name, std::string_view value) {
    push(lua, value);
    lua_setfield(lua, -2, name);
}

// log(VALUE...): a line in the log of the request.
int log_line(lua_State* lua) {
    std::string line;
    for (int i = 1; i <= lua_gettop(lua); i++) {
        std::size_t length = 0;
        const char* text = luaL_tolstring(lua, i, &length);
        line.append(i == 1 ? "" : "\t").append(text, length);
        lua_pop(lua, 1);
    }
    script::log(line);
    return 0;
}

// Values are read without metamethods, so that nothing of the script runs here.
class Lua : public script::Engine {
  public:
    Lua() : lua_(luaL_newstate()) {
        if (lua_ == nullptr) throw script::Error("There is not enough memory.");
    }
    ~Lua() override { lua_close(lua_); }
    Lua(const Lua&) = delete;
    Lua& operator=(const Lua&) = delete;

    const char* name() const override { return "lua"; }

    void load(const std::string& file, const std::string& text, const std::vector<std::string>& arguments) override {
        luaL_openlibs(lua_);
        lua_register(lua_, "log", log_line);
        lua_createtable(lua_, static_cast<int>(arguments.size()), 1);
        push(lua_, file);
        lua_rawseti(lua_, -2, 0);
        for (std::size_t i = 0; i < arguments.size(); i++) {
            push(lua_, arguments[i]);
            lua_rawseti(lua_, -2, static_cast<lua_Integer>(i) + 1);
        }
        lua_setglobal(lua_, "arg");
        lua_getglobal(lua_, "math");
        lua_getfield(lua_, -1, "randomseed");
        randomseed_ = luaL_ref(lua_, LUA_REGISTRYINDEX);
        check(luaL_loadbufferx(lua_, text.data(), text.size(), ("@" + file).c_str(), "t"));
        check(lua_pcall(lua_, 0, 0, 0));
        if (lua_getglobal(lua_, "handle") != LUA_TFUNCTION) script::refuse_script(file);
        handle_ = luaL_ref(lua_, LUA_REGISTRYINDEX);
        lua_settop(lua_, 0);
        lua_gc(lua_, LUA_GCCOLLECT);  // what the script left is nothing for requests to collect
    }

    script::Answer answer(const kvm::Request& request) override {
        seed(request);
        lua_rawgeti(lua_, LUA_REGISTRYINDEX, handle_);
        push_request(request);
        check(lua_pcall(lua_, 1, 1, 0));
        script::Answer answer;
        if (lua_type(lua_, -1) == LUA_TSTRING) {
            answer.body = text_at(lua_, -1);
        } else if (lua_istable(lua_, -1)) {
            for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) take(answer);
        } else {
            throw script::Error(std::string("handle() returned ") + luaL_typename(lua_, -1) +
                                " instead of a string or a table");
        }
        lua_pop(lua_, 1);
        return answer;
    }

  private:
    // Of what failed, the message is on the stack. It says file and line by itself.
    void check(int status) {
        if (status == LUA_OK) return;
        if (lua_isstring(lua_, -1)) throw script::Error(std::string(text_at(lua_, -1)));
        throw script::Error(std::string("The script threw ") + luaL_typename(lua_, -1) + " instead of a message");
    }

    // All requests begin with the numbers that the frozen program would have drawn next.
    void seed(const kvm::Request& request) {
        lua_rawgeti(lua_, LUA_REGISTRYINDEX, randomseed_);
        for (const std::uint64_t word : request.random()) lua_pushinteger(lua_, static_cast<lua_Integer>(word));
        check(lua_pcall(lua_, 2, 0, 0));
    }

    void push_request(const kvm::Request& request) {
        lua_createtable(lua_, 0, 6);
        set_field(lua_, "method", request.method());
        set_field(lua_, "url", request.url());
        set_field(lua_, "argument", request.argument());
        set_field(lua_, "type", request.content_type());
        set_field(lua_, "body", request.text());
        lua_newtable(lua_);
        for (const auto& [name, value] : script::headers_of(request)) {
            push(lua_, name);
            push(lua_, value);
            lua_rawset(lua_, -3);
        }
        lua_setfield(lua_, -2, "headers");
    }

    // The key of an answer below its value, which is on top of the stack.
    void take(script::Answer& answer) {
        if (lua_type(lua_, -2) != LUA_TSTRING)
            throw script::Error("handle() returned a table with a key that is no string");
        const std::string_view key = text_at(lua_, -2);
        if (key == "status") {
            if (lua_type(lua_, -1) != LUA_TNUMBER) script::refuse_value(key, "a number");
            answer.status = script::checked_status(lua_tonumber(lua_, -1));
        } else if (key == "type") {
            answer.type = string_of(key);
        } else if (key == "body") {
            answer.body = string_of(key);
        } else if (key == "headers") {
            if (!lua_istable(lua_, -1)) script::refuse_value(key, "a table");
            for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) take_header(answer);
        } else {
            script::refuse_key(key);
        }
    }

    // A header has a value, or a list of them.
    void take_header(script::Answer& answer) {
        if (lua_type(lua_, -2) != LUA_TSTRING) script::refuse_value("headers", "a table of names and values");
        const std::string name(text_at(lua_, -2));
        if (!lua_istable(lua_, -1)) {
            answer.headers.emplace_back(name, string_of("headers." + name));
            return;
        }
        for (lua_Integer i = 1; lua_rawgeti(lua_, -1, i) != LUA_TNIL; i++) {
            answer.headers.emplace_back(name, string_of("headers." + name));
            lua_pop(lua_, 1);
        }
        lua_pop(lua_, 1);
    }

    std::string string_of(std::string_view key) {
        if (lua_type(lua_, -1) == LUA_TNUMBER) {
            lua_pushvalue(lua_, -1);  // the conversion is done in place
            std::string text(text_at(lua_, -1));
            lua_pop(lua_, 1);
            return text;
        }
        if (lua_type(lua_, -1) != LUA_TSTRING) script::refuse_value(key, "a string");
        return std::string(text_at(lua_, -1));
    }

    lua_State* lua_;
    int handle_ = LUA_NOREF, randomseed_ = LUA_NOREF;
};

}  // namespace

int main(int argc, char** argv) {
    Lua lua;
    return script::run(lua, argc, argv);
}
