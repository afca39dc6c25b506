package redisadapter

import (
	"encoding/json"
	"fmt"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// requestJSON is a request to be sent.
type requestJSON struct {
	UID       string      `json:"uid,omitempty"`
	RequestID string      `json:"requestId,omitempty"`
	Type      int         `json:"type"`
	Opts      *targetJSON `json:"opts,omitempty"`
	Rooms     []string    `json:"rooms,omitzero"`
	Close     *bool       `json:"close,omitempty"`
}

// targetJSON are the rooms that a request is for.
type targetJSON struct {
	Rooms  []string `json:"rooms"`
	Except []string `json:"except"`
}

func newTargetJSON(o *socketio.BroadcastOptions) *targetJSON {
	return &targetJSON{append([]string{}, o.Rooms...), append([]string{}, o.Except...)} // never null
}

func (r *requestJSON) encode() []byte {
	if r.Rooms == nil && (r.Type == remoteJoin || r.Type == remoteLeave) {
		r.Rooms = []string{}
	}
	data, _ := json.Marshal(r) // of strings
	return data
}

// incoming is a request that came.
type incoming struct {
	uid, id string
	asked   bool // there is an id
	kind    int
	aimed   bool // there are options; the old form has sid and room instead
	options socketio.BroadcastOptions
	rooms   []string
	sid     string
	room    string
	close   bool
	packet  *parser.Packet // of broadcastWithAck
	event   parser.Data    // of serverSideEmit
}

type incomingJSON struct {
	UID       string   `json:"uid"`
	RequestID *string  `json:"requestId"`
	Type      *int     `json:"type"`
	Rooms     names    `json:"rooms"`
	SID       string   `json:"sid"`
	Room      roomName `json:"room"`
	Close     bool     `json:"close"`
	Opts      *struct {
		Rooms  names `json:"rooms"`
		Except names `json:"except"`
		Flags  struct {
			Timeout float64 `json:"timeout"`
		} `json:"flags"`
	} `json:"opts"`
	Data   json.RawMessage `json:"data"`
	Packet *struct {
		Namespace *string         `json:"nsp"`
		Data      json.RawMessage `json:"data"`
	} `json:"packet"`
}

// maxID is how long the id of a server or a request may be.
const maxID = 128

// readRequest reads a request: JSON, or MessagePack if it does not begin with a brace.
func readRequest(s string) (r *incoming, err error) {
	if s != "" && s[0] == '{' {
		r, err = readRequestJSON(s)
	} else {
		r, err = readRequestPacked(s)
	}
	switch {
	case err != nil:
		return nil, err
	case len(r.uid) > maxID || len(r.id) > maxID:
		return nil, fmt.Errorf("%w: an id is too long", errWrong)
	case r.kind == broadcastWithAck && (r.packet == nil || !r.aimed), r.kind == serverSideEmit && r.event.Name() == "" && r.event.Len() == 0:
		return nil, errWrong
	}
	return r, nil
}

func readRequestJSON(s string) (*incoming, error) {
	var j incomingJSON
	if err := json.Unmarshal(lend(s), &j); err != nil {
		return nil, err
	}
	if j.Type == nil {
		return nil, errWrong
	}
	r := &incoming{uid: j.UID, kind: *j.Type, rooms: j.Rooms, sid: j.SID, room: string(j.Room), close: j.Close}
	if j.RequestID != nil {
		r.id, r.asked = *j.RequestID, true
	}
	if j.Opts != nil {
		r.aimed = true
		r.options = socketio.BroadcastOptions{Rooms: j.Opts.Rooms, Except: j.Opts.Except}
		r.options.Flags.Timeout = milliseconds(j.Opts.Flags.Timeout)
	}
	var err error
	switch {
	case r.kind == serverSideEmit:
		r.event, err = eventJSON(j.Data)
	case r.kind == broadcastWithAck && j.Packet != nil:
		r.packet = &parser.Packet{Type: parser.Event, Namespace: "/"}
		if j.Packet.Namespace != nil {
			r.packet.Namespace = *j.Packet.Namespace
		}
		r.packet.Data, err = eventJSON(j.Packet.Data)
	}
	return r, err
}

// eventJSON is an array as the data of an event.
func eventJSON(data []byte) (parser.Data, error) {
	var p parser.Packet
	_, err := parser.JSON.NewDecoder(nil).Add(&p, false, append([]byte{'0' + byte(parser.Event)}, data...))
	return p.Data, err
}

func readRequestPacked(s string) (*incoming, error) {
	if end, err := msgpack.Check(lend(s)); err != nil {
		return nil, err
	} else if end != len(s) {
		return nil, errBehind
	}
	r := &incoming{kind: -1}
	var data string
	_, err := eachMember(lend(s), func(name string, value []byte) (err error) {
		if absent(value) {
			return nil
		}
		switch name {
		case "uid":
			r.uid, err = readName(value)
		case "requestId":
			r.asked = true
			r.id, err = readName(value)
		case "type":
			n, ok := readNumber(value)
			if r.kind = int(n); !ok || float64(r.kind) != n {
				return errWrong
			}
		case "opts":
			r.aimed = true
			_, err = readOptions(value, &r.options)
		case "rooms":
			r.rooms, err = readNames(value)
		case "sid":
			r.sid, err = readName(value)
		case "room":
			r.room, err = readName(value)
		case "close":
			r.close, _, _ = msgp.ReadBoolBytes(value)
		case "data":
			data = borrow(value)
		case "packet":
			r.packet, err = readPacket(borrow(value))
		}
		return err
	})
	if err == nil && r.kind < 0 {
		err = errWrong
	}
	if err == nil && r.kind == serverSideEmit {
		r.event, err = msgpack.Event(data)
	}
	return r, err
}

// response is an answer that came.
type response struct {
	id      string
	clients float64 // -1: it says none
	sockets []byte  // JSON; nil: it says none
	packed  parser.Value
	rooms   []string
	hasRoom bool
	data    parser.Value // of serverSideEmit
	packet  parser.Value // of broadcastAck
	kind    int          // -1: it says none
}

func readResponse(s string) (*response, error) {
	if s != "" && s[0] == '{' {
		return readResponseJSON(s)
	}
	if end, err := msgpack.Check(lend(s)); err != nil {
		return nil, err
	} else if end != len(s) {
		return nil, errBehind
	}
	r := &response{clients: -1, kind: -1}
	_, err := eachMember(lend(s), func(name string, value []byte) (err error) {
		switch name {
		case "requestId":
			r.id, err = readName(value)
		case "type":
			n, _ := readNumber(value)
			r.kind = int(n)
		case "clientCount":
			r.clients, _ = readNumber(value)
		case "sockets":
			r.packed, _, err = msgpack.Read(value)
		case "rooms":
			r.hasRoom = true
			r.rooms, err = readNames(value)
		case "data":
			r.data, _, err = msgpack.Read(value)
		case "packet":
			r.packet, _, err = msgpack.Read(value)
		}
		return err
	})
	return r, err
}

func readResponseJSON(s string) (*response, error) {
	var j struct {
		RequestID   string          `json:"requestId"`
		Type        *int            `json:"type"`
		ClientCount *float64        `json:"clientCount"`
		Sockets     json.RawMessage `json:"sockets"`
		Rooms       names           `json:"rooms"`
		Data        parser.Value    `json:"data"`
		Packet      parser.Value    `json:"packet"`
	}
	if err := json.Unmarshal(lend(s), &j); err != nil {
		return nil, err
	}
	r := &response{id: j.RequestID, clients: -1, sockets: j.Sockets, rooms: j.Rooms, hasRoom: j.Rooms != nil, data: j.Data, packet: j.Packet, kind: -1}
	if j.Type != nil {
		r.kind = *j.Type
	}
	if j.ClientCount != nil {
		r.clients = *j.ClientCount
	}
	return r, nil
}

// remote returns the sockets of an answer.
func (r *response) remote() (all []*socketio.RemoteSocket, err error) {
	switch {
	case r.sockets != nil:
		err = json.Unmarshal(r.sockets, &all)
	case !r.packed.IsZero():
		err = r.packed.Decode(&all)
	default:
		err = errWrong
	}
	for _, s := range all {
		if s == nil || s.Handshake == nil {
			return nil, errWrong
		}
	}
	return all, err
}
