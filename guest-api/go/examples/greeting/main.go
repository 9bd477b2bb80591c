// SPDX-License-Identifier: BSD-2-Clause

// What the Go wrapper looks like: tests/vtc/wrapper_go.vtc says what it answers.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"tinykvm/kvm"
)

var digits, copied *kvm.Regex

// Work for goroutines, begun by main() and waiting for requests.
var jobs, results = make(chan int), make(chan int)

func square() {
	for job := range jobs {
		results <- job * job
	}
}

func answer(request *kvm.Request) kvm.Response {
	kvm.Logf("asked for %s", request.URL)
	if request.Method == "POST" {
		return kvm.Response{Status: 201, ContentType: request.ContentType, Body: bytes.ToUpper(request.Body)}
	}
	switch {
	case request.URL == "/fail":
		panic("as asked for")
	case request.URL == "/headers":
		count, _ := copied.Copy(kvm.BackendRequest, kvm.BackendResponse)
		kvm.BackendResponse.Append("X-Gone", "soon")
		kvm.BackendResponse.Unset("X-Gone")
		asked, _, _ := kvm.BackendRequest.Find("X-Asked")
		kvm.BackendResponse.Set("X-Seen", asked)
		return kvm.Text(200, fmt.Sprint(count, " ", request.Field("x-asked")))
	case strings.HasPrefix(request.URL, "/digits"):
		position, _ := digits.Find([]byte(request.URL))
		replaced, _ := digits.Replace(request.URL, `<\0>`, true, 256)
		return kvm.Text(200, fmt.Sprint(replaced, " ", position))
	case request.URL == "/squares":
		go func() {
			for i := 1; i <= 10; i++ {
				jobs <- i
			}
		}()
		sum := 0
		for i := 0; i < 10; i++ {
			sum += <-results
		}
		return kvm.Text(200, fmt.Sprint(sum))
	case request.URL == "/sleep":
		begin := time.Now()
		time.Sleep(20 * time.Millisecond)
		return kvm.Text(200, fmt.Sprint(time.Since(begin) >= 20*time.Millisecond))
	case request.URL == "/count":
		return kvm.Text(200, fmt.Sprint(atomic.AddUint64(kvm.SharedUint64(1), 1)))
	case strings.HasPrefix(request.URL, "/fetch"):
		fetched, err := kvm.FetchSelf("/page", &kvm.FetchOptions{Header: []kvm.Field{{Name: "X-From", Value: "go"}}})
		if err != nil {
			return kvm.Text(503, err.Error())
		}
		return kvm.Text(fetched.Status, fetched.ContentType+" "+string(fetched.Body))
	}
	return kvm.Response{
		Status:      200,
		ContentType: "text/plain",
		Header:      []kvm.Field{{Name: "X-Language", Value: "Go"}},
		Body:        []byte("Hello, " + request.Argument + "! 1"),
		Cache:       &kvm.Cache{TTL: 30 * time.Second, Grace: 5 * time.Second},
	}
}

func excuse(request *kvm.Request, what string) kvm.Response {
	return kvm.Text(203, request.URL+" "+what)
}

func main() {
	if !kvm.InSandbox() {
		fmt.Println("a program for the sandbox")
		os.Exit(0)
	}
	digits, _ = kvm.CompileRegex("[0-9]+")
	copied, _ = kvm.CompileRegex("^X-Copy")
	for i := 0; i < 4; i++ {
		go square()
	}
	kvm.OnRequest(answer)
	kvm.OnError(excuse)
	kvm.Serve()
}
