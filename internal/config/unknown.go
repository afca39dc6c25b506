package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"baro.dev/internal/strictjson"
)

// UnknownVariables are those of an environment, which is as [os.Environ] gives it, that look like settings and are none, each with
// the nearest one. The flags are those of all commands.
func UnknownVariables(environ []string, commands ...*pflag.FlagSet) (unknown []error) {
	known := variables(commands)
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "BARO_") || slices.Contains(known, name) || notSettings.MatchString(name) {
			continue
		}
		unknown = append(unknown, fmt.Errorf("%s in the environment: there is no such setting%s", name, nearest(name, known)))
	}
	return unknown
}

// notSettings are what a cluster says of services called baro, what backends and examples are told of the server, and what is for
// tests.
var notSettings = regexp.MustCompile(`^BARO_((.+_)?SERVICE_(HOST|PORT(_.+)?)|(.+_)?PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?|URL|KEY|DEVICES(_OF)?|TEST_.+|PROOF)$`)

// nearest says which name was meant, if one is near.
func nearest(name string, known []string) string {
	var short []string // what all begin with says nothing
	for _, k := range known {
		short = append(short, strings.TrimPrefix(k, "BARO_"))
	}
	hint := strictjson.Suggest(strings.TrimPrefix(name, "BARO_"), short)
	if meant, ok := strings.CutPrefix(hint, `did you mean "`); ok {
		return ": did you mean BARO_" + strings.TrimSuffix(meant, `"?`) + "?"
	}
	return ""
}

func variables(commands []*pflag.FlagSet) []string {
	var names []string
	for _, k := range Keys() {
		names = append(names, k.Variable)
		if k.Flag == "" && k.Kind != KindFile {
			names = append(names, k.Variable+"_FILE")
		}
	}
	for _, v := range Variables() {
		names = append(names, v.Name, v.Name+"_FILE")
	}
	for _, flags := range commands {
		flags.VisitAll(func(f *pflag.Flag) { names = append(names, variable(f.Name)) })
	}
	slices.Sort(names)
	return slices.Compact(names)
}
