// SPDX-License-Identifier: BSD-2-Clause

package kvm

import (
	"io"
	"time"
	"unsafe"
)

// struct ResponseHeader
type rawLine struct {
	line   *byte
	length uintptr
}

// struct BackendResponseExtra
type rawExtra struct {
	headers          *rawLine
	headerCount      uint16
	cached           bool
	ttl, grace, keep float32
	_                [4]uint64
}

var (
	_ [16]byte = [unsafe.Sizeof(rawLine{})]byte{}
	_ [56]byte = [unsafe.Sizeof(rawExtra{})]byte{}
)

// A Response: what a handler answers.
type Response struct {
	Status      int // 200 to 599
	ContentType string
	Header      []Field // at most 64
	Body        []byte
	Cache       *Cache // nil: as VCL says

	// In place of Body: what is read from it while Varnish takes it, until io.EOF; an error ends the response early. What one
	// Read gives, of up to 64 KiB, is on its way before the next one. It runs on the goroutine of the handler, and may make
	// log, memory, regex and fetch calls.
	Stream io.Reader
	Length int64 // bytes of Stream; 0: so many as come
}

// Cache lets Varnish store a response.
type Cache struct{ TTL, Grace, Keep time.Duration }

// Text is a response of plain text.
func Text(status int, body string) Response {
	return Response{Status: status, ContentType: "text/plain", Body: []byte(body)}
}

type sentResponse struct {
	contentType, body []byte
	lines             [][]byte
	raw               []rawLine
	extra             rawExtra
}

func seconds(duration time.Duration) float32 { return float32(duration.Seconds()) }

// send ends the request. It comes back only in programs that are not ephemeral.
func send(response Response) {
	if response.Stream != nil {
		stream(response)
		return
	}
	answer = sentResponse{contentType: []byte(response.ContentType), body: response.Body}
	for _, field := range response.Header {
		line := field.line()
		answer.lines = append(answer.lines, line)
		answer.raw = append(answer.raw, rawLine{&line[0], uintptr(len(line))})
	}
	if len(answer.raw) > 0 {
		answer.extra.headers = &answer.raw[0]
	}
	answer.extra.headerCount = uint16(len(answer.raw))
	if cache := response.Cache; cache != nil {
		answer.extra.cached = true
		answer.extra.ttl, answer.extra.grace, answer.extra.keep = seconds(cache.TTL), seconds(cache.Grace), seconds(cache.Keep)
	}
	leave(callBackendResponse, response.status(), uintptr(at(answer.contentType)), uintptr(len(answer.contentType)),
		uintptr(at(answer.body)), uintptr(len(answer.body)), uintptr(unsafe.Pointer(&answer.extra)))
}

// status is what the host, which looks at 16 bits, understands; or refuses.
func (response *Response) status() uintptr {
	if response.Status < 0 || response.Status > 999 {
		return 0
	}
	return uintptr(response.Status)
}

func (field Field) line() []byte { return []byte(field.Name + ": " + field.Value) }
