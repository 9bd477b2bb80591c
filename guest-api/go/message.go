// SPDX-License-Identifier: BSD-2-Clause

package kvm

import "unsafe"

// A Message in Varnish, whose header a request reads and changes. Each call leaves the sandbox once.
type Message uintptr

const (
	BackendRequest  Message = 0 // bereq
	BackendResponse Message = 1 // beresp
)

// Find is the value of the first field of that name, in any case. False: there is none.
func (message Message) Find(name string) (string, bool, error) {
	key := []byte(name)
	const longest = 8192
	out := make([]byte, longest)
	length, err := check(host(callHTTPFind, uintptr(message), uintptr(at(key)), uintptr(len(key)), uintptr(at(out)),
		uintptr(len(out)), 0))
	if err != nil || length == 0 {
		return "", false, err
	}
	return newField(string(out[:length])).Value, true, nil
}

// Append adds a field.
func (message Message) Append(name, value string) error {
	return message.change(callHTTPAppend, Field{name, value}.line())
}

// Set puts a field in place of all of that name.
func (message Message) Set(name, value string) error {
	return message.change(callHTTPSet, Field{name, value}.line())
}

// Unset removes all fields of that name.
func (message Message) Unset(name string) error { return message.change(callHTTPSet, []byte(name)) }

func (message Message) change(number uintptr, line []byte) error {
	_, err := check(host(number, uintptr(message), uintptr(at(line)), uintptr(len(line)), 0, 0, 0))
	return err
}

// A Regex is compiled and matched by the host. What main() compiles costs requests nothing.
type Regex struct{ handle uintptr }

// CompileRegex compiles a pattern of PCRE2. The log says what is wrong with it.
func CompileRegex(pattern string) (*Regex, error) {
	bytes := []byte(pattern)
	handle, err := check(host(callRegexCompile, uintptr(at(bytes)), uintptr(len(bytes)), 0, 0, 0, 0))
	if err != nil {
		return nil, err
	}
	return &Regex{uintptr(handle)}, nil
}

// Find is where in text, of at most 1 MiB, the first match begins; -1: nowhere.
func (regex *Regex) Find(text []byte) (int, error) {
	position := host(callRegexMatch, regex.handle, uintptr(at(text)), uintptr(len(text)), 0, 0, 0)
	if position == -1 {
		return -1, nil
	}
	return check(position)
}

// Replace is text with the first match, or all of them, replaced: \0 stands for the match, \1 to \9 for its groups. At
// most `room` bytes.
func (regex *Regex) Replace(text, replacement string, all bool, room int) (string, error) {
	from, by, out := []byte(text+"\x00"), []byte(replacement+"\x00"), make([]byte, room+1)
	size, err := check(host(callRegexSubst, regex.handle, uintptr(at(from)), uintptr(at(by)), uintptr(at(out)),
		uintptr(len(out)), flag(all)))
	if err != nil {
		return "", err
	}
	return string(out[:size-1]), nil
}

// Copy adds the fields of a message that match ("Name: value") to another one; returns how many.
func (regex *Regex) Copy(from, to Message) (int, error) {
	return check(host(callRegexCopy, regex.handle, uintptr(from), uintptr(to), 0, 0, 0))
}

// Free gives the expression up.
func (regex *Regex) Free() error {
	_, err := check(host(callRegexFree, regex.handle, 0, 0, 0, 0, 0))
	return err
}

// MemoryInfo says limits and use, in bytes.
type MemoryInfo struct {
	MaxMemory        uint64 // most the program may have while it boots
	MaxRequestMemory uint64 // most a request may change or add
	MostChanged      uint64 // the most this VM's requests changed or added so far
	Changed          uint64 // what this request changed or added
}

// Memory asks the host.
func Memory() (MemoryInfo, error) {
	var info MemoryInfo
	_, err := check(host(callMemoryInfo, uintptr(unsafe.Pointer(&info)), 0, 0, 0, 0, 0))
	return info, err
}
