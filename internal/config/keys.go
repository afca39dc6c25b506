package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

// A Kind is what a value is, and how it is written.
type Kind string

// The kinds there are.
const (
	KindText      Kind = "text"
	KindBoolean   Kind = "true, false"
	KindInteger   Kind = "number"
	KindNumber    Kind = "number, fractions too"
	KindDuration  Kind = "time"
	KindSize      Kind = "size"
	KindFile      Kind = "file"
	KindDirectory Kind = "directory"
	KindList      Kind = "list"            // of Item
	KindMap       Kind = "names and texts" // what the keys are, is free
	KindObject    Kind = "keys"            // of Keys
)

// A Key describes a setting: what help, docs/configuration.md and the JSON schema say of it. It is declared once, by a flag or by the
// tags of a field of [File].
type Key struct {
	Name     string // in the file, within what holds it: "pattern"; that of a flag is from the top: "history.count"
	Section  string // of the page; "" within another key
	Flag     string // "--history-count"; "" if it is in the file alone
	Variable string // "BARO_HISTORY_COUNT"; "" if it is in the file alone
	Kind     Kind
	Default  string   // as a file has it; "" for none
	Example  string   // as a file has it; "" if the default is one
	Meaning  string   // Markdown
	OneOf    []string // the values there are; nil for others
	Required bool
	Secret   bool  // it is not shown
	Reloads  bool  // a reload gives the running server the value of the file
	Item     *Key  // of a list
	Keys     []Key // of an object
}

// A Variable is what is in the environment alone. With _FILE after its name it names a file that has the value.
type Variable struct{ Name, Meaning string }

// Variables are the secrets of the environment.
func Variables() []Variable {
	return []Variable{
		{tokenSecret, "a secret that verifies tokens, beside those of `auth.keys`"},
		{webhookSecret, "what signs webhooks that have no secret of their own; several with white space between them"},
		{clusterSecret, "what the nodes of a cluster know each other by"},
		{natsPassword, "the password of `nats_user`"},
		{redisPassword, "the password for Redis"},
		{sentinelPassword, "the password for the sentinels of Redis, if they want one"},
	}
}

const (
	tokenSecret   = "BARO_TOKEN_SECRET"
	webhookSecret = "BARO_WEBHOOK_SECRET"

	clusterSecret    = "BARO_CLUSTER_SECRET"
	natsPassword     = "BARO_NATS_PASSWORD"
	redisPassword    = "BARO_REDIS_PASSWORD"
	sentinelPassword = "BARO_REDIS_SENTINEL_PASSWORD"
)

// Keys are all settings, in the order of the page.
func Keys() []Key {
	var c Config
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.Flags(flags)
	var keys []Key
	flags.VisitAll(func(f *pflag.Flag) {
		k := flagKey(f)
		if k.Section == "" && len(keys) > 0 { // what was declared without one belongs to what is before it
			k.Section = keys[len(keys)-1].Section
		}
		keys = append(keys, k)
	})
	for _, k := range fieldKeys(reflect.TypeFor[File](), false) {
		k.Section, k.Variable = k.Name, variable(k.Name)
		if k.Kind == KindFile { // what the key before it says, in a file
			k.Section = keys[len(keys)-1].Section
		}
		keys = append(keys, k)
	}
	return keys
}

// variable is the variable of a flag, or of a key of the file.
func variable(name string) string {
	return "BARO_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

func flagKey(f *pflag.Flag) Key {
	value, usage := pflag.UnquoteUsage(f)
	k := Key{
		Name: strings.ReplaceAll(f.Name, "-", "_"), Flag: "--" + f.Name, Variable: variable(f.Name),
		Kind: KindText, Default: f.DefValue, Meaning: usage, OneOf: f.Annotations[noteOneOf], Reloads: f.Annotations[noteReloads] != nil,
		Secret: f.Annotations[noteSecret] != nil,
	}
	if group, rest, ok := strings.Cut(f.Name, "-"); ok && slices.Contains(groups, group) {
		k.Name = group + "." + strings.ReplaceAll(rest, "-", "_")
	}
	k.Section, k.Example = strings.Join(f.Annotations[noteSection], ""), strings.Join(f.Annotations[noteExample], "")
	_, isList := f.Value.(pflag.SliceValue)
	switch kind := f.Value.Type(); {
	case isList:
		k.Kind, k.Item = KindList, &Key{Kind: KindText}
		k.Default = strings.TrimSuffix(k.Default, "[]")
	case value == "file":
		k.Kind = KindFile
	case value == "directory":
		k.Kind = KindDirectory
	case kind == "bool":
		k.Kind = KindBoolean
	case kind == "int" || kind == "int64":
		k.Kind = KindInteger
	case kind == "float64":
		k.Kind = KindNumber
	case kind == "duration":
		k.Kind = KindDuration
	case kind == "size":
		k.Kind = KindSize
	}
	if (k.Kind == KindText || k.Kind == KindFile || k.Kind == KindDirectory) && k.Default != "" {
		k.Default = quote(k.Default)
	}
	return k
}

// fieldKeys are the keys of a struct.
func fieldKeys(t reflect.Type, reloads bool) []Key {
	var keys []Key
	for f := range t.Fields() {
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		k := typeKey(f.Type, reloads || f.Tag.Get("reload") == "true")
		k.Name, k.Meaning = name, f.Tag.Get("doc")
		k.Default, k.Example = f.Tag.Get("default"), f.Tag.Get("example")
		k.Required, k.Secret = f.Tag.Get("required") == "true", f.Tag.Get("secret") == "true"
		keys = append(keys, k)
	}
	return keys
}

func typeKey(t reflect.Type, reloads bool) Key {
	k := Key{Kind: KindText, Reloads: reloads}
	switch t {
	case reflect.TypeFor[path]():
		k.Kind = KindFile
		return k
	case reflect.TypeFor[duration]():
		k.Kind = KindDuration
		return k
	case reflect.TypeFor[size]():
		k.Kind = KindSize
		return k
	case reflect.TypeFor[pattern]():
		return k
	case reflect.TypeFor[who]():
		k.OneOf = []string{string(clients.Anyone), string(clients.Users), string(clients.Token), string(clients.Nobody)}
		return k
	case reflect.TypeFor[scope]():
		for _, s := range auth.Scopes() {
			k.OneOf = append(k.OneOf, string(s))
		}
		return k
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeKey(t.Elem(), reloads)
	case reflect.Struct:
		k.Kind, k.Keys = KindObject, fieldKeys(t, reloads)
	case reflect.Slice:
		item := typeKey(t.Elem(), reloads)
		k.Kind, k.Item = KindList, &item
	case reflect.Map:
		k.Kind = KindMap
	case reflect.Bool:
		k.Kind = KindBoolean
	case reflect.Int, reflect.Int64:
		k.Kind = KindInteger
	case reflect.Float64:
		k.Kind = KindNumber
	case reflect.String:
	default:
		panic(fmt.Sprintf("config: no value of a file is a %v", t))
	}
	return k
}
