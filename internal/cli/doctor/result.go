package doctor

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"baro.dev/internal/cli/exit"
)

// Status says what came of a check.
type Status string

// What can come of a check. Warn is that it works, but not as it should.
const (
	OK      Status = "ok"
	Warn    Status = "warn"
	Fail    Status = "fail"
	Skipped Status = "skipped"
)

// Result is what came of one check.
type Result struct {
	// Name is that of the check; docs/cli.md has the list.
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Detail says what was found, in one line.
	Detail string `json:"detail"`
	// Advice says what can be done about it; "" if nothing has to be.
	Advice string   `json:"advice,omitempty"`
	Took   Duration `json:"took_ms"`
	// Data is what was measured, of a type of this package; nil if there is no more than Detail.
	Data any `json:"data,omitempty"`

	code int  // with which the command ends because of it
	moot bool // it was skipped since there is no such thing here, or since another failed
}

// Report is what came of all checks.
type Report struct {
	// Schema is the version of this form, 1. Fields may be added to it, none changes its meaning.
	Schema int    `json:"schema"`
	URL    string `json:"url"`
	// Kind is what was found there: one of the Protocols but Auto; "" if nobody answered.
	Kind    Protocol  `json:"kind"`
	Started time.Time `json:"started"`
	Took    Duration  `json:"took_ms"`
	// Interrupted says that the examination was ended before all was known.
	Interrupted bool `json:"interrupted"`
	// Status is the worst of the results.
	Status Status `json:"status"`
	// Exit is the code that the command ends with.
	Exit    int      `json:"exit"`
	Results []Result `json:"results"`
	// Problems are the names of the results that warn or fail, what weighs most first.
	Problems []string `json:"problems"`
}

// conclude says what follows from the results: what failed weighs more than what warns, and what comes first more than what builds on it.
func (r *Report) conclude() {
	r.Status, r.Exit, r.Problems = OK, exit.OK, []string{}
	for _, status := range []Status{Fail, Warn} {
		for i := range r.Results {
			result := &r.Results[i]
			if result.Status != status {
				continue
			}
			r.Problems = append(r.Problems, result.Name)
			if r.Status == OK {
				r.Status, r.Exit = status, exit.Failed
				if status == Fail && result.code != 0 {
					r.Exit = result.code
				}
			}
		}
	}
	if r.Interrupted {
		r.Exit = exit.Interrupted
	}
}

// Result returns the result of a check; nil if there is none.
func (r *Report) Result(name string) *Result {
	i := slices.IndexFunc(r.Results, func(result Result) bool { return result.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Results[i]
}

// Duration is a time that is written in JSON as a number of milliseconds.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, math.Round(float64(d)/1e3)/1e3, 'f', -1, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var ms float64
	err := json.Unmarshal(text, &ms)
	*d = Duration(ms * float64(time.Millisecond))
	return err
}

// String is for people: two or three digits.
func (d Duration) String() string {
	t := time.Duration(d)
	switch {
	case t.Abs() >= 2*time.Minute:
		return t.Round(time.Second).String()
	case t.Abs() >= 10*time.Second:
		return strconv.FormatFloat(t.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + " s"
	case t.Abs() >= time.Second:
		return strconv.FormatFloat(t.Round(10*time.Millisecond).Seconds(), 'f', -1, 64) + " s"
	case t >= 10*time.Millisecond:
		return strconv.FormatInt(t.Round(time.Millisecond).Milliseconds(), 10) + " ms"
	case t >= 100*time.Microsecond:
		return strconv.FormatFloat(float64(t.Round(100*time.Microsecond))/1e6, 'f', 1, 64) + " ms"
	default:
		return strconv.FormatInt(t.Microseconds(), 10) + " µs"
	}
}

// RoundTrips are times that the same thing took again and again.
type RoundTrips struct {
	Min     Duration `json:"min_ms"`
	Median  Duration `json:"median_ms"`
	Max     Duration `json:"max_ms"`
	Samples int      `json:"samples"`
}

// roundTrips sums up times; nil if there are none.
func roundTrips(times []time.Duration) *RoundTrips {
	if len(times) == 0 {
		return nil
	}
	times = slices.Sorted(slices.Values(times))
	return &RoundTrips{Duration(times[0]), Duration(times[len(times)/2]), Duration(times[len(times)-1]), len(times)}
}

func (r *RoundTrips) String() string {
	return r.Min.String() + " / " + r.Median.String() + " / " + r.Max.String()
}
