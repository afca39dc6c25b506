package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

// What others are shown of a user is short, and a token that says more lets nobody in.
func TestInfoIsShort(t *testing.T) {
	signing, err := auth.ParseSigningKey([]byte(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.New(auth.Config{Keys: []auth.Key{signing.Key()}})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := house(func(c *clients.Config, _ *channel.Options) { c.Verifier = v })
	for bytes, want := range map[int]error{channel.MaxInfoBytes: nil, channel.MaxInfoBytes + 1: clients.ErrCredentials} {
		token, err := auth.Mint(signing, auth.Claims{User: "ana", Info: fmt.Appendf(nil, `"%s"`, strings.Repeat("x", bytes-2)), Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		i, err := r.Identify(t.Context(), clients.Hello{Token: token})
		if !errors.Is(err, want) || err == nil && len(i.Info) != bytes {
			t.Errorf("%d bytes: %v", bytes, err)
		}
	}
}

// Who subscribes and unsubscribes again and again, and reads nothing, leaves no more behind than it may have subscriptions.
func TestCatchUpsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hub := house(func(c *clients.Config, _ *channel.Options) { c.MaxSubscriptions = 50 })
		c, l := connect(t, r, "ana")
		l.room = make(chan struct{})
		_, _ = hub.Publish("open/a", channel.Message{Data: []byte("x")})
		before := runtime.NumGoroutine()
		for range 1000 {
			subscribe(t, c, "open/a", channel.Oldest())
			c.Unsubscribe("open/a")
		}
		if n := runtime.NumGoroutine() - before; n > 60 {
			t.Errorf("%d goroutines are left", n)
		}
		if log := l.take(); len(log) != 950 || log[0] != "out of open/a: too_many_commands" {
			t.Errorf("told %d things: %.200q", len(log), log)
		}
		close(l.room)
		synctest.Wait()
		subscribe(t, c, "open/a", channel.Oldest()) // when it has read, it may again
		synctest.Wait()
		expect(t, l, "open/a: x")
		c.Gone("over")
	})
}

// slowStore has a channel be loaded while something else happens.
type slowStore struct {
	channel.Store
	loading func()
}

func (s *slowStore) Load(string, channel.Keep) (channel.Saved, error) {
	s.loading()
	return channel.Saved{}, nil
}
func (s *slowStore) Close() error { return nil }

// A subscription that is ended before it has begun has never been: neither is the backend told of it, nor the client of its end.
func TestSubscriptionThatNeverBegan(t *testing.T) {
	var told []string
	s := &slowStore{}
	r, _ := house(func(c *clients.Config, o *channel.Options) {
		o.Store = s
		c.Notify = func(kind string, _ any) { told = append(told, kind) }
	})
	c, l := connect(t, r, "ana")
	s.loading = func() { r.Unsubscribe(clients.Target{Users: []string{"ana"}}, "open/a") }
	err := c.Subscribe("open/a", clients.SubscribeOptions{}, func(clients.Start) { t.Error("it has begun") })
	if !errors.Is(err, clients.ErrForbidden) {
		t.Error(err)
	}
	expect(t, l)
	s.loading = func() { c.Gone("over") }
	if err := c.Subscribe("open/b", clients.SubscribeOptions{}, func(clients.Start) { t.Error("it has begun") }); err == nil {
		t.Error("who has gone has subscribed")
	}
	if want := []string{clients.TypeConnected, clients.TypeDisconnected}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// Whoever gives another token keeps what that permits, and what the backend has given; who may not see any more who is there is not told.
func TestRefreshTakesRights(t *testing.T) {
	rights := map[string]clients.ConnectAnswer{}
	rights["all"] = answer(t, `{"user":"ana","channels":["given","kept"],"rights":{"subscribe":["room"],"presence":["room"]}}`)
	rights["less"] = answer(t, `{"user":"ana","channels":["kept"],"rights":{"subscribe":["room"]}}`)
	r, _ := house(func(c *clients.Config, _ *channel.Options) {
		c.Ask = func(_ context.Context, _ string, q, a any) error {
			*a.(*clients.ConnectAnswer) = rights[q.(clients.ConnectQuestion).Token]
			return nil
		}
	})
	c, l := connect(t, r, "all")
	r.Subscribe(clients.Target{Users: []string{"ana"}}, "backend")
	if err := c.Subscribe("room", clients.SubscribeOptions{Presence: true}, func(clients.Start) {}); err != nil {
		t.Fatal(err)
	}
	l.take()
	if _, err := c.Refresh(t.Context(), clients.Hello{Token: "less"}); err != nil {
		t.Fatal(err)
	}
	log := l.take()
	slices.Sort(log)
	if want := []string{"out of given: forbidden", "out of room: forbidden"}; !slices.Equal(log, want) {
		t.Errorf("told %q, want %q", log, want)
	}
	in := c.Connection().Channels
	slices.Sort(in)
	if want := []string{"backend", "kept"}; !slices.Equal(in, want) {
		t.Errorf("it is in %q, want %q", in, want)
	}
}

func answer(t *testing.T, text string) (a clients.ConnectAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// Requests have the rate of their user, or their address: without a connection one may not say more than with one.
func TestRateOfRequests(t *testing.T) {
	r, _ := house(func(c *clients.Config, _ *channel.Options) {
		c.Rules = []clients.Rule{
			{Pattern: pattern("slow/**"), Publish: clients.Anyone, PublishRate: 0.001},
			{Pattern: pattern("**"), Publish: clients.Anyone},
		}
	})
	ana, ben := &clients.Identity{Identity: auth.Identity{User: "ana"}}, &clients.Identity{Identity: auth.Identity{User: "ben"}}
	nobody := &clients.Identity{Anonymous: true}
	for i, test := range []struct {
		who    *clients.Identity
		remote string
		name   string
		want   error
	}{
		{ana, "192.0.2.1:1", "slow/a", nil},
		{ana, "192.0.2.2:2", "slow/b", clients.ErrRate},
		{ana, "192.0.2.2:2", "fast", nil},
		{ben, "192.0.2.1:1", "slow/a", nil},
		{nobody, "192.0.2.1:1", "slow/a", nil},
		{nobody, "192.0.2.1:2", "slow/a", clients.ErrRate},
		{nobody, "192.0.2.2:1", "slow/a", nil},
		{nobody, "[2001:db8::1]:1", "slow/a", nil},
		{nobody, "[2001:db8::2]:1", "slow/a", clients.ErrRate}, // one customer has both
		{nobody, "[2001:db8:0:1::1]:1", "slow/a", nil},
		{nobody, "", "slow/a", nil},
		{nobody, "pipe", "slow/a", clients.ErrRate}, // what has no address is one
	} {
		if _, err := r.PublishAs(test.who, test.remote, test.name, channel.Message{}); !errors.Is(err, test.want) {
			t.Errorf("%d: %v, want %v", i, err, test.want)
		}
	}
}
