package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// shells write what completes the command line, each in its own words.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"zsh":        func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	"powershell": func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) },
}

func newCompletion() *cobra.Command {
	names := slices.Sorted(maps.Keys(shells))
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print what has a shell complete the command line",
		Long: `Print a script that has a shell complete commands, flags and their values: bash, which needs the package bash-completion, zsh, fish or
powershell. A shell reads it when it begins, from the places below, or at once.`,
		Example: `  source <(baro completion bash)                                         # this shell
  baro completion bash > /etc/bash_completion.d/baro                     # all of Debian's
  baro completion zsh > "${fpath[1]}/_baro"
  baro completion fish > ~/.config/fish/completions/baro.fish
  baro completion powershell | Out-String | Invoke-Expression`,
		Args:              oneArgument("the name of a shell: " + strings.Join(names, ", ")),
		ValidArgsFunction: cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(c *cobra.Command, args []string) error {
			write := shells[args[0]]
			if write == nil {
				return usageError{fmt.Errorf("%q is none of the shells: %s", args[0], strings.Join(names, ", "))}
			}
			return write(c.Root(), c.OutOrStdout())
		},
	}
}
