package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run measured. Durations are in nanoseconds in JSON; what does not apply is left out.
type Result struct {
	Scenario   Scenario    `json:"scenario"`
	URL        string      `json:"url"`
	Transports []Transport `json:"transports"`
	// Loop is open (at a rate, corrected for coordinated omission), or closed (not corrected).
	Loop string `json:"loop"`
	// Rate is how many messages, or connections, a second were to be sent, or opened.
	Rate float64 `json:"rate,omitempty"`
	Size int     `json:"size,omitempty"`
	// InFlight is how many messages of a connection waited for their answers at most.
	InFlight    int       `json:"in_flight,omitempty"`
	Channels    int       `json:"channels,omitempty"`
	Publishers  int       `json:"publishers,omitempty"`
	Connections int       `json:"connections"` // that were opened
	Began       time.Time `json:"began"`
	// Seconds is how long was measured.
	Seconds float64 `json:"seconds"`
	// Interrupted: the run was ended before its time, and Ended says why.
	Interrupted bool   `json:"interrupted,omitempty"`
	Ended       string `json:"ended,omitempty"`

	// Messages is how many echoes, deliveries or connections Latency is of.
	Messages int64 `json:"messages"`
	// PerSecond is how many came in a second.
	PerSecond float64 `json:"per_second"`
	// Published is how many messages were published in a second of a fan-out.
	Published float64  `json:"published_per_second,omitempty"`
	BytesIn   int64    `json:"bytes_in,omitempty"`  // of the whole run
	BytesOut  int64    `json:"bytes_out,omitempty"` // of the whole run
	Latency   *Latency `json:"latency,omitempty"`
	// Answers is how long publishers waited for their answers.
	Answers *Latency `json:"answers,omitempty"`
	Storms  []Storm  `json:"storms,omitempty"`
	Held    *Held    `json:"held,omitempty"`

	// Of the whole run, warm-up included.
	Errors     map[string]int64 `json:"errors"`
	ErrorCount int64            `json:"error_count"`
	Lost       int64            `json:"lost"`
	Duplicated int64            `json:"duplicated"`
	Reordered  int64            `json:"reordered"`
	Unsent     int64            `json:"unsent"` // were due, but not sent

	Generator Generator `json:"generator"`
	Notes     []string  `json:"notes,omitempty"`
	Series    []Point   `json:"series,omitempty"`

	histogram *hdrhistogram.Histogram
	failure   error
	measured  int64 // of Messages, those that came: what is lost counts, too
}

// Latency is how long things took.
type Latency struct {
	Min  time.Duration `json:"min"`
	Mean time.Duration `json:"mean"`
	P50  time.Duration `json:"p50"`
	P75  time.Duration `json:"p75"`
	P90  time.Duration `json:"p90"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p999"`
	P100 time.Duration `json:"max"`
	// Counts is how many there were of each length.
	Counts []Bucket `json:"histogram,omitempty"`
}

// Bucket is how many took at most To, and longer than the bucket before.
type Bucket struct {
	To    time.Duration `json:"to"`
	Count int64         `json:"count"`
}

// Held is how many connections were still there after a while.
type Held struct {
	Seconds     float64 `json:"seconds"`
	Connections int     `json:"connections"`
}

// Storm is how a wave of reconnections went.
type Storm struct {
	Connections int           `json:"connections"`
	Errors      int64         `json:"errors"` // attempts that failed
	All         time.Duration `json:"all"`    // until all were back; 0: they were not
}

// Generator is what this process spent, and whether it was up to it.
type Generator struct {
	Workers int     `json:"workers"`
	CPU     float64 `json:"cpu_seconds"` // processor time while measuring
	// Busy is the part of the time that the busiest worker ran, Waited that in which it had no processor to run on.
	Busy   float64 `json:"busy,omitempty"`
	Waited float64 `json:"waited,omitempty"`
	// Late is how much later than due messages were sent.
	Late *Latency `json:"late,omitempty"`
	// Bottleneck: the figures are rather those of the generator than those of the server.
	Bottleneck bool `json:"bottleneck"`
}

// Point is a second, or so, of the run.
type Point struct {
	At        float64       `json:"at"` // seconds since the measuring began; negative: in the warm-up
	PerSecond float64       `json:"per_second"`
	P50       time.Duration `json:"p50"`
	P99       time.Duration `json:"p99"`
	Max       time.Duration `json:"max"`
}

func latencyOf(h *hdrhistogram.Histogram, buckets bool) *Latency {
	if h.TotalCount() == 0 {
		return nil
	}
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) }
	l := &Latency{
		Min: time.Duration(h.Min()), Mean: time.Duration(h.Mean()), P50: at(50), P75: at(75), P90: at(90), P99: at(99), P999: at(99.9),
		P100: time.Duration(h.Max()),
	}
	if buckets {
		l.Counts = bucketsOf(h)
	}
	return l
}

// bucketsOf has three buckets to each power of ten.
func bucketsOf(h *hdrhistogram.Histogram) (buckets []Bucket) {
	end, step := int64(1), 0
	next := func() int64 { // 1, 2, 5, 10, 20 and so on
		if step++; step%3 == 2 {
			return end / 2 * 5
		}
		return end * 2
	}
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		for bar.To > end {
			if end = next(); len(buckets) > 0 {
				buckets = append(buckets, Bucket{To: time.Duration(end)})
			}
		}
		if len(buckets) == 0 {
			buckets = []Bucket{{To: time.Duration(end)}}
		}
		buckets[len(buckets)-1].Count += bar.Count
	}
	return buckets
}

// round leaves three digits.
func round(d time.Duration) time.Duration {
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}
