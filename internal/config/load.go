package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/spf13/pflag"

	"baro.dev/internal/auth"
)

// groups are the words that are a key of the file of their own: history-count is count, in history.
var groups = []string{"acme", "history", "log", "tls", "trace"}

// Load reads the configuration file, "" for none, into what flags left as it was by default; and then what the environment says, by
// lookup, which is [os.LookupEnv], of secrets and of what is no flag. Flags are those that [Config.Flags] declared, parsed, with
// the environment's values set by [Environment]. The error joins every [*MistakeError].
func (c *Config) Load(name string, flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	c.origins = map[string]Origin{}
	setDefaults(reflect.ValueOf(&c.file).Elem())
	if name != "" {
		text, err := readBounded(name)
		if err != nil {
			return fmt.Errorf("the configuration: %w", err)
		}
		d := &decoder{file: name, dir: filepath.Dir(name), origins: c.origins}
		if root := d.parse(text); root != nil {
			d.root(root, &c.file, flags)
		}
		if err := errors.Join(d.mistakes...); err != nil {
			return err
		}
	}
	if err := c.loadVariables(lookup); err != nil {
		return err
	}
	for _, r := range c.file.Channels {
		c.Server.Rules = append(c.Server.Rules, r.rule())
	}
	if c.file.Auth != nil {
		c.Server.Auth = c.file.Auth.config()
	}
	if err := c.loadAPIKeys(); err != nil {
		return err
	}
	if err := c.loadTokenSecret(lookup); err != nil {
		return err
	}
	if err := c.loadClusterSecrets(lookup); err != nil {
		return err
	}
	var err error
	if c.Server.Webhooks, err = c.loadWebhooks(lookup); err != nil && name != "" {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// Reload reads the configuration file again into a Config of its own, with the flags, and the environment, as they were for
// [Config.Load].
func Reload(name string, flags *pflag.FlagSet, lookup func(string) (string, bool)) (*Config, error) {
	c, fresh := &Config{}, pflag.NewFlagSet("", pflag.ContinueOnError)
	c.Flags(fresh)
	var errs []error
	fresh.VisitAll(func(f *pflag.Flag) {
		given := flags.Lookup(f.Name)
		if given == nil || !given.Changed {
			return
		}
		if list, ok := given.Value.(pflag.SliceValue); ok {
			errs = append(errs, f.Value.(pflag.SliceValue).Replace(list.GetSlice()))
		} else {
			errs = append(errs, f.Value.Set(given.Value.String()))
		}
		f.Changed, f.Annotations = true, given.Annotations
	})
	return c, errors.Join(append(errs, c.Load(name, fresh, lookup))...)
}

// root puts the file into its own struct, and into the flags.
func (d *decoder) root(n ast.Node, f *File, flags *pflag.FlagSet) {
	v := reflect.ValueOf(f).Elem()
	known := append(fieldsOf(v.Type()), keysOf(flags)...)
	d.mapping(n, "", known, func(key string, value ast.Node, at string) bool {
		if field := fieldOf(v, key); field.IsValid() {
			d.value(value, at, field)
			return true
		}
		if !slices.Contains(known, key) {
			return false
		}
		if !slices.Contains(groups, key) {
			d.flag(value, at, flags.Lookup(flagName("", key)))
			return true
		}
		d.mapping(value, at, keysIn(flags, key), func(k string, value ast.Node, at string) bool {
			flag := flags.Lookup(flagName(key, k))
			if flag == nil || !slices.Contains(keysIn(flags, key), k) {
				return false
			}
			d.flag(value, at, flag)
			return true
		})
		return true
	})
}

// notInFile are flags that say what to do, not how.
func notInFile(name string) bool { return name == "help" || name == "config" }

func flagName(group, key string) string {
	if group != "" {
		key = group + "_" + key
	}
	return strings.ReplaceAll(key, "_", "-")
}

// keysOf are the keys of the flags in the file; those of a group are one.
func keysOf(flags *pflag.FlagSet) []string {
	var keys []string
	flags.VisitAll(func(f *pflag.Flag) {
		key := f.Name
		if group, _, _ := strings.Cut(f.Name, "-"); slices.Contains(groups, group) {
			key = group
		}
		key = strings.ReplaceAll(key, "-", "_")
		if !notInFile(f.Name) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	})
	return keys
}

// keysIn are the keys of a group.
func keysIn(flags *pflag.FlagSet, group string) []string {
	var keys []string
	flags.VisitAll(func(f *pflag.Flag) {
		if key, ok := strings.CutPrefix(f.Name, group+"-"); ok {
			keys = append(keys, strings.ReplaceAll(key, "-", "_"))
		}
	})
	return keys
}

// flag gives a flag the value of the file, unless it was given another one.
func (d *decoder) flag(n ast.Node, at string, f *pflag.Flag) {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		var values []string
		before := len(d.mistakes)
		d.value(n, at, reflect.ValueOf(&values).Elem())
		if len(d.mistakes) == before && !f.Changed {
			if err := list.Replace(values); err != nil {
				d.fail(n, at, err)
			}
		}
		return
	}
	d.scalar(n, at, func(s string) error {
		name, _ := pflag.UnquoteUsage(f)
		oneOf := f.Annotations[noteOneOf]
		switch {
		case oneOf != nil && !slices.Contains(oneOf, s):
			return fmt.Errorf("%q: it must be %s", s, anyOf(oneOf))
		case name == "file" || name == "directory":
			s = d.absolute(s)
		case f.Value.Type() == "bool" && s != "true" && s != "false":
			return fmt.Errorf("%q: it must be true or false", s)
		}
		if f.Changed {
			return nil
		}
		return reason(s, f.Value.Set(s))
	})
}

// anyOf is a list as people write it.
func anyOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (c *Config) loadAPIKeys() (err error) {
	f := &c.file
	switch {
	case f.APIKeys != nil && f.APIKeysFile != "":
		return errors.New("the configuration: api_keys and api_keys_file: there can be one of them")
	case f.APIKeys != nil:
		var list []auth.APIKey
		for i := range f.APIKeys {
			list = append(list, f.APIKeys[i].key())
		}
		c.Server.Keys, err = auth.NewKeys(list)
	case f.APIKeysFile != "":
		c.Server.Keys, err = auth.ReadKeys(string(f.APIKeysFile))
	}
	return err
}
