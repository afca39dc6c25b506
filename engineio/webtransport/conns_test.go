package webtransport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/engineio"
	"baro.dev/engineio/webtransport"
)

// plain is a server of any handler.
func plain(t *testing.T, handler http.Handler, change func(*webtransport.Server)) (s *webtransport.Server, h *host) {
	t.Helper()
	h = serve(t, &engineio.Server{}) // for its certificate
	certificate, _, err := webtransport.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	h.roots.AddCert(certificate.Leaf)
	s = webtransport.NewServer(handler, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if change != nil {
		change(s)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = socket.LocalAddr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(socket) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		_ = socket.Close()
	})
	return s, h
}

func (h *host) client(t *testing.T, config *quic.Config) *http.Client {
	t.Helper()
	transport := &http3.Transport{TLSClientConfig: h.tls(), QUICConfig: config}
	t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport}
}

// What handlers say of connections of HTTP/1.1 would make an answer malformed.
func TestConnectionFields(t *testing.T) {
	noLeaks(t)
	_, h := plain(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Other", "stays")
		switch r.URL.Path {
		case "/status":
			w.WriteHeader(http.StatusTeapot)
		case "/write":
			_, _ = io.WriteString(w, "x")
		case "/flush":
			_ = http.NewResponseController(w).Flush()
		}
	}), nil)
	c := h.client(t, nil)
	for _, path := range []string{"/status", "/write", "/flush", "/nothing"} {
		resp, err := c.Get("https://" + h.addr + path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		resp.Body.Close()
		if resp.Header.Get("Other") != "stays" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

// An answer that the client has not accepted in time does not look whole, and ends alone.
func TestHalfAnswer(t *testing.T) {
	noLeaks(t)
	cut := make(chan struct{})
	_, h := plain(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/large" {
			return
		}
		defer close(cut)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		for range 100 {
			if _, err := w.Write(make([]byte, 10_000)); err != nil {
				return // as if that were all
			}
		}
		t.Error("all was accepted")
	}), nil)
	c := h.client(t, &quic.Config{InitialStreamReceiveWindow: 50_000, MaxStreamReceiveWindow: 50_000})
	resp, err := c.Get("https://" + h.addr + "/large")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	within(t, "the handler", cut)
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes look whole", n)
	}
	other, err := c.Get("https://" + h.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	other.Body.Close()
}

func TestAdmit(t *testing.T) {
	noLeaks(t)
	gone := make(chan struct{})
	admitted := 0
	_, h := plain(t, http.NotFoundHandler(), func(s *webtransport.Server) {
		s.Admit = func(ctx context.Context, client *quic.ClientInfo) error {
			if admitted++; admitted > 1 || client.RemoteAddr == nil {
				return errors.New("no")
			}
			context.AfterFunc(ctx, func() { close(gone) })
			return nil
		}
	})
	first, second := h.client(t, nil), h.client(t, nil)
	resp, err := first.Get("https://" + h.addr)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	var refused *quic.TransportError
	if _, err := second.Get("https://" + h.addr); !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Error(err)
	}
	_ = first.Transport.(*http3.Transport).Close()
	within(t, "the end of its context", gone)
}

// A connection closes when its last request has been answered; the one that comes too late can be sent again.
func TestShutdownOfConnections(t *testing.T) {
	noLeaks(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	s, h := plain(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			close(begun)
			<-finish
			_, _ = io.WriteString(w, strings.Repeat("x", 200_000))
		}
	}), nil)
	busy := h.client(t, nil)
	answered := make(chan int, 1)
	go func() {
		resp, err := busy.Get("https://" + h.addr + "/long")
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		answered <- len(b)
	}()
	within(t, "the long request", begun)
	idle, err := quic.DialAddr(t.Context(), h.addr, http3Config(h), nil)
	if err != nil {
		t.Fatal(err)
	}
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	within(t, "the idle connection", idle.Context().Done())
	var end *quic.ApplicationError
	if err := context.Cause(idle.Context()); !errors.As(err, &end) || end.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeNoError) {
		t.Errorf("the idle connection: %v", err)
	}
	var refused *quic.TransportError
	// H3_REQUEST_REJECTED has the client send it again, over another connection.
	if resp, err := busy.Get("https://" + h.addr + "/late"); !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("a late request: %v, %v", resp, err)
	}
	if _, err := quic.DialAddr(t.Context(), h.addr, http3Config(h), nil); !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("a late connection: %v", err)
	}
	close(finish)
	if n := within(t, "the answer", answered); n != 200_000 {
		t.Errorf("%d bytes", n)
	}
	if err := within(t, "Shutdown", down); err != nil {
		t.Error(err)
	}
}

func http3Config(h *host) *tls.Config {
	config := h.tls()
	config.NextProtos = []string{http3.NextProtoH3}
	return config
}

// A connection over which a head has begun and does not end is as idle as one over which nothing comes.
func TestIdle(t *testing.T) {
	noLeaks(t)
	_, h := plain(t, http.NotFoundHandler(), func(s *webtransport.Server) { s.HTTP3.IdleTimeout = 200 * time.Millisecond })
	c, err := quic.DialAddr(t.Context(), h.addr, http3Config(h), &quic.Config{EnableDatagrams: true})
	if err != nil {
		t.Fatal(err)
	}
	str, err := c.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := str.Write([]byte{1, 40, 0, 0}); err != nil { // of a HEADERS frame of 40 bytes
		t.Fatal(err)
	}
	within(t, "its end", c.Context().Done())
	var end *quic.ApplicationError
	if err := context.Cause(c.Context()); !errors.As(err, &end) || end.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeNoError) {
		t.Error(err)
	}
}
