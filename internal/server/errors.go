package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"baro.dev/channel"
	"baro.dev/internal/clients"
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
	if errors.Is(err, errFull) {
		err = clients.ErrFull
	} else if errors.Is(err, errDraining) {
		err = clients.ErrStopping
	}
	e := clients.ErrorOf(err)
	return &problem{e.Status, e.Code, e.Message}
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
	if p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="baro"`)
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
