package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// Schema is a JSON Schema, of 2020-12, of the configuration file, for editors: what [Config.Load] takes, it takes.
func Schema() []byte {
	root := map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "The configuration of baro serve",
		"type":                 []string{"object", "null"},
		"additionalProperties": false,
	}
	properties := map[string]any{}
	for _, k := range Keys() {
		group, name, ok := strings.Cut(k.Name, ".")
		if !ok {
			properties[k.Name] = k.schema()
			continue
		}
		if properties[group] == nil {
			properties[group] = object(map[string]any{}, nil)
		}
		properties[group].(map[string]any)["properties"].(map[string]any)[name] = k.schema()
	}
	root["properties"] = properties
	var w bytes.Buffer
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // it is made of texts, lists and maps
	}
	return w.Bytes()
}

func object(properties map[string]any, required []string) map[string]any {
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// schema is what a value may be. A file may have every scalar with quotes and, where a text is wanted, without.
func (k *Key) schema() map[string]any {
	s := map[string]any{}
	switch k.Kind {
	case KindBoolean:
		s["enum"] = []any{true, false, "true", "false"}
	case KindInteger:
		s["type"], s["pattern"] = []string{"integer", "string"}, `^[+-]?[0-9][0-9a-fA-FxXoO_]*$`
	case KindNumber:
		s["type"], s["pattern"] = []string{"number", "string"}, `^[+-]?([0-9_.eE+-]+|[iI]nf(inity)?|0[xX][0-9a-fA-F_.pP+-]+)$`
	case KindDuration:
		s["anyOf"] = []any{map[string]any{"type": "string", "pattern": `^[+-]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`}, map[string]any{"const": 0}}
	case KindSize:
		s["type"], s["pattern"] = []string{"integer", "string"}, `^[+-]?[0-9]+\s*(KiB|MiB|GiB)?$`
	case KindList:
		s["type"], s["items"] = "array", k.Item.schema()
	case KindMap:
		s["type"], s["additionalProperties"] = "object", map[string]any{"type": scalar()}
	case KindObject:
		properties, required := map[string]any{}, []string(nil)
		for _, below := range k.Keys {
			properties[below.Name] = below.schema()
			if below.Required {
				required = append(required, below.Name)
			}
		}
		s = object(properties, required)
	default:
		s["type"] = scalar()
	}
	if len(k.OneOf) > 0 {
		s = map[string]any{"enum": k.OneOf}
	}
	if k.Meaning != "" {
		s["description"] = k.describe()
	}
	if k.Default != "" {
		s["default"] = fromYAML(k.Default)
	}
	if k.Example != "" {
		s["examples"] = []any{fromYAML(k.Example)}
	}
	return s
}

func (k *Key) describe() string {
	d := capital(withoutLinks(k.Meaning)) + "."
	if k.Flag != "" {
		d += fmt.Sprintf(" Flag %s, variable %s.", k.Flag, k.Variable)
	}
	return d
}

func scalar() []string { return []string{"string", "number", "boolean"} }

func fromYAML(text string) (v any) {
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		panic(fmt.Sprintf("config: %q is no YAML: %v", text, err))
	}
	return v
}
