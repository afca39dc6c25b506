package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"baro.dev/internal/config"
)

// usage tells how a command is called whose flags are many: by their sections, or only those that are not of serve.
func usage(c *cobra.Command, whole bool) error {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Usage:\n  %s\n", c.UseLine())
	for _, sub := range c.Commands() {
		fmt.Fprintf(w, "  %-28s %s\n", sub.CommandPath(), sub.Short)
	}
	if c.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
	}
	sections, own := flagsBySection(c)
	writeFlags(w, "Flags", own)
	if !whole {
		_, err := fmt.Fprint(w, "\nThe flags of baro serve, too: baro serve --help tells them.\n")
		return err
	}
	for _, s := range sections {
		writeFlags(w, s.title, s.flags)
	}
	_, err := fmt.Fprint(w, "\nWhat is no flag is in the file: docs/configuration.md, and baro config example.\n")
	return err
}

func writeFlags(w io.Writer, title string, flags *pflag.FlagSet) {
	fmt.Fprintf(w, "\n%s:\n%s", title, flags.FlagUsages())
}

type section struct {
	title string
	flags *pflag.FlagSet
}

// flagsBySection are the flags of the configuration, and those of the command itself.
func flagsBySection(c *cobra.Command) (sections []section, own *pflag.FlagSet) {
	of := map[string]bool{}
	for _, k := range config.Keys() {
		if k.Flag == "" {
			continue
		}
		if len(sections) == 0 || sections[len(sections)-1].title != k.Section {
			sections = append(sections, section{k.Section, unsorted()})
		}
		name := strings.TrimPrefix(k.Flag, "--")
		of[name] = true
		sections[len(sections)-1].flags.AddFlag(c.Flags().Lookup(name))
	}
	own = unsorted()
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !of[f.Name] {
			own.AddFlag(f)
		}
	})
	return sections, own
}

func unsorted() *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SortFlags = false
	return f
}

// complete says what shells complete the values of the flags with.
func complete(c *cobra.Command) error {
	if err := c.MarkFlagFilename("config", "yml", "yaml", "json"); err != nil {
		return err
	}
	for _, k := range config.Keys() {
		name := strings.TrimPrefix(k.Flag, "--")
		var err error
		switch {
		case name == "" || k.Kind == config.KindFile:
		case k.Kind == config.KindDirectory:
			err = c.MarkFlagDirname(name)
		default:
			err = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(k.OneOf, cobra.ShellCompDirectiveNoFileComp))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
