// SPDX-License-Identifier: BSD-2-Clause

package kvm

import (
	"syscall"
	"unsafe"
)

// struct curl_op
type rawFetch struct {
	status        uint32
	postLength    uint32
	post          *byte
	headers       *byte
	headersLength uint32
	_             uint32
	content       *byte
	contentLength uint32
	typeLength    uint32
	contentType   [128]byte
}

// struct curl_fields
const maxFetchFields = 12

type rawFetchFields struct {
	field  [maxFetchFields]*byte
	length [maxFetchFields]uint16
}

// struct curl_options
type rawFetchOptions struct {
	from     *byte
	_        *byte
	follow   int8
	headOnly int8
	fastOpen int8
	anyName  int8
	_        uint32
}

var (
	_ [176]byte = [unsafe.Sizeof(rawFetch{})]byte{}
	_ [48]byte  = [unsafe.Offsetof(rawFetch{}.contentType)]byte{}
	_ [120]byte = [unsafe.Sizeof(rawFetchFields{})]byte{}
	_ [24]byte  = [unsafe.Sizeof(rawFetchOptions{})]byte{}
)

// FetchOptions say how something is fetched. The zero value is a GET that follows redirects.
type FetchOptions struct {
	Header      []Field // at most 12
	Body        []byte  // of a POST
	ContentType string  // of the body
	NoRedirects bool
	HeadOnly    bool   // only status, content type and header
	AnyName     bool   // certificates for other names will do, where allowed_hosts allows that
	Interface   string // network interface or address to fetch from
}

// A FetchResponse is what came back, whatever its status.
type FetchResponse struct {
	Status      int
	ContentType string
	Header      string // status line and fields
	Body        []byte
}

// Fetch fetches a URL and waits for the response. One that begins with '/' is of Varnish itself; other hosts must be in
// the program's allowed_hosts. options may be nil. kvm_api.h says what the errors mean.
func Fetch(url string, options *FetchOptions) (*FetchResponse, error) {
	return fetch(callFetch, url, options)
}

// FetchSelf fetches from Varnish itself.
func FetchSelf(path string, options *FetchOptions) (*FetchResponse, error) {
	return fetch(callRequest, path, options)
}

func fetch(number uintptr, url string, options *FetchOptions) (*FetchResponse, error) {
	if options == nil {
		options = &FetchOptions{}
	}
	if len(options.Header) > maxFetchFields || len(options.ContentType) >= len(rawFetch{}.contentType) ||
		len(options.Body) > 1<<32-1 {
		return nil, syscall.EINVAL
	}
	raw, fields := new(rawFetch), new(rawFetchFields)
	settings := &rawFetchOptions{follow: int8(flag(!options.NoRedirects)), headOnly: int8(flag(options.HeadOnly)),
		anyName: int8(flag(options.AnyName))}
	if options.Interface != "" {
		settings.from = &append([]byte(options.Interface), 0)[0]
	}
	for i, field := range options.Header {
		line := field.line()
		if len(line) > 65535 {
			return nil, syscall.EINVAL
		}
		fields.field[i], fields.length[i] = &line[0], uint16(len(line))
	}
	if len(options.Body) > 0 {
		raw.post, raw.postLength = &options.Body[0], uint32(len(options.Body))
		raw.typeLength = uint32(copy(raw.contentType[:], options.ContentType))
	}
	address := []byte(url)
	if _, err := check(host(number, uintptr(at(address)), uintptr(len(address)), uintptr(unsafe.Pointer(raw)),
		uintptr(unsafe.Pointer(fields)), uintptr(unsafe.Pointer(settings)), 0)); err != nil {
		return nil, err
	}
	response := &FetchResponse{Status: int(raw.status), Header: string(take(raw.headers, raw.headersLength)),
		Body: take(raw.content, raw.contentLength)}
	response.ContentType = string(raw.contentType[:raw.typeLength])
	return response, nil
}

// take copies memory that the host has mapped, with a zero after it, and gives it back: also of an empty body there is
// that zero.
func take(data *byte, length uint32) []byte {
	if data == nil {
		return nil
	}
	copied := append([]byte(nil), bytesAt(data, uintptr(length))...)
	syscall.Syscall(syscall.SYS_MUNMAP, uintptr(unsafe.Pointer(data)), uintptr(length)+1, 0)
	return copied
}
