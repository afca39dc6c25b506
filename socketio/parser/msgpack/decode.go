package msgpack

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"baro.dev/socketio/parser"
)

func (codec) NewDecoder(limits *parser.Limits) parser.Decoder { return &decoder{limits} }

type decoder struct {
	limits *parser.Limits
}

func (d *decoder) Due() int { return 0 }

func (d *decoder) Add(p *parser.Packet, binary bool, data []byte) (complete bool, err error) {
	if !binary {
		return false, &parser.Error{Part: parser.PartMessage, Offset: 0, Reason: "text, and a packet is binary"}
	}
	if err := d.limits.Check(len(data)); err != nil {
		return false, err
	}
	err = read(p, string(data))
	return err == nil, err
}

// read reads a packet. All of it are parts of s.
func read(p *parser.Packet, s string) error {
	var f fields
	if err := f.read(s); err != nil {
		return err
	}
	*p = parser.Packet{}
	if err := readType(p, s, f.typ); err != nil {
		return err
	}
	if err := readNamespace(p, s, f.nsp); err != nil {
		return err
	}
	if err := readID(p, s, f.id); err != nil {
		return err
	}
	return readData(p, s, f.data)
}

// offset says where a member stands, or -1.
func (at span) offset() int {
	if at.end == 0 {
		return -1
	}
	return at.start
}

func readType(p *parser.Packet, s string, at span) error {
	if h, err := readHead(s, at.start); at.end > 0 && err == nil && h.kind == kindUint && h.n <= uint64(parser.ConnectError) {
		p.Type = parser.Type(h.n)
		return nil
	}
	return &parser.Error{Part: parser.PartType, Offset: at.offset(), Reason: "it is not known"}
}

func readNamespace(p *parser.Packet, s string, at span) error {
	wrong := func(reason string) error {
		return &parser.Error{Part: parser.PartNamespace, Offset: at.offset(), Reason: reason}
	}
	h, err := readHead(s, at.start)
	if at.end == 0 || err != nil || h.kind != kindString {
		return wrong("it is not a string")
	}
	name := s[h.body:at.end]
	switch {
	case len(name) > parser.MaxNamespace:
		return &parser.Error{Part: parser.PartNamespace, Offset: at.offset(), Reason: "it is too long", Err: parser.ErrTooLarge}
	case name == "" || name[0] != '/':
		return wrong("it does not begin with a slash")
	case strings.Contains(name, ","):
		return wrong("it has a comma")
	case !utf8.ValidString(name):
		return wrong("it is not UTF-8")
	}
	if p.Namespace = name; p.Type == parser.Connect {
		p.Namespace = strings.Clone(name) // often kept for as long as the connection lasts
	}
	return nil
}

func readID(p *parser.Packet, s string, at span) error {
	wrong := func(reason string) error {
		return &parser.Error{Part: parser.PartID, Offset: at.offset(), Reason: reason}
	}
	if !absent(s, at) {
		h, err := readHead(s, at.start)
		switch {
		case err != nil || h.kind != kindUint || h.n > parser.MaxID:
			return wrong("it is not a whole number that JavaScript can count to")
		case p.Type != parser.Event && p.Type != parser.Ack:
			return wrong("a " + p.Type.String() + " has none")
		}
		p.ID, p.HasID = h.n, true
	}
	if p.Type == parser.Ack && !p.HasID {
		return wrong("an acknowledgement needs one")
	}
	return nil
}

// absent reports whether a member is not there, undefined (d4 00 00) or nil, which other clients send for that.
func absent(s string, at span) bool {
	value := s[at.start:at.end]
	return value == "" || value == "\xc0" || value == "\xd4\x00\x00"
}

func readData(p *parser.Packet, s string, at span) error {
	wrong := func(reason string) error {
		return &parser.Error{Part: parser.PartPayload, Offset: at.offset(), Reason: reason}
	}
	none := absent(s, at)
	var h head
	if !none {
		var err error
		if h, err = readHead(s, at.start); err != nil {
			return wrong(err.Error())
		}
	}
	switch p.Type {
	case parser.Event, parser.Ack:
		if none || h.kind != kindArray {
			return wrong("it is not an array")
		}
		name := ""
		if p.Type == parser.Event {
			var err error
			if name, err = readName(s, h); err != nil {
				return err
			}
		}
		p.Data = parser.Received(format, s[h.body:at.end], int(h.n), p.Type == parser.Event, name)
		return nil
	case parser.Disconnect:
		if !none {
			return wrong("a DISCONNECT has none")
		}
		return nil
	}
	switch {
	case none:
		return nil
	case h.kind == kindMap, h.kind == kindString && p.Type == parser.ConnectError:
		p.Data = parser.Received(format, s[at.start:at.end], 1, false, "")
		return nil
	}
	return wrong("it is not a map")
}

func readName(s string, array head) (string, error) {
	wrong := func(reason string) error {
		return &parser.Error{Part: parser.PartEventName, Offset: array.body, Reason: reason}
	}
	if array.n == 0 {
		return "", wrong("there is none")
	}
	h, err := readHead(s, array.body)
	if err != nil {
		return "", wrong(err.Error())
	}
	switch h.kind {
	case kindString:
		name := s[h.body:h.end()]
		if parser.Reserved(name) {
			return "", wrong(strconv.Quote(name) + " is reserved")
		}
		return name, nil
	case kindUint, kindInt, kindFloat32, kindFloat64:
		t := parser.GetText()
		defer parser.PutText(t)
		_, err := appendJSON(t, s, array.body)
		return string(t.JSON), err
	}
	return "", wrong("it is neither a string nor a number")
}
