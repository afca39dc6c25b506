package channel

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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

// Validate says whether m may be a member. The error is an [*InvalidError]. Peers ask it of what comes from elsewhere.
func (m *Member) Validate() error {
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
	subscriptions int // here
	hubs          int // how many others it is in
}

// members is who is in a channel. The channel's mu guards it, but for those who left.
type members struct {
	byClient map[string]*member
	users    map[string]int                // how many connections each user has; the unknown one is not counted
	hubs     map[string]map[string]*member // those of other hubs, by hub and client
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
	added, joined, first = s.get(m)
	added.subscriptions++
	return added, joined, first
}

// get finds a member, or makes it.
func (s *members) get(m Member) (added *member, joined, first bool) {
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
	return added, joined, first
}

// remove takes a subscription of m away, and says whether it was the last of its connection, and of its user.
func (s *members) remove(m *member) (gone, last bool) {
	m.subscriptions--
	return s.drop(m)
}

// drop removes a member that is nowhere any more.
func (s *members) drop(m *member) (gone, last bool) {
	if m.subscriptions > 0 || m.hubs > 0 {
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

// addOf counts a member of another hub.
func (s *members) addOf(hub string, m Member) (added *member, joined, first bool) {
	if s.hubs[hub][m.Client] != nil {
		return nil, false, false
	}
	if s.hubs[hub] == nil {
		if s.hubs == nil {
			s.hubs = make(map[string]map[string]*member)
		}
		s.hubs[hub] = make(map[string]*member)
	}
	added, joined, first = s.get(m)
	added.hubs++
	s.hubs[hub][m.Client] = added
	return added, joined, first
}

// removeOf counts a member of another hub no longer.
func (s *members) removeOf(hub, client string) (m *member, gone, last bool) {
	if s == nil || s.hubs[hub][client] == nil {
		return nil, false, false
	}
	m = s.hubs[hub][client]
	m.hubs--
	if delete(s.hubs[hub], client); len(s.hubs[hub]) == 0 {
		delete(s.hubs, hub)
	}
	gone, last = s.drop(m)
	return m, gone, last
}

// clientsOf is those of another hub.
func (s *members) clientsOf(hub string) []string {
	if s == nil {
		return nil
	}
	return slices.Collect(maps.Keys(s.hubs[hub]))
}

// forgetHubs forgets those of all other hubs.
func (s *members) forgetHubs() {
	if s == nil {
		return
	}
	for hub := range s.hubs {
		for _, client := range s.clientsOf(hub) {
			s.removeOf(hub, client)
		}
	}
}

// here is those who are on this hub.
func (s *members) here() []Member {
	if s == nil {
		return nil
	}
	var all []Member
	for _, m := range s.byClient {
		if m.subscriptions > 0 {
			all = append(all, m.Member)
		}
	}
	return all
}

// countHere is count of those who are on this hub.
func (s *members) countHere() (users, clients int) {
	if s == nil || len(s.hubs) == 0 {
		return s.count()
	}
	known := make(map[string]bool)
	for _, m := range s.byClient {
		if m.subscriptions > 0 {
			clients++
			known[m.User] = true
		}
	}
	delete(known, "")
	return len(known), clients
}
