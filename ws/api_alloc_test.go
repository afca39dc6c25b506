package ws_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"baro.dev/ws"
)

// leastAllocs is how many allocations f makes, all goroutines together: the least of many runs, since the race
// detector has pools forget at random, and the runtime allocates now and then.
func leastAllocs(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for i := 0; i < 1000 && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

// echoAllocs is how many allocations it takes to write a message, have it echoed and read it again, on both sides.
func echoAllocs(t *testing.T, c *ws.Conn, size int) float64 {
	t.Helper()
	ctx := context.Background()
	next, stop := iter.Pull2(c.Messages(ctx))
	defer stop()
	data := []byte(strings.Repeat(text(100, 0), size/100+1)[:size]) // compresses as JSON would
	return leastAllocs(func() {
		if err := c.Write(ctx, ws.Text, data); err != nil {
			t.Fatal(err)
		}
		if m, err, _ := next(); err != nil || len(m.Data) != size {
			t.Fatal(len(m.Data), err)
		}
	})
}

// A message costs no allocation, on the client's side and on the server's, however that is written.
func TestNoAllocations(t *testing.T) {
	for way, handler := range echoes(ws.AcceptOptions{}) {
		c, _, err := ws.Dial(t.Context(), serve(t, handler), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		for _, size := range []int{300, 20_000} {
			t.Run(fmt.Sprintf("%s/%d", way, size), func(t *testing.T) {
				if n := echoAllocs(t, c, size); n > 0 {
					t.Errorf("%v allocations", n)
				}
			})
		}
	}
}

// Compression borrows what it needs.
func TestNoAllocationsCompressed(t *testing.T) {
	for name, compression := range compressions {
		if !compression.Enabled {
			continue
		}
		t.Run(name, func(t *testing.T) {
			url := serve(t, echoes(ws.AcceptOptions{Compression: compression})["Server"])
			c, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{Compression: compression})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			for _, size := range []int{300, 5000} {
				if n := echoAllocs(t, c, size); n > 0 {
					t.Errorf("%d bytes: %v allocations", size, n)
				}
			}
		})
	}
}

// Where a write cannot be tried, a goroutine makes it, and that is all.
func TestFewAllocationsTLS(t *testing.T) {
	for way, handler := range echoes(ws.AcceptOptions{}) {
		url, roots := serveTLS(t, handler)
		c, _, err := ws.Dial(t.Context(), url, overTLS(roots))
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		t.Run(way, func(t *testing.T) {
			if n := echoAllocs(t, c, 100); n > 4 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// A prepared message costs a connection nothing but the write.
func TestNoAllocationsPrepared(t *testing.T) {
	for _, size := range []int{10, 300, 5000, 20_000} {
		client, server := openHTTP(t, ws.AcceptOptions{}, "ws")
		m, _ := ws.NewPreparedMessage(ws.Text, []byte(text(size, 0)))
		next, stop := iter.Pull2(client.Messages(context.Background()))
		defer stop()
		if n := leastAllocs(func() {
			if err := server.SendPrepared(m); err != nil {
				t.Fatal(err)
			}
			if got, err, _ := next(); err != nil || len(got.Data) != size {
				t.Fatal(len(got.Data), err)
			}
		}); n > 0 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
	}
}
