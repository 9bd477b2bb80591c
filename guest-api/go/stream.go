// SPDX-License-Identifier: BSD-2-Clause

package kvm

import (
	"io"
	"runtime"
	"time"
	"unsafe"
)

// serveStreams is Serve for programs that take bodies in pieces. The host calls back on the thread that waits, so the
// goroutine stays there.
func serveStreams() {
	runtime.LockOSThread()
	host(callRegisterFunc, getCallbackNumber, callbackAddress(getCalled), 0, 0, 0, 0)
	host(callRegisterFunc, pieceCallbackNumber, callbackAddress(pieceCalled), 0, 0, 0, 0)
	runtime.GC()
	for { // each send() ends with the next request of a program that is not ephemeral
		switch entered {
		case getCalled:
			send(onRequest(newStreamedRequest()))
		case pieceCalled:
			request := newStreamedRequest()
			request.ContentType = text((*byte)(atAddress(entry[2])))
			body := new(arrivingBody)
			body.take()
			send(onStream(request, body))
		case errorCalled:
			send(answerError())
		case nothingCalled:
			leave(callWaitForRequests, 0, 0, 0, 0, 0, 0)
		}
	}
}

func newStreamedRequest() *Request {
	method := make([]byte, 64)
	length, _ := check(host(callHTTPMethod, uintptr(at(method)), uintptr(len(method)), 0, 0, 0, 0))
	return &Request{
		Method:   string(method[:length]),
		URL:      text((*byte)(atAddress(entry[0]))),
		Argument: text((*byte)(atAddress(entry[1]))),
		streamed: true,
	}
}

// arrivingBody is a body of which the host has given a piece.
type arrivingBody struct {
	rest  []byte // of the piece, where the host put it
	size  int    // of the whole piece
	ended bool
}

func (body *arrivingBody) take() {
	body.rest = bytesAt((*byte)(atAddress(entry[3])), entry[4])
	body.size, body.ended = len(body.rest), len(body.rest) == 0
}

func (body *arrivingBody) Read(to []byte) (int, error) {
	if len(to) == 0 {
		return 0, nil
	}
	if len(body.rest) == 0 && !body.ended {
		giveBack(uintptr(body.size), 0)
		body.take()
	}
	if body.ended {
		return 0, io.EOF
	}
	count := copy(to, body.rest)
	body.rest = body.rest[count:]
	return count, nil
}

var streamed [65536]byte // the piece that the host reads

// stream sends what can be read from response.Stream.
func stream(response Response) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, field := range response.Header {
		BackendResponse.Append(field.Name, field.Value)
	}
	if cache := response.Cache; cache != nil {
		host(callSetCacheable, 1, milliseconds(cache.TTL), milliseconds(cache.Grace), milliseconds(cache.Keep), 0, 0)
	}
	length := ^uintptr(0)
	if response.Length > 0 {
		length = uintptr(response.Length)
	}
	answer = sentResponse{contentType: []byte(response.ContentType)}
	leave(callBeginStreaming, response.status(), uintptr(at(answer.contentType)), uintptr(len(answer.contentType)),
		length, callbackAddress(streamCalled), 0)
	for entered == streamCalled {
		const notReadable = 1 // of this length at address 0
		room := len(streamed)
		if most := int(entry[1]); most < room {
			room = most
		}
		count, err := readSome(response.Stream, streamed[:room])
		switch {
		case count > 0:
			giveBack(uintptr(unsafe.Pointer(&streamed)), uintptr(count))
		case err == io.EOF:
			giveBack(0, 0)
		default:
			Logf("the response ends early: %v", err)
			giveBack(0, notReadable)
		}
	}
}

// readSome reads at least one byte, or says why there is none.
func readSome(from io.Reader, to []byte) (int, error) {
	const patience = 100
	for i := 0; i < patience; i++ {
		if count, err := from.Read(to); count > 0 || err != nil {
			return count, err
		}
	}
	return 0, io.ErrNoProgress
}

func milliseconds(duration time.Duration) uintptr {
	if duration < 0 {
		return 0
	}
	return uintptr(duration.Milliseconds())
}
