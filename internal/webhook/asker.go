package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Why a question has no answer. A backend that says no is a [*RefusedError] instead.
var (
	// ErrUnavailable means that the backend could not be asked, did not answer in time, or answered what is no answer. Whether
	// it has heard the question is not known. Trying again later may help.
	ErrUnavailable = errors.New("webhook: the backend gives no answer")
	// ErrBusy means that as many questions as permitted are waiting for their turn, or that the turn did not come in time.
	// The backend has not heard the question. Trying again later may help.
	ErrBusy = errors.New("webhook: too many questions to the backend at once")
)

// A RefusedError is the backend's no. It is for the client to see.
type RefusedError struct {
	Status  int    // 400 to 499
	Code    string // a stable word, of a-z, A-Z, 0-9, "_", "-" and ".", at most 64 bytes
	Message string // for people; valid UTF-8, at most 1024 bytes
}

func (r *RefusedError) Error() string {
	return fmt.Sprintf("webhook: the backend refuses: %s: %s", r.Code, r.Message)
}

// AskerConfig is how an [Asker] is set up. A zero field means the default, which is given with it.
type AskerConfig struct {
	// URL is of http or https. A name and password in it become an Authorization header.
	URL string `json:"url"`
	// Secrets sign the questions, as in [Endpoint].
	Secrets []string `json:"secrets"`
	// Headers are sent along.
	Headers map[string]string `json:"headers,omitempty"`
	// Timeout is how long a question may take, from Ask to the end of the answer. 5 s.
	Timeout time.Duration `json:"-"`
	// Concurrency is how many questions are asked at a time. 64.
	Concurrency int `json:"concurrency,omitempty"`
	// MaxWaiting is how many more may wait for their turn. 1024.
	MaxWaiting int `json:"max_waiting,omitempty"`
	// MaxAnswerBytes is how long an answer may be. 1 MiB.
	MaxAnswerBytes int `json:"max_answer_bytes,omitempty"`
	// Transport makes the requests. One of its own, by [NewTransport]. Whoever gives one closes it.
	Transport http.RoundTripper `json:"-"`
	// Around is put around the transport, as in [Config].
	Around func(http.RoundTripper) http.RoundTripper `json:"-"`
	// Log is where the asker reports. [slog.Default].
	Log *slog.Logger `json:"-"`
}

// An Asker puts questions to a backend, whose answers decide. Its methods may be called from any goroutine.
//
// After 10 failures in a row, nothing is asked for 2 s: Ask returns ErrUnavailable at once. Then one question at a time is
// let through until one is answered, or refused, which is an answer too.
type Asker struct {
	config  AskerConfig
	target  *target
	log     *slog.Logger
	breaker breaker
	fails   throttle
	idle    func() // closes what connections are left; nil if the transport is another's

	slots   chan struct{} // holds one for each question that is asked
	waiting atomic.Int64
	ctx     context.Context // of all questions; ends with Close
	stop    context.CancelFunc

	mu     sync.Mutex // guards closed, and that nothing is added to asking after it
	closed bool
	asking sync.WaitGroup

	counters struct{ answered, refused, failed, busy atomic.Uint64 }
}

// NewAsker makes an asker. The errors are about the configuration.
func NewAsker(c AskerConfig) (*Asker, error) {
	setDefault(&c.Timeout, 5*time.Second)
	setDefault(&c.Concurrency, 64)
	setDefault(&c.MaxWaiting, 1024)
	setDefault(&c.MaxAnswerBytes, 1<<20)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Timeout < 0 || c.Concurrency < 0 || c.MaxWaiting < 0 || c.MaxAnswerBytes < 0 {
		return nil, errors.New("webhook: times and sizes must not be negative")
	}
	a := &Asker{config: c, slots: make(chan struct{}, c.Concurrency)}
	if c.Transport == nil {
		own := NewTransport(nil, c.Concurrency)
		c.Transport, a.idle = own, own.CloseIdleConnections
	}
	if c.Around != nil {
		c.Transport = c.Around(c.Transport)
	}
	var err error
	if a.target, err = newTarget(c.URL, c.Secrets, c.Headers, c.Transport); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	a.log = c.Log.With("url", a.target.name)
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a, nil
}

