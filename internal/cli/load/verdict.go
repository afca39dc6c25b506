package load

import (
	"errors"

	"baro.dev/internal/cli/exit"
)

// Verdict is an error, with its exit code, if the run measured nothing or not all that it was to.
func (r *Result) Verdict() error {
	if r.Interrupted || r.measured > 0 {
		return nil
	}
	if r.failure != nil {
		return exit.With(exit.Broken, r.failure)
	}
	return errors.New("nothing came back in all the time")
}
