package main

import (
	"container/heap"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"text/tabwriter"
	"time"
)

// Storm is what happens when clients have lost their node.
type Storm struct {
	Rate     float64 // connections that the others open in a second, together
	Attempts float64
	Refused  float64 // attempts that were closed, since they would have waited too long
	GaveUp   float64 // attempts whose client did not wait for its turn; the work was done for nobody
	Peak     float64 // attempts a second, in the worst tenth of one
	Half     time.Duration
	Most     time.Duration // 99 %
	All      time.Duration
}

const (
	// never is when no more is looked at: who is not back then does not come back.
	never = 10 * time.Minute
	// sample is how many clients are simulated at most; each stands for as many as it takes.
	sample = 20_000
)

// try is an attempt of a client.
type try struct {
	at      float64 // seconds
	begin   float64 // of the attempt, whose SYN may come again
	attempt int
	syn     int
}

type tries []try

func (t tries) Len() int           { return len(t) }
func (t tries) Less(i, j int) bool { return t[i].at < t[j].at }
func (t tries) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *tries) Push(x any)        { *t = append(*t, x.(try)) }
func (t *tries) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// Reconnect has clients that have lost their connections over spread, evenly, come back with the back-off of the official clients: the
// delay doubles from reconnectionDelay to reconnectionDelayMax, each ± randomizationFactor. The nodes that are left take them in the
// order in which they came, together so many a second. So many may wait to be accepted; beyond that TCP tries again after 1, 2, 4, … s.
// A node closes at once whoever would wait longer than patience, if that is not 0. Whoever has waited longer than the timeout of a
// client is gone, and is served for nobody; and tries again.
func Reconnect(in Inputs, clients int, rate float64, spread time.Duration, random *rand.Rand) Storm {
	s := Storm{Rate: rate}
	scale := math.Max(1, float64(clients)/sample)
	clients, rate = int(math.Ceil(float64(clients)/scale)), rate/scale
	waiting, patience, timeout := in.Backlog/scale, in.Patience.Seconds(), in.ReconnectTimeout.Seconds()
	delay := func(attempt int) float64 {
		d := in.ReconnectDelay.Seconds() * math.Pow(2, float64(attempt)) * (1 + in.ReconnectRandom*(2*random.Float64()-1))
		return math.Min(d, in.ReconnectMax.Seconds())
	}
	queue := make(tries, clients)
	for i := range queue {
		at := random.Float64()*spread.Seconds() + delay(0)
		queue[i] = try{at: at, begin: at}
	}
	heap.Init(&queue)
	later := func(t try, failed float64) {
		at := failed + delay(t.attempt+1)
		heap.Push(&queue, try{at: at, begin: at, attempt: t.attempt + 1})
	}
	done := make([]float64, 0, clients) // in order
	free, perTenth := 0.0, map[int]int{}
	for len(queue) > 0 && queue[0].at < never.Seconds() {
		t := heap.Pop(&queue).(try)
		if t.syn == 0 {
			s.Attempts += scale
			perTenth[int(t.at*10)]++
		}
		ready := math.Max(free, t.at) + 1/rate
		switch {
		case (free-t.at)*rate > waiting: // no place to wait
			if next := t.at + math.Pow(2, float64(t.syn)); next < t.begin+timeout {
				t.at, t.syn = next, t.syn+1
				heap.Push(&queue, t)
			} else {
				s.GaveUp += scale
				later(t, t.begin+timeout)
			}
		case patience > 0 && ready-t.at > patience:
			s.Refused += scale
			later(t, t.at+patience)
		case ready-t.begin > timeout:
			free = ready
			s.GaveUp += scale
			later(t, t.begin+timeout)
		default:
			free = ready
			done = append(done, ready)
		}
	}
	for _, n := range perTenth {
		s.Peak = math.Max(s.Peak, 10*float64(n)*scale)
	}
	after := func(share float64) time.Duration {
		i := int(math.Ceil(share*float64(clients))) - 1
		if i < 0 || i >= len(done) {
			return never
		}
		return time.Duration(done[i] * float64(time.Second))
	}
	s.Half, s.Most, s.All = after(0.5), after(0.99), after(1)
	return s
}

// printStorms shows what a death and a drain do, with all that the others have left, and with less.
func printStorms(w io.Writer, in Inputs, n int, random *rand.Rand) {
	if n < 2 {
		return
	}
	c := in.cost()
	open := c.Open
	if in.TLS {
		open = c.OpenTLS
	}
	clients := int(in.Connections / float64(n))
	left := float64(n-1) * in.NodeCores * (1 - in.Load) / open.Seconds()
	in.Backlog *= float64(n - 1)
	fmt.Fprintf(w, "\none of %d nodes is gone: %s clients come back to the others, each of which opens %s a second with what is left of its processors\n\n",
		n, count(float64(clients)), count(left/float64(n-1)))
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintf(t, "how it goes\topened a second\tattempts a second, at most\tattempts\trefused\tgave up\thalf is back\t99 %%\tall\n")
	for _, o := range []struct {
		how      string
		share    float64
		spread   time.Duration
		patience time.Duration
	}{
		{"it drains", 1, in.Drain, in.Patience},
		{"it dies", 1, 0, in.Patience},
		{"it dies, and the others open a tenth", 0.1, 0, in.Patience},
		{"the same, and they refuse nobody", 0.1, 0, 0},
		{"it dies, and the others open a hundredth", 0.01, 0, in.Patience},
		{"the same, and they refuse nobody", 0.01, 0, 0},
	} {
		in.Patience = o.patience
		s := Reconnect(in, clients, math.Max(1, o.share*left), o.spread, random)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.how, count(s.Rate), count(s.Peak), count(s.Attempts), count(s.Refused), count(s.GaveUp),
			seconds(s.Half), seconds(s.Most), seconds(s.All))
	}
	_ = t.Flush()
}
