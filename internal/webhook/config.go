package webhook

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Config is how a [Sender] is set up. A zero field means the default, which is given with it.
type Config struct {
	// Endpoints are whom events go to. One that is slow, or not there, delays no other.
	Endpoints []Endpoint
	// QueueEvents and QueueBytes bound what waits for each endpoint, and what is on its way to it. 10,000 and 16 MiB.
	QueueEvents int
	QueueBytes  int64
	// Transport makes the requests. One of its own, by [NewTransport]. Whoever gives one closes it.
	Transport http.RoundTripper
	// Around is put around the transport, for those who want to see the requests; nil: nothing is.
	Around func(http.RoundTripper) http.RoundTripper
	// Log is where the sender reports. [slog.Default].
	Log *slog.Logger
}

// An Endpoint is a URL that events are posted to. A zero field means the default, which is given with it.
type Endpoint struct {
	// URL is of http or https. A name and password in it become an Authorization header.
	URL string `json:"url"`
	// Secrets sign what is sent, see [NewSecret]. There are several while they are rotated: every request is signed with each,
	// so that the receiver changes over when it likes. At most 4.
	Secrets []string `json:"secrets"`
	// Types are the events that the endpoint wants: names, and beginnings of names with a "*" after them. All.
	Types []string `json:"types,omitempty"`
	// Wants says whether the endpoint is to have events about a channel. It is called by whoever calls Send. Nil: those of
	// all channels.
	Wants func(channel string) bool `json:"-"`
	// Headers are sent along.
	Headers map[string]string `json:"headers,omitempty"`
	// Timeout is how long a request may take, from connecting to the end of the answer. 5 s.
	Timeout time.Duration `json:"-"`
	// BatchEvents and BatchBytes are how many events go into one request. An event that is larger goes alone. 100 and 512 KiB.
	BatchEvents int `json:"batch_events,omitempty"`
	BatchBytes  int `json:"batch_bytes,omitempty"`
	// BatchDelay is how long an event may wait for others to go with. 100 ms.
	BatchDelay time.Duration `json:"-"`
	// Concurrency is how many requests there may be at a time. With 1, events arrive in order. 1.
	Concurrency int `json:"concurrency,omitempty"`
	// MaxAge is how old an event may be that is still tried. 10 min.
	MaxAge time.Duration `json:"-"`
}

// maxConcurrency is a mistake rather than a wish.
const maxConcurrency = 256

// eventOverhead is about what a queued event takes beside its bytes.
const eventOverhead = 64

func (c Config) withDefaults() Config {
	setDefault(&c.QueueEvents, 10_000)
	setDefault(&c.QueueBytes, 16<<20)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func (e Endpoint) withDefaults() Endpoint {
	setDefault(&e.Timeout, 5*time.Second)
	setDefault(&e.BatchEvents, 100)
	setDefault(&e.BatchBytes, 512<<10)
	setDefault(&e.BatchDelay, 100*time.Millisecond)
	setDefault(&e.Concurrency, 1)
	setDefault(&e.MaxAge, 10*time.Minute)
	return e
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) validate() error {
	if c.QueueEvents < 0 || c.QueueBytes < 0 {
		return errors.New("the bounds of the queue must not be negative")
	}
	return nil
}

func (e *Endpoint) validate() error {
	switch {
	case e.Timeout < 0 || e.BatchEvents < 0 || e.BatchBytes < 0 || e.BatchDelay < 0 || e.MaxAge < 0:
		return errors.New("times and sizes must not be negative")
	case e.Concurrency < 0 || e.Concurrency > maxConcurrency:
		return fmt.Errorf("the concurrency must be 1 to %d", maxConcurrency)
	}
	for _, pattern := range e.Types {
		if name, _ := strings.CutSuffix(pattern, "*"); strings.Contains(name, "*") || pattern == "" {
			return fmt.Errorf("%q is not a type of events, nor the beginning of one and a *", pattern)
		}
	}
	return nil
}

// wants says whether the endpoint is to have such an event.
func (e *Endpoint) wants(event *Event) bool {
	return e.wantsType(event.Type) && (event.Channel == "" || e.Wants == nil || e.Wants(event.Channel))
}

func (e *Endpoint) wantsType(kind string) bool {
	for _, pattern := range e.Types {
		if beginning, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(kind, beginning) || pattern == kind {
			return true
		}
	}
	return len(e.Types) == 0
}
