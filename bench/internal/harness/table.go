//go:build linux

package harness

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Table prints the samples of a cell.
func Table(w io.Writer, c Cell, samples []Sample) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\nserver\tmsgs/cpu-s\tmsgs/s\tp50\tp99\tp99.9\trss\tfreed\tkernel\t\n", c.Name)
	for _, s := range samples {
		r := s.Result
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%v\t%v\t%v\t%v\t%v\t%v\t%s\n", s.Server, float64(r.Messages)/r.CPU, float64(r.Messages)/r.Seconds, r.P50, r.P99, r.P999, r.RSS, r.RSSFreed, r.KernelMem, r.Extensions)
	}
	t.Flush()
}
