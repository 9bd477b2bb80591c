// SPDX-License-Identifier: BSD-2-Clause

// minify-web makes POSTed JavaScript, CSS, HTML, SVG, XML and JSON smaller, with the minifiers of
// github.com/tdewolff/minify. docs/minify.md explains it. What it does not understand, and any document on which it
// fails, is given back as it came, with the header "X-Minified: no".
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tinykvm/kvm"
)

const usage = `minify-web [OPTIONS [FILE]] >RESULT

Makes a document smaller: FILE, or standard input. OPTIONS is a JSON object, of which all keys may be missing:
  "type"  "auto" (by Content-Type; here by the name of FILE), "js", "css", "html", "svg", "xml" or "json"
  "js"    {"keep_names": false, "version": 0, "precision": 0}
  "css"   {"precision": 0}
  "html"  {"keep_comments": false, "keep_conditional_comments": true, "keep_default_attributes": false,
           "keep_document_tags": false, "keep_end_tags": false, "keep_quotes": false, "keep_whitespace": false,
           "embedded": true}
  "svg"   {"keep_comments": false, "precision": 0}
  "xml"   {"keep_whitespace": true}
The exit status is 1 when the result is the document as it came, and 2 when an argument is wrong.
`

// What all requests begin with, as the program's argument says.
var defaults options

func answer(request *kvm.Request) kvm.Response {
	chosen, err := defaults.with(request.Argument)
	if err != nil {
		kvm.Log(err.Error())
		return kvm.Text(400, err.Error()+"\n")
	}
	if len(request.Body) == 0 && (request.Method == "GET" || request.Method == "HEAD") {
		response := kvm.Text(405, "POST a document, or put a program that gives one before this one with chain().\n")
		response.Header = []kvm.Field{{Name: "Allow", Value: "POST"}}
		return response
	}
	if encoding := contentEncoding(request); encoding != "" {
		kvm.Log("document unchanged: it has a Content-Encoding")
		return original(request)
	}
	result, err := chosen.minify(request.ContentType, request.Body)
	if err != nil {
		kvm.Log("document unchanged: " + err.Error())
		return original(request)
	}
	contentType := request.ContentType
	if contentType == "" {
		contentType = contentTypes[chosen.kind]
	}
	return kvm.Response{Status: 200, ContentType: contentType, Body: result}
}

// contentEncoding is that of the document; "" when the document is what it looks like.
func contentEncoding(request *kvm.Request) string {
	encoding := request.Field("Content-Encoding")
	if strings.EqualFold(encoding, "identity") {
		return ""
	}
	return encoding
}

// original is the document as it came, and says so. What was said of its form is still true.
func original(request *kvm.Request) kvm.Response {
	response := kvm.Response{Status: 200, ContentType: request.ContentType, Body: request.Body,
		Header: []kvm.Field{{Name: "X-Minified", Value: "no"}}}
	if encoding := contentEncoding(request); encoding != "" {
		response.Header = append(response.Header, kvm.Field{Name: "Content-Encoding", Value: encoding})
	}
	return response
}

func runOnLinux(arguments []string) int {
	input, name := os.Stdin, ""
	if len(arguments) > 1 {
		name = arguments[1]
		file, err := os.Open(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "minify-web:", err)
			return 2
		}
		input = file
	}
	document, err := io.ReadAll(input)
	if err != nil {
		fmt.Fprintln(os.Stderr, "minify-web:", err)
		return 2
	}
	status := 0
	result, err := defaults.minify(contentTypes[strings.TrimPrefix(filepath.Ext(name), ".")], document)
	if err != nil {
		fmt.Fprintln(os.Stderr, "minify-web: document unchanged:", err)
		result, status = document, 1
	}
	if _, err := os.Stdout.Write(result); err != nil {
		fmt.Fprintln(os.Stderr, "minify-web:", err)
		return 2
	}
	return status
}

// warmUp runs each minifier once, so that what they build on their first use is there when the program is frozen.
func warmUp() error {
	for kind, example := range examples {
		warm := defaults
		warm.kind = kind
		if _, err := warm.minify("", []byte(example)); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

var examples = map[string]string{
	"js":   "const shorten = (text, length = 3) => { /* of text */ return text?.slice(0, length) ?? `none ${length}`; };",
	"css":  "a:hover, p > b { color: #ff0000; margin: 0px 0px; background: url('a.png') } @media print { a { top: 1.0em } }",
	"html": "<!DOCTYPE html><p class=\"a\">One <b>two</b> <style>a { top: 0px }</style><script>var a = 1;</script>",
	"svg":  "<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M 10 10 L 20.0 20.0 z\" style=\"fill: #ff0000\"/></svg>",
	"xml":  "<?xml version=\"1.0\"?><a b = \"c\"> <d/> </a>",
	"json": "{ \"a\": [ 1, 2.5, \"b\" ] }",
}

func main() {
	arguments := os.Args[1:]
	if len(arguments) > 0 {
		if arguments[0] == "--help" || arguments[0] == "-h" {
			fmt.Print(usage)
			return
		}
		var err error
		if defaults, err = standard.with(arguments[0]); err != nil {
			fmt.Fprintln(os.Stderr, "minify-web:", err)
			os.Exit(2)
		}
	} else {
		defaults = standard
	}
	if !kvm.InSandbox() {
		os.Exit(runOnLinux(arguments))
	}
	if err := warmUp(); err != nil {
		fmt.Fprintln(os.Stderr, "minify-web:", err)
		os.Exit(1)
	}
	kvm.OnRequest(answer)
	kvm.OnError(func(request *kvm.Request, _ string) kvm.Response { return original(request) })
	kvm.Serve()
}
