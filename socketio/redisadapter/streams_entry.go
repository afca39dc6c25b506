package redisadapter

import (
	"cmp"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"baro.dev/socketio/internal/clusteradapter"
)

// receive takes an entry of the stream.
func (a *StreamsAdapter) receive(e *entry) {
	uid := e.field("uid")
	if uid == a.UID() {
		a.comeBack(e)
		return
	}
	m, err := a.parse(e)
	if err != nil {
		a.Ignore(err)
		return
	}
	offset := ""
	if a.recovery != nil {
		offset = e.id
	}
	a.ReceiveMessage(m, offset)
}

// comeBack sends an event of this server to its sockets, unless they have it already.
func (a *StreamsAdapter) comeBack(e *entry) {
	number, err := strconv.ParseUint(e.field(numberField), 10, 64)
	var o own
	if err == nil && a.take(number, &o) {
		p := *o.packet
		p.Data = p.Data.Append(e.id)
		_ = a.MemoryAdapter.Broadcast(&p, o.options)
	}
}

var errEntry = errors.New("redisadapter: an entry of the stream is too long, or not written as it should be")

// parse reads an entry. What comes of it lends its fields.
func (a *StreamsAdapter) parse(e *entry) (*clusteradapter.Message, error) {
	text := e.field("data")
	if e.size > a.set.MaxMessageBytes {
		return nil, errEntry
	}
	t, err := strconv.Atoi(e.field("type"))
	if err != nil {
		return nil, errEntry
	}
	data := lend(text)
	if text != "" && text[0] != '{' {
		if data, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errEntry
		}
	}
	return clusteradapter.ParseData(e.field("uid"), e.field("nsp"), clusteradapter.Type(t), data)
}

// compareIDs compares ids of entries.
func compareIDs(a, b string) int {
	at, an := splitID(a)
	bt, bn := splitID(b)
	return cmp.Or(cmp.Compare(at, bt), cmp.Compare(an, bn))
}

func splitID(id string) (ms, n uint64) {
	time, number, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(time, 10, 64)
	n, _ = strconv.ParseUint(number, 10, 64)
	return ms, n
}
