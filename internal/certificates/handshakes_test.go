package certificates_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync/atomic"
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
		var refused atomic.Int64
		k.OnRefused(func(reason, why string, who ...slog.Attr) {
			refused.Add(1)
			if reason != certificates.ReasonHandshakes || why != certificates.ErrHandshakes.Error() || who[0].String() != "remote=pipe" {
				t.Errorf("told is %s: %s %v", reason, why, who)
			}
		})

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

		// Each counts for a tenth of a second, and waits for a second.
		start = time.Now()
		const many = 20
		var goOn []func()
		ends := make(chan error, many)
		for range many {
			f, done := begin(t, k)
			goOn = append(goOn, f)
			go func() { ends <- <-done }()
		}
		if time.Since(start) != 0 {
			t.Fatalf("it took %v", time.Since(start))
		}
		for len(ends) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
		if n := len(ends); n < 9 || n > 10 || time.Since(start) > 1100*time.Millisecond || time.Since(start) < time.Second {
			t.Errorf("%d are refused after %v", n, time.Since(start))
		}
		last, lastDone := begin(t, k)
		last()
		if err := <-lastDone; err != nil || time.Since(start) > 1500*time.Millisecond {
			t.Errorf("another one is let in after %v: %v", time.Since(start), err)
		}
		for _, f := range goOn {
			f()
		}
		failed := 0
		for range many {
			if err := <-ends; errors.Is(err, certificates.ErrHandshakes) {
				failed++
			} else if err != nil {
				t.Errorf("a slow one: %v", err)
			}
		}
		if failed != int(refused.Load()) {
			t.Errorf("%d are refused, told of is %d", failed, refused.Load())
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
