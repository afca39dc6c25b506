//go:build linux

package harness

import (
	"math"
	"slices"
	"time"

	"baro.dev/bench/internal/load"
	"baro.dev/bench/internal/peers"
)

// metric is the one number by which servers are compared in a cell.
type metric struct {
	name  string
	lower bool // lower is better
	of    func(load.Result) float64
}

func (c Cell) metric() metric {
	switch {
	case c.Mode == chIdle:
		return metric{"bytes of server memory a subscriber", true, func(r load.Result) float64 { return float64(r.RSS) }}
	case c.Mode == chPublish:
		return metric{"thousand messages published a server CPU-second", false, func(r load.Result) float64 { return perCPU(r) / 1000 }}
	case c.Mode == sioIdle:
		return metric{"bytes of server memory a client", true, func(r load.Result) float64 { return float64(r.RSS) }}
	case c.Mode == sioOpen:
		return metric{"clients opened a server CPU-second", false, perCPU}
	case c.Mode == sioAck, c.Mode == sioPoll:
		return metric{"thousand acked events a server CPU-second", false, func(r load.Result) float64 { return perCPU(r) / 1000 }}
	case c.Mode == idle:
		return metric{"bytes of server memory a connection", true, func(r load.Result) float64 { return float64(r.RSS) }}
	case c.Mode == fanOut, c.Mode == sioRoom, c.Mode == chSocket, c.Mode == chStream, c.cluster():
		return metric{"server CPU-µs a delivery", true, func(r load.Result) float64 { return 1e6 * r.CPU / float64(r.Messages) }}
	case c.Mode == churn:
		return metric{"connections a server CPU-second", false, perCPU}
	case c.Rate > 0:
		return metric{"p99 in µs from when a message was due", true, func(r load.Result) float64 { return micros(r.P99) }}
	}
	return metric{"thousand messages a server CPU-second", false, func(r load.Result) float64 { return perCPU(r) / 1000 }}
}

func perCPU(r load.Result) float64 { return float64(r.Messages) / r.CPU }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Row is what the rounds of a cell say about one server. A ratio is NaN where there is nothing to compare with.
type Row struct {
	Server               string
	Kind                 peers.Kind
	Best, Median         float64
	BestPeer, MedianPeer float64 // ratio to the best peer: of the bests; median of those of each round
	BestRaw, MedianRaw   float64 // ratio to the cell's base, as a rule raw epoll
	Middle               load.Result
	Runs, Failed         int
	byRound              map[int]float64
}

// Summarize makes a row for each server, in the order in which they first appear.
func Summarize(c Cell, samples []Sample) []Row {
	m := c.metric()
	var rows []Row
	results := make(map[string][]load.Result)
	for _, s := range samples {
		if s.Cell != c.Name {
			continue
		}
		i := slices.IndexFunc(rows, func(r Row) bool { return r.Server == s.Server })
		if i < 0 {
			i = len(rows)
			rows = append(rows, Row{Server: s.Server, byRound: make(map[int]float64), Kind: peers.KindOf(s.Server)})
		}
		rows[i].Runs++
		if s.Error != "" {
			rows[i].Failed++
			continue
		}
		rows[i].byRound[s.Round] = m.of(s.Result)
		results[s.Server] = append(results[s.Server], s.Result)
	}
	for i := range rows {
		r := &rows[i]
		r.Best, r.Median = m.best(r.values()), median(r.values())
		r.Middle = middle(results[r.Server])
	}
	best := func(value func(Row) float64, among func(Row) bool) *Row {
		var found *Row
		for i := range rows {
			if v := value(rows[i]); among(rows[i]) && !math.IsNaN(v) && (found == nil || m.better(v, value(*found))) {
				found = &rows[i]
			}
		}
		return found
	}
	// Where nobody else's server is raw TCP, that is the best server that is not ours.
	isPeer := func(r Row) bool { return r.Kind == peers.Peer || !c.hasRaw() && r.Kind == peers.Other }
	base, _ := c.base()
	isRaw := func(r Row) bool { return r.Server == base }
	byBest, byMedian := func(r Row) float64 { return r.Best }, func(r Row) float64 { return r.Median }
	bestPeer, medianPeer, raw := best(byBest, isPeer), best(byMedian, isPeer), best(byBest, isRaw)
	for i := range rows {
		r := &rows[i]
		r.BestPeer, r.BestRaw = ratio(r, bestPeer), ratio(r, raw)
		r.MedianPeer, r.MedianRaw = ratioOfRounds(r, medianPeer), ratioOfRounds(r, raw)
	}
	return rows
}

func (m metric) better(a, b float64) bool { return a != b && (a < b) == m.lower }

func (m metric) best(values []float64) float64 {
	switch {
	case len(values) == 0:
		return math.NaN()
	case m.lower:
		return slices.Min(values)
	}
	return slices.Max(values)
}

func (r *Row) values() (values []float64) {
	for _, v := range r.byRound {
		values = append(values, v)
	}
	return values
}

func ratio(r, to *Row) float64 {
	if to == nil {
		return math.NaN()
	}
	return r.Best / to.Best
}

func ratioOfRounds(r, to *Row) float64 {
	if to == nil {
		return math.NaN()
	}
	var ratios []float64
	for round, v := range r.byRound {
		if w, ok := to.byRound[round]; ok {
			ratios = append(ratios, v/w)
		}
	}
	return median(ratios)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return (values[len(values)/2] + values[(len(values)-1)/2]) / 2
}

// middle takes the median of each thing that was measured.
func middle(results []load.Result) load.Result {
	of := func(f func(load.Result) float64) float64 {
		values := make([]float64, len(results))
		for i, r := range results {
			values[i] = f(r)
		}
		if len(values) == 0 {
			return 0
		}
		return median(values)
	}
	duration := func(f func(load.Result) time.Duration) time.Duration {
		return time.Duration(of(func(r load.Result) float64 { return float64(f(r)) }))
	}
	return load.Result{
		Messages:  int(of(func(r load.Result) float64 { return float64(r.Messages) })),
		Seconds:   of(func(r load.Result) float64 { return r.Seconds }),
		CPU:       of(func(r load.Result) float64 { return r.CPU }),
		P50:       duration(func(r load.Result) time.Duration { return r.P50 }),
		P99:       duration(func(r load.Result) time.Duration { return r.P99 }),
		P999:      duration(func(r load.Result) time.Duration { return r.P999 }),
		BytesIn:   int64(of(func(r load.Result) float64 { return float64(r.BytesIn) })),
		RSS:       int64(of(func(r load.Result) float64 { return float64(r.RSS) })),
		RSSFreed:  int64(of(func(r load.Result) float64 { return float64(r.RSSFreed) })),
		KernelMem: int64(of(func(r load.Result) float64 { return float64(r.KernelMem) })),
		Beats:     int(of(func(r load.Result) float64 { return float64(r.Beats) })),
	}
}
