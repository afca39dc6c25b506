package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"baro.dev/internal/config"
)

func newConfig() *cobra.Command {
	var o settings
	var changed, asJSON bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Show what holds, and where each value is from",
		Long: `Show every setting of serve with the value that holds, and where it is from: a flag, the environment, the file and its line, or
the default. It takes the flags of serve, and the environment, as serve does. Secrets are not shown, only that they are set.`,
		Example: `  baro config --config baro.yml
  baro config --config baro.yml --changed          # without what is as by default
  baro config --config baro.yml --json | jq -r '.[] | select(.from == "environment").key'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.load(c); err != nil {
				return err
			}
			for _, unknown := range unknownVariables(c) {
				fmt.Fprintf(c.ErrOrStderr(), "baro: %v\n", unknown)
			}
			var shown []config.Setting
			for _, s := range o.Settings(c.Flags()) {
				if !changed || s.From != config.FromDefault {
					shown = append(shown, s)
				}
			}
			if asJSON {
				return writeSettingsJSON(c.OutOrStdout(), shown)
			}
			return writeSettings(c.OutOrStdout(), shown)
		},
	}
	f := c.Flags()
	f.BoolVar(&changed, "changed", false, "leave out what is as by default")
	f.BoolVar(&asJSON, "json", false, "write JSON: a list of key, value, from, at")
	o.declare(c, "the `file`", false)
	c.AddCommand(&cobra.Command{
		Use:     "example",
		Short:   "Print a configuration file with every key",
		Long:    "Print a configuration file with every key, a value and what it means.",
		Example: "  baro config example > baro.yml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), config.Example())
			return err
		},
	}, &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema of the configuration file, for editors",
		Long: `Print a JSON Schema of the configuration file, with which editors complete it and say what is wrong. A file names it in its first
line:

  # yaml-language-server: $schema=baro.schema.json`,
		Example: "  baro config schema > baro.schema.json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(config.Schema())
			return err
		},
	})
	return c
}

// maxShown is how much of a value a table has room for.
const maxShown = 60

func writeSettings(w io.Writer, list []config.Setting) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tVALUE\tFROM")
	for _, s := range list {
		value := s.Value
		if value == "" {
			value = "-"
		}
		if runes := []rune(value); len(runes) > maxShown {
			value = string(runes[:maxShown-1]) + "…"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Key, value, s.Origin)
	}
	return t.Flush()
}

func writeSettingsJSON(w io.Writer, list []config.Setting) error {
	type line struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
		config.Origin
	}
	lines := make([]line, len(list))
	for i, s := range list {
		lines[i] = line{s.Key, s.JSON(), s.Origin}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(lines)
}
