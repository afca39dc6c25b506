package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"baro.dev/engineio/client"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// Where a URL leads to, and what is asked for there.
func TestAddresses(t *testing.T) {
	unread := errors.New("unread")
	for _, c := range []struct {
		url, path     string
		query         url.Values
		address, want string
	}{
		{"http://localhost", "", nil, "localhost:80", "/engine.io/?EIO=4"},
		{"ws://localhost", "", nil, "localhost:80", "/engine.io/?EIO=4"},
		{"https://localhost", "", nil, "localhost:443", ""},
		{"wss://localhost", "", nil, "localhost:443", ""},
		{"wss://localhost:2020", "", nil, "localhost:2020", ""},
		{"http://localhost:8080", "/engine.io", nil, "localhost:8080", "/engine.io?EIO=4"},
		{"http://localhost:8080/there", "", nil, "localhost:8080", "/there?EIO=4"},
		{"http://localhost/?a=b&c=d", "", url.Values{"sid": {"test"}}, "localhost:80", "/engine.io/?EIO=4&a=b&c=d&sid=test"},
		{"http://[::1]", "", nil, "[::1]:80", "/engine.io/?EIO=4"},
		{"https://[::1]", "", nil, "[::1]:443", ""},
		{"http://[::1]:8080", "", nil, "[::1]:8080", "/engine.io/?EIO=4"},
	} {
		for _, transport := range []string{client.Polling, client.WebSocket} {
			dialled, asked := "", make(chan string, 1)
			_, err := client.Dial(context10(t), c.url, &client.Options{
				Transports: []string{transport}, Path: c.path, Query: c.query,
				DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
					dialled = address
					if c.want == "" {
						return nil, unread
					}
					near, far := net.Pipe()
					go func() {
						defer far.Close()
						line := make([]byte, 200)
						n, _ := far.Read(line) // a pipe: the first of what is written at once
						asked <- string(line[:n])
					}()
					return near, nil
				},
			})
			if err == nil || dialled != c.address {
				t.Errorf("%s leads to %s: %v", c.url, dialled, err)
			}
			if c.want == "" {
				continue
			}
			want := "GET " + c.want + "&transport=" + transport
			if transport == client.Polling {
				want += "&t=" // no cache may have it
			} else {
				want += " "
			}
			if line := testkit.Within(t, "a request", asked); !strings.HasPrefix(line, want) {
				t.Errorf("%s, %s: %.100q", c.url, transport, line)
			}
		}
	}
}

// What ends a session is said: the status of a request, or how the WebSocket was closed.
func TestDetails(t *testing.T) {
	const opened = `0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`
	large := client.Message{Data: []byte(strings.Repeat("a", 101))}
	t.Run(client.Polling, func(t *testing.T) {
		testkit.NoLeaks(t)
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPost:
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			case r.FormValue("sid") == "":
				fmt.Fprint(w, opened)
			default:
				<-r.Context().Done()
			}
		}))
		t.Cleanup(site.Close)
		s, err := client.Dial(context10(t), site.URL, &client.Options{Transports: []string{client.Polling}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(large); err != nil {
			t.Fatal(err)
		}
		testkit.Within(t, "the end", s.Done())
		if e, ok := errors.AsType[*client.RefusedError](s.Err()); !ok || e.Status != http.StatusRequestEntityTooLarge {
			t.Error(s.Err())
		}
	})
	t.Run(client.WebSocket, func(t *testing.T) {
		testkit.NoLeaks(t)
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := ws.Accept(w, r, &ws.AcceptOptions{Limits: ws.Limits{MaxMessageSize: 100}})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			_ = c.Write(r.Context(), ws.Text, []byte(opened))
			_, _ = c.Read(context10(t))
		}))
		t.Cleanup(site.Close)
		s, err := client.Dial(context10(t), site.URL, &client.Options{Transports: []string{client.WebSocket}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(large); err != nil {
			t.Fatal(err)
		}
		testkit.Within(t, "the end", s.Done())
		e, ok := errors.AsType[*ws.CloseError](s.Err())
		if !ok || e.Code != ws.StatusMessageTooBig || !errors.Is(s.Err(), client.ErrServerClosed) {
			t.Error(s.Err())
		}
	})
}
