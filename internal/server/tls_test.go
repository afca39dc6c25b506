package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/testkit"
)

// Over HTTP/2 one connection carries many streams; one that is not read must not hold up the others.
func TestHTTP2(t *testing.T) {
	cert, key, pool := testkit.Certificate(t)
	s := start(t, Config{TLSCert: cert, TLSKey: key, QueueBytes: 300_000, ReconnectWindow: time.Hour, Channels: channel.Options{HistoryBytes: 64 << 20}})
	if url := s.URLs()[0]; !strings.HasPrefix(url, "https://") {
		t.Errorf("the URL is %s", url)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: time.Minute}

	var streams []*events
	for range 5 {
		response, err := open(t.Context(), c, s.url("/c/a"), typeSSE)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.ProtoMajor != 2 {
			t.Fatalf("it speaks %s", response.Proto)
		}
		streams = append(streams, newEvents(response.Body))
	}
	unread, err := open(t.Context(), c, s.url("/c/a"), typeSSE)
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Body.Close()
	if n := s.connections.open.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}

	text := strings.Repeat("x", 50_000)
	for i := 0; s.used() > 5; i++ {
		if i > 1000 {
			t.Fatal("the stream that is not read is not cut")
		}
		publishText(t, s, "a", text)
		for j, stream := range streams {
			if e, err := stream.next(); err != nil || e.data != text {
				t.Fatalf("stream %d, message %d: %d bytes, %v", j, i, len(e.data), err)
			}
		}
	}
	if _, err := io.Copy(io.Discard, unread.Body); err == nil {
		t.Error("the stream that was cut looks whole")
	}

	go s.Shutdown(t.Context())
	for i, stream := range streams {
		if e, err := stream.next(); !errors.Is(err, io.EOF) || stream.retry == "2000" {
			t.Errorf("stream %d, as the server stops: %+v, %v, retry %s", i, e, err, stream.retry)
		}
	}
}

// A client that connects and says nothing, or no TLS, is let go.
func TestTLSHandshakeTime(t *testing.T) {
	cert, key, _ := testkit.Certificate(t)
	s := start(t, Config{TLSCert: cert, TLSKey: key, HeaderTimeout: 200 * time.Millisecond})
	silent := dial(t, s)
	if _, err := readToClose(silent); err != nil {
		t.Errorf("silent: %v", err)
	}
	partial := dial(t, s)
	if _, err := partial.Write([]byte{22, 3, 1, 2, 0, 1}); err != nil { // the beginning of a ClientHello
		t.Fatal(err)
	}
	if _, err := readToClose(partial); err != nil {
		t.Errorf("half a ClientHello: %v", err)
	}
	eventually(t, "they are gone", func() bool { return s.connections.open.Load() == 0 })
}
