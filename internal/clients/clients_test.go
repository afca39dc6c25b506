package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

// link is a multiplexer that writes down what it is told.
type link struct {
	mu    sync.Mutex
	log   []string
	calls []clients.Call
	room  chan struct{} // nil: there is always room
}

func (l *link) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = append(l.log, fmt.Sprintf(format, args...))
}

func (l *link) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log
	l.log = nil
	return log
}

func (l *link) Close(why clients.Reason)                { l.note("close %s", why.Code) }
func (l *link) Message(name string, m *channel.Message) { l.note("%s: %s", name, m.Data) }
func (l *link) Presence(e *channel.PresenceEvent) {
	l.note("%s: %v %s", e.Channel, e.Joined, e.Member.User)
}
func (l *link) Present(name string, p channel.Presence) { l.note("%s: %d there", name, p.Clients) }
func (l *link) Subscribed(name string, s clients.Start) { l.note("in %s", name) }
func (l *link) Unsubscribed(name string, why *clients.Error) {
	l.note("out of %s: %s", name, why.Code)
}
func (l *link) Call(c clients.Call) {
	l.note("call %s", c.Method)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
}

func (l *link) lastCall() clients.Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[len(l.calls)-1]
}

func (l *link) HasRoom() bool { return l.room == nil }

func (l *link) Room(ctx context.Context) error {
	if l.room == nil {
		return nil
	}
	select {
	case <-l.room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// house is a registry whose backend knows users by their tokens.
func house(change func(*clients.Config, *channel.Options)) (*clients.Registry, *channel.Hub) {
	o := channel.Options{}
	c := clients.Config{
		Rules: []clients.Rule{{Pattern: pattern("open/**"), Subscribe: clients.Anyone, Publish: clients.Users, History: clients.Anyone, Presence: clients.Anyone}},
		Ask: func(_ context.Context, kind string, question, answer any) error {
			q, ok := question.(clients.ConnectQuestion)
			if !ok || kind != "connect" {
				return clients.Refusal("no", "nothing to say")
			}
			if q.Token == "bad" {
				return clients.Refusal("banned", "you are banned")
			}
			answer.(*clients.ConnectAnswer).User = q.Token
			return nil
		},
		AskConnect: true,
	}
	if change != nil {
		change(&c, &o)
	}
	c.Hub = channel.NewHub(&o)
	return clients.New(c), c.Hub
}

func pattern(text string) channel.Pattern {
	p, err := channel.ParsePattern(text)
	if err != nil {
		panic(err)
	}
	return p
}

func connect(t *testing.T, r *clients.Registry, user string) (*clients.Client, *link) {
	t.Helper()
	l := &link{}
	c, err := r.Connect(t.Context(), clients.Hello{Token: user, Transport: "test"}, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Gone("over") })
	c.Begin(t.Context())
	return c, l
}

func subscribe(t *testing.T, c *clients.Client, name string, from channel.From) {
	t.Helper()
	if err := c.Subscribe(name, clients.SubscribeOptions{From: from}, func(clients.Start) {}); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, l *link, want ...string) {
	t.Helper()
	if got := l.take(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestAccess(t *testing.T) {
	r, _ := house(func(c *clients.Config, _ *channel.Options) {
		c.Rules = append(c.Rules, clients.Rule{Pattern: pattern("**"), Subscribe: clients.Users, Publish: clients.Nobody})
	})
	patterns := []channel.Pattern{pattern("**")}
	ana := &clients.Identity{Identity: auth.Identity{User: "ana", Rights: auth.Rights{Publish: patterns, History: patterns}}}
	nobody := &clients.Identity{Anonymous: true}
	for _, test := range []struct {
		who    *clients.Identity
		action auth.Action
		name   string
		want   error
	}{
		{nobody, auth.Subscribe, "open/a", nil},
		{nobody, auth.Publish, "open/a", clients.ErrCredentials},
		{nobody, auth.Subscribe, "b", clients.ErrCredentials},
		{ana, auth.Publish, "open/a", nil},
		{ana, auth.Subscribe, "b", nil},
		{ana, auth.Publish, "b", clients.ErrForbidden}, // nobody is nobody
		{ana, auth.History, "b", nil},
		{ana, auth.Presence, "b", clients.ErrForbidden},
		{ana, auth.Subscribe, "@ana", nil},
		{ana, auth.Publish, "@ana", clients.ErrForbidden},
		{ana, auth.Subscribe, "@ben", clients.ErrForbidden},
		{ana, auth.History, "@ben", clients.ErrForbidden},
		{ana, auth.Subscribe, "", channel.ErrInvalid},
	} {
		if err := r.May(test.who, test.action, test.name); !errors.Is(err, test.want) {
			t.Errorf("%s %s %q: %v, want %v", test.who.User, test.action, test.name, err, test.want)
		}
	}
}

func TestConnectRefused(t *testing.T) {
	r, _ := house(nil)
	_, err := r.Connect(t.Context(), clients.Hello{Token: "bad"}, &link{})
	if p := clients.ErrorOf(err); p.Code != "banned" || p.Status != 403 {
		t.Errorf("%+v", p)
	}
	if n, _ := r.Len(); n != 0 {
		t.Error(n)
	}
}

func TestSubscribe(t *testing.T) {
	r, hub := house(func(_ *clients.Config, o *channel.Options) {
		o.Rules = []channel.Rule{{Pattern: pattern("**"), Settings: channel.Settings{Presence: true}}}
	})
	c, l := connect(t, r, "ana")
	for _, text := range []string{"1", "2"} {
		if _, err := hub.Publish("open/a", channel.Message{Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	err := c.Subscribe("open/a", clients.SubscribeOptions{From: channel.Oldest(), Presence: true}, func(s clients.Start) { l.note("begun at %d", s.Offset) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish("open/a", channel.Message{Data: []byte("3")}); err != nil {
		t.Fatal(err)
	}
	d, _ := connect(t, r, "ben")
	subscribe(t, d, "open/a", channel.Now())
	expect(t, l, "begun at 0", "open/a: 1", "open/a: 2", "open/a: 1 there", "open/a: 3", "open/a: true ben")
	if err := c.Subscribe("open/a", clients.SubscribeOptions{}, nil); !errors.Is(err, clients.ErrAlreadyIn) {
		t.Error(err)
	}
	r.SetRules([]clients.Rule{{Pattern: pattern("**"), Subscribe: clients.Users}})
	if err := c.Subscribe("b", clients.SubscribeOptions{From: channel.Oldest()}, nil); !errors.Is(err, clients.ErrForbidden) {
		t.Error("the history of a channel:", err)
	}
	r.SetRules(nil)
	if err := c.Subscribe("closed", clients.SubscribeOptions{}, nil); !errors.Is(err, clients.ErrForbidden) {
		t.Error(err)
	}
	if !c.Unsubscribe("open/a") || c.Unsubscribe("open/a") {
		t.Error("one subscription should end once")
	}
	if _, err := hub.Publish("open/a", channel.Message{Data: []byte("4")}); err != nil {
		t.Fatal(err)
	}
	expect(t, l)
}

// What was missed and is much comes as there is room for it, and then what is new, without a gap.
func TestCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hub := house(nil)
		c, l := connect(t, r, "ana")
		l.room = make(chan struct{})
		big := make([]byte, 40<<10)
		for range 5 {
			_, _ = hub.Publish("open/a", channel.Message{Data: big, Binary: true})
		}
		subscribe(t, c, "open/a", channel.Oldest())
		n := len(l.take())
		for i := range 10 {
			_, _ = hub.Publish("open/a", channel.Message{Data: fmt.Append(nil, i)})
			synctest.Wait()
			select {
			case l.room <- struct{}{}:
			default:
			}
			synctest.Wait()
			n += len(l.take())
		}
		if n != 15 {
			t.Errorf("%d messages came, of 15", n)
		}
		c.Gone("over")
	})
}

// The backend is told of a subscription that is lost, too: the channel was faster than the client.
func TestLostSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		r, hub := house(func(c *clients.Config, o *channel.Options) {
			o.HistoryCount = 5
			c.Notify = func(kind string, _ any) { told = append(told, kind) }
		})
		c, l := connect(t, r, "ana")
		l.room = make(chan struct{})
		publish := func() {
			for range 5 {
				_, _ = hub.Publish("open/a", channel.Message{Data: make([]byte, 40<<10), Binary: true})
			}
		}
		publish()
		subscribe(t, c, "open/a", channel.Oldest())
		synctest.Wait()
		publish()
		close(l.room)
		synctest.Wait()
		expect(t, l, "out of open/a: not_recoverable")
		if want := []string{clients.TypeConnected, clients.TypeSubscribed, clients.TypeUnsubscribed}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		c.Gone("over")
	})
}

// Who leaves while it catches up leaves nothing behind.
func TestGoneWhileCatchingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hub := house(nil)
		c, l := connect(t, r, "ana")
		l.room = make(chan struct{})
		for range 5 {
			_, _ = hub.Publish("open/a", channel.Message{Data: make([]byte, 40<<10), Binary: true})
		}
		subscribe(t, c, "open/a", channel.Oldest())
		c.Gone("over")
		synctest.Wait()
		if i, _ := hub.Info("open/a"); i.Subscribers != 0 {
			t.Error(i)
		}
	})
}

