// SPDX-License-Identifier: BSD-2-Clause

package kvm

import (
	"strings"
	"unsafe"
)

// struct kvm_request_header
type rawField struct {
	field  *byte
	colon  uint32
	length uint32
}

// struct kvm_request
type rawRequest struct {
	method, url, argument, contentType                         *byte
	methodLength, urlLength, argumentLength, contentTypeLength uint16
	content                                                    *byte
	contentLength                                              uintptr
	headers                                                    *rawField
	headerCount, flags                                         uint16
	_                                                          uint32
	random                                                     [2]uint64
	_                                                          [2]uint64
}

var (
	_ [16]byte  = [unsafe.Sizeof(rawField{})]byte{}
	_ [104]byte = [unsafe.Sizeof(rawRequest{})]byte{}
	_ [72]byte  = [unsafe.Offsetof(rawRequest{}.random)]byte{}
)

// A Field of a message's header.
type Field struct{ Name, Value string }

// A Request lives until it is answered.
type Request struct {
	Method, URL string
	Argument    string // what VCL passed besides the URL
	ContentType string
	Header      []Field
	Body        []byte    // where the host put it; it may be changed in place
	Random      [2]uint64 // new for every request
	Warmup      bool      // is it one of those made to warm the program up?

	streamed bool // Varnish has its header
}

// Field is the value of the first header field of that name, in any case; "" when there is none.
func (request *Request) Field(name string) string {
	if request.streamed {
		value, _, _ := BackendRequest.Find(name)
		return value
	}
	for _, field := range request.Header {
		if strings.EqualFold(field.Name, name) {
			return field.Value
		}
	}
	return ""
}

// The host laid requests out as their lengths say.
func bytesAt(data *byte, length uintptr) []byte {
	if data == nil || length == 0 {
		return nil
	}
	return unsafe.Slice(data, length)
}

func stringAt(data *byte, length uint16) string { return string(bytesAt(data, uintptr(length))) }

// text is a string that ends with a zero.
func text(data *byte) string {
	if data == nil {
		return ""
	}
	length := uintptr(0)
	for *(*byte)(unsafe.Add(unsafe.Pointer(data), length)) != 0 {
		length++
	}
	return string(bytesAt(data, length))
}

func newRequest(raw *rawRequest) *Request {
	request := &Request{
		Method:      stringAt(raw.method, raw.methodLength),
		URL:         stringAt(raw.url, raw.urlLength),
		Argument:    stringAt(raw.argument, raw.argumentLength),
		ContentType: stringAt(raw.contentType, raw.contentTypeLength),
		Body:        bytesAt(raw.content, raw.contentLength),
		Random:      raw.random,
		Warmup:      raw.flags&1 != 0,
	}
	if raw.headerCount > 0 {
		request.Header = make([]Field, 0, raw.headerCount)
		for _, one := range unsafe.Slice(raw.headers, raw.headerCount) {
			request.Header = append(request.Header, newField(string(bytesAt(one.field, uintptr(one.length)))))
		}
	}
	return request
}

func newField(line string) Field {
	name, value, _ := strings.Cut(line, ":")
	return Field{name, strings.Trim(value, " \t")}
}
