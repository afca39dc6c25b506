// Tally reads the events of one or more runs of `go test -json` from its standard input. It prints what `go test` alone
// would have printed: a line for each package, the output of what failed and the reason of what was skipped. It ends with a
// count on a line of its own, and exits with 1 where something failed or nothing ran.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

func main() {
	t := newTally(os.Stdout)
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(2)
	}
	if !t.close() {
		os.Exit(1)
	}
}

// read feeds every line of r to the tally.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			t.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the events: %w", err)
		}
	}
}
