// SPDX-License-Identifier: BSD-2-Clause

// Bodies in pieces, of requests and of responses: tests/vtc/wrapper_go.vtc says what it answers.
package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"tinykvm/kvm"
)

// numbers are the lines from 1 to last, made when they are read.
type numbers struct{ next, last int }

func (n *numbers) Read(to []byte) (int, error) {
	piece := to[:0]
	for n.next < n.last && len(to)-len(piece) > len("9223372036854775807\n") {
		n.next++
		piece = append(strconv.AppendInt(piece, int64(n.next), 10), '\n')
	}
	if len(piece) == 0 {
		return 0, io.EOF
	}
	return len(piece), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("as asked for") }

// The recursion makes Go move the stack of its goroutine.
func depth(n int) int {
	var room [1024]byte
	if n == 0 {
		return int(room[0])
	}
	return 1 + depth(n-1)
}

// deep reads with a large stack, and while other goroutines run.
type deep struct{ from io.Reader }

func (d deep) Read(to []byte) (int, error) {
	done := make(chan int)
	go func() { done <- depth(200) }()
	if depth(1000) != 1000 || <-done != 200 {
		return 0, errors.New("the stack is wrong")
	}
	time.Sleep(time.Millisecond)
	return d.from.Read(to)
}

// What has no body.
func answer(request *kvm.Request) kvm.Response {
	last, _ := strconv.Atoi(request.Argument)
	response := kvm.Response{Status: 200, ContentType: "text/numbers", Stream: &numbers{last: last},
		Header: []kvm.Field{{Name: "X-Method", Value: request.Method}, {Name: "X-Asked", Value: request.Field("x-asked")}},
		Cache:  &kvm.Cache{TTL: 30 * time.Second, Grace: 5 * time.Second}}
	switch request.URL {
	case "/known":
		response.Stream, response.Length = io.LimitReader(bufio.NewReader(response.Stream), 1000), 1000
	case "/broken":
		response.Stream = io.MultiReader(response.Stream, broken{})
	case "/deep":
		response.Stream = deep{response.Stream}
	case "/fail":
		panic("as asked for")
	case "/text":
		return kvm.Text(200, "no pieces")
	}
	return response
}

// What has one.
func take(request *kvm.Request, body io.Reader) kvm.Response {
	switch request.URL {
	case "/lines", "/deep":
		if request.URL == "/deep" {
			body = deep{body}
		}
		lines, longest := 0, 0
		scanner := bufio.NewScanner(body)
		for scanner.Scan() {
			lines++
			if length := len(scanner.Text()); length > longest {
				longest = length
			}
		}
		return kvm.Text(200, fmt.Sprint(request.Method, " ", request.ContentType, " ", lines, " ", longest, " ", scanner.Err()))
	case "/unpack":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return kvm.Text(422, err.Error())
		}
		count, err := io.Copy(io.Discard, unpacked)
		return kvm.Text(200, fmt.Sprint(count, " ", err))
	case "/first":
		word := make([]byte, 5)
		io.ReadFull(body, word)
		return kvm.Text(413, string(word))
	case "/fail":
		io.CopyN(io.Discard, body, 1000000)
		panic("as asked for")
	}
	return kvm.Text(404, "")
}

func excuse(request *kvm.Request, what string) kvm.Response {
	return kvm.Text(203, request.URL+" "+strings.SplitN(what, ":", 2)[0])
}

func main() {
	kvm.OnRequest(answer)
	kvm.OnStream(take)
	kvm.OnError(excuse)
	kvm.Serve()
}
