package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/socketio/client"
)

var errNobody = errors.New("nobody is there")

// nowhere is a server that cannot be reached, in a bubble whose time is not that of the machine.
func nowhere(t *testing.T, o client.Options) *client.Manager {
	t.Helper()
	o.Engine.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errNobody }
	m, err := client.NewManager("http://127.0.0.1", &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return m
}

// Each delay is twice the one before, more or less, and none is longer than the longest.
func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := nowhere(t, client.Options{
			ReconnectionAttempts: 5, ReconnectionDelay: 100 * time.Millisecond,
			ReconnectionDelayMax: time.Second, RandomizationFactor: 0.2,
		})
		var delays []time.Duration
		var failed time.Time
		m.OnReconnectError(func(error) { failed = time.Now() })
		m.OnReconnectAttempt(func(int) { delays = append(delays, time.Since(failed)) })
		if err := m.Socket("/").Connect(t.Context()); !errors.Is(err, client.ErrGivenUp) || !errors.Is(err, errNobody) {
			t.Error(err)
		}
		want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, time.Second}
		if len(delays) != len(want) {
			t.Fatal(delays)
		}
		for i, d := range delays {
			if d < want[i]*8/10 || d > min(want[i]*12/10, time.Second) {
				t.Errorf("delay %d is %v", i, d)
			}
		}
	})
}

// A manager that has given up begins anew when it is asked to: with as many attempts, counted from 1.
func TestAttemptsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := nowhere(t, client.Options{ReconnectionAttempts: 2})
		var attempts []int
		var failures int
		m.OnReconnectAttempt(func(n int) { attempts = append(attempts, n) })
		m.OnReconnectFailed(func() { failures++ })
		for range 2 {
			if err := m.Socket("/a").Connect(t.Context()); !errors.Is(err, client.ErrGivenUp) {
				t.Error(err)
			}
		}
		synctest.Wait()
		if !slices.Equal(attempts, []int{1, 2, 1, 2}) || failures != 2 {
			t.Errorf("%v, failed %d times", attempts, failures)
		}
	})
}

// Another socket that wants a connection while one is being tried for changes nothing of how often that is.
func TestAttemptsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := nowhere(t, client.Options{ReconnectionAttempts: 2})
		var attempts []int
		m.OnReconnectAttempt(func(n int) { attempts = append(attempts, n) })
		one, two := m.Socket("/1"), m.Socket("/2")
		if err := one.Open(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // before the first attempt
		if err := two.Connect(t.Context()); !errors.Is(err, client.ErrGivenUp) {
			t.Error(err)
		}
		synctest.Wait()
		if !slices.Equal(attempts, []int{1, 2}) || one.Active() || two.Active() {
			t.Errorf("%v, active: %v, %v", attempts, one.Active(), two.Active())
		}
	})
}

// Who disconnects is not connected again, whatever happens at that moment, until told so.
func TestDisconnectWhileAway(t *testing.T) {
	for name, when := range map[string]func(*client.Manager, func()){
		"failed":    func(m *client.Manager, f func()) { m.OnReconnectError(func(error) { f() }) },
		"attempted": func(m *client.Manager, f func()) { m.OnReconnectAttempt(func(int) { f() }) },
		"told":      func(m *client.Manager, f func()) { m.Socket("/").OnConnectError(func(error) { f() }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := nowhere(t, client.Options{})
				var stopped, after atomic.Int32
				m.OnReconnectAttempt(func(int) {
					if stopped.Load() > 0 {
						after.Add(1)
					}
				})
				when(m, func() {
					if stopped.Add(1) == 1 {
						m.Socket("/").Disconnect()
					}
				})
				if err := m.Socket("/").Open(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				if stopped.Load() != 1 || after.Load() > 0 {
					t.Errorf("stopped %d times, %d attempts afterwards", stopped.Load(), after.Load())
				}
			})
		})
	}
}

// It may do so, and want to be connected after all, while an attempt is announced.
func TestDisconnectAndOpenWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := nowhere(t, client.Options{})
		var attempts []int
		m.OnReconnectAttempt(func(n int) {
			attempts = append(attempts, n)
			m.Socket("/").Disconnect()
			if len(attempts) < 3 {
				_ = m.Socket("/").Open()
			}
		})
		if err := m.Socket("/").Open(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.Equal(attempts, []int{1, 1, 1}) {
			t.Error(attempts)
		}
	})
}

// Who disconnects before there is a connection is told of no error.
func TestDisconnectWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := client.NewManager("http://127.0.0.1", &client.Options{Engine: hanging()})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(context.Background())
		s := m.Socket("/")
		s.OnConnectError(func(err error) { t.Error(err) })
		m.OnReconnectError(func(err error) { t.Error(err) })
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.Disconnect()
		time.Sleep(time.Hour)
	})
}

// A server that does not answer is one that cannot be reached, over each transport.
func TestOpeningTakesTooLong(t *testing.T) {
	for _, transport := range []string{"polling", "websocket"} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := hanging()
				e.Transports, e.Timeout = []string{transport}, 3*time.Second
				m, err := client.NewManager("http://127.0.0.1", &client.Options{Engine: e})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close(context.Background())
				s, began := m.Socket("/"), time.Now()
				told := make(chan error, 100)
				s.OnConnectError(func(err error) { told <- err })
				if err := s.Open(); err != nil {
					t.Fatal(err)
				}
				if err := <-told; !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		})
	}
}

// The time in which there is no connection is none in which an acknowledgement fails to come.
func TestRetriesWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := nowhere(t, client.Options{Retries: 3, AckTimeout: 10 * time.Millisecond})
		s := m.Socket("/")
		told := make(chan error, 10)
		if err := s.EmitFunc("echo", func(_ client.Args, err error) { told <- err }, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if len(told) > 0 {
			t.Fatal(<-told)
		}
		_ = m.Close(context.Background())
		if err := <-told; !errors.Is(err, client.ErrClosed) {
			t.Error(err)
		}
	})
}

// hanging reaches a server that never answers.
func hanging() eio.Options {
	return eio.Options{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}
}
