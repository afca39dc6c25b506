package ws_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// A refusal whose body never ends is told as the refusal it is, and soon.
func TestRefusalWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dialed := dialTest(t, "ws://server.example.com/", ws.DialOptions{Limits: ws.Limits{HandshakeTimeout: time.Hour}})
		start := time.Now()
		if _, err := http.ReadRequest(p.r); err != nil {
			t.Fatal(err)
		}
		p.Write([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nbecause"))
		result := <-dialed
		p.Close()
		he, ok := errors.AsType[*ws.HandshakeError](result.err)
		if !ok || he.Status != http.StatusForbidden {
			t.Errorf("error %v", result.err)
		}
		if result.resp == nil {
			t.Fatal("no response")
		}
		if body, err := io.ReadAll(result.resp.Body); err != nil || string(body) != "because" {
			t.Errorf("body %q, %v", body, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A refusal whose body has not come when the time is over is no mere timeout.
func TestRefusalAtTheEndOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dialed := dialTest(t, "ws://server.example.com/", ws.DialOptions{Limits: ws.Limits{HandshakeTimeout: time.Millisecond}})
		if _, err := http.ReadRequest(p.r); err != nil {
			t.Fatal(err)
		}
		p.Write([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nbecause"))
		result := <-dialed
		p.Close()
		if he, ok := errors.AsType[*ws.HandshakeError](result.err); !ok || he.Status != http.StatusForbidden {
			t.Errorf("error %v", result.err)
		}
	})
}
