package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"baro.dev/engineio/client"
	"baro.dev/internal/testkit"
)

// An answer to a poll that got lost has taken messages with it: who polled again would have a gap and not know.
func TestPollIsNotRepeated(t *testing.T) {
	testkit.NoLeaks(t)
	var polls atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.FormValue("sid") == "":
			fmt.Fprint(w, `0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`)
		case polls.Add(1) == 1:
			fmt.Fprint(w, "6") // the connection has been of use
		default:
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			c.Close() // the answer was in it
		}
	}))
	t.Cleanup(site.Close)
	s, err := client.Dial(context10(t), site.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Within(t, "the end", s.Done())
	if n := polls.Load(); n != 2 {
		t.Errorf("it has polled %d times", n)
	}
}
