package redislink_test

import (
	"bufio"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/cluster/redislink"
	"baro.dev/internal/testkit"
)

// slow is a Redis that answers when it is told to.
type slow struct {
	net.Conn
	r *bufio.Reader
}

// command reads one.
func (s *slow) command(t *testing.T) string {
	t.Helper()
	line := func() string {
		text, err := s.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(text)
	}
	n, _ := strconv.Atoi(line()[1:])
	var words []string
	for range n {
		line()
		words = append(words, line())
	}
	return strings.Join(words, " ")
}

type handler struct{ ready atomic.Int32 }

func (h *handler) Ready()         { h.ready.Add(1) }
func (h *handler) Message([]byte) {}

// A channel that is given up and wanted again, before Redis has answered, is settled when it has.
func TestWantedAgain(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client := redislink.NewClient(&redis.UniversalOptions{Addrs: []string{listener.Addr().String()}})
	defer client.Close()
	s := redislink.NewSubscriber(redislink.SubscriberOptions{Client: client, Beat: time.Minute})
	defer s.Close()
	h := &handler{}
	s.Subscribe("a", h)
	c, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(testkit.Patience))
	peer := &slow{c, bufio.NewReader(c)}
	for _, step := range []struct {
		want string
		next func()
	}{
		{"SUBSCRIBE a", func() { s.Unsubscribe("a") }}, {"UNSUBSCRIBE a", func() { s.Subscribe("a", h) }}, {"SUBSCRIBE a", func() {}},
	} {
		if got := peer.command(t); got != step.want {
			t.Fatalf("%q and not %q", got, step.want)
		}
		step.next()
	}
	for _, kind := range []string{"subscribe", "unsubscribe", "subscribe"} {
		if _, err := c.Write([]byte("*3\r\n$" + strconv.Itoa(len(kind)) + "\r\n" + kind + "\r\n$1\r\na\r\n:1\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	for began := time.Now(); h.ready.Load() < 2 || !s.Settled(); time.Sleep(time.Millisecond) {
		if time.Since(began) > testkit.Patience {
			t.Fatalf("it was ready %d times, and is not settled", h.ready.Load())
		}
	}
}
