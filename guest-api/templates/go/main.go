// Says hello, and gives a POSTed text back in capitals.
package main

import (
	"bytes"
	"fmt"

	"tinykvm/kvm"
)

const greeting = "Hello"

// Each request is answered in its own copy of what main() left. What is changed here is gone with the request.
func answer(request *kvm.Request) kvm.Response {
	if len(request.Body) > 0 {
		return kvm.Response{Status: 200, ContentType: "text/plain", Body: bytes.ToUpper(request.Body)}
	}
	return kvm.Text(200, fmt.Sprintf("%s, %s!\n", greeting, request.Argument))
}

func main() {
	if !kvm.InSandbox() {
		fmt.Printf("%s, Linux!\n", greeting)
		return
	}
	// What all requests need is done here, once: files read, tables computed, networks loaded.
	kvm.OnRequest(answer)
	kvm.Serve()
}
