package config

import (
	"time"

	"github.com/spf13/pflag"
)

// section declares flags that belong together. Its methods are those of pflag, and return what was declared, of which more can be
// said: see [Keys].
type section struct {
	*pflag.FlagSet
	title string
}

// setting is a flag that was declared.
type setting struct{ flag *pflag.Flag }

// What is said of a flag beside what pflag knows of it.
const (
	noteSection = "section"
	noteExample = "example"
	noteOneOf   = "one of"
	noteReloads = "reloads"
	noteSecret  = "secret"

	noteVariable = "variable" // that the value is from
)

func (s setting) note(key string, values ...string) setting {
	if s.flag.Annotations == nil {
		s.flag.Annotations = map[string][]string{}
	}
	s.flag.Annotations[key] = values
	return s
}

// example is a value as a file has it. A flag without a default needs one.
func (s setting) example(yaml string) setting { return s.note(noteExample, yaml) }

// oneOf are the values that there are.
func (s setting) oneOf(values ...string) setting { return s.note(noteOneOf, values...) }

// reloads says that a reload gives the running server the value of the file.
func (s setting) reloads() setting { return s.note(noteReloads, "true") }

// secret says that nobody else may read the file that the value names.
func (s setting) secret() setting { return s.note(noteSecret, "true") }

func (s section) declared(name string) setting {
	return setting{s.Lookup(name)}.note(noteSection, s.title)
}

func (s section) StringVar(to *string, name, value, usage string) setting {
	s.FlagSet.StringVar(to, name, value, usage)
	return s.declared(name)
}

func (s section) StringVarP(to *string, name, letter, value, usage string) setting {
	s.FlagSet.StringVarP(to, name, letter, value, usage)
	return s.declared(name)
}

func (s section) BoolVar(to *bool, name string, value bool, usage string) setting {
	s.FlagSet.BoolVar(to, name, value, usage)
	return s.declared(name)
}

func (s section) IntVar(to *int, name string, value int, usage string) setting {
	s.FlagSet.IntVar(to, name, value, usage)
	return s.declared(name)
}

func (s section) Float64Var(to *float64, name string, value float64, usage string) setting {
	s.FlagSet.Float64Var(to, name, value, usage)
	return s.declared(name)
}

func (s section) DurationVar(to *time.Duration, name string, value time.Duration, usage string) setting {
	*to = value
	return s.Var((*duration)(to), name, usage)
}

func (s section) StringSliceVar(to *[]string, name string, value []string, usage string) setting {
	s.FlagSet.StringSliceVar(to, name, value, usage)
	return s.declared(name)
}

func (s section) Var(value pflag.Value, name, usage string) setting {
	s.FlagSet.Var(value, name, usage)
	return s.declared(name)
}

func sizeVar[T int | int64](s section, to *T, name string, value T, usage string) setting {
	*to = value
	return s.Var(sizeFlag[T]{to}, name, usage)
}