func call(r *clients.Registry, q clients.CallRequest) func() (clients.Answer, error) {
	type result struct {
		answer clients.Answer
		err    error
	}
	c := make(chan result, 1)
	go func() {
		a, err := r.Call(context.Background(), q)
		c <- result{a, err}
	}()
	return func() (clients.Answer, error) { got := <-c; return got.answer, got.err }
}

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := house(nil)
		if _, err := r.Call(t.Context(), clients.CallRequest{User: "ana", Method: "open", Timeout: time.Second}); !errors.Is(err, clients.ErrNotFound) {
			t.Error("a user that is away:", err)
		}
		c, l := connect(t, r, "ana")
		q := clients.CallRequest{User: "ana", Method: "open", Data: json.RawMessage(`1`), Timeout: time.Second}

		done := call(r, q)
		synctest.Wait()
		asked := l.lastCall()
		if err := c.Answer(asked.ID, json.RawMessage(`"opened"`), nil); err != nil || string(asked.Data) != "1" {
			t.Error(asked, err)
		}
		if a, err := done(); err != nil || a.State != clients.Answered || string(a.Data) != `"opened"` || a.Client != c.ID() {
			t.Errorf("%+v, %v", a, err)
		}
		if err := c.Answer(asked.ID, nil, nil); !errors.Is(err, clients.ErrNotFound) {
			t.Error("answered twice:", err)
		}

		done = call(r, q)
		synctest.Wait()
		other, _ := connect(t, r, "ben")
		if err := other.Answer(l.lastCall().ID, nil, nil); !errors.Is(err, clients.ErrNotFound) {
			t.Error("another's call:", err)
		}
		_ = c.Answer(l.lastCall().ID, nil, &clients.Refused{Code: "jammed", Message: "the door is jammed"})
		if a, err := done(); err != nil || a.State != clients.Failed || *a.Error != (clients.Refused{"jammed", 1510, "the door is jammed"}) {
			t.Errorf("%+v, %v", a, err)
		}

		done = call(r, q)
		synctest.Wait()
		for _, wrong := range []*clients.Refused{{}, {Code: strings.Repeat("c", 65)}, {Code: "c", Message: strings.Repeat("m", 1025)}} {
			if err := c.Answer(l.lastCall().ID, nil, wrong); err == nil {
				t.Error("a refusal beyond its bounds is taken")
			}
		}
		if err := c.Answer(l.lastCall().ID, json.RawMessage(`{`), nil); err == nil {
			t.Error("an answer that is not JSON is taken")
		}
		_ = c.Answer(l.lastCall().ID, nil, nil)
		if a, err := done(); err != nil || a.State != clients.Answered || a.User != "ana" {
			t.Errorf("%+v, %v", a, err)
		}

		if a, err := r.Call(t.Context(), q); err != nil || a.Error == nil || a.Error.Code != "timeout" {
			t.Errorf("%+v, %v", a, err)
		}

		done = call(r, q)
		synctest.Wait()
		c.Gone("over")
		if a, err := done(); err != nil || a.Error == nil || a.Error.Code != "client_gone" {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

func TestHeldCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := house(func(c *clients.Config, _ *channel.Options) { c.MaxHeld = 2 })
		q := clients.CallRequest{User: "ana", Method: "open", Timeout: 5 * time.Second, Hold: time.Minute}
		done := call(r, q)
		time.Sleep(10 * time.Second)
		c, l := connect(t, r, "ana")
		expect(t, l, "call open")
		c.Gone("a bad line")
		d, l2 := connect(t, r, "ana")
		expect(t, l2, "call open") // again, under one id
		if l.lastCall().ID != l2.lastCall().ID {
			t.Error("another id")
		}
		_ = d.Answer(l2.lastCall().ID, json.RawMessage(`2`), nil)
		a, err := done()
		if err != nil || string(a.Data) != "2" {
			t.Errorf("%+v, %v", a, err)
		}
		d.Gone("over")

		// Who does not wait while the call is held is answered when it is, whether at once or because the client has gone.
		q.NoWait = true
		if a, err := r.Call(t.Context(), q); err != nil || a.State != clients.Held {
			t.Errorf("%+v, %v", a, err)
		}
		e, l3 := connect(t, r, "ana")
		_ = e.Answer(l3.lastCall().ID, nil, nil)
		done = call(r, q)
		synctest.Wait()
		e.Gone("over")
		if a, err := done(); err != nil || a.State != clients.Held {
			t.Errorf("%+v, %v", a, err)
		}
		time.Sleep(2 * time.Minute)
		q.NoWait = false

		// Whoever asked does not wait: the answer can be had later.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		a, err = r.Call(ctx, q)
		cancel()
		if err != nil || a.State != clients.Held {
			t.Errorf("%+v, %v", a, err)
		}
		if later, err := r.CallState(t.Context(), a.Call); err != nil || later.State != clients.Held {
			t.Errorf("%+v, %v", later, err)
		}
		time.Sleep(2 * time.Minute)
		if later, err := r.CallState(t.Context(), a.Call); err != nil || later.State != clients.Failed || later.Error.Code != "timeout" {
			t.Errorf("%+v, %v", later, err)
		}
		time.Sleep(time.Hour)
		if _, err := r.CallState(t.Context(), a.Call); !errors.Is(err, clients.ErrNotFound) {
			t.Error(err)
		}

		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, _ = r.Call(ctx, q)
		}
		if _, err := r.Call(t.Context(), q); !errors.Is(err, clients.ErrCalls) {
			t.Error("the queue of a user is full:", err)
		}
		time.Sleep(time.Hour)
	})
}

