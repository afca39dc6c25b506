package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

// query is the parameters of a request, each given once.
type query url.Values

func parseQuery(r *http.Request) (query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("invalid_query", "the query is malformed: "+err.Error())
	}
	for _, key := range []string{"after", "epoch", "wait", "format", "event", "id"} {
		if len(values[key]) > 1 {
			return nil, badRequest("invalid_query", fmt.Sprintf("%q is given %d times", key, len(values[key])))
		}
	}
	return query(values), nil
}

func (q query) get(key string) string { return url.Values(q).Get(key) }

// from is where the reader begins, by after and epoch.
func (q query) from(otherwise channel.From) (channel.From, error) {
	switch after := q.get("after"); after {
	case "":
		return otherwise, nil
	case "oldest":
		return channel.Oldest(), nil
	case "now":
		return channel.Now(), nil
	default:
		if epoch := q.get("epoch"); epoch != "" {
			whole := epoch + ":" + after
			if p, err := channel.ParsePosition(after); err == nil && p.Epoch == epoch {
				whole = after
			}
			after = whole
		}
		p, err := channel.ParsePosition(after)
		if err != nil {
			return channel.From{}, err
		}
		return channel.After(p), nil
	}
}

// begin is where somebody begins to read, who may: what was published before it came only who may read the history, unless it
// says what it has seen. Without a word in the query it is the oldest message for a poll, and what the channel's settings say
// for others.
func (s *Server) begin(id *clients.Identity, name string, q query, poll bool) (channel.From, error) {
	if err := s.registry.May(id, auth.Subscribe, name); err != nil {
		return channel.From{}, err
	}
	settings := s.hub.SettingsOf(name)
	history := s.registry.May(id, auth.History, name)
	otherwise := settings.Newcomer()
	if poll && history == nil {
		otherwise = channel.Oldest()
	}
	from, err := q.from(otherwise)
	if err == nil && from.History() && history != nil {
		err = history
	}
	return from, err
}

// wait is how long a long poll waits; 0 for a poll that does not.
func (q query) wait(longest time.Duration) (time.Duration, error) {
	s := q.get("wait")
	if s == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(s)
	if seconds, notSeconds := strconv.ParseUint(s, 10, 32); notSeconds == nil {
		wait, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || wait < 0 {
		return 0, badRequest("invalid_wait", "wait must be a time like 30s, or a number of seconds")
	}
	return min(wait, longest), nil
}
