package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	sender *webhook.Sender           // nil: nobody is told
	askers map[string]*webhook.Asker // by kind
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
	if b.sender == nil {
		return
	}
	for _, e := range b.sender.Stats() {
		state.EventsDelivered += e.Sent
		state.EventsFailed += e.Failed
		state.EventsDropped += e.Dropped
		state.EventsQueued += e.Queued
	}
}

func newBackends(c *Config) (b *backends, err error) {
	traces := newTracing(c.Traces)
	b = &backends{askers: map[string]*webhook.Asker{}}
	defer func() {
		if err != nil {
			b.closeNow()
		}
	}()
	if len(c.Webhooks.Events.Endpoints) > 0 {
		events := c.Webhooks.Events
		events.Log = c.Log
		events.Around = func(next http.RoundTripper) http.RoundTripper { return b.measured(traces.around(next), 300) }
		if b.sender, err = webhook.New(events); err != nil {
			return b, err
		}
	}
	for kind, asked := range map[string]*webhook.AskerConfig{clients.KindConnect: c.Webhooks.Connect, clients.KindRPC: c.Webhooks.RPC} {
		if asked == nil {
			continue
		}
		a := *asked
		a.Log = c.Log.With("question", kind)
		a.Around = func(next http.RoundTripper) http.RoundTripper { return b.measured(traces.around(next), 500) } // a no is an answer
		if b.askers[kind], err = webhook.NewAsker(a); err != nil {
			return b, fmt.Errorf("the question %s: %w", kind, err)
		}
	}
	return b, nil
}

// notify tells of an event.
func (b *backends) notify(kind string, data any) {
	if b.sender != nil {
		b.sender.Send(webhook.Event{Type: kind, Channel: clients.ChannelOf(data), Data: data})
	}
}

func (b *backends) occupied(name string, occupied bool) {
	kind := clients.TypeVacated
	if occupied {
		kind = clients.TypeOccupied
	}
	b.notify(kind, clients.OccupancyEvent{Channel: name})
}

// ask asks the backend; the error is one that [clients.ErrorOf] knows.
func (b *backends) ask(ctx context.Context, kind string, question, answer any) error {
	a := b.askers[kind]
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
	for _, a := range b.askers {
		if a != nil {
			_ = a.Close()
		}
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
