package doctor

import (
	"context"
	"fmt"
	"time"

	"baro.dev/internal/cli/exit"
)

// check is one thing that is looked at.
type check struct {
	name string
	// needs are the checks before it that must have worked; after those that must not have failed, but may have been skipped.
	needs, after []string
	// skip says why there is nothing to do; "" if there is. Like run it comes when needs and after are done, and may use what they have found.
	skip func(e *examination) string
	run  func(ctx context.Context, e *examination) Result
	// hint: why it was skipped is worth to be told to everybody.
	hint bool
	// longer is how much longer than others it may take.
	longer time.Duration
}

// sideBySide is how many checks run at a time: more would measure each other.
const sideBySide = 4

// Examine runs all checks that apply, and calls tell with each result in the order of the report; tell may be nil. When ctx is done, what is known by
// then is the report. It does not take longer than the checks that wait for each other: about five times o.Timeout, and o.Idle.
func Examine(ctx context.Context, o *Options, tell func(*Result)) *Report {
	e := newExamination(o)
	defer e.close()
	report := &Report{Schema: 1, URL: redact(o.Target.URL), Started: time.Now().UTC()}
	checks := e.checks()
	report.Results = make([]Result, len(checks))
	places := make(map[string]int, len(checks))
	done := make([]chan struct{}, len(checks))
	free := make(chan struct{}, sideBySide)
	for i := range checks {
		c := &checks[i]
		places[c.name], done[i] = i, make(chan struct{})
		var before []*Result
		var wait []chan struct{}
		for _, name := range append(c.needs, c.after...) {
			before, wait = append(before, &report.Results[places[name]]), append(wait, done[places[name]])
		}
		go func() {
			defer close(done[i])
			for _, d := range wait {
				<-d
			}
			result, skip := unmet(before, len(c.needs))
			if !skip {
				free <- struct{}{}
				result = e.try(ctx, c)
				<-free
			}
			result.Name = c.name
			report.Results[i] = result
		}()
	}
	for i := range checks {
		<-done[i]
		if tell != nil {
			tell(&report.Results[i])
		}
	}
	report.Kind = e.kind
	report.Took = Duration(time.Since(report.Started))
	report.Interrupted = ctx.Err() != nil
	report.conclude()
	return report
}

// unmet is the result of a check that is skipped because of those before it, of which the first have to have worked.
func unmet(before []*Result, needed int) (r Result, skip bool) {
	for i, b := range before {
		switch {
		case b.Status == Fail:
			return Result{Status: Skipped, Detail: b.Name + " failed", moot: true}, true
		case b.Status == Skipped && i < needed:
			return Result{Status: Skipped, Detail: b.Detail, moot: b.moot}, true
		}
	}
	return Result{}, false
}

// try runs one check.
func (e *examination) try(ctx context.Context, c *check) Result {
	if ctx.Err() != nil {
		return skipped("interrupted")
	}
	if c.skip != nil {
		if why := c.skip(e); why != "" {
			return Result{Status: Skipped, Detail: why, moot: !c.hint}
		}
	}
	limit := e.o.Timeout + c.longer
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no end after %s", Duration(limit)))
	defer cancel()
	start := time.Now()
	result := c.run(limited, e)
	result.Took = Duration(time.Since(start))
	if ctx.Err() != nil && result.Status == Fail { // because of that
		result = Result{Status: Skipped, Detail: "interrupted", Took: result.Took, Data: result.Data}
	}
	return result
}

// What checks return.

func ok(data any, format string, args ...any) Result {
	return Result{Status: OK, Detail: fmt.Sprintf(format, args...), Data: data}
}

func skipped(format string, args ...any) Result {
	return Result{Status: Skipped, Detail: fmt.Sprintf(format, args...)}
}

func warn(data any, advice, format string, args ...any) Result {
	return Result{Status: Warn, Detail: fmt.Sprintf(format, args...), Advice: advice, Data: data}
}

func unreachable(data any, advice, format string, args ...any) Result {
	return failed(exit.Unreachable, data, advice, format, args...)
}

func refused(data any, advice, format string, args ...any) Result {
	return failed(exit.Refused, data, advice, format, args...)
}

func broken(data any, advice, format string, args ...any) Result {
	return failed(exit.Broken, data, advice, format, args...)
}

func failed(code int, data any, advice, format string, args ...any) Result {
	return Result{Status: Fail, Detail: fmt.Sprintf(format, args...), Advice: advice, Data: data, code: code}
}
