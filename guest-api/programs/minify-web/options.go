// SPDX-License-Identifier: BSD-2-Clause

package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/html"
	"github.com/tdewolff/minify/v2/js"
	"github.com/tdewolff/minify/v2/svg"
	"github.com/tdewolff/minify/v2/xml"
)

// options say what is made of documents.
type options struct {
	kind     string // of the document: a key of contentTypes, or "auto"
	js       js.Minifier
	css      css.Minifier
	html     html.Minifier
	svg      svg.Minifier
	xml      xml.Minifier
	embedded bool // are scripts, styles and pictures in pages minified, too?
}

// The library's own choice removes blanks between text and tags from XML, which are part of the text of many documents.
var standard = options{
	kind:     "auto",
	xml:      xml.Minifier{KeepWhitespace: true},
	embedded: true,
}

func init() { *conditionalComments(&standard.html) = true }

// with is what remains of the options when `argument`, a JSON object or nothing, counts more.
func (o options) with(argument string) (options, error) {
	if argument == "" {
		return o, nil
	}
	kinds := []string{"auto"}
	for kind := range contentTypes {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	err := take("", json.RawMessage(argument), keys{
		"type": oneOf(&o.kind, kinds),
		"js": object(keys{
			"keep_names": truth(&o.js.KeepVarNames),
			"version":    o.setVersion,
			"precision":  precision(&o.js.Precision),
		}),
		"css": object(keys{"precision": precision(&o.css.Precision)}),
		"html": object(keys{
			"keep_comments":             truth(&o.html.KeepComments),
			"keep_conditional_comments": truth(conditionalComments(&o.html)),
			"keep_default_attributes":   truth(&o.html.KeepDefaultAttrVals),
			"keep_document_tags":        truth(&o.html.KeepDocumentTags),
			"keep_end_tags":             truth(&o.html.KeepEndTags),
			"keep_quotes":               truth(&o.html.KeepQuotes),
			"keep_whitespace":           truth(&o.html.KeepWhitespace),
			"embedded":                  truth(&o.embedded),
		}),
		"svg": object(keys{
			"keep_comments": truth(&o.svg.KeepComments),
			"precision":     precision(&o.svg.Precision),
		}),
		"xml": object(keys{"keep_whitespace": truth(&o.xml.KeepWhitespace)}),
	})
	return o, err
}

// conditionalComments is what newer versions of the library keep together with directives of servers.
func conditionalComments(minifier *html.Minifier) *bool {
	fields := reflect.ValueOf(minifier).Elem()
	field := fields.FieldByName("KeepSpecialComments")
	if !field.IsValid() {
		field = fields.FieldByName("KeepConditionalComments")
	}
	return field.Addr().Interface().(*bool)
}

// setVersion says of which year the newest syntax may be that is used where the script did not use it. Older versions of
// the library only know one such thing, the operator ?? of 2020.
func (o *options) setVersion(key string, value json.RawMessage) error {
	year := 0
	if err := integer(&year, 0, 2100)(key, value); err != nil {
		return err
	}
	fields := reflect.ValueOf(&o.js).Elem()
	if version := fields.FieldByName("Version"); version.IsValid() {
		version.SetInt(int64(year))
	} else {
		fields.FieldByName("NoNullishOperator").SetBool(year != 0 && year < 2020)
	}
	return nil
}

// keys are the names that an object may have, each with what takes its value.
type keys map[string]func(key string, value json.RawMessage) error

func wrong(key, what string) error { return fmt.Errorf("Configuration: %q %s.", key, what) }

// take gives the values in `text` to their keys. `path` is what the object is called, "" for the whole argument.
func take(path string, text json.RawMessage, known keys) error {
	var values map[string]json.RawMessage
	if json.Unmarshal(text, &values) != nil || values == nil {
		if path == "" {
			return fmt.Errorf("The configuration is not a JSON object.")
		}
		return wrong(path, "must be an object")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names) // the same mistake is the same message each time
	for _, name := range names {
		key := strings.TrimPrefix(path+"."+name, ".")
		function := known[name]
		if function == nil {
			return wrong(key, "is not a known key")
		}
		if err := function(key, values[name]); err != nil {
			return err
		}
	}
	return nil
}

func object(known keys) func(string, json.RawMessage) error {
	return func(key string, value json.RawMessage) error { return take(key, value, known) }
}

func truth(target *bool) func(string, json.RawMessage) error {
	return func(key string, value json.RawMessage) error {
		switch string(value) {
		case "true", "false":
			*target = string(value) == "true"
			return nil
		}
		return wrong(key, "must be true or false")
	}
}

func integer(target *int, least, most int) func(string, json.RawMessage) error {
	return func(key string, value json.RawMessage) error {
		number := 0
		if string(value) == "null" || json.Unmarshal(value, &number) != nil || number < least || number > most {
			return wrong(key, fmt.Sprintf("must be an integer from %d to %d", least, most))
		}
		*target = number
		return nil
	}
}

// precision is a number of significant digits; 0: all of them.
func precision(target *int) func(string, json.RawMessage) error { return integer(target, 0, 15) }

func oneOf(target *string, names []string) func(string, json.RawMessage) error {
	return func(key string, value json.RawMessage) error {
		text := ""
		if json.Unmarshal(value, &text) == nil {
			for _, name := range names {
				if text == name {
					*target = name
					return nil
				}
			}
		}
		return wrong(key, "must be one of "+strings.Join(names, ", "))
	}
}
