package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/natsbus"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/internal/testkit/brokers/embedded"
)

func newShelf(t *testing.T, ctx context.Context, url string, replicas int) *natsbus.Shelf {
	t.Helper()
	conn, err := nats.Connect(url, natsbus.ConnectOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s, err := natsbus.NewShelf(ctx, conn, natsbus.ShelfOptions{Replicas: replicas})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	t.Cleanup(cancel)
	return ctx
}

func TestShelfDebian(t *testing.T) {
	url := "nats://" + brokers.NATS(t).Addr
	ctx := within(t)
	testShelf(t, ctx, newShelf(t, ctx, url, 1), newShelf(t, ctx, url, 0))
}

func TestShelfEmbedded(t *testing.T) {
	servers := embedded.NATS(t, 3)
	ctx := within(t)
	testShelf(t, ctx, newShelf(t, ctx, servers[0].URL, 3), newShelf(t, ctx, servers[1].URL, 3))
	servers[2].Stop()
	ctx = within(t) // the other two may have to find a leader
	testShelf(t, ctx, newShelf(t, ctx, servers[0].URL, 3), newShelf(t, ctx, servers[1].URL, 3))
}

// things is how many are put on a shelf.
const things = 12

func testShelf(t *testing.T, ctx context.Context, a, b cluster.Shelf) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{}
	for i := range things {
		key := fmt.Sprintf("한 글\x00 %d.*>", i)
		want[key] = fmt.Sprint(i)
		check(a.Put(ctx, "a shelf", key, []byte("an older one"), time.Hour))
		check(a.Put(ctx, "a shelf", key, []byte(want[key]), time.Hour))
	}
	check(a.Put(ctx, "another", "k", nil, time.Hour))
	check(a.Put(ctx, "a shelf", "short", nil, time.Millisecond))
	got := map[string]string{}
	all, err := b.List(ctx, "a shelf")
	check(err)
	for key, value := range all {
		got[key] = string(value)
	}
	if delete(got, "short"); !maps.Equal(got, want) {
		t.Errorf("on the shelf is %q, want %q", got, want)
	}
	// Of many who take a thing one gets it.
	var taken atomic.Int32
	var wg sync.WaitGroup
	for _, s := range []cluster.Shelf{a, b, a, b} {
		wg.Go(func() {
			for key := range want {
				value, ok, err := s.Take(ctx, "a shelf", key)
				if err != nil || ok && string(value) != want[key] {
					t.Errorf("%q, %v", value, err)
				}
				if ok {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != things {
		t.Errorf("%d were taken of %d", taken.Load(), things)
	}
	time.Sleep(2 * time.Millisecond)
	if all, err := a.List(ctx, "a shelf"); err != nil || len(all) != 0 {
		t.Errorf("left: %q, %v", all, err)
	}
	if _, ok, err := a.Take(ctx, "another", "never put"); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	// What was taken can be put there again.
	check(b.Put(ctx, "another", "k", []byte("again"), time.Hour))
	if value, ok, err := a.Take(ctx, "another", "k"); !ok || err != nil || string(value) != "again" {
		t.Errorf("%q, %v, %v", value, ok, err)
	}
	for _, bad := range []string{"", strings.Repeat("k", 256)} {
		if a.Put(ctx, "s", bad, nil, time.Hour) == nil || a.Put(ctx, bad, "k", nil, time.Hour) == nil {
			t.Errorf("took the name %q", bad)
		}
	}
	if err := a.Put(ctx, "s", "k", make([]byte, 1<<20), time.Hour); !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// What nobody put there who uses this package is not there.
func TestShelfForeign(t *testing.T) {
	url := "nats://" + brokers.NATS(t).Addr
	ctx := within(t)
	s := newShelf(t, ctx, url, 0)
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	subject := "baro.s." + cluster.Word("s") + "."
	for i, m := range []string{"", "\x02" + strings.Repeat("\xff", 40), "\x01\x07" + strings.Repeat("x", 40)} {
		for _, key := range []string{"!not base64", cluster.Word(fmt.Sprint(i)), cluster.Word(strings.Repeat("k", 300))} {
			if _, err := conn.Request(subject+strings.ReplaceAll(key, " ", "-"), []byte(m), testkit.Patience); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Put(ctx, "s", "k", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(ctx, "s"); err != nil || len(all) != 1 {
		t.Errorf("%q, %v", all, err)
	}
	if _, ok, err := s.Take(ctx, "s", "1"); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// While the broker is away nothing is put there, and nothing waits for longer than it may.
func TestShelfAway(t *testing.T) {
	server := brokers.NATS(t)
	s := newShelf(t, within(t), "nats://"+server.Addr, 0)
	if err := s.Put(within(t), "s", "k", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := s.Put(ctx, "s", "other", nil, time.Hour); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	if _, _, err := s.Take(ctx, "s", "k"); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	if _, err := s.List(ctx, "s"); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	server.Restart()
	if value, ok, err := s.Take(within(t), "s", "k"); !ok || err != nil || string(value) != "v" {
		t.Errorf("%q, %v, %v", value, ok, err)
	}
}

// A stream that somebody has deleted is made again.
func TestShelfRemade(t *testing.T) {
	server := brokers.NATS(t)
	ctx := within(t)
	a, b := newShelf(t, ctx, "nats://"+server.Addr, 1), newShelf(t, ctx, "nats://"+server.Addr, 1)
	conn, err := nats.Connect("nats://" + server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	remove := func() {
		t.Helper()
		m, err := conn.Request("$JS.API.STREAM.DELETE.BARO_SHELF", nil, testkit.Patience)
		if err != nil || !strings.Contains(string(m.Data), `"success":true`) {
			t.Fatal(m, err)
		}
	}
	remove()
	if err := a.Put(ctx, "s", "k", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if all, err := b.List(ctx, "s"); err != nil || string(all["k"]) != "v" {
		t.Errorf("%q, %v", all, err)
	}
	remove()
	if all, err := b.List(ctx, "s"); err != nil || len(all) > 0 {
		t.Errorf("%q, %v", all, err)
	}
	remove()
	if _, ok, err := b.Take(ctx, "s", "k"); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}
