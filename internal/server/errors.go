package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

func badRequest(code, message string) *clients.Error {
	return refusal(http.StatusBadRequest, code, message)
}

// refusal is an error that trying again does not help.
func refusal(status int, code, message string) *clients.Error {
	return &clients.Error{Status: status, Number: clients.ErrRequest.Number, Code: code, Message: message}
}

var errOrigin = refusal(http.StatusForbidden, "origin_not_allowed", "pages of this origin may not use the server")

// toProblem says how a client is told about err.
func toProblem(err error) *clients.Error {
	if errors.Is(err, errFull) {
		return clients.ErrFull
	}
	if errors.Is(err, errDraining) {
		return clients.ErrStopping
	}
	return clients.ErrorOf(err)
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := toProblem(err)
	if p.Status == http.StatusInternalServerError {
		s.log.Error("request failed", "path", auth.Redact(r.URL.Path), "error", err)
	} else {
		s.refused(r, p)
	}
	h := w.Header()
	if p.Status == http.StatusServiceUnavailable || p == clients.ErrOfAddress || p == clients.ErrOfUser {
		h.Set("Retry-After", strconv.Itoa(int(s.returnAfter().Seconds())+1))
	}
	if limited, ok := errors.AsType[*auth.Error](err); ok && limited.After > 0 {
		h.Set("Retry-After", strconv.Itoa(int(limited.After.Seconds())+1))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="baro"`)
	}
	h.Set("Cache-Control", "no-store")
	writeJSON(w, p.Status, newErrorAnswer(err))
}

// errorAnswer is an error as JSON.
type errorAnswer struct {
	Error errorBody `json:"error"`
	*place
}

type errorBody struct {
	Code    string `json:"code"`
	Number  int    `json:"number"`
	Message string `json:"message"`
}

func newErrorAnswer(err error) errorAnswer {
	p := toProblem(err)
	answer := errorAnswer{Error: errorBody{p.Code, p.Number, p.Message}}
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
