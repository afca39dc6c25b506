package cluster

import (
	"encoding/binary"
	"encoding/json"
)

// A message of a node begins with
//
//	1 byte   version
//	1 byte   what it is
//	6 bytes  the id of the node that sent it
//	8 bytes  which start of a process it is, at random: two nodes may have taken one id
//
// in all versions. What follows is by what it is; integers are big endian. What is longer than expected is read as far as it is
// known, so that a version may add to the end, and a node takes messages of its own version, of older ones and of the next.
const (
	wireVersion = 1
	headerBytes = 16
	idBytes     = 6
	maxKind     = 64
)

type messageType byte

const (
	typeBeat   messageType = 1 // flags, age, and a description as JSON
	typeBye    messageType = 2 // it leaves
	typeMissed messageType = 3 // you were called dead
	typeAsk    messageType = 4 // number, milliseconds that it waits, kind, data
	typeTell   messageType = 5 // as a question; no answer
	typeAnswer messageType = 6 // number of the question, status, data

	typeOpen   messageType = 16 // the streams: stream.go
	typeAccept messageType = 17
	typeData   messageType = 18
	typeWindow messageType = 19
	typeEnd    messageType = 20
	typeReset  messageType = 21
	typeAudit  messageType = 22
)

// flagHello in a beat asks for the beat of whoever gets it.
const flagHello = 1

type status byte

const (
	statusOK      status = 0
	statusError   status = 1
	statusUnknown status = 2
	statusBusy    status = 3
)

type header struct {
	kind messageType
	from string
	born uint64
}

// parseHeader is false for what no node of a version that this one understands has sent.
func parseHeader(data []byte) (h header, rest []byte, ok bool) {
	if len(data) < headerBytes || data[0] == 0 || data[0] > wireVersion+1 {
		return header{}, nil, false
	}
	from := data[2 : 2+idBytes]
	if !validID(from) {
		return header{}, nil, false
	}
	return header{messageType(data[1]), string(from), binary.BigEndian.Uint64(data[8:])}, data[headerBytes:], true
}

func validID(id []byte) bool {
	if len(id) != idBytes {
		return false
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func appendHeader(b []byte, h header) []byte {
	b = append(b, wireVersion, byte(h.kind))
	b = append(b, h.from...)
	return binary.BigEndian.AppendUint64(b, h.born)
}

// A description is what a beat says of its node.
type description struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	State   []byte `json:"state,omitempty"`
}

const (
	maxName        = 255
	maxState       = 8 << 10
	maxDescription = 16 << 10
)

func parseDescription(data []byte) (d description, ok bool) {
	if len(data) > maxDescription || json.Unmarshal(data, &d) != nil {
		return description{}, false
	}
	return d, len(d.Name) <= maxName && len(d.Version) <= maxName && len(d.State) <= maxState
}

// A beat is flags, age in milliseconds and the description.
func appendBeat(b []byte, flags byte, age uint64, description []byte) []byte {
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, age)
	return append(b, description...)
}

const beatBytes = 9

// A request is a question, or what is told.
type request struct {
	number  uint64
	timeout uint32 // milliseconds
	kind    string
	data    []byte
}

func appendRequest(b []byte, r request) []byte {
	b = binary.BigEndian.AppendUint64(b, r.number)
	b = binary.BigEndian.AppendUint32(b, r.timeout)
	b = append(b, byte(len(r.kind)))
	b = append(b, r.kind...)
	return append(b, r.data...)
}

func parseRequest(data []byte) (r request, ok bool) {
	if len(data) < 13 {
		return request{}, false
	}
	r.number, r.timeout = binary.BigEndian.Uint64(data), binary.BigEndian.Uint32(data[8:])
	length := int(data[12])
	if length == 0 || length > maxKind || len(data) < 13+length {
		return request{}, false
	}
	r.kind, r.data = string(data[13:13+length]), data[13+length:]
	return r, true
}

func appendAnswer(b []byte, number uint64, s status, data []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, number)
	b = append(b, byte(s))
	return append(b, data...)
}

func parseAnswer(data []byte) (number uint64, s status, rest []byte, ok bool) {
	if len(data) < 9 || data[8] > byte(statusBusy) {
		return 0, 0, nil, false
	}
	return binary.BigEndian.Uint64(data), status(data[8]), data[9:], true
}
