package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"baro.dev/internal/auth"
)

// Environment sets the flags that were not given from their variables. The error joins those of all variables.
func Environment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		value, ok := lookup(name)
		if !ok || f.Changed || f.Name == "help" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s in the environment: %w", name, explain(f, value, err)))
			return
		}
		setting{f}.note(noteVariable, name)
	})
	return errors.Join(errs...)
}

// Given reports whether a flag was given on the command line, and not by its variable.
func Given(f *pflag.Flag) bool { return f.Changed && f.Annotations[noteVariable] == nil }

// explain says what is wrong with the value of a flag, and not which flag it is.
func explain(f *pflag.Flag, value string, err error) error {
	cause := err
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		cause = invalid.Unwrap()
	}
	switch _, isNumber := errors.AsType[*strconv.NumError](cause); {
	case f.Value.Type() == "bool":
		return fmt.Errorf("%q: it must be true or false", value)
	case isNumber:
		return reason(value, cause)
	}
	return cause
}

// loadVariables puts what is no flag into the file's place: a variable has, as YAML or JSON, what the file has beneath its key.
func (c *Config) loadVariables(lookup func(string) (string, bool)) error {
	var errs []error
	v := reflect.ValueOf(&c.file).Elem()
	for f, field := range v.Fields() {
		key := f.Tag.Get("yaml")
		name := variable(key)
		if field.Type() == reflect.TypeFor[path]() {
			continue // it is the _FILE of another
		}
		text, file, err := fromVariable(name, lookup)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d := &decoder{file: name, variable: name, origins: c.origins}
		if file != "" {
			d.file, d.dir, d.variable = file, filepath.Dir(file), name+"_FILE"
		}
		root := d.parse([]byte(text))
		if root != nil {
			field.SetZero()
			if key == "api_keys" {
				c.file.APIKeysFile = ""
				delete(c.origins, "api_keys_file")
			}
			maps.DeleteFunc(c.origins, func(at string, _ Origin) bool {
				return at == key || strings.HasPrefix(at, key+".") || strings.HasPrefix(at, key+"[")
			})
			d.value(root, key, field)
		}
		errs = append(errs, d.mistakes...)
	}
	return errors.Join(errs...)
}

// loadTokenSecret takes the secret of tokens from the environment.
func (c *Config) loadTokenSecret(lookup func(string) (string, bool)) error {
	secret, err := c.secretOf(tokenSecret, lookup)
	if err != nil || secret == "" {
		return err
	}
	key, err := auth.SecretKey([]byte(secret))
	if err != nil {
		return fmt.Errorf(tokenSecret+": %w", err)
	}
	if c.Server.Auth == nil {
		c.Server.Auth = &auth.Config{}
	}
	c.Server.Auth.Keys = append(c.Server.Auth.Keys, key)
	return nil
}

// secretOf is what a variable says, or the file that the variable with _FILE after its name names. "": neither is there.
func (c *Config) secretOf(name string, lookup func(string) (string, bool)) (string, error) {
	text, file, err := fromVariable(name, lookup)
	if file != "" {
		c.origins[name] = Origin{FromEnvironment, name + "_FILE", file}
	} else if text != "" {
		c.origins[name] = Origin{FromEnvironment, name, ""}
	}
	return text, err
}

// fromVariable is what a variable says, or the file that it names with _FILE after its name. "": neither is there.
func fromVariable(name string, lookup func(string) (string, bool)) (text, file string, err error) {
	text, _ = lookup(name)
	file, _ = lookup(name + "_FILE")
	if file == "" {
		return text, "", nil
	}
	if text != "" {
		return "", "", fmt.Errorf("%s and %s_FILE are both in the environment: there can be one of them", name, name)
	}
	content, err := readBounded(file)
	if err != nil {
		return "", "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimRight(string(content), "\r\n"), file, nil
}

// maxFileBytes is how long a configuration file, or one of a secret, may be.
const maxFileBytes = 1 << 20

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("%s has more than %d bytes", name, maxFileBytes)
	}
	return text, err
}
