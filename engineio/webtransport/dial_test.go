package webtransport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"baro.dev/engineio"
	eio "baro.dev/engineio/client"
	"baro.dev/engineio/webtransport"
)

// The client of this project opens sessions over WebTransport, and goes over to it from polling.
func TestClient(t *testing.T) {
	for name, transports := range map[string][]string{
		"alone":   {eio.WebTransport},
		"upgrade": {eio.Polling, eio.WebTransport},
		"best":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			engine := new(engineio.Server)
			h := serve(t, engine)
			overTCP := httptest.NewTLSServer(engine)
			t.Cleanup(overTCP.Close)
			h.roots.AddCert(overTCP.Certificate())
			open := webtransport.Stream(h.tls())
			got, upgraded := make(chan eio.Message, 10), make(chan string, 1)
			s, err := eio.Dial(t.Context(), overTCP.URL, &eio.Options{
				Transports: transports,
				TLS:        h.tls(),
				OpenStream: func(ctx context.Context, u *url.URL, header http.Header) (io.ReadWriteCloser, error) {
					overUDP := *u
					overUDP.Host = h.addr // which usually is the same
					return open(ctx, &overUDP, header)
				},
				OnMessage: func(_ *eio.Session, m eio.Message) {
					m.Data = bytes.Clone(m.Data)
					got <- m
				},
				OnUpgrade: func(_ *eio.Session, transport string) { upgraded <- transport },
			})
			if err != nil {
				t.Fatal(err)
			}
			if s.Transport() == eio.Polling {
				if to := within(t, "an upgrade", upgraded); to != eio.WebTransport {
					t.Error(to)
				}
			}
			large := bytes.Repeat([]byte{1}, 500_000)
			if err := s.Send(eio.Message{Data: []byte("hello")}, eio.Message{Data: large, Binary: true}); err != nil {
				t.Fatal(err)
			}
			if m := within(t, "an echo", got); string(m.Data) != "hello" {
				t.Errorf("%s", m.Data)
			}
			if m := within(t, "an echo", got); !m.Binary || !bytes.Equal(m.Data, large) {
				t.Errorf("%d bytes", len(m.Data))
			}
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			<-s.Done()
			if !errors.Is(s.Err(), eio.ErrClosed) {
				t.Error(s.Err())
			}
			within(t, "the server's end", h.closed)
		})
	}
}
