package natsbus

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"baro.dev/internal/cluster"
)

// getThing is what JetStream's MSG.GET and DIRECT.GET are asked (ADR-31).
type getThing struct {
	Seq      uint64 `json:"seq,omitempty"`
	Last     string `json:"last_by_subj,omitempty"`
	Next     string `json:"next_by_subj,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

type gotThing struct {
	Subject string `json:"subject"`
	Seq     uint64 `json:"seq"` // 0: there is none
	Data    []byte `json:"data"`
}

// get asks the leader of the stream, who knows all that was acknowledged.
func (s *Shelf) get(ctx context.Context, request getThing) (got gotThing, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return got, err
	}
	err = s.retry(ctx, func(ctx context.Context) error {
		m, err := s.nc.RequestWithContext(ctx, s.api+"STREAM.MSG.GET."+s.stream, body)
		if err != nil {
			return err
		}
		var answer struct {
			Message gotThing            `json:"message"`
			Error   *jetstream.APIError `json:"error"`
		}
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return err
		}
		got = answer.Message
		if answer.Error != nil && answer.Error.ErrorCode != jetstream.JSErrCodeMessageNotFound {
			return answer.Error
		}
		return nil
	})
	return got, err
}

// List implements [cluster.Shelf].
func (s *Shelf) List(ctx context.Context, shelf string) (map[string][]byte, error) {
	subject, err := s.subject(shelf, "k")
	if err != nil {
		return nil, err
	}
	filter := subject[:strings.LastIndexByte(subject, '.')+1] + "*"
	all, size := make(map[string][]byte), 0
	add := func(g *gotThing) error {
		key := keyOf(strings.TrimPrefix(g.Subject, filter[:len(filter)-1]))
		t, ok := parseThing(g.Data)
		if len(key) == 0 || len(key) > 255 || !ok {
			return nil // nobody put it there who uses this package
		}
		delete(all, key) // an earlier one, if any
		if s.there(&t) {
			if size += len(key) + len(t.value); size > maxShelfBytes {
				return fmt.Errorf("natsbus: there is more on the shelf than is read at once: %d bytes", maxShelfBytes)
			}
			all[key] = t.value
		}
		return nil
	}
	// Any server gives many at a time, where it can, and the leader what that did not have yet.
	next := uint64(1)
	if s.ages.Load() {
		if next, err = s.batches(ctx, filter, add); err != nil {
			return nil, err
		}
	}
	for {
		g, err := s.get(ctx, getThing{Seq: next, Next: filter})
		if err != nil {
			return nil, err
		}
		if g.Seq < next {
			return all, nil
		}
		if err := add(&g); err != nil {
			return nil, err
		}
		next = g.Seq + 1
	}
}

// keyOf is the key of a word; "" where that is none.
func keyOf(word string) string {
	key, err := base64.RawURLEncoding.DecodeString(word)
	if err != nil {
		return ""
	}
	return string(key)
}

// What is read at a time.
const (
	batchThings = 512
	batchBytes  = 1 << 20
)

// answer waits for a message as long as an answer may take.
func answer(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}

// batches calls f with what any server has, and says from which sequence on it may not be all.
func (s *Shelf) batches(ctx context.Context, filter string, f func(*gotThing) error) (next uint64, err error) {
	inbox := s.nc.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", cluster.ErrAway, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	next = 1
	for n := 0; ; {
		body, err := json.Marshal(getThing{Seq: next, Next: filter, Batch: batchThings, MaxBytes: batchBytes})
		if err != nil {
			return 0, err
		}
		if err := s.nc.PublishRequest(s.api+"DIRECT.GET."+s.stream, inbox, body); err != nil {
			return 0, fmt.Errorf("%w: %w", cluster.ErrAway, err)
		}
		before := n
		for {
			m, err := answer(ctx, sub)
			if err != nil {
				return next, nil // the server has gone, or there was none: the leader will know
			}
			if m.Header.Get("Status") != "" { // the end of a batch, or nothing
				break
			}
			seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
			if err != nil || seq < next {
				return next, nil
			}
			if err := f(&gotThing{Subject: m.Header.Get("Nats-Subject"), Seq: seq, Data: m.Data}); err != nil {
				return 0, err
			}
			next = seq + 1
			n++
		}
		if n == before {
			return next, nil
		}
	}
}
