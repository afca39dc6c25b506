package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync/atomic"
	"time"

	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
	"baro.dev/internal/webhook"
)

// Webhooks are how a backend is told what happens, and asked what to do.
type Webhooks struct {
	// Events go to its Endpoints; see [clients.TypeConnected] and what follows it for their types.
	Events webhook.Config
	// Connect is asked who a client is that comes without a token that is verified here; nil: nobody is.
	Connect *webhook.AskerConfig
	// ConnectHeaders are the headers of the client's request that Connect is told.
	ConnectHeaders []string
	// RPC is asked what clients ask their backend; nil: they cannot.
	RPC *webhook.AskerConfig
}

// backends are the senders and askers of a server. Each question has an asker of its own, so that a backend that hangs on the
// one does not hold up the other.
type backends struct {
	sender *webhook.Sender
	around func(http.RoundTripper) http.RoundTripper // its requests
	askers atomic.Pointer[map[string]*askedBackend]  // by kind
	// metrics are there before anything is asked or told.
	metrics *metrics.Metrics
}

// measured measures requests. Those below a status are answered as they should be.
func (b *backends) measured(next http.RoundTripper, below int) http.RoundTripper {
	return measured{b, next, below}
}

type measured struct {
	*backends
	next  http.RoundTripper
	below int
}

// RoundTrip implements [http.RoundTripper].
func (m measured) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	response, err := m.next.RoundTrip(r)
	m.metrics.WebhookRequest(err == nil && response.StatusCode >= 200 && response.StatusCode < m.below, time.Since(begun))
	return response, err
}

// tell tells metrics what has become of events.
func (b *backends) tell(state *metrics.State) {
	all := b.sender.Totals()
	state.EventsDelivered, state.EventsFailed = all.Sent, all.Failed
	state.EventsDropped, state.EventsQueued = all.Dropped, all.Queued
}

// askedBackend is one, and what it was made of.
type askedBackend struct {
	*webhook.Asker
	config webhook.AskerConfig
}

func newBackends(c *Config) (b *backends, err error) {
	traces := newTracing(c.Traces)
	b = &backends{}
	askers := map[string]*askedBackend{}
	b.askers.Store(&askers)
	defer func() {
		if err != nil {
			b.closeNow()
		}
	}()
	b.around = func(next http.RoundTripper) http.RoundTripper { return b.measured(traces.around(next), 300) }
	events := c.Webhooks.Events
	events.Log, events.Around = c.Log, b.around
	if b.sender, err = webhook.New(events); err != nil {
		return b, err
	}
	for kind, asked := range map[string]*webhook.AskerConfig{clients.KindConnect: c.Webhooks.Connect, clients.KindRPC: c.Webhooks.RPC} {
		if asked == nil {
			continue
		}
		a := *asked
		a.Log = c.Log.With("question", kind)
		a.Around = func(next http.RoundTripper) http.RoundTripper { return b.measured(traces.around(next), 500) } // a no is an answer
		made, err := webhook.NewAsker(a)
		if err != nil {
			return b, fmt.Errorf("the question %s: %w", kind, err)
		}
		askers[kind] = &askedBackend{made, *asked}
	}
	return b, nil
}

// replace has b go by what next was made of, which is used up.
func (b *backends) replace(next *backends, c *Webhooks) {
	events := c.Events
	events.Around = b.around
	if err := b.sender.Replace(events); err != nil {
		panic(err) // it was checked
	}
	next.metrics = b.metrics
	before, now := *b.askers.Load(), map[string]*askedBackend{}
	for kind, a := range *next.askers.Load() {
		old := before[kind]
		if old != nil && reflect.DeepEqual(old.config, a.config) {
			_ = a.Close()
			a = old
		}
		now[kind] = a
	}
	b.askers.Store(&now)
	for kind, a := range before {
		if now[kind] != a {
			// What it has been asked it may answer.
			time.AfterFunc(a.config.Timeout+askerEnd, func() { _ = a.Close() })
		}
	}
	next.askers.Store(new(map[string]*askedBackend))
	next.closeNow()
}

// askerEnd is how long, beyond the time for an answer, an asker that was replaced is kept.
const askerEnd = 10 * time.Second

// notify tells of an event.
func (b *backends) notify(kind string, data any) {
	b.sender.Send(webhook.Event{Type: kind, Channel: clients.ChannelOf(data), Data: data})
}

func (b *backends) occupied(name string, occupied bool) {
	if !b.sender.HasEndpoints() {
		return
	}
	kind := clients.TypeVacated
	if occupied {
		kind = clients.TypeOccupied
	}
	b.notify(kind, clients.OccupancyEvent{Channel: name})
}

// ask asks the backend; the error is one that [clients.ErrorOf] knows.
func (b *backends) ask(ctx context.Context, kind string, question, answer any) error {
	a := (*b.askers.Load())[kind]
	if a == nil {
		return clients.ErrNotOffered
	}
	err := a.Ask(ctx, kind, question, answer)
	if refused, ok := errors.AsType[*webhook.RefusedError](err); ok {
		return clients.Refusal(refused.Code, refused.Message)
	}
	if errors.Is(err, webhook.ErrUnavailable) || errors.Is(err, webhook.ErrBusy) {
		return clients.ErrBackend
	}
	if err != nil && ctx.Err() != nil {
		return clients.ErrTimeout // whoever asks has gone, most likely
	}
	return err
}

// close sends what is queued, until ctx is done, and ends what is being asked.
func (b *backends) close(ctx context.Context) (err error) {
	for _, a := range *b.askers.Load() {
		_ = a.Close()
	}
	if b.sender != nil {
		err = b.sender.Close(ctx)
	}
	return err
}

func (b *backends) closeNow() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.close(ctx)
}
