// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tdewolff/minify/v2"
)

// The kinds of documents, and the type of a document of which nothing else is known.
var contentTypes = map[string]string{
	"js":   "text/javascript",
	"css":  "text/css",
	"html": "text/html",
	"svg":  "image/svg+xml",
	"xml":  "application/xml",
	"json": "application/json",
}

var (
	script   = regexp.MustCompile(`^(text|application)/(x-)?(java|ecma)script$|^module$`)
	jsonType = regexp.MustCompile(`^(text|application)/json$|\+json$`)
	xmlType  = regexp.MustCompile(`^(text|application)/xml$|\+xml$`)
)

// kindOf says what a document of that type is; "" when no minifier is for it. XHTML is none of them: it is XML in which
// white space means what it means in HTML.
func kindOf(mediaType string) string {
	switch {
	case script.MatchString(mediaType):
		return "js"
	case mediaType == "text/css":
		return "css"
	case mediaType == "text/html":
		return "html"
	case mediaType == "image/svg+xml":
		return "svg"
	case mediaType == "application/xhtml+xml":
		return ""
	case xmlType.MatchString(mediaType):
		return "xml"
	case jsonType.MatchString(mediaType):
		return "json"
	}
	return ""
}

var byteOrderMark = []byte("\ufeff")

// minify is what the document, which is left as it is, becomes; or says why it cannot become anything.
func (o options) minify(contentType string, document []byte) ([]byte, error) {
	kind := o.kind
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	if kind == "auto" {
		if err != nil {
			return nil, fmt.Errorf("its Content-Type %q says nothing", contentType)
		}
		if kind = kindOf(mediaType); kind == "" {
			return nil, fmt.Errorf("nothing minifies %s", mediaType)
		}
	}
	switch charset := parameters["charset"]; strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return nil, fmt.Errorf("its charset is %s", charset)
	}
	if !utf8.Valid(document) {
		return nil, errors.New("it is not UTF-8")
	}
	text := bytes.TrimPrefix(document, byteOrderMark)
	result := bytes.NewBuffer(make([]byte, 0, len(document)+utf8.UTFMax))
	result.Write(document[:len(document)-len(text)])
	// A text with room for one byte is not copied again by the minifier.
	copied := append(make([]byte, 0, len(text)+1), text...)
	if err := o.minifier(kind)(o.library(), result, bytes.NewBuffer(copied), nil); err != nil {
		return nil, err
	}
	return result.Bytes(), nil
}

// library has the minifiers for what is embedded in documents. One that does not understand its piece leaves it alone,
// so that the rest of the document is minified nevertheless.
func (o options) library() *minify.M {
	library := minify.New()
	if o.embedded {
		library.AddFuncRegexp(script, tolerant(o.minifier("js")))
		library.AddFuncRegexp(jsonType, tolerant(o.minifier("json")))
		library.AddFunc(contentTypes["css"], tolerant(o.minifier("css")))
		library.AddFunc(contentTypes["svg"], tolerant(o.minifier("svg")))
	}
	return library
}

func tolerant(minifier minify.MinifierFunc) minify.MinifierFunc {
	return func(library *minify.M, w io.Writer, r io.Reader, parameters map[string]string) error {
		piece, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		var result bytes.Buffer
		copied := append(make([]byte, 0, len(piece)+1), piece...)
		if minifier(library, &result, bytes.NewBuffer(copied), parameters) == nil {
			piece = result.Bytes()
		}
		_, err = w.Write(piece)
		return err
	}
}

// minifier is the one for documents of that kind.
func (o options) minifier(kind string) minify.MinifierFunc {
	switch kind {
	case "js":
		return guarded(o.js.Minify)
	case "css":
		return guarded(o.css.Minify)
	case "html":
		return guarded(o.minifyHTML)
	case "svg":
		return guarded(checked(checkSVG, o.svg.Minify))
	case "xml":
		return guarded(checked(checkXML, o.xml.Minify))
	}
	return minifyJSON
}

var (
	doctype      = regexp.MustCompile(`(?is)^(?:\s|<!--.*?-->)*(<!doctype[^>]*>)`)
	standardMode = regexp.MustCompile(`(?i)^<!doctype\s+html\s*>$`)
)

