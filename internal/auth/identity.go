package auth

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"baro.dev/channel"
)

// What a token may carry at most.
const (
	MaxChannels = 100 // in the claim "channels"
	MaxPatterns = 100 // for each action in the claim "rights"
)

// An Action is what a client does with a channel.
type Action string

// The actions, by their names in the claim "rights".
const (
	Subscribe Action = "subscribe"
	Publish   Action = "publish"
	Presence  Action = "presence"
	History   Action = "history"
)

// An Identity is who a client is. The zero Identity is somebody anonymous without rights. It is not to be changed once it is
// shared, and may then be read from any goroutine.
type Identity struct {
	User     string          // the claim "sub"; "" for a token of nobody in particular
	Info     json.RawMessage // the claim "info": what others see in presence; nil if there is none
	Expires  time.Time       // the claim "exp"; zero for never
	Rights   Rights          // the claim "rights"
	Channels []string        // the claim "channels": subscribed to when the client connects
	Meta     json.RawMessage // the claim "meta": for the backend, not shown to clients; nil if there is none

	source string // of the key that verified it: see [Verifier.Trusts]
}

// Rights are the channels, by patterns, that an action is permitted on.
type Rights struct {
	Subscribe, Publish, Presence, History []channel.Pattern
}

// May says whether a pattern permits the action on the channel. The channels of users, which begin with "@", are matched only by
// patterns that begin so too: ** is not everybody's mail.
func (r Rights) May(action Action, name string) bool {
	patterns := r.of(action)
	if patterns == nil {
		return false
	}
	return slices.ContainsFunc(*patterns, func(p channel.Pattern) bool { return matches(p, name) })
}

func matches(p channel.Pattern, name string) bool {
	return strings.HasPrefix(name, "@") == strings.HasPrefix(p.String(), "@") && p.Match(name)
}

// of gives the patterns of an action, nil for what is none.
func (r *Rights) of(action Action) *[]channel.Pattern {
	switch action {
	case Subscribe:
		return &r.Subscribe
	case Publish:
		return &r.Publish
	case Presence:
		return &r.Presence
	case History:
		return &r.History
	}
	return nil
}

// Personal is the channel of the user, and "" if there is no user.
func (i *Identity) Personal() string {
	if i.User == "" {
		return ""
	}
	return "@" + i.User
}

// May says whether the identity itself permits the action on the channel: by its rights; or because it is the user's own channel, which
// may be read but not published to; or, to subscribe, because the channel is one of Channels.
func (i *Identity) May(action Action, name string) bool {
	switch {
	case i.Rights.May(action, name):
		return true
	case name == "" || action == Publish:
		return false
	case name == i.Personal():
		return true
	}
	return action == Subscribe && slices.Contains(i.Channels, name)
}

// ValidateUser says whether there may be a user of that name: "@" and the name is a channel's name.
func ValidateUser(user string) error {
	if user == "" {
		return refuse(ErrClaims, "the name of the user is empty")
	}
	if err := channel.ValidateName("@" + user); err != nil {
		return refuse(ErrClaims, "the name of the user: "+reasonOf(err))
	}
	return nil
}

// ParsePatterns reads patterns of channels.
func ParsePatterns(texts []string) ([]channel.Pattern, error) {
	if len(texts) > MaxPatterns {
		return nil, refuse(ErrClaims, fmt.Sprintf("%d patterns, the limit is %d", len(texts), MaxPatterns))
	}
	var patterns []channel.Pattern
	for i, text := range texts {
		p, err := channel.ParsePattern(text)
		if err != nil {
			return nil, refuse(ErrClaims, fmt.Sprintf("pattern %d: %s", i+1, reasonOf(err)))
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}
