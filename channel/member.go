package channel

import (
	"encoding/json"
	"fmt"
	"time"
)

// MaxInfoBytes bounds [Member.Info].
const MaxInfoBytes = 4 << 10

// A Member is a connection that is in a channel.
type Member struct {
	// Client is the connection: 1 to 128 bytes of UTF-8 without control characters, unique among the connections.
	Client string
	// User is who is behind it: one user may have many connections. Empty where that is not known.
	User string
	// Info is what others are shown of it: JSON of up to [MaxInfoBytes], or nothing. It must not be changed any more.
	Info json.RawMessage
	// Since is when it joined. Zero: now.
	Since time.Time
}

func (m *Member) validate() error {
	if m.Client == "" {
		return &InvalidError{What: "client", Reason: "it is empty"}
	}
	if err := validateWord("client", m.Client, MaxIDBytes); err != nil {
		return err
	}
	if err := validateWord("user", m.User, MaxUserBytes); err != nil {
		return err
	}
	if len(m.Info) > MaxInfoBytes {
		return &InvalidError{What: "info", Reason: fmt.Sprintf("it has %d bytes, the limit is %d", len(m.Info), MaxInfoBytes)}
	}
	if len(m.Info) > 0 && !json.Valid(m.Info) {
		return &InvalidError{What: "info", Reason: "it is not JSON"}
	}
	return nil
}

// member is a connection in a channel, and how many subscriptions it has there: more than one for a moment, when a
// client subscribes anew before its old subscription has ended.
type member struct {
	Member
	subscriptions int
}

// members is who is in a channel. The channel's mu guards it, but for those who left.
type members struct {
	byClient map[string]*member
	users    map[string]int // how many connections each user has; the unknown one is not counted
	left     left
}

// count says how many there are. A channel that nobody ever joined has nil members.
func (s *members) count() (users, clients int) {
	if s == nil {
		return 0, 0
	}
	return len(s.users), len(s.byClient)
}

// add counts a subscription of m, and says whether it is the first of its connection, and of its user.
func (s *members) add(m Member) (added *member, joined, first bool) {
	added = s.byClient[m.Client]
	if added == nil {
		if s.byClient == nil {
			s.byClient = make(map[string]*member)
		}
		added, joined = &member{Member: m}, true
		s.byClient[m.Client] = added
		if m.User != "" {
			if s.users == nil {
				s.users = make(map[string]int)
			}
			s.users[m.User]++
			first = s.users[m.User] == 1
		}
	}
	added.subscriptions++
	return added, joined, first
}

// remove takes a subscription of m away, and says whether it was the last of its connection, and of its user.
func (s *members) remove(m *member) (gone, last bool) {
	m.subscriptions--
	if m.subscriptions > 0 {
		return false, false
	}
	delete(s.byClient, m.Client)
	if len(s.byClient) == 0 {
		s.byClient = nil
	}
	if m.User == "" {
		return true, false
	}
	s.users[m.User]--
	if s.users[m.User] > 0 {
		return true, false
	}
	delete(s.users, m.User)
	if len(s.users) == 0 {
		s.users = nil
	}
	return true, true
}
