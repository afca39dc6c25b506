package redisadapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unsafe"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// The types of requests.
const (
	requestSockets       = 0
	requestAllRooms      = 1
	remoteJoin           = 2
	remoteLeave          = 3
	remoteDisconnect     = 4
	remoteFetch          = 5
	serverSideEmit       = 6
	broadcastWithAck     = 7
	broadcastClientCount = 8
	broadcastAck         = 9
)

var (
	errWrong  = errors.New("it is no message of @socket.io/redis-adapter")
	errBehind = errors.New("there is something behind it")
	errBusy   = errors.New("too many wait")
)

// A broadcast is [uid, packet, options], in MessagePack.

func appendBroadcast(b []byte, uid string, p *parser.Packet, o *socketio.BroadcastOptions) ([]byte, error) {
	b = msgp.AppendArrayHeader(b, 3)
	b = msgp.AppendString(b, uid)
	if _, err := msgpack.Codec.Encode(nil, &b, p); err != nil {
		return nil, err
	}
	return appendOptions(b, o), nil
}

func appendOptions(b []byte, o *socketio.BroadcastOptions) []byte {
	b = msgp.AppendMapHeader(b, 3)
	b = appendStrings(msgp.AppendString(b, "rooms"), o.Rooms)
	b = appendStrings(msgp.AppendString(b, "except"), o.Except)
	b = msgp.AppendString(b, "flags")
	set := uint32(0)
	for _, flag := range []bool{o.Flags.Volatile, o.Flags.Uncompress, o.Flags.Timeout > 0} {
		if flag {
			set++
		}
	}
	b = msgp.AppendMapHeader(b, set)
	if o.Flags.Volatile {
		b = msgp.AppendBool(msgp.AppendString(b, "volatile"), true)
	}
	if o.Flags.Uncompress {
		b = msgp.AppendBool(msgp.AppendString(b, "compress"), false)
	}
	if o.Flags.Timeout > 0 {
		b = msgp.AppendInt64(msgp.AppendString(b, "timeout"), max(1, o.Flags.Timeout.Milliseconds()))
	}
	return b
}

func appendStrings(b []byte, list []string) []byte {
	b = msgp.AppendArrayHeader(b, uint32(len(list)))
	for _, s := range list {
		b = msgp.AppendString(b, s)
	}
	return b
}

// broadcast is one that came. The strings are parts of the message.
type broadcast struct {
	uid     string
	packet  string // in MessagePack, checked
	options socketio.BroadcastOptions
}

// readBroadcast reads what comes before and behind the packet, and of the packet only where it ends.
func readBroadcast(s string) (m broadcast, err error) {
	end, err := msgpack.Check(lend(s))
	if err != nil {
		return m, err
	}
	if end != len(s) {
		return m, errBehind
	}
	n, b, err := msgp.ReadArrayHeaderBytes(lend(s))
	if err != nil || n < 3 {
		return m, errWrong
	}
	uid, b, err := msgp.ReadStringZC(b)
	if err != nil {
		return m, errWrong
	}
	m.uid = borrow(uid)
	options, err := msgp.Skip(b)
	if err != nil {
		return m, err
	}
	m.packet = borrow(b[:len(b)-len(options)])
	_, err = readOptions(options, &m.options)
	return m, err
}

// eachMember calls f for each member of a map that has been checked.
func eachMember(b []byte, f func(name string, value []byte) error) (rest []byte, err error) {
	n, b, err := msgp.ReadMapHeaderBytes(b)
	for range n {
		var name []byte
		if name, b, err = msgp.ReadStringZC(b); err != nil {
			return b, errWrong
		}
		if rest, err = msgp.Skip(b); err != nil {
			return b, err
		}
		if err = f(borrow(name), b[:len(b)-len(rest)]); err != nil {
			return b, err
		}
		b = rest
	}
	if err != nil {
		err = errWrong
	}
	return b, err
}

