package openapi

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const documentURL = "file:///openapi.json"

// document is the OpenAPI document. The schemas of OpenAPI 3.1 are JSON Schema of 2020-12, which a library checks; the rest of
// it is little: paths, operations, parameters of the query, media types and statuses.
type document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
}

// readDocument compiles every schema that there is.
func readDocument(t *testing.T, text string) *document {
	t.Helper()
	root, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(documentURL, root); err != nil {
		t.Fatal(err)
	}
	d := &document{root.(map[string]any), c}
	if version, _ := d.root["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		t.Errorf("it is OpenAPI %q", version)
	}
	for _, pointer := range schemas("", root) {
		if _, err := c.Compile(documentURL + "#" + pointer); err != nil {
			t.Errorf("%s: %v", pointer, err)
		}
	}
	return d
}

// schemas finds the places where there is one.
func schemas(at string, node any) (all []string) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			below := at + "/" + escape(key)
			if key == "schema" || strings.HasSuffix(at, "/components/schemas") || at == "/components/schemas" {
				all = append(all, below)
				continue
			}
			all = append(all, schemas(below, value)...)
		}
	case []any:
		for i, value := range node {
			all = append(all, schemas(fmt.Sprint(at, "/", i), value)...)
		}
	}
	return all
}

func escape(key string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
}

// find goes down from a place by keys, and follows references.
func (d *document) find(at string, node any, keys ...string) (string, any) {
	for {
		m, ok := node.(map[string]any)
		if !ok {
			return at, node
		}
		if ref, isRef := m["$ref"].(string); isRef && len(keys) > 0 {
			at, node = "", any(d.root)
			for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
				at, node = at+"/"+escape(part), node.(map[string]any)[part]
			}
			continue
		}
		if len(keys) == 0 {
			return at, node
		}
		at, node, keys = at+"/"+escape(keys[0]), m[keys[0]], keys[1:]
	}
}

// validate checks a value against the schema at a place.
func (d *document) validate(pointer string, value any) error {
	s, err := d.compiler.Compile(documentURL + "#" + pointer)
	if err != nil {
		return err
	}
	return s.Validate(value)
}

func (d *document) validateBody(at string, node any, mediaType string, body []byte) error {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	at, schema := d.find(at, node, "content", mediaType, "schema")
	if schema == nil {
		return fmt.Errorf("no body of the type %q", mediaType)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return d.validate(at, value)
}

// request checks a request.
func (d *document) request(r *http.Request, path string, body []byte) error {
	at, operation := d.find("", d.root, "paths", path, strings.ToLower(r.Method))
	if operation == nil {
		return fmt.Errorf("there is no operation %s %s", r.Method, path)
	}
	given := r.URL.Query()
	known := map[string]bool{}
	list, _ := operation.(map[string]any)["parameters"].([]any)
	for i := range list {
		_, p := d.find(fmt.Sprint(at, "/parameters/", i), list[i], "name")
		name, _ := p.(string)
		_, in := d.find(at, list[i], "in")
		_, required := d.find(at, list[i], "required")
		if in != "query" {
			continue
		}
		known[name] = true
		if required == true && !given.Has(name) {
			return fmt.Errorf("the parameter %q is missing", name)
		}
		if !given.Has(name) {
			continue
		}
		place, schema := d.find(fmt.Sprint(at, "/parameters/", i), list[i], "schema")
		var value any = given.Get(name)
		if kind, _ := schema.(map[string]any)["type"].(string); kind == "integer" || kind == "boolean" {
			var err error
			if value, err = jsonschema.UnmarshalJSON(strings.NewReader(given.Get(name))); err != nil {
				return fmt.Errorf("the parameter %q: %w", name, err)
			}
		}
		if err := d.validate(place, value); err != nil {
			return fmt.Errorf("the parameter %q: %w", name, err)
		}
	}
	for name := range given {
		if !known[name] {
			return fmt.Errorf("there is no parameter %q", name)
		}
	}
	place, wanted := d.find(at, operation, "requestBody")
	if wanted == nil {
		if len(body) > 0 {
			return fmt.Errorf("the operation has no body")
		}
		return nil
	}
	return d.validateBody(place, wanted, r.Header.Get("Content-Type"), body)
}

// response checks an answer.
func (d *document) response(method, path string, status int, header http.Header, body []byte) error {
	for _, key := range []string{fmt.Sprint(status), "default"} {
		at, response := d.find("", d.root, "paths", path, strings.ToLower(method), "responses", key)
		if response == nil {
			continue
		}
		at, content := d.find(at, response, "content")
		if content == nil {
			if len(body) > 0 {
				return fmt.Errorf("the status %d has no body", status)
			}
			return nil
		}
		return d.validateBody(strings.TrimSuffix(at, "/content"), map[string]any{"content": content}, header.Get("Content-Type"), body)
	}
	return fmt.Errorf("there is no status %d", status)
}
