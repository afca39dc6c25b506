package certificates_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/certificates"
)

// begin has a client begin a handshake that it goes on with when go on is called; done has what the server says.
func begin(t *testing.T, k *certificates.Keeper) (goOn func(), done <-chan error) {
	t.Helper()
	near, far := pipe()
	served, wait := make(chan error, 1), make(chan struct{})
	go func() {
		defer far.Close()
		served <- tls.Server(far, k.TLSConfig()).HandshakeContext(t.Context())
	}()
	go func() {
		defer near.Close()
		_ = tls.Client(near, &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error {
			<-wait
			return nil
		}}).HandshakeContext(t.Context())
	}()
	synctest.Wait()
	return func() { close(wait) }, served
}

// A handshake that is one too many waits for another to end; not for ever, and not for one whose client lets the server wait.
func TestHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.replace(t, "a.test")
		k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, MaxHandshakes: 1, Log: new(logged).log()})
		var refused []string
		k.OnRefused(func(reason, _ string, who ...slog.Attr) { refused = append(refused, reason, who[0].String()) })

		start := time.Now()
		first, firstDone := begin(t, k)
		second, secondDone := begin(t, k)
		first()
		if err := <-firstDone; err != nil {
			t.Error(err)
		}
		second()
		if err := <-secondDone; err != nil {
			t.Error(err)
		}
		if time.Since(start) != 0 {
			t.Errorf("the second waited %v", time.Since(start))
		}

		start = time.Now()
		slow, slowDone := begin(t, k)     // until 1 s
		slower, slowerDone := begin(t, k) // from then on until 2 s
		_, third := begin(t, k)
		if err := <-third; !errors.Is(err, certificates.ErrHandshakes) || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if want := []string{"handshakes", "remote=pipe"}; !slices.Equal(refused, want) {
			t.Errorf("told is %q", refused)
		}
		fourth, fourthDone := begin(t, k)
		fourth()
		if err := <-fourthDone; err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("the fourth is let in after %v: %v", time.Since(start), err)
		}
		slow()
		slower()
		if err := errors.Join(<-slowDone, <-slowerDone); err != nil {
			t.Errorf("the slow ones: %v", err)
		}
		if _, err, _ := shake(t, k, &tls.Config{InsecureSkipVerify: true}); err != nil {
			t.Errorf("then: %v", err)
		}
		k.Close()
	})
}

// Handshakes that are given up, or fail, count no longer.
func TestHandshakesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.replace(t, "a.test")
		k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, MaxHandshakes: 1, Log: new(logged).log()})
		for range 10 {
			if _, err, _ := shake(t, k, &tls.Config{}); err == nil {
				t.Error("a client without trust is content")
			}
			near, far := pipe()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- tls.Server(far, k.TLSConfig()).HandshakeContext(ctx) }()
			if _, err := near.Write([]byte{22, 3, 1, 2, 0, 1}); err != nil { // the beginning of a ClientHello
				t.Error(err)
			}
			synctest.Wait()
			cancel()
			<-done
			near.Close()
		}
		start := time.Now()
		if _, err, _ := shake(t, k, &tls.Config{InsecureSkipVerify: true}); err != nil || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		k.Close()
	})
}
