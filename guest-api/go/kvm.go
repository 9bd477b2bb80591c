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
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// Numbers of calls.
const (
	callRegisterFunc          = 0x10000
	callWaitForRequestsPaused = 0x10002
	callBackendResponse       = 0x10010
	callHTTPAppend            = 0x10020
	callHTTPSet               = 0x10021
	callHTTPFind              = 0x10022
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
func wait(number uintptr, request *rawRequest) (failed uintptr)
func failedAddress() uintptr

// Places in call and wait, and what the host calls; not to be called from here.
func called()
func waited()
func failed()

// What the host calls after a failure leaves here, and where it goes on.
var (
	waitingStack, waitingFrame uintptr
	failure                    *byte
	failedRequest              *rawRequest
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
	onError   func(*Request, string) Response
	waiting   rawRequest
	answer    sentResponse // stays where it is until the next request: Varnish reads it later
)

// OnRequest registers the handler that answers every request.
func OnRequest(handler func(*Request) Response) { onRequest = handler }

// OnError registers a handler that gets a second chance when a request failed: it runs in a fresh copy of the program,
// has one second, and is told what happened.
func OnError(handler func(request *Request, what string) Response) {
	onError = handler
	const onErrorCallback = 5
	host(callRegisterFunc, onErrorCallback, failedAddress(), 0, 0, 0, 0)
}

// Serve is the end of main(): the program is complete and frozen here.
func Serve() {
	runtime.GC() // what main() left is nothing for requests to collect
	for {
		if wait(callWaitForRequestsPaused, &waiting) != 0 {
			request := newRequest(failedRequest)
			send(onError(request, text(failure)))
		} else {
			send(onRequest(newRequest(&waiting)))
		}
	}
}

// MakeEphemeral decides whether the VM is made equal to what main() left after each request. Only with
// "control_ephemeral": true.
func MakeEphemeral(ephemeral bool) error {
	_, err := check(host(callMakeEphemeral, flag(ephemeral), 0, 0, 0, 0, 0))
	return err
}
