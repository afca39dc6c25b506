package clients

import (
	"baro.dev/channel"
	"baro.dev/internal/auth"
)

// Who is who may do something in a channel without a token that says so.
type Who string

// The four, from the widest to the narrowest.
const (
	Anyone Who = "anyone" // anonymous clients, too
	Users  Who = "users"  // whoever is somebody
	Token  Who = "token"  // only whose token, or connect answer, permits it
	Nobody Who = "nobody" // no client at all: backends
)

// A Rule is who may do what in the channels whose names match a pattern. Of several that match the first holds. What it does not
// say is [Token]. A pattern matches the channels of users, which begin with "@", only if it begins so too.
type Rule struct {
	Pattern                               channel.Pattern
	Subscribe, Publish, Presence, History Who
	// PublishRate is how many messages a client may publish a second in these channels together, in bursts of twice as many; of
	// those who publish by requests, a user, or an address of nobody in particular. 0: no bound.
	PublishRate float64
}

// matches is what [auth.Rights] does with a pattern.
func (r *Rule) matches(name string) bool {
	return (name[0] != '@' || r.Pattern.String()[0] == '@') && r.Pattern.Match(name)
}

func (r *Rule) who(action auth.Action) Who {
	who := Token
	if r == nil {
		return who
	}
	switch action {
	case auth.Subscribe:
		who = r.Subscribe
	case auth.Publish:
		who = r.Publish
	case auth.Presence:
		who = r.Presence
	case auth.History:
		who = r.History
	}
	if who == "" {
		return Token
	}
	return who
}

// rules are what holds at a moment.
type rules []Rule

func (l rules) of(name string) *Rule {
	for i := range l {
		if l[i].matches(name) {
			return &l[i]
		}
	}
	return nil
}

// may says whether an identity may do something in a channel.
func (l rules) may(id *Identity, action auth.Action, name string) error {
	if err := channel.ValidateName(name); err != nil {
		return err
	}
	switch who := l.of(name).who(action); {
	case who == Anyone, who == Users && id.User != "":
		return nil
	case who != Nobody && id.May(action, name):
		return nil
	case id.User == "" && id.Anonymous:
		return ErrCredentials.With("a token is needed to " + verb(action) + " " + name)
	}
	return ErrForbidden.With("not permitted to " + verb(action) + " " + name)
}

func verb(action auth.Action) string {
	switch action {
	case auth.Subscribe:
		return "subscribe to"
	case auth.Publish:
		return "publish to"
	case auth.Presence:
		return "see who is in"
	case auth.History:
		return "read the history of"
	}
	return string(action)
}
