package presence

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"baro.dev/channel"
)

// What is sent is a byte with the version, and JSON.
const (
	version    = 1
	newest     = version + 1 // of which this one makes sense
	maxMessage = 1 << 20     // what is longer is not looked at
	maxLife    = 32
)

// Kinds of questions, and of what is told.
const (
	kindPull = "presence.pull" // what is not as the asker has it
	kindPage = "presence.page" // more of the members of a channel
	kindGap  = "presence.gap"  // the sender may have missed something, and others what it said
	kindWho  = "presence.who"  // who is in a channel, whether or not it has presence
)

// change is what is said on the subject of a channel.
type change struct {
	From  string   `json:"from"`
	Life  string   `json:"life"`
	Seq   uint64   `json:"seq"`            // of this change; of an echo, of the last
	Echo  bool     `json:"echo,omitempty"` // nothing has changed
	Joins []member `json:"joins,omitempty"`
	Parts []string `json:"parts,omitempty"` // the clients that left
}

// member is a [channel.Member].
type member struct {
	Client string          `json:"c"`
	User   string          `json:"u,omitempty"`
	Info   json.RawMessage `json:"i,omitempty"`
	Since  int64           `json:"t"` // in milliseconds since 1970
}

// state is what there is of a channel on a node, or what is known of it: of the one that has no life there is nothing.
type state struct {
	Name    string   `json:"n"`
	Life    string   `json:"l,omitempty"`
	Seq     uint64   `json:"s,omitempty"`
	Members []member `json:"m,omitempty"`
	More    bool     `json:"more,omitempty"` // there are more members, by the order of clients
}

// pull asks for what is not as the asker has it; the answer has that, and the names of what there was no room for.
type pull struct {
	States []state  `json:"states"`
	Later  []string `json:"later,omitempty"`
}

// page asks for the members of a channel after a client; the answer is a state.
type page struct {
	Name  string `json:"n"`
	After string `json:"after"`
}

// who asks who is in a channel.
type who struct {
	Name  string `json:"n"`
	Limit int    `json:"limit"` // of members; negative: none
}

// crowd answers who.
type crowd struct {
	Members []member `json:"m,omitempty"`
	Clients int      `json:"clients"`
	Users   int      `json:"users"`
	Known   []uint64 `json:"known,omitempty"` // the users, hashed, unless they are too many
}

func encode(what any) []byte {
	data, err := json.Marshal(what)
	if err != nil {
		panic(err) // our own types, and JSON that was checked
	}
	return append([]byte{version}, data...)
}

var errTooLong = errors.New("it is too long")

func decode(data []byte, into any) error {
	switch {
	case len(data) > maxMessage:
		return errTooLong
	case len(data) == 0 || data[0] == 0 || data[0] > newest:
		return errors.New("it is of another version")
	}
	return json.Unmarshal(data[1:], into)
}

func newMember(m *channel.Member) member {
	return member{Client: m.Client, User: m.User, Info: m.Info, Since: m.Since.UnixMilli()}
}

// leastMember is the least that size gives.
const leastMember = 64

// size is about how long it is in JSON.
func (m *member) size() int { return 2*len(m.Client) + 2*len(m.User) + len(m.Info) + leastMember }

// membersOf checks members that another node has told of.
func membersOf(told []member) ([]channel.Member, error) {
	members := make([]channel.Member, len(told))
	for i, m := range told {
		members[i] = channel.Member{Client: m.Client, User: m.User, Info: m.Info, Since: time.UnixMilli(m.Since)}
		if err := members[i].Validate(); err != nil {
			return nil, err
		}
	}
	return members, nil
}

func (c *change) check() error {
	if c.Life == "" || len(c.Life) > maxLife {
		return errors.New("it has no life")
	}
	for _, client := range c.Parts {
		if client == "" || len(client) > channel.MaxIDBytes {
			return errors.New("a client is empty or too long")
		}
	}
	return nil
}

func (s *state) check() error {
	if len(s.Life) > maxLife {
		return errors.New("its life is too long")
	}
	if err := channel.ValidateName(s.Name); err != nil {
		return fmt.Errorf("the channel: %w", err)
	}
	return nil
}

// hash makes a number of a user's name: so many fit in an answer that users can be counted once over all nodes.
func hash(user string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(user))
	return h.Sum64()
}
