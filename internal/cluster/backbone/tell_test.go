package backbone

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What goes wrong with a connection is told once a minute, and not everything.
func TestTeller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		told := &teller{log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 2 {
			for range 3 {
				told.tell("baro.x", errors.New("slow"))
				told.tell("", errors.New("closed"))
			}
			time.Sleep(time.Minute)
		}
		if n := strings.Count(log.String(), "\n"); n != 4 || !strings.Contains(log.String(), `error=slow subject=baro.x`) {
			t.Errorf("%d lines: %s", n, log.String())
		}
		log.Reset()
		for i := range 1000 {
			told.tell("", fmt.Errorf("denied %d", i))
		}
		if n := strings.Count(log.String(), "\n"); n != maxTold {
			t.Errorf("%d lines", n)
		}
	})
}
