// SPDX-License-Identifier: BSD-2-Clause

// Package kvm is kvm_api.h for Go: programs that serve requests in a tinykvm sandbox. It needs no cgo and nothing but
// the standard library.
//
//	func main() {
//		kvm.OnRequest(func(request *kvm.Request) kvm.Response {
//			return kvm.Text(200, "Hello from "+request.URL)
//		})
//		kvm.Serve()
//	}
//
// main() runs once. From Serve() on every request runs its handler in its own copy of the waiting program, goroutines
// included, and what it changes is gone when it ends. There is one processor: goroutines take turns. A panic that is not
// recovered ends the request, and the error handler gets it.
//
// Calls of this package are made by one goroutine at a time.
package kvm

import (
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// Numbers of calls.
const (
	callRegisterFunc          = 0x10000
	callWaitForRequests       = 0x10001
	callWaitForRequestsPaused = 0x10002
	callSetCacheable          = 0x10005
	callBackendResponse       = 0x10010
	callBeginStreaming        = 0x10012
	callHTTPAppend            = 0x10020
	callHTTPSet               = 0x10021
	callHTTPFind              = 0x10022
	callHTTPMethod            = 0x10023
	callRegexCompile          = 0x10030
	callRegexFree             = 0x10031
	callRegexMatch            = 0x10032
	callRegexSubst            = 0x10033
	callRegexCopy             = 0x10035
	callSharedMemoryArea      = 0x10700
	callMakeEphemeral         = 0x10703
	callMemoryInfo            = 0x10A00
	callFetch                 = 0x20000
	callRequest               = 0x20001
	callLog                   = 0x7F000
)

// In call_amd64.s.
func call(number, a, b, c, d, e, f uintptr) (value, second uintptr)
func leave(number, a, b, c, d, e, f uintptr)
func giveBack(value, second uintptr)
func callbackAddress(which uintptr) uintptr

// Places there, and what the host calls; not to be called from here.
func called()
func left()
func goOn()
func enter()
func getCallback()
func pieceCallback()
func streamCallback()
func errorCallback()

// What the host called while Go waits in leave() or giveBack().
const (
	nothingCalled = iota // the call came back
	getCalled            // there is a request without a body
	pieceCalled          // a piece of a body has come
	streamCalled         // a piece of the answer is wanted
	errorCalled          // a request failed
)

const hostStackSize = 4096

var (
	entered          uintptr    // one of these
	entry            [6]uintptr // its arguments
	goStack, goFrame uintptr    // where Go goes on
	hostFrame        uintptr    // where the host goes on, on the stack of leave()
	hostStack        [hostStackSize]byte
)

// host raises a call. Memory that arguments point to is on the heap meanwhile, where the host finds it.
//
//go:uintptrescapes
//go:noinline
func host(number, a, b, c, d, e, f uintptr) int {
	value, _ := call(number, a, b, c, d, e, f)
	return int(value)
}

// check makes an error of a negative value.
func check(value int) (int, error) {
	if value < 0 {
		return 0, syscall.Errno(-value)
	}
	return value, nil
}

// at is where the bytes are; nil when there are none.
func at(bytes []byte) unsafe.Pointer {
	if len(bytes) == 0 {
		return nil
	}
	return unsafe.Pointer(&bytes[0])
}

func flag(value bool) uintptr {
	if value {
		return 1
	}
	return 0
}

// InSandbox says whether the program runs in a sandbox. Elsewhere the calls of this package end in a fault.
func InSandbox() bool { return os.Getenv("KVM_NAME") != "" }

var (
	onRequest func(*Request) Response
	onStream  func(*Request, io.Reader) Response
	onError   func(*Request, string) Response
	waiting   rawRequest
	answer    sentResponse // stays where it is until the next request: Varnish reads it later
)

// OnRequest registers the handler that answers every request.
func OnRequest(handler func(*Request) Response) { onRequest = handler }

// OnStream registers a handler for requests with a body, which it reads in pieces while it arrives: a body of any length
// needs no more memory. It reads on its own goroutine, and may answer at any time. Requests without a body go to the handler
// of OnRequest. Requests have no Header and no Body then; Field asks Varnish.
func OnStream(handler func(request *Request, body io.Reader) Response) { onStream = handler }

// OnError registers a handler that gets a second chance when a request failed: it runs in a fresh copy of the program,
// has one second, and is told what happened.
func OnError(handler func(request *Request, what string) Response) { onError = handler }

// Numbers of callbacks, for register_func.
const (
	getCallbackNumber   = 1
	pieceCallbackNumber = 4
	errorCallbackNumber = 5
)

// Serve is the end of main(): the program is complete and frozen here.
func Serve() {
	if onError != nil {
		host(callRegisterFunc, errorCallbackNumber, callbackAddress(errorCalled), 0, 0, 0, 0)
	}
	if onStream != nil {
		serveStreams()
	}
	runtime.GC() // what main() left is nothing for requests to collect
	for {
		leave(callWaitForRequestsPaused, uintptr(unsafe.Pointer(&waiting)), 0, 0, 0, 0, 0)
		if entered == errorCalled {
			send(answerError())
		} else {
			send(onRequest(newRequest(&waiting)))
		}
	}
}

// answerError answers a request that failed, of which entry tells.
func answerError() Response {
	return onError(newRequest((*rawRequest)(atAddress(entry[3]))), text((*byte)(atAddress(entry[2]))))
}

// atAddress is a pointer to memory that is not Go's, as the host gave it.
func atAddress(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// MakeEphemeral decides whether the VM is made equal to what main() left after each request. Only with
// "control_ephemeral": true.
func MakeEphemeral(ephemeral bool) error {
	_, err := check(host(callMakeEphemeral, flag(ephemeral), 0, 0, 0, 0, 0))
	return err
}
