package testkit

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Serve calls handle with each connection to an address on loopback, which it returns, until the end of the test; each has one minute. What is left
// open is closed then, and waited for.
func Serve(t testing.TB, handle func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	open, over := map[net.Conn]bool{}, false
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if open[c] = true; over {
				c.Close()
			}
			mu.Unlock()
			running.Go(func() {
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				handle(c)
				c.Close()
				mu.Lock()
				defer mu.Unlock()
				delete(open, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		over = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}
