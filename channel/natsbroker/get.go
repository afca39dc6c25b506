package natsbroker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// getRequest is what JetStream's MSG.GET and DIRECT.GET are asked (ADR-31).
type getRequest struct {
	Seq      uint64 `json:"seq,omitempty"`
	Last     string `json:"last_by_subj,omitempty"`
	Next     string `json:"next_by_subj,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

// stored is a message of the stream.
type stored struct {
	seq     uint64 // 0: there is none
	data    []byte
	placed  bool   // it says what it was put after
	subject string // as far as the leader was asked
}

// expects is the header by which a record says what it is put after: the stream has seen to that.
const expects = "Nats-Expected-Last-Subject-Sequence"

// errUnplaced is for copies of records: what does not say where it belongs may be anywhere.
var errUnplaced = fmt.Errorf("%w: it does not say what it is put after", errForeign)

// record reads what is stored. The error is errForeign.
func (s *stored) record() (record, error) {
	if !s.placed {
		return record{}, errUnplaced
	}
	return decode(s.data)
}

// valid is record for those who do not ask why it is none.
func (s *stored) valid() (record, bool) {
	r, err := s.record()
	return r, err == nil
}

// leaderGet asks the leader of the stream, who knows all that was acknowledged. The zero stored is that there is none.
func (b *Broker) leaderGet(ctx context.Context, request getRequest) (got stored, err error) {
	err = retry(ctx, func() error {
		var answer struct {
			Message *struct {
				Seq     uint64 `json:"seq"`
				Data    []byte `json:"data"`
				Header  []byte `json:"hdrs"`
				Subject string `json:"subject"`
			} `json:"message"`
			Error *apiError `json:"error"`
		}
		var bad error
		err := b.calls.ask(ctx, b.api+"STREAM.MSG.GET."+b.stream.name, request, func(m *nats.Msg) bool {
			bad = json.Unmarshal(m.Data, &answer)
			return true
		})
		switch {
		case err != nil:
			return err
		case bad != nil:
			return fmt.Errorf("%w: an answer that is none: %w", ErrAway, bad)
		case answer.Error != nil && answer.Error.ErrCode == errCodeNoMessage:
			got = stored{}
			return nil
		case answer.Error != nil && answer.Error.Code == 503:
			return fmt.Errorf("%w: %w", errNobody, answer.Error)
		case answer.Error != nil:
			return fmt.Errorf("%w: %w", ErrAway, answer.Error)
		case answer.Message == nil:
			return fmt.Errorf("%w: an answer without a message", ErrAway)
		}
		m := answer.Message
		got = stored{seq: m.Seq, data: m.Data, placed: bytes.Contains(m.Header, []byte("\r\n"+expects+":")), subject: m.Subject}
		return nil
	})
	return got, err
}

// Codes of JetStream's errors.
const (
	errCodeNoMessage = 10037
	errCodeWrongLast = 10071
	errCodeLastBusy  = 10164
	errCodeTooLarge  = 10054
)

type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("NATS says %q (%d)", e.Description, e.ErrCode) }

// directGet asks whoever has the stream: what was acknowledged a moment ago may be missing. Where the server can, it gives as many as
// the request's Batch, and within its MaxBytes, else one. f is called with each; it must not wait.
func (b *Broker) directGet(ctx context.Context, request getRequest, f func(stored)) error {
	return retry(ctx, func() error {
		got, before := 0, uint64(0)
		err := b.calls.ask(ctx, b.api+"DIRECT.GET."+b.stream.name, request, func(m *nats.Msg) bool {
			if m.Header.Get("Status") != "" { // 404, or 204 at the end of a batch
				return true
			}
			seq := headerNumber(m, "Nats-Sequence")
			if seq == 0 || request.Batch > 0 && got > 0 && headerNumber(m, "Nats-Last-Sequence") != before {
				return true // one of the batch was lost on the way: what follows is asked for again
			}
			f(stored{seq: seq, data: m.Data, placed: m.Header.Get(expects) != ""})
			got++
			before = seq
			return request.Batch == 0 || m.Header.Get("Nats-Num-Pending") == "" // an older server gives one
		})
		if got > 0 {
			return nil
		}
		return err
	})
}

// get gives one message; the leader is asked where a replica does not have it, or not yet.
func (b *Broker) get(ctx context.Context, request getRequest) (got stored, err error) {
	err = b.directGet(ctx, request, func(s stored) { got = s })
	if err == nil && got.seq == 0 && b.stream.replicated() {
		return b.leaderGet(ctx, request)
	}
	return got, err
}

func headerNumber(m *nats.Msg, name string) uint64 {
	n, err := strconv.ParseUint(m.Header.Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// What is read of a channel at a time.
const (
	readRecords = 256
	readBytes   = 1 << 20
)

// scan calls f with the records of a channel from a sequence on, up to another, oldest first, until it returns false. What is no record
// is skipped. Nothing is missing: where a replica does not have it yet, the leader is asked.
func (b *Broker) scan(ctx context.Context, t *topic, from, to uint64, f func(seq uint64, r *record) bool) error {
	for from <= to {
		var batch []stored
		if err := b.directGet(ctx, getRequest{Seq: from, Next: t.subject, Batch: readRecords, MaxBytes: readBytes}, func(s stored) {
			batch = append(batch, s)
		}); err != nil {
			return err
		}
		if len(batch) == 0 {
			one, err := b.leaderGet(ctx, getRequest{Seq: from, Next: t.subject})
			if err != nil || one.seq == 0 {
				return err
			}
			batch = []stored{one}
		}
		for _, s := range batch {
			if s.seq < from || s.seq > to {
				return nil
			}
			from = s.seq + 1
			r, err := s.record()
			if err != nil {
				b.foreign(t.subject, s.seq, err)
				continue
			}
			if !f(s.seq, &r) {
				return nil
			}
		}
	}
	return nil
}

// lastOf says where a channel ends: what was acknowledged is there.
func (b *Broker) lastOf(ctx context.Context, t *topic) (tail, *record, error) {
	return b.last(ctx, t, !b.stream.replicated())
}

// last is lastOf, but where anybody will do, who is asked in a shorter way, it may have been like that a moment ago.
func (b *Broker) last(ctx context.Context, t *topic, anybody bool) (end tail, newest *record, err error) {
	var last stored
	if request := (getRequest{Last: t.subject}); anybody {
		err = b.directGet(ctx, request, func(s stored) { last = s })
	} else {
		last, err = b.leaderGet(ctx, request)
	}
	if err != nil || last.seq == 0 {
		return tail{}, nil, err
	}
	r, err := last.record()
	if err == nil {
		return tailOf(&r, last.seq), &r, nil
	}
	// What nobody wrote who uses this package is at the end: the last record is looked for before it, and at last among all.
	b.foreign(t.subject, last.seq, err)
	for from, back := last.seq, uint64(64); newest == nil && from > 1; back *= 16 {
		from -= min(from-1, back)
		if err := b.scan(ctx, t, from, last.seq, func(seq uint64, r *record) bool {
			end, newest = tailOf(r, seq), r
			return true
		}); err != nil {
			return tail{}, nil, err
		}
	}
	end.seq = last.seq
	return end, newest, nil
}

// locate finds a sequence from which on reading a channel, of which end is the tail, comes to a message: few records before it, or the
// oldest one that is kept.
func (b *Broker) locate(ctx context.Context, t *topic, end *tail, offset uint64) (from uint64, err error) {
	marks, first, seq := end.marks, end.end+1, end.seq+1
	for {
		at := mark{}
		for _, m := range marks { // the nearest first
			if m.seq == 0 || m.seq >= seq || m.offset >= first {
				break
			}
			if m.offset <= offset {
				if at.seq == 0 {
					return m.seq, nil
				}
				break
			}
			at = m
		}
		if at.seq == 0 {
			return 1, nil
		}
		got, err := b.get(ctx, getRequest{Seq: at.seq})
		if err != nil {
			return 0, err
		}
		r, ok := got.valid()
		if !ok || r.epoch != end.epoch || r.first != at.offset {
			return at.seq, nil // it is gone, and what is before it
		}
		marks, first, seq = r.marks, r.first, at.seq
	}
}