func readOptions(b []byte, o *socketio.BroadcastOptions) (rest []byte, err error) {
	return eachMember(b, func(name string, value []byte) (err error) {
		switch name {
		case "rooms":
			o.Rooms, err = readNames(value)
		case "except":
			o.Except, err = readNames(value)
		case "flags":
			if msgp.NextType(value) == msgp.MapType {
				_, err = eachMember(value, func(name string, value []byte) error { return readFlag(&o.Flags, name, value) })
			}
		}
		return err
	})
}

func readFlag(f *socketio.Flags, name string, value []byte) error {
	switch name {
	case "volatile":
		f.Volatile, _, _ = msgp.ReadBoolBytes(value)
	case "compress":
		compress, _, err := msgp.ReadBoolBytes(value)
		f.Uncompress = err == nil && !compress
	case "timeout":
		n, _ := readNumber(value)
		f.Timeout = milliseconds(n)
	}
	return nil
}

// maxTimeout bounds for how long another server may have an acknowledgement waited for.
const maxTimeout = time.Hour

func milliseconds(n float64) time.Duration {
	if !(n > 0) { // nor not-a-number
		return 0
	}
	return time.Duration(min(n, float64(maxTimeout.Milliseconds())) * float64(time.Millisecond))
}

// readNames reads names of rooms, which may be numbers to servers of Node; nil is none.
func readNames(b []byte) ([]string, error) {
	if msgp.IsNil(b) {
		return nil, nil
	}
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil {
		return nil, errWrong
	}
	var names []string
	for range n {
		name, err := readName(b)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if b, err = msgp.Skip(b); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func readName(b []byte) (string, error) {
	if s, _, err := msgp.ReadStringZC(b); err == nil {
		return borrow(s), nil
	}
	if n, ok := readNumber(b); ok {
		return numberName(n), nil
	}
	return "", errWrong
}

func readNumber(b []byte) (float64, bool) {
	switch msgp.NextType(b) {
	case msgp.IntType, msgp.UintType:
		n, _, err := msgp.ReadInt64Bytes(b)
		return float64(n), err == nil
	case msgp.Float32Type, msgp.Float64Type:
		n, _, err := msgp.ReadFloat64Bytes(b)
		return n, err == nil
	}
	return 0, false
}

// numberName writes a number as JavaScript does, where it is no longer than that.
func numberName(n float64) string {
	if n == math.Trunc(n) && math.Abs(n) < 1e21 {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return strconv.FormatFloat(n, 'g', -1, 64)
}

// readPacket reads the packet of an event. namespace is "" if it says none, which is "/".
func readPacket(s string) (p *parser.Packet, err error) {
	p = &parser.Packet{Type: parser.Event, Namespace: "/"}
	var data string
	_, err = eachMember(lend(s), func(name string, value []byte) error {
		switch name {
		case "type":
			if t, ok := readNumber(value); !ok || t != float64(parser.Event) {
				return fmt.Errorf("%w: a packet that is no event", errWrong)
			}
		case "nsp":
			if !absent(value) {
				nsp, _, err := msgp.ReadStringZC(value)
				if err != nil {
					return errWrong
				}
				p.Namespace = borrow(nsp)
			}
		case "data":
			data = borrow(value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.Data, err = msgpack.Event(data)
	return p, err
}

// absent reports whether a value is nil or undefined.
func absent(b []byte) bool {
	return len(b) == 0 || b[0] == 0xc0 || len(b) >= 3 && b[0] == 0xd4 && b[1] == 0 && b[2] == 0
}

// names are names of rooms in JSON, which may be numbers to servers of Node.
type names []string

func (n *names) UnmarshalJSON(data []byte) error {
	var all []roomName
	err := json.Unmarshal(data, &all)
	*n = nil
	for _, name := range all {
		*n = append(*n, string(name))
	}
	return err
}

type roomName string

func (n *roomName) UnmarshalJSON(data []byte) error {
	var number float64
	if json.Unmarshal(data, &number) == nil && string(data) != "null" {
		*n = roomName(numberName(number))
		return nil
	}
	return json.Unmarshal(data, (*string)(n))
}

// lend gives the bytes of s to who only reads them.
func lend(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// borrow gives bytes that nobody changes as a string.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