// The data of calls and the answers that are kept have a bound together; what is over gives its share back.
func TestCallsTakeBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := house(func(c *clients.Config, _ *channel.Options) { c.MaxCallsBytes = 1000 })
		hold := func(size int) (clients.Answer, error) {
			data := json.RawMessage(`"` + strings.Repeat("x", size-2) + `"`)
			return r.Call(t.Context(), clients.CallRequest{
				User: "ana", Method: "m", Data: data, Timeout: time.Second, Hold: time.Minute, NoWait: true,
			})
		}
		for range 3 {
			first, err := hold(600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := hold(600); !errors.Is(err, clients.ErrCalls) {
				t.Error("600 bytes more:", err)
			}
			if _, err := hold(400); err != nil {
				t.Error("400 bytes more:", err)
			}
			c, l := connect(t, r, "ana")
			for _, k := range l.calls {
				if err := c.Answer(k.ID, json.RawMessage(`"`+strings.Repeat("y", 498)+`"`), nil); err != nil {
					t.Error(err)
				}
			}
			if a, err := r.CallState(t.Context(), first.Call); err != nil || a.State != clients.Answered {
				t.Error(a, err)
			}
			if _, err := hold(2); !errors.Is(err, clients.ErrCalls) {
				t.Error("beside answers that take it all:", err)
			}
			c.Gone("over")
			time.Sleep(11 * time.Minute)
		}
	})
}