// Ask puts a question of a kind, which is made JSON, and reads the answer into answer, as [json.Unmarshal] would; nil for
// an answer that does not matter. When it fails, answer may have been written to in part.
//
// The errors are a [*RefusedError], ErrUnavailable, ErrBusy, and ctx's own if ctx ends before the timeout. A question that cannot
// be encoded is another error. A question is asked once; only if the connection failed before anything of it was sent, it
// is asked once more.
func (a *Asker) Ask(ctx context.Context, kind string, question, answer any) error {
	id := newID("qst_")
	body, err := appendEnvelope(nil, id, kind, time.Now(), question)
	if err != nil {
		return err
	}
	if !a.begin() {
		return fmt.Errorf("%w: closed", ErrUnavailable)
	}
	defer a.asking.Done()
	if a.breaker.broken() {
		return a.unavailable(errBroken)
	}
	limited, cancel := context.WithTimeout(ctx, a.config.Timeout)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	if !a.enter(limited) {
		if err := ctx.Err(); err != nil {
			return err
		}
		a.counters.busy.Add(1)
		return ErrBusy
	}
	defer func() { <-a.slots }()
	probe, ok := a.breaker.allow()
	if !ok {
		return a.unavailable(errBroken)
	}
	err = a.ask(limited, id, body, answer)
	return a.conclude(ctx, probe, err)
}

// conclude takes what has become of a question into account, and says what Ask returns.
func (a *Asker) conclude(ctx context.Context, probe bool, err error) error {
	_, refused := errors.AsType[*RefusedError](err)
	switch {
	case err == nil || refused:
		if a.breaker.succeeded(probe) {
			a.log.Info("the backend answers again")
		}
		if refused {
			a.counters.refused.Add(1)
		} else {
			a.counters.answered.Add(1)
		}
		return err
	case ctx.Err() != nil:
		a.breaker.unknown(probe)
		return ctx.Err()
	case a.ctx.Err() != nil:
		a.breaker.unknown(probe)
		return fmt.Errorf("%w: closed", ErrUnavailable)
	}
	if a.breaker.failed(probe) {
		a.log.Error("the backend does not answer: it is asked no more, but now and then to see whether it does", "error", err)
	} else if n, ok := a.fails.allow(1); ok {
		a.log.Warn("the backend gives no answer", "error", err, "questions", n)
	}
	return a.unavailable(err)
}

var errBroken = errors.New("it has not answered lately")

func (a *Asker) unavailable(cause error) error {
	a.counters.failed.Add(1)
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// begin says whether the asker is still open, and has Close wait for the question.
func (a *Asker) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.asking.Add(1)
	}
	return !a.closed
}

// enter waits for the question's turn, and says whether it has come.
func (a *Asker) enter(ctx context.Context) bool {
	select {
	case a.slots <- struct{}{}:
		return true
	default:
	}
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > int64(a.config.MaxWaiting) {
		return false
	}
	select {
	case a.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close ends what is being asked, with ErrUnavailable, and waits for that. No goroutine is left.
func (a *Asker) Close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.stop()
	a.asking.Wait()
	if a.idle != nil {
		a.idle()
	}
	return nil
}

// AskerStats are how an asker does.
type AskerStats struct {
	Answered uint64 // questions with an answer
	Refused  uint64 // questions that the backend refused
	Failed   uint64 // questions that ended with ErrUnavailable
	Busy     uint64 // questions that ended with ErrBusy
	Asking   int    // questions that are being asked
	Waiting  int    // questions that wait for their turn
	Broken   bool   // the backend is not asked for now
}

// Stats tells of all questions so far.
func (a *Asker) Stats() AskerStats {
	return AskerStats{
		Answered: a.counters.answered.Load(),
		Refused:  a.counters.refused.Load(),
		Failed:   a.counters.failed.Load(),
		Busy:     a.counters.busy.Load(),
		Asking:   len(a.slots),
		Waiting:  int(a.waiting.Load()),
		Broken:   a.breaker.broken(),
	}
}
