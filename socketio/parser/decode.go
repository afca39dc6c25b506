package parser

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// MaxNamespace is how many bytes a namespace may have, with the query that protocol 4 puts behind it.
const MaxNamespace = 16 << 10

func (jsonCodec) NewDecoder(limits *Limits) Decoder { return &jsonDecoder{limits: limits} }

func (jsonCodec) Peek(binary bool, data []byte) (t Type, attachments int, ok bool) {
	if binary || len(data) == 0 || data[0] < '0' || data[0] > '0'+binaryAck {
		return 0, 0, false
	}
	t = Type(data[0] - '0')
	if t < binaryEvent {
		return t, 0, true
	}
	attachments, _, ok = count(data[1:])
	return t - binaryEvent + Event, attachments, ok
}

// count reads <attachments>- and says how many bytes that is.
func count[T string | []byte](s T) (n, size int, ok bool) {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			n = min(n*10+int(c-'0'), math.MaxInt32)
		case c == '-':
			return n, i + 1, n > 0
		default:
			return 0, i, false
		}
	}
	return 0, len(s), false
}

type jsonDecoder struct {
	limits  *Limits
	pending *pending
}

// pending is a packet that waits for attachments. Nothing is set aside for those that did not come yet.
type pending struct {
	packet Packet
	due    int
	bytes  int // of all that came
}

func (d *jsonDecoder) Due() int {
	if d.pending == nil {
		return 0
	}
	return d.pending.due
}

func (d *jsonDecoder) Add(p *Packet, binary bool, data []byte) (complete bool, err error) {
	switch {
	case binary:
		return d.attach(p, data)
	case d.pending != nil:
		due := d.Due()
		d.pending = nil
		return false, &Error{Part: PartMessage, Offset: 0, Reason: fmt.Sprintf("text while %d attachments are due", due)}
	}
	if err := d.limits.Check(len(data)); err != nil {
		return false, err
	}
	due, err := p.read(string(data), d.limits.attachments())
	if err != nil {
		return false, err
	}
	if due > 0 {
		d.pending = &pending{*p, due, len(data)}
	}
	return due == 0, nil
}

func (d *jsonDecoder) attach(p *Packet, data []byte) (complete bool, err error) {
	now := d.pending
	if now == nil {
		return false, &Error{Part: PartAttachment, Offset: -1, Reason: "none is due"}
	}
	now.bytes += len(data)
	if err := d.limits.Check(now.bytes); err != nil {
		d.pending = nil
		return false, err
	}
	b := now.packet.Data.format.binary
	b.data = append(b.data, bytes.Clone(nonNil(data)))
	if now.due--; now.due > 0 {
		return false, nil
	}
	d.pending = nil
	if *p = now.packet; len(b.places) == 0 {
		p.Data.format = textFormat // attachments that nothing refers to
	}
	return true, nil
}

// read reads the first message of a packet: <type>[<attachments>-][<namespace>,][<id>][<payload>]. All of the packet
// are parts of s.
func (p *Packet) read(s string, maxAttachments int) (attachments int, err error) {
	if !utf8.ValidString(s) {
		return 0, &Error{Part: PartMessage, Offset: invalidByte(s), Reason: "it is not UTF-8"}
	}
	if s == "" || s[0] < '0' || s[0] > '0'+binaryAck {
		return 0, &Error{Part: PartType, Offset: 0, Reason: "it is not known"}
	}
	*p = Packet{Type: Type(s[0] - '0'), Namespace: "/"}
	i := 1
	if p.Type >= binaryEvent {
		p.Type -= binaryEvent - Event
		n, size, ok := count(s[1:])
		if !ok {
			return 0, &Error{Part: PartAttachments, Offset: i, Reason: "it is not a whole number from 1 and a dash"}
		}
		if n > maxAttachments {
			return 0, &Error{PartAttachments, i, fmt.Sprintf("%d, and %d are allowed", n, maxAttachments), ErrTooLarge}
		}
		attachments, i = n, i+size
	}
	if i, err = p.readNamespace(s, i); err != nil {
		return 0, err
	}
	if i, err = p.readID(s, i); err != nil {
		return 0, err
	}
	return attachments, p.readPayload(s, i, attachments)
}

func (p *Packet) readNamespace(s string, i int) (int, error) {
	if i == len(s) || s[i] != '/' {
		return i, nil
	}
	size := strings.IndexByte(s[i:], ',')
	if size < 0 { // as in 1/chat
		size = len(s) - i
	}
	if size > MaxNamespace {
		return i, &Error{PartNamespace, i, "it is too long", ErrTooLarge}
	}
	if p.Namespace = s[i : i+size]; p.Type == Connect {
		p.Namespace = strings.Clone(p.Namespace) // often kept for as long as the connection lasts
	}
	return min(i+size+1, len(s)), nil
}

func (p *Packet) readID(s string, i int) (int, error) {
	start := i
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		if p.ID = p.ID*10 + uint64(s[i]-'0'); p.ID > MaxID {
			return i, &Error{Part: PartID, Offset: start, Reason: "it is greater than JavaScript can count"}
		}
		p.HasID = true
	}
	switch {
	case p.HasID && p.Type != Event && p.Type != Ack:
		return i, &Error{Part: PartID, Offset: start, Reason: "a " + p.Type.String() + " has none"}
	case p.Type == Ack && !p.HasID:
		return i, &Error{Part: PartID, Offset: start, Reason: "an acknowledgement needs one, of digits"}
	}
	return i, nil
}