// minifyHTML leaves a page in the mode in which browsers show it. The library makes every doctype that of HTML 5, and
// omits end tags that may only be omitted with it.
func (o options) minifyHTML(library *minify.M, w io.Writer, r io.Reader, parameters map[string]string) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	kept := doctype.FindSubmatch(text)
	if kept != nil && standardMode.Match(kept[1]) {
		return o.html.Minify(library, w, bytes.NewBuffer(text), parameters)
	}
	o.html.KeepEndTags = true
	if kept == nil {
		return o.html.Minify(library, w, bytes.NewBuffer(text), parameters)
	}
	// What is before the doctype is minified, too, if only to nothing.
	before, after := len(kept[0])-len(kept[1]), len(kept[0])
	if err := o.html.Minify(library, w, bytes.NewBuffer(text[:before:before]), parameters); err != nil {
		return err
	}
	if _, err := w.Write(kept[1]); err != nil {
		return err
	}
	return o.html.Minify(library, w, bytes.NewBuffer(text[after:]), parameters)
}

// guarded makes an error of a panic: documents are written by strangers.
func guarded(minifier minify.MinifierFunc) minify.MinifierFunc {
	return func(library *minify.M, w io.Writer, r io.Reader, parameters map[string]string) (err error) {
		defer func() {
			if reason := recover(); reason != nil {
				err = fmt.Errorf("the minifier failed: %v", reason)
			}
		}()
		return minifier(library, w, r, parameters)
	}
}

// checked looks at the text first: the library's minifiers for XML take any.
func checked(check func(text []byte) error, minifier minify.MinifierFunc) minify.MinifierFunc {
	return func(library *minify.M, w io.Writer, r io.Reader, parameters map[string]string) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := check(text); err != nil {
			return err
		}
		return minifier(library, w, bytes.NewBuffer(text), parameters)
	}
}

var spacePreserved = []byte("xml:space")

// checkXML says why XML is none, or is none to take white space from.
func checkXML(text []byte) error {
	if bytes.Contains(text, spacePreserved) {
		return errors.New("its xml:space keeps white space")
	}
	return walkXML(text, func(xml.Token, int) error { return nil })
}

// checkSVG does the same for pictures, in which only the white space of text shows. The minifier takes it from both ends
// of each piece of text, which is wrong where a word of the text is in an element of its own.
func checkSVG(text []byte) error {
	within := 0 // the depth of the text element that this is in; 0: in none
	blanks, elements := false, false
	return walkXML(text, func(token xml.Token, depth int) error {
		switch token := token.(type) {
		case xml.StartElement:
			if within != 0 {
				elements = true
			} else if token.Name.Local == "text" {
				within, blanks, elements = depth, bytes.Contains(text, spacePreserved), false
			}
		case xml.CharData:
			blanks = blanks || len(bytes.TrimSpace(token)) != len(token)
		case xml.EndElement:
			if depth == within {
				within = 0
			}
		}
		if within != 0 && blanks && (elements || bytes.Contains(text, spacePreserved)) {
			return errors.New("its text has white space that may show")
		}
		return nil
	})
}

// walkXML shows all tokens of a well-formed document to `look`, with the depth of the element that they are of, 1 for the
// root. An error of `look` is that of the walk.
func walkXML(text []byte, look func(token xml.Token, depth int) error) error {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	depth, roots := 0, 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				roots++
			}
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(token)) != 0 {
				return errors.New("it has text outside of its root element")
			}
		}
		if err := look(token, depth); err != nil {
			return err
		}
		if _, ends := token.(xml.EndElement); ends {
			depth--
		}
	}
	if roots != 1 {
		return fmt.Errorf("it has %d root elements", roots)
	}
	return nil
}

// minifyJSON takes white space away and leaves everything else as it is.
func minifyJSON(_ *minify.M, w io.Writer, r io.Reader, _ map[string]string) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var result bytes.Buffer
	if err := json.Compact(&result, text); err != nil {
		return err
	}
	_, err = w.Write(result.Bytes())
	return err
}