func TestBackend(t *testing.T) {
	var events []string
	r, hub := house(func(c *clients.Config, _ *channel.Options) {
		c.Notify = func(kind string, _ any) { events = append(events, kind) }
	})
	_, l := connect(t, r, "ana")
	_, l2 := connect(t, r, "ana")
	if n := r.Subscribe(clients.Target{Users: []string{"ana", "nobody"}}, "closed"); n != 2 {
		t.Error(n)
	}
	_, _ = hub.Publish("closed", channel.Message{Data: []byte("x")})
	if n := r.Unsubscribe(clients.Target{Users: []string{"ana"}}, "closed"); n != 2 {
		t.Error(n)
	}
	if n := r.Disconnect(clients.Target{Users: []string{"ana"}}, clients.EndDisconnected); n != 2 {
		t.Error(n)
	}
	for _, l := range []*link{l, l2} {
		expect(t, l, "in closed", "closed: x", "out of closed: forbidden", "close disconnected")
	}
	if want := []string{"connected", "connected", "subscribed", "subscribed", "unsubscribed", "unsubscribed"}; !slices.Equal(events, want) {
		t.Error(events)
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expires := time.Now().Add(time.Minute)
		r, _ := house(func(c *clients.Config, _ *channel.Options) {
			c.Ask = func(_ context.Context, _ string, _, answer any) error {
				*answer.(*clients.ConnectAnswer) = clients.ConnectAnswer{User: "ana", Expires: float64(expires.Unix()), Channels: []string{"closed"}}
				return nil
			}
		})
		c, l := connect(t, r, "ana")
		expect(t, l, "in closed")
		time.Sleep(50 * time.Second)
		expires = time.Now().Add(time.Minute)
		if _, err := c.Refresh(t.Context(), clients.Hello{Token: "ana"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		expect(t, l)
		time.Sleep(20 * time.Second)
		expect(t, l, "close token_expired")
		c.Gone("over")
	})
}

func TestMaxSubscriptions(t *testing.T) {
	r, hub := house(func(c *clients.Config, _ *channel.Options) { c.MaxSubscriptions = 2 })
	c, l := connect(t, r, "ana")
	subscribe(t, c, "open/a", channel.Now())
	subscribe(t, c, "open/b", channel.Now())
	err := c.Subscribe("open/c", clients.SubscribeOptions{From: channel.Now()}, func(clients.Start) { t.Error("it has begun") })
	if !errors.Is(err, clients.ErrTooManyIn) {
		t.Error("by the client:", err)
	}
	r.Subscribe(clients.Target{Users: []string{"ana"}}, "open/c")
	expect(t, l, "out of open/c: too_many_subscriptions")
	if i, _ := hub.Info("open/c"); i.Subscribers != 0 {
		t.Error(i)
	}
	if !c.Unsubscribe("open/a") {
		t.Error("the first subscription was not there")
	}
	subscribe(t, c, "open/c", channel.Now())
}

func TestMaxCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := house(func(c *clients.Config, _ *channel.Options) { c.MaxCalls = 2 })
		for i := range 3 {
			_, err := r.Call(t.Context(), clients.CallRequest{User: fmt.Sprint(i), Method: "m", Timeout: time.Second, Hold: time.Minute, NoWait: true})
			if got, want := errors.Is(err, clients.ErrCalls), i == 2; got != want {
				t.Errorf("call %d: %v", i, err)
			}
		}
		time.Sleep(12 * time.Minute) // what came of them is forgotten
		if a, err := r.Call(t.Context(), clients.CallRequest{User: "ana", Method: "m", Timeout: time.Second, Hold: time.Minute, NoWait: true}); err != nil {
			t.Error(a, err)
		}
		time.Sleep(12 * time.Minute)
	})
}

func TestMaxCallBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := house(func(c *clients.Config, _ *channel.Options) { c.MaxCallBytes = 10 })
		c, l := connect(t, r, "ana")
		long := json.RawMessage(`"123456789"`)
		_, err := r.Call(t.Context(), clients.CallRequest{User: "ana", Method: "m", Data: long, Timeout: time.Minute})
		if !errors.Is(err, clients.ErrTooLarge) {
			t.Error("a long question:", err)
		}
		answer := call(r, clients.CallRequest{User: "ana", Method: "m", Timeout: time.Minute})
		synctest.Wait()
		id := l.lastCall().ID
		if err := c.Answer(id, long, nil); !errors.Is(err, clients.ErrTooLarge) {
			t.Error("a long answer:", err)
		}
		if err := c.Answer(id, json.RawMessage(`"short"`), nil); err != nil {
			t.Error("a short one after it:", err)
		}
		if a, err := answer(); err != nil || a.State != clients.Answered {
			t.Error(a, err)
		}
	})
}

// hooked is a link during whose first call something happens.
type hooked struct {
	link
	once   sync.Once
	called func()
}

func (l *hooked) Call(k clients.Call) {
	l.link.Call(k)
	l.once.Do(l.called)
}

// Of two devices that come at once one is asked, so that its answer counts.
func TestHeldCallIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := house(nil)
		one := call(r, clients.CallRequest{User: "ana", Method: "m", Timeout: time.Second, Hold: time.Minute})
		two := call(r, clients.CallRequest{User: "ana", Method: "m", Timeout: time.Second, Hold: time.Minute})
		synctest.Wait()
		identity, _ := r.Identify(t.Context(), clients.Hello{Token: "ana"})
		var second *clients.Client
		var other *link
		first := &hooked{called: func() { second, other = connect(t, r, "ana") }}
		c, _ := r.Enter(identity, clients.Hello{}, first)
		c.Begin(t.Context())
		if len(first.calls) != 1 || len(other.calls) != 1 {
			t.Fatalf("asked for %d and %d, of 2 in all", len(first.calls), len(other.calls))
		}
		if err := c.Answer(first.calls[0].ID, json.RawMessage(`1`), nil); err != nil {
			t.Error(err)
		}
		if err := second.Answer(other.calls[0].ID, json.RawMessage(`2`), nil); err != nil {
			t.Error(err)
		}
		for _, answer := range []func() (clients.Answer, error){one, two} {
			if a, err := answer(); err != nil || a.State != clients.Answered {
				t.Error(a, err)
			}
		}
		c.Gone("over")
		second.Gone("over")
		time.Sleep(11 * time.Minute)
	})
}
