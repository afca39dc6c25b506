package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Between attempts there is a random time of up to firstBackoff, doubled for each failure, maxBackoff at most ("full jitter":
// many who failed together do not come back together). An endpoint that says when to come back (Retry-After) is listened
// to, up to maxRetryAfter.
//
// Failures are counted for the endpoint as well as for the batch: an endpoint that is down is asked as seldom when the batch
// that failed has become too old and the next one has its turn.
const (
	firstBackoff  = 500 * time.Millisecond
	maxBackoff    = 30 * time.Second
	maxRetryAfter = 5 * time.Minute
	maxDrained    = 64 << 10 // of an answer, so that its connection serves on
)

var errTooOld = errors.New("too old")

// outcome is what has become of a batch.
type outcome int

const (
	delivered outcome = iota
	failed            // given up
	abandoned         // the sender was closed, or the endpoint is gone
)

// deliver posts a batch until it is done with.
func (e *endpoint) deliver(b *batch) {
	result, err := e.try(b)
	e.mu.Lock()
	e.settle(b, result)
	e.mu.Unlock()
	if result == failed {
		e.lose(b.events, err)
	}
}

func (e *endpoint) try(b *batch) (outcome, error) {
	for attempts := 0; e.pause(attempts); attempts++ {
		status, after, err := e.attempt(b)
		switch {
		case status/100 == 2:
			e.succeeded()
			return delivered, nil
		case e.ctx.Err() != nil:
			return abandoned, err
		case status == http.StatusGone:
			e.disable()
			return failed, err
		case status/100 == 4 && !mayPass(status):
			e.answered()
			return failed, err
		}
		e.failed(after, err)
		if time.Since(b.at) > e.terms.Load().MaxAge {
			return failed, err
		}
	}
	return abandoned, nil
}

// mayPass says of a status of 4xx whether the same request may be answered otherwise later.
func mayPass(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests
}

// pause waits until the next attempt may be made. It returns false when there is to be none.
func (e *endpoint) pause(attempts int) bool {
	e.mu.Lock()
	failures := max(attempts, e.failures)
	wait := max(backoff(failures), time.Until(e.notBefore))
	e.mu.Unlock()
	if failures == 0 || wait <= 0 {
		return e.ctx.Err() == nil
	}
	closing := (<-chan struct{})(e.closing)
	select {
	case <-closing:
		closing = nil // and what is under way takes its time
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-closing:
	case <-e.ctx.Done():
	}
	return e.ctx.Err() == nil
}

// backoff is how long to wait after so many failures.
func backoff(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return rand.N(min(firstBackoff<<min(failures-1, 10), maxBackoff))
}

// attempt makes one request. The error is nil only if the status is 2xx; the status is 0 if there is no answer.
func (e *endpoint) attempt(b *batch) (status int, after time.Duration, err error) {
	t := e.terms.Load()
	ctx, cancel := context.WithTimeout(e.ctx, t.Timeout)
	defer cancel()
	e.mu.Lock()
	e.counters.Requests++
	e.mu.Unlock()
	response, err := t.target.post(ctx, b.id, b.body)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return response.StatusCode, 0, statusError(response.StatusCode) // what follows is no body
	}
	// That the rest does not come changes nothing: the status is said.
	_, _ = io.CopyN(io.Discard, response.Body, maxDrained)
	if response.StatusCode/100 == 2 {
		return response.StatusCode, 0, nil
	}
	return response.StatusCode, retryAfter(response.Header.Get("Retry-After"), time.Now()), statusError(response.StatusCode)
}

// statusError is an answer that is not the one wanted.
type statusError int

func (e statusError) Error() string {
	text := fmt.Sprintf("it answered with status %d", int(e))
	if e/100 == 3 {
		text += "; redirects are not followed"
	}
	return text
}

// retryAfter reads the header (RFC 9110 section 10.2.3): seconds, or a date. What is malformed, or has passed, is 0.
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// succeeded takes note that the endpoint works.
func (e *endpoint) succeeded() {
	e.mu.Lock()
	back := e.warned
	e.warned = false
	e.failures, e.notBefore = 0, time.Time{}
	e.mu.Unlock()
	if back {
		e.log.Info("a webhook endpoint works again")
	}
}

// answered takes note that the endpoint is there, though it refuses a batch.
func (e *endpoint) answered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures, e.notBefore = 0, time.Time{}
}

// failed takes note that the endpoint does not work, and of when to come back.
func (e *endpoint) failed(after time.Duration, err error) {
	e.mu.Lock()
	e.failures++
	if t := time.Now().Add(after); t.After(e.notBefore) {
		e.notBefore = t
	}
	warned := e.warned
	e.mu.Unlock()
	if warned {
		return
	}
	if n, ok := e.fails.allow(1); ok {
		e.log.Warn("a webhook endpoint fails; it is tried again", "error", err, "failures", n)
		e.mu.Lock()
		e.warned = true
		e.mu.Unlock()
	}
}

// disable gives the endpoint up, as it asks for.
func (e *endpoint) disable() {
	e.mu.Lock()
	first := !e.disabled
	e.disabled = true
	e.mu.Unlock()
	e.stop()
	if first {
		e.log.Error("a webhook endpoint is gone (410): it gets no more events until the configuration is loaded anew")
	}
}

// lose logs that events were given up.
func (e *endpoint) lose(events int, err error) {
	if n, ok := e.losses.allow(events); ok {
		e.log.Error("events for the backend are lost", "error", err, "events", n)
	}
}

// settle takes what has become of a batch into account. The mutex is held.
func (e *endpoint) settle(b *batch, result outcome) {
	e.events -= b.events
	e.bytes -= b.weight()
	n := uint64(b.events)
	switch {
	case result == delivered:
		e.counters.Sent += n
	case result == failed || e.disabled:
		e.counters.Failed += n
	default:
		e.counters.Dropped += n
		e.abandoned += b.events
	}
}
