// C++: streams, exceptions through several frames, thread_local, static construction and destruction,
// containers.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Noisy {
    explicit Noisy(const char* name) : name(name) { std::cout << name << " begins\n"; }
    ~Noisy() { std::cout << name << " ends\n"; }
    const char* name;
};

Noisy global("global");
thread_local Noisy own("own to the thread");
thread_local int counter = 41;

[[gnu::noinline]] int deep(int depth) {
    Noisy frame("frame");
    if (depth == 0) throw std::out_of_range("the bottom");
    return deep(depth - 1) + 1;
}

}  // namespace

int main() {
    std::cout << own.name << " " << ++counter << "\n";
    try {
        deep(3);
    } catch (const std::logic_error& error) {
        std::cout << "caught " << error.what() << "\n";
    }
    try {
        try {
            throw std::runtime_error("inner");
        } catch (...) {
            std::throw_with_nested(std::runtime_error("outer"));
        }
    } catch (const std::exception& error) {
        std::cout << error.what();
        try {
            std::rethrow_if_nested(error);
        } catch (const std::exception& nested) {
            std::cout << " <- " << nested.what() << "\n";
        }
    }
    try {
        static_cast<void>(std::vector<int>().at(5));
    } catch (const std::exception& error) {
        std::cout << error.what() << "\n";
    }
    try {
        // volatile: or the compiler leaves the allocation out
        volatile std::size_t much = std::size_t{1} << 62;
        std::unique_ptr<char[]> p(new char[much]);
    } catch (const std::bad_alloc& error) {
        std::cout << error.what() << "\n";
    }
    std::map<std::string, int> words;
    std::istringstream text("the quick brown fox jumps over the lazy dog the end");
    for (std::string word; text >> word;) ++words[word];
    for (const auto& [word, count] : words) std::cout << word << " " << count << "; ";
    std::cout << "\n";
    std::mt19937 generator(1);
    std::vector<unsigned> numbers(5);
    std::generate(numbers.begin(), numbers.end(), generator);
    std::sort(numbers.begin(), numbers.end());
    for (unsigned number : numbers) std::cout << number << " ";
    std::cout << "\n" << std::regex_replace(std::string("a1b22c333"), std::regex("[0-9]+"), "#") << "\n";
    std::cerr << "to the error stream\n";
    return 3;
}
