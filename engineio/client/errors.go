package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"baro.dev/engineio/internal/frame"
)

// Why a session ends, and what sending returns then. What ended it may say more: compare with errors.Is.
var (
	// ErrClosed is that the session was closed by this side.
	ErrClosed = errors.New("engineio/client: the session is closed")
	// ErrServerClosed is that the server has ended the session.
	ErrServerClosed = errors.New("engineio/client: the server closed the session")
	// ErrPingTimeout is that no ping came from the server for as long as it has said that it takes.
	ErrPingTimeout = errors.New("engineio/client: no ping from the server")
	// ErrProtocol is that the server sent what is not of the protocol.
	ErrProtocol = errors.New("engineio/client: protocol violation")
	// ErrBufferFull is that Options.MaxBuffered bytes wait to be sent. The message was not sent; the session goes on.
	ErrBufferFull = errors.New("engineio/client: too much waits to be sent")
	// ErrTooLarge is that the message does not fit into what the server takes (maxPayload). It was not sent; the session goes on.
	ErrTooLarge = errors.New("engineio/client: the message is larger than the server takes")
	// ErrFrame is what came over a stream and is no frame. It matches ErrProtocol as well.
	ErrFrame = frame.ErrMalformed
)

// RefusedError is an answer of the server by which it refuses a session, or a request of one.
type RefusedError struct {
	Status  int    // of HTTP
	Code    int    // of Engine.IO: 0 unknown transport, 1 unknown session, 2 bad method, 3 bad request, 4 forbidden, 5 protocol; -1: none was given
	Message string // of the server, printable; "" if it has none
}

func (e *RefusedError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("engineio/client: the server refuses with %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("engineio/client: the server refuses with %d %s: %s", e.Status, http.StatusText(e.Status), e.Message)
}

// maxRefusal is how much of an answer is looked at.
const maxRefusal = 1 << 10

// maxPlainRefusal is how long an answer may be that is taken for a message to people.
const maxPlainRefusal = 200

// refusal reads an answer that is not the one hoped for.
func refusal(resp *http.Response) *RefusedError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what came is what there is to say
	e := &RefusedError{Status: resp.StatusCode, Code: -1}
	var said struct {
		Code    *int   `json:"code"`
		Message string `json:"message"`
	}
	switch {
	case json.Unmarshal(body, &said) == nil && said.Code != nil:
		e.Code, e.Message = *said.Code, printable(said.Message)
	case len(body) <= maxPlainRefusal && !bytes.HasPrefix(body, []byte("<")): // requests for a WebSocket get the message alone
		e.Message = printable(strings.TrimSpace(string(body)))
	}
	return e
}

// printable is text that somebody else wrote, for a line of a log.
func printable(s string) string {
	clean := make([]rune, 0, len(s))
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			r = '?'
		}
		clean = append(clean, r)
	}
	return string(clean)
}
