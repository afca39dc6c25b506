package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "man",
		Short: "Write the manual pages",
		Long: `Write the manual pages of all commands into a directory: baro.1, baro-serve.1 and so on. They say what --help does.

The date on them is that of the program, or that of SOURCE_DATE_EPOCH, so that the same program writes the same pages.`,
		Example: `  baro man --dir /usr/local/share/man/man1
  mkdir -p man && baro man --dir man && man ./man/baro-publish.1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usageError{errors.New("--dir says where the pages go, and there is none")}
			}
			n, err := writeMan(c.Root(), dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "baro: %d pages in %s\n", n, dir)
			return nil
		},
	}
	c.Flags().StringVarP(&dir, "dir", "d", "", "`directory` for the pages, which is there")
	declared(c.MarkFlagDirname("dir"))
	return c
}

// writeMan writes the pages of a command and those below it, and says how many there are.
func writeMan(root *cobra.Command, dir string) (n int, err error) {
	date, err := dated()
	if err != nil {
		return 0, err
	}
	root.InitDefaultHelpCmd()
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: "Baro " + version(), Manual: "Baro", Date: &date}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return 0, err
	}
	pages, err := filepath.Glob(filepath.Join(dir, "baro*.1"))
	return len(pages), err
}

// dated is when the program was written, as far as it knows: https://reproducible-builds.org/specs/source-date-epoch/.
func dated() (time.Time, error) {
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return time.Time{}, usageError{fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds", text)}
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t.UTC(), nil
			}
		}
	}
	return time.Now(), nil
}
