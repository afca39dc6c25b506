package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"baro.dev/channel"
)

// problem is an error as a client gets it.
type problem struct {
	status  int
	code    string
	message string
}

func (p *problem) Error() string { return p.message }

func badRequest(code, message string) *problem {
	return &problem{http.StatusBadRequest, code, message}
}

// toProblem says how a client is told about err.
func toProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if wrong, ok := errors.AsType[*channel.InvalidError](err); ok {
		words := strings.Fields(wrong.What)
		what := words[len(words)-1]
		if wrong.What == "event name" {
			what = "event" // a name alone is that of a channel
		}
		return badRequest("invalid_"+what, wrong.What+": "+wrong.Reason)
	}
	message := strings.TrimPrefix(err.Error(), "channel: ")
	switch {
	case errors.Is(err, channel.ErrTooLarge):
		return &problem{http.StatusRequestEntityTooLarge, "too_large", message}
	case errors.Is(err, channel.ErrNotRecoverable):
		return &problem{http.StatusGone, "not_recoverable", message}
	case errors.Is(err, channel.ErrTooManyChannels):
		return &problem{http.StatusServiceUnavailable, "too_many_channels", message}
	case errors.Is(err, errFull):
		return &problem{http.StatusServiceUnavailable, "too_many_clients", message}
	case errors.Is(err, errDraining):
		return &problem{http.StatusServiceUnavailable, "stopping", message}
	}
	return &problem{http.StatusInternalServerError, "internal", "the server failed to answer; its log says why"}
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := toProblem(err)
	if p.status == http.StatusInternalServerError {
		s.log.Error("request failed", "path", r.URL.Path, "error", err)
	}
	h := w.Header()
	if p.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(int(s.returnAfter().Seconds())+1))
	}
	h.Set("Cache-Control", "no-store")
	writeJSON(w, p.status, newErrorAnswer(err))
}

// errorAnswer is an error as JSON.
type errorAnswer struct {
	Error errorBody `json:"error"`
	*place
}

type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func newErrorAnswer(err error) errorAnswer {
	p := toProblem(err)
	answer := errorAnswer{Error: errorBody{p.code, p.message}}
	if gone, ok := errors.AsType[*channel.NotRecoverableError](err); ok {
		answer.place = newPlace(gone.Last)
	}
	return answer
}

// place is a position in an answer.
type place struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
	Next   string `json:"next"`
}

func newPlace(p channel.Position) *place {
	return &place{p.Epoch, p.Offset, p.String()}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
