package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"baro.dev/internal/neterr"
)

// Bounds of a [RefusedError].
const (
	maxCodeBytes    = 64
	maxMessageBytes = 1024
)

// askAgainAfter gives a backend that is being restarted the time to listen again.
const askAgainAfter = 100 * time.Millisecond

// ask makes the request, and a second one where the first has not left.
func (a *Asker) ask(ctx context.Context, id string, body []byte, answer any) error {
	response, unsent, err := a.post(ctx, id, body)
	if unsent {
		select {
		case <-time.After(askAgainAfter):
			response, _, err = a.post(ctx, id, body)
		case <-ctx.Done():
		}
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return a.read(response, answer)
}

// post makes one request. Of one that failed it says whether that was before anything of it was sent, by a connection that
// was refused or reset: then it can be made again.
func (a *Asker) post(ctx context.Context, id string, body []byte) (response *http.Response, unsent bool, err error) {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	response, err = a.target.post(ctx, id, body)
	cut := errors.Is(err, neterr.ErrRefused) || errors.Is(err, neterr.ErrReset) || errors.Is(err, syscall.EPIPE)
	return response, cut && !sent.Load(), err
}

// read takes the answer, or the refusal.
func (a *Asker) read(response *http.Response, answer any) error {
	status := response.StatusCode
	if status != http.StatusOK && status/100 != 4 {
		if status != http.StatusSwitchingProtocols {
			_, _ = io.CopyN(io.Discard, response.Body, maxDrained)
		}
		return statusError(status)
	}
	limit := int64(a.config.MaxAnswerBytes)
	if response.ContentLength > limit {
		return fmt.Errorf("its answer has %d bytes, the limit is %d", response.ContentLength, limit)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return fmt.Errorf("its answer breaks off: %w", err)
	case int64(len(body)) > limit:
		return fmt.Errorf("its answer has more than %d bytes", limit)
	case !utf8.Valid(body):
		return errors.New("its answer is not UTF-8") // the decoder would replace what is not
	case status != http.StatusOK:
		return readRefusal(status, body)
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("its answer is not what was asked for: %w", err)
	}
	return nil
}

// readRefusal takes {"error":{"code":…,"message":…}}. An answer of 4xx without is not by the backend's will: no such page, a
// proxy's own.
func readRefusal(status int, body []byte) error {
	var refusal struct {
		Error *struct{ Code, Message string }
	}
	if json.Unmarshal(body, &refusal) != nil || refusal.Error == nil || !isCode(refusal.Error.Code) {
		return fmt.Errorf("%w, without an error in JSON", statusError(status))
	}
	message := refusal.Error.Message
	for len(message) > maxMessageBytes {
		_, size := utf8.DecodeLastRuneInString(message)
		message = message[:len(message)-size]
	}
	return &RefusedError{Status: status, Code: refusal.Error.Code, Message: message}
}

func isCode(s string) bool {
	const letters = "_-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && len(s) <= maxCodeBytes && strings.Trim(s, letters) == ""
}
