package clients

import (
	"errors"
	"net/http"
	"strings"

	"baro.dev/channel"
	"baro.dev/internal/auth"
)

// A Error is an error as a client, or a backend, gets it. Its number says what to do: those of 1000 to 1499 went wrong and may
// be tried again as they are, those of 1500 to 1999 were refused, and trying again does not help.
type Error struct {
	Status  int    // of HTTP
	Number  int    // of /ws and Socket.IO
	Code    string // for programs
	Message string // for people
}

func (p *Error) Error() string { return p.Message }

// Is makes problems of one code equal.
func (p *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == p.Code
}

// Kind is its code, or "backend" where that is one of the backend's own, of which there is no end.
func (p *Error) Kind() string {
	if p.Number == refusedNumber {
		return "backend"
	}
	return p.Code
}

// With is the problem with another message.
func (p *Error) With(message string) *Error {
	other := *p
	other.Message = message
	return &other
}

// What may go wrong.
var (
	ErrInternal    = &Error{http.StatusInternalServerError, 1000, "internal", "the server failed to answer; its log says why"}
	ErrStore       = &Error{http.StatusServiceUnavailable, 1001, "store_failed", "what is kept of the channel cannot be read or added to at the moment: nothing was published"}
	ErrRate        = &Error{http.StatusTooManyRequests, 1002, "rate_limited", "too much in too short a time"}
	ErrStopping    = &Error{http.StatusServiceUnavailable, 1003, "stopping", "the server is stopping"}
	ErrFull        = &Error{http.StatusServiceUnavailable, 1004, "too_many_clients", "as many clients as allowed are connected"}
	ErrChannels    = &Error{http.StatusServiceUnavailable, 1005, "too_many_channels", "there are as many channels as allowed"}
	ErrTimeout     = &Error{http.StatusGatewayTimeout, 1006, "timeout", "there was no answer in time"}
	ErrBackend     = &Error{http.StatusBadGateway, 1007, "backend_unavailable", "the backend did not answer"}
	ErrCalls       = &Error{http.StatusServiceUnavailable, 1008, "too_many_calls", "too many calls are under way"}
	ErrClientGone  = &Error{http.StatusBadGateway, 1009, "client_gone", "the client left before it answered"}
	ErrKeys        = &Error{http.StatusServiceUnavailable, 1010, "keys_unavailable", "the keys that verify tokens cannot be had at the moment"}
	ErrBusy        = &Error{http.StatusTooManyRequests, 1011, "too_many_commands", "too many commands of the client are under way"}
	ErrOfAddress   = &Error{http.StatusTooManyRequests, 1012, "too_many_of_address", "as many clients as allowed are connected from this address"}
	ErrOfUser      = &Error{http.StatusTooManyRequests, 1013, "too_many_of_user", "the user has as many connections as allowed"}
	ErrConnects    = &Error{http.StatusServiceUnavailable, 1014, "too_many_connects", "more clients connect at the moment than the server takes"}
	ErrCluster     = &Error{http.StatusServiceUnavailable, 1015, "cluster_unavailable", "what joins the servers of the cluster cannot be reached"}
	ErrUncertain   = &Error{http.StatusGatewayTimeout, 1016, "uncertain", "nobody knows whether the message was published: with the same idempotency key it can be published again"}
	ErrRequest     = &Error{http.StatusBadRequest, 1500, "invalid_request", "the request is malformed"}
	ErrCredentials = &Error{http.StatusUnauthorized, 1501, "unauthorized", "a token is needed"}
	ErrExpired     = &Error{http.StatusUnauthorized, 1502, "token_expired", "the token has expired"}
	ErrForbidden   = &Error{http.StatusForbidden, 1503, "forbidden", "not permitted"}
	ErrNotIn       = &Error{http.StatusConflict, 1504, "not_subscribed", "the client has not subscribed to this channel"}
	ErrAlreadyIn   = &Error{http.StatusConflict, 1505, "subscribed", "the client has subscribed to this channel already"}
	ErrTooLarge    = &Error{http.StatusRequestEntityTooLarge, 1506, "too_large", "the message is too large"}
	ErrGone        = &Error{http.StatusGone, 1507, "not_recoverable", "what was missed cannot be had any more"}
	ErrTooManyIn   = &Error{http.StatusForbidden, 1508, "too_many_subscriptions", "the client has subscribed to as many channels as allowed"}
	ErrNotFound    = &Error{http.StatusNotFound, 1509, "not_found", "there is no such client, user or call"}
	ErrNotOffered  = &Error{http.StatusNotFound, 1511, "not_offered", "the server has no backend to ask"}
	ErrUserChanged = &Error{http.StatusForbidden, 1512, "user_changed", "the token is of another user"}
)

// refusedNumber is that of what the backend or a client refused in words of its own.
const refusedNumber = 1510

// Refusal is what a backend, or a client that is called, refuses in words of its own.
func Refusal(code, message string) *Error {
	return &Error{http.StatusUnprocessableEntity, refusedNumber, code, message}
}

// Invalid is a mistake in what was asked for.
func Invalid(code, message string) *Error {
	return &Error{http.StatusBadRequest, ErrRequest.Number, code, message}
}

// ErrorOf says how whoever asked is told about err. What nobody is to know is [ErrInternal].
func ErrorOf(err error) *Error {
	if p, ok := errors.AsType[*Error](err); ok {
		return p
	}
	if wrong, ok := errors.AsType[*channel.InvalidError](err); ok {
		words := strings.Fields(wrong.What)
		what := words[len(words)-1]
		if wrong.What == "event name" {
			what = "event" // a name alone is that of a channel
		}
		return Invalid("invalid_"+what, wrong.What+": "+wrong.Reason)
	}
	message := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "channel: "), "auth: ")
	for _, known := range []struct {
		err     error
		problem *Error
	}{
		{channel.ErrTooLarge, ErrTooLarge},
		{channel.ErrNotRecoverable, ErrGone},
		{channel.ErrTooManyChannels, ErrChannels},
		{channel.ErrClosed, ErrStopping},
		{auth.ErrUnavailable, ErrKeys},
		{auth.ErrTooMany, ErrRate},
		{auth.ErrForbidden, ErrForbidden},
		{auth.ErrExpired, ErrExpired},
		{auth.ErrInvalid, ErrCredentials},
	} {
		if errors.Is(err, known.err) {
			return known.problem.With(message)
		}
	}
	if errors.Is(err, channel.ErrUncertain) {
		return ErrUncertain
	}
	if errors.Is(err, channel.ErrStore) {
		return ErrStore // why is for the log
	}
	return ErrInternal
}
