package exit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"baro.dev/internal/cli/exit"
)

func TestCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exit.OK},
		{exit.With(exit.Refused, nil), exit.OK},
		{io.EOF, exit.Failed},
		{exit.With(exit.Refused, io.EOF), exit.Refused},
		{fmt.Errorf("dialling: %w", exit.With(exit.Unreachable, io.EOF)), exit.Unreachable},
		{exit.With(exit.Broken, exit.With(exit.Refused, io.EOF)), exit.Broken},
		{context.Canceled, exit.Interrupted},
		{exit.With(exit.Broken, context.Canceled), exit.Broken},
		{errors.Join(io.EOF, exit.With(exit.Unmet, io.EOF)), exit.Unmet},
	} {
		if got := exit.Code(c.err); got != c.want {
			t.Errorf("Code(%v) = %d, want %d", c.err, got, c.want)
		}
	}
	if err := exit.With(exit.Refused, io.EOF); !errors.Is(err, io.EOF) || err.Error() != io.EOF.Error() {
		t.Errorf("the error is %v", err)
	}
}
