package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept to three digits, from a nanosecond to an hour.
const (
	longest = int64(time.Hour)
	figures = 3
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, figures) }

// counts are what a worker counts, since the run began unless it says otherwise.
type counts struct {
	sent       int64 // messages asked or published
	answered   int64 // of those due while measuring: echoes, acknowledgements
	delivered  int64 // of those due while measuring: to subscribers
	arrived    int64 // echoes or deliveries that came while measuring
	bytesIn    int64
	bytesOut   int64
	lost       int64
	duplicated int64
	reordered  int64
	unsent     int64 // were due, and not sent: too many before them waited for their answers, or the connection was gone
	all        int64 // deliveries, whenever due; once each
}

func (c *counts) add(d *counts) {
	c.sent += d.sent
	c.answered += d.answered
	c.delivered += d.delivered
	c.arrived += d.arrived
	c.bytesIn += d.bytesIn
	c.bytesOut += d.bytesOut
	c.lost += d.lost
	c.duplicated += d.duplicated
	c.reordered += d.reordered
	c.unsent += d.unsent
	c.all += d.all
}

// tally is what a worker has measured. It is guarded by the worker's mu.
type tally struct {
	counts
	// latency is of what came since the last look: of echoes or deliveries, or of opening a connection.
	latency, spare *hdrhistogram.Histogram
	// answers is how long those who publish waited for their answers.
	answers *hdrhistogram.Histogram
	// late is how much later than they were due messages were sent.
	late *hdrhistogram.Histogram

	from, to int64 // what is due then is measured
}

func newTally() *tally {
	return &tally{latency: newHistogram(), spare: newHistogram(), answers: newHistogram(), late: newHistogram(), from: longest, to: longest}
}

// record puts a latency, or any duration, into a histogram.
func record(h *hdrhistogram.Histogram, d int64) {
	_ = h.RecordValue(min(max(d, 1), longest)) // within its bounds there is no error
}

// came takes an echo or a delivery of a message that was due. now is when it came.
func (t *tally) came(due, now int64) {
	if now >= t.from && now < t.to {
		t.arrived++
	}
	if due >= t.from && due < t.to {
		record(t.latency, now-due)
	}
}

// take hands out the latencies since the last look, until it is called again.
func (t *tally) take() *hdrhistogram.Histogram {
	t.latency, t.spare = t.spare, t.latency
	t.latency.Reset()
	return t.spare
}
