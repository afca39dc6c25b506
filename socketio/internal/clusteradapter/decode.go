package clusteradapter

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// ErrMessage is what errors of Parse and ParseData match.
var ErrMessage = errors.New("clusteradapter: not a message of a cluster")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMessage, fmt.Sprintf(format, args...))
}

const (
	maxID      = 64      // the bytes of an uid or a request id
	maxClients = 1 << 24 // more than a server has: each is counted for itself when the server goes
	maxTimeout = 1 << 31 // milliseconds; that of JavaScript has no more
)

// Parse reads a whole message. It lends data: what is kept of a message has to be copied.
func Parse(data []byte) (*Message, error) {
	r, err := read(data)
	if err != nil {
		return nil, wrong("%v", err)
	}
	m := &Message{}
	var carried raw
	ok := true
	object := r.members(func(name string, v raw) bool {
		switch name {
		case "uid":
			if !v.absent() {
				m.UID, ok = v.string()
			}
		case "nsp":
			m.Namespace, ok = v.string()
		case "type":
			var n int64
			n, ok = v.number()
			m.Type = Type(min(n, int64(AdapterClose)+1))
		case "data":
			carried = v
		}
		return ok
	})
	if !object || !ok {
		return nil, wrong("it has no uid, namespace and type")
	}
	return m, m.read(carried)
}

// ParseData reads a message of which the wire has the parts. It lends data.
func ParseData(uid, namespace string, t Type, data []byte) (*Message, error) {
	m := &Message{UID: uid, Namespace: namespace, Type: t}
	var r raw
	if len(data) > 0 {
		var err error
		if r, err = read(data); err != nil {
			return nil, wrong("%v", err)
		}
	}
	return m, m.read(r)
}

// read takes what a message carries, and checks that it is what its type needs.
func (m *Message) read(carried raw) error {
	switch {
	case m.Type < InitialHeartbeat || m.Type > AdapterClose:
		return wrong("there is no type %d", m.Type)
	case m.UID == "" || len(m.UID) > maxID:
		return wrong("the uid has %d bytes", len(m.UID))
	case m.Namespace == "":
		return wrong("there is no namespace")
	}
	why := ""
	carried.members(func(name string, v raw) bool {
		ok := true
		switch name {
		case "requestId":
			if !v.absent() {
				m.RequestID, ok = v.string()
				ok = ok && m.RequestID != "" && len(m.RequestID) <= maxID
			}
		case "opts":
			m.Options, ok = readOptions(v)
		case "rooms":
			m.Rooms, ok = v.strings()
		case "close":
			if !v.absent() {
				m.Close, ok = v.bool()
			}
		case "clientCount":
			var n int64
			n, ok = v.number()
			ok = ok && n <= maxClients
			m.Clients = int(n)
		case "packet", "sockets":
			m.payload = v
		}
		if !ok {
			why = name
		}
		return ok
	})
	if why != "" {
		return wrong("its %s is not one", why)
	}
	return m.complete()
}

// complete checks that a message has what its type needs.
func (m *Message) complete() error {
	options, request := false, false
	switch m.Type {
	case Broadcast, SocketsJoin, SocketsLeave, DisconnectSockets:
		options = true
	case FetchSockets:
		options, request = true, true
	case FetchSocketsResponse, ServerSideEmitResponse, BroadcastClientCount, BroadcastAck:
		request = true
	}
	switch {
	case options && m.Options == nil:
		return wrong("it has no options")
	case request && m.RequestID == "":
		return wrong("it has no request id")
	}
	switch m.Type {
	case Broadcast:
		return m.unwrap()
	case FetchSocketsResponse, ServerSideEmit:
		if !m.payload.array() {
			return wrong("what it carries is not an array")
		}
	}
	return nil
}

// unwrap takes the data out of the packet of a broadcast. Other packets than events are not broadcast by anybody.
func (m *Message) unwrap() error {
	var data raw
	event := true // an emitter may leave the type out
	m.payload.members(func(name string, v raw) bool {
		switch name {
		case "type":
			n, ok := v.number()
			event = ok && parser.Type(n) == parser.Event
		case "data":
			data = v
		}
		return event
	})
	if !event || !data.array() {
		return wrong("its packet is not an event")
	}
	m.payload = data
	return nil
}

func readOptions(r raw) (*socketio.BroadcastOptions, bool) {
	o := &socketio.BroadcastOptions{}
	ok := true
	object := r.members(func(name string, v raw) bool {
		switch {
		case v.absent():
		case name == "rooms":
			o.Rooms, ok = v.strings()
		case name == "except":
			o.Except, ok = v.strings()
		case name == "flags":
			ok = readFlags(&o.Flags, v)
		}
		return ok
	})
	return o, object && ok
}

// readFlags takes what it knows; there are others.
func readFlags(f *socketio.Flags, r raw) bool {
	return r.members(func(name string, v raw) bool {
		switch name {
		case "volatile":
			f.Volatile, _ = v.bool()
		case "compress":
			compress, ok := v.bool()
			f.Uncompress = ok && !compress
		case "timeout":
			if ms, ok := v.number(); ok && ms <= maxTimeout {
				f.Timeout = time.Duration(ms) * time.Millisecond
			}
		}
		return true
	})
}

// Carried gives the event of a broadcast that came. It lends nothing.
func (m *Message) Carried() (*parser.Packet, error) { return m.event(nil) }

func (m *Message) event(limits *parser.Limits) (*parser.Packet, error) {
	p, err := m.payload.packet(m.Namespace, true, limits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return p, nil
}

// serverEvent gives what another server emits to servers: there its name may be any.
func (m *Message) serverEvent(limits *parser.Limits) (parser.Data, error) {
	p, err := m.payload.packet(m.Namespace, false, limits)
	if err != nil {
		return parser.Data{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	var name string
	if p.Data.Value(0).Decode(&name) != nil {
		return parser.Data{}, wrong("the name of the event is not a string")
	}
	return parser.EventData(name, p.Data.Args()[1:]...), nil
}

// answer gives the value of an acknowledgement; the zero Value if it has none.
func (m *Message) answer() parser.Value { return m.payload.value() }

// remoteSocket is a socketio.RemoteSocket as it is decoded. That of the handshake is its own matter, and binary in the data stays
// binary only if no part of what is decoded does that.
type remoteSocket struct {
	ID        string       `json:"id"`
	Handshake parser.Value `json:"handshake"`
	Rooms     []string     `json:"rooms"`
	Data      any          `json:"data"`
}

// remote gives the sockets of a response.
func (m *Message) remote() ([]*socketio.RemoteSocket, error) {
	var came []remoteSocket
	if err := m.payload.value().Decode(&came); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	all := make([]*socketio.RemoteSocket, 0, len(came))
	for _, s := range came {
		h := &socketio.Handshake{}
		if s.ID == "" || !s.Handshake.IsZero() && s.Handshake.Decode(h) != nil {
			return nil, wrong("a socket has no id, or no handshake")
		}
		all = append(all, &socketio.RemoteSocket{ID: s.ID, Handshake: h, Rooms: s.Rooms, Data: s.Data})
	}
	return all, nil
}

// own gives options that lend nothing.
func own(o *socketio.BroadcastOptions) *socketio.BroadcastOptions {
	return &socketio.BroadcastOptions{Rooms: ownStrings(o.Rooms), Except: ownStrings(o.Except), Flags: o.Flags}
}

func ownStrings(list []string) []string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = strings.Clone(s)
	}
	return all
}
