package backbone

import (
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// maxTold is how many different errors of a connection are told in a minute.
const maxTold = 16

// teller tells the log what goes wrong with a connection to NATS, each once a minute; else its client would write to the standard error.
type teller struct {
	log *slog.Logger

	mu    sync.Mutex
	since time.Time
	told  map[string]bool
}

func tellErrors(log *slog.Logger) nats.Option {
	t := &teller{log: log}
	return nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
		subject := ""
		if s != nil {
			subject = s.Subject
		}
		t.tell(subject, err)
	})
}

func (t *teller) tell(subject string, err error) {
	what := subject + " " + err.Error()
	t.mu.Lock()
	if now := time.Now(); t.told == nil || now.Sub(t.since) >= time.Minute {
		t.since, t.told = now, make(map[string]bool)
	}
	known := t.told[what] || len(t.told) >= maxTold
	if !known {
		t.told[what] = true
	}
	t.mu.Unlock()
	if !known {
		t.log.Warn("the connection to NATS", "error", err, "subject", subject)
	}
}
