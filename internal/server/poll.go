package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/metrics"
)

// batchBytes is about how much data an answer to a poll has.
const batchBytes = 1 << 20

func (s *Server) poll(w http.ResponseWriter, r *http.Request, name string, q query) error {
	identity, _, err := s.identify(r, "poll")
	if err != nil {
		return err
	}
	from, err := s.begin(identity, name, q, true)
	if err != nil {
		return err
	}
	wait, err := q.wait(s.now().MaxWait)
	if err != nil {
		return err
	}
	var batch channel.Batch
	if wait > 0 && r.Method == http.MethodGet {
		if at := identity.Expires; !at.IsZero() {
			wait = min(wait, time.Until(at)) // as a stream ends then
		}
		batch, err = s.wait(r, name, from, wait)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.config.WriteTimeout))
		if err == nil {
			err = s.registry.Still(identity, auth.Subscribe, name) // a reload may have taken the right away meanwhile
		}
	} else {
		batch, err = s.hub.Read(name, from, batchBytes)
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", typeJSON)
	h.Set("Cache-Control", "no-store")
	h.Set("Baro-Position", batch.Next.String())
	answer := appendBatch(nil, batch)
	s.metrics.Sent(metrics.Poll, len(batch.Messages), len(answer))
	_, _ = w.Write(answer)
	return nil
}

// wait waits for messages. When the time is over, or the server stops, there are none.
func (s *Server) wait(r *http.Request, name string, from channel.From, wait time.Duration) (channel.Batch, error) {
	host, err := s.slots.take(s.clientAddr(r))
	if err != nil {
		return channel.Batch{}, err
	}
	defer s.slots.give(host)
	s.metrics.Opened(metrics.Poll)
	defer func() {
		if r.Context().Err() != nil {
			s.metrics.Closed(metrics.Poll, "client")
		} else {
			s.metrics.Closed(metrics.Poll, "answered")
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	defer context.AfterFunc(s.leaving.ctx, func() { time.AfterFunc(s.turn(), cancel) })()

	batch, err := s.hub.Wait(ctx, name, from, batchBytes)
	if err != nil && errors.Is(err, ctx.Err()) && r.Context().Err() == nil {
		return batch, nil
	}
	return batch, err
}

func appendBatch(dst []byte, b channel.Batch) []byte {
	dst = append(dst, `{"messages":[`...)
	for i, m := range b.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m.AppendJSON(dst)
	}
	// An epoch, and so a position, consists of letters, digits and a colon.
	dst = append(dst, `],"epoch":"`...)
	dst = append(dst, b.Next.Epoch...)
	dst = append(dst, `","offset":`...)
	dst = strconv.AppendUint(dst, b.Next.Offset, 10)
	dst = append(dst, `,"next":"`...)
	dst = b.Next.Append(dst)
	return append(dst, "\"}\n"...)
}
