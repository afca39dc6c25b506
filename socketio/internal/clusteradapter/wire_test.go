package clusteradapter_test

import (
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/clusteradapter"
	"baro.dev/socketio/parser"
)

// captured is what servers of Node were seen to send (@socket.io/redis-adapter 8.3).
var captured = map[string]string{
	"to all":     `{"type":3,"data":{"packet":{"type":2,"data":["ev",1,"2",{"a":true}]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"723aae5b39343553","nsp":"/"}`,
	"flags":      `{"type":3,"data":{"packet":{"type":2,"data":["ev",null]},"opts":{"rooms":["room1","both"],"except":["room9"],"flags":{"volatile":true,"compress":false}}},"uid":"723aae5b39343553","nsp":"/"}`,
	"with ack":   `{"type":3,"data":{"packet":{"type":2,"data":["q",41]},"requestId":"e00b186aa70f2b97","opts":{"rooms":[],"except":[],"flags":{"timeout":500}}},"uid":"723aae5b39343553","nsp":"/"}`,
	"join":       `{"type":4,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["room2"]},"uid":"723aae5b39343553","nsp":"/"}`,
	"disconnect": `{"type":6,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"close":true},"uid":"723aae5b39343553","nsp":"/"}`,
	"fetch":      `{"type":7,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"5e6ab0079dbd6036"},"uid":"723aae5b39343553","nsp":"/"}`,
	"server":     `{"type":9,"data":{"packet":["hello","w",1]},"uid":"723aae5b39343553","nsp":"/"}`,
	"count":      `{"type":11,"data":{"requestId":"e00b186aa70f2b97","clientCount":1},"uid":"723aae5b39343553","nsp":"/"}`,
	"ack":        `{"type":12,"data":{"requestId":"e00b186aa70f2b97","packet":42},"uid":"723aae5b39343553","nsp":"/"}`,
	"binary":     unhex("84a47479706503a46461746182a67061636b657482a47479706502a46461746192a362696ec403010203a46f70747383a5726f6f6d7390a665786365707490a5666c61677380a3756964b037323361616535623339333433353533a36e7370a12f"),
}

func unhex(text string) string {
	b, _ := hex.DecodeString(text)
	return string(b)
}

// What is sent is what servers of Node send, to the byte.
func TestCaptured(t *testing.T) {
	event := func(name string, args ...any) *parser.Packet {
		return &parser.Packet{Type: parser.Event, Data: parser.EventData(name, args...)}
	}
	room1 := &socketio.BroadcastOptions{Rooms: []string{"room1"}}
	all := &socketio.BroadcastOptions{}
	for name, m := range map[string]clusteradapter.Message{
		"to all": {Type: clusteradapter.Broadcast, Packet: event("ev", 1, "2", map[string]bool{"a": true}), Options: all},
		"flags": {Type: clusteradapter.Broadcast, Packet: event("ev", nil), Options: &socketio.BroadcastOptions{
			Rooms: []string{"room1", "both"}, Except: []string{"room9"}, Flags: socketio.Flags{Volatile: true, Uncompress: true},
		}},
		"with ack": {Type: clusteradapter.Broadcast, Packet: event("q", 41), RequestID: "e00b186aa70f2b97", Options: &socketio.BroadcastOptions{
			Flags: socketio.Flags{Timeout: 500 * time.Millisecond},
		}},
		"join":       {Type: clusteradapter.SocketsJoin, Options: room1, Rooms: []string{"room2"}},
		"disconnect": {Type: clusteradapter.DisconnectSockets, Options: room1, Close: true},
		"fetch":      {Type: clusteradapter.FetchSockets, Options: all, RequestID: "5e6ab0079dbd6036"},
		"server":     {Type: clusteradapter.ServerSideEmit, Event: parser.EventData("hello", "w", 1)},
		"count":      {Type: clusteradapter.BroadcastClientCount, RequestID: "e00b186aa70f2b97", Clients: 1},
		"ack":        {Type: clusteradapter.BroadcastAck, RequestID: "e00b186aa70f2b97", Value: 42},
		"binary":     {Type: clusteradapter.Broadcast, Packet: event("bin", []byte{1, 2, 3}), Options: all},
	} {
		m.UID, m.Namespace = "723aae5b39343553", "/"
		got, err := m.Encode()
		if want := captured[name]; err != nil || string(got) != want {
			t.Errorf("%s: %q, want %q, %v", name, got, want, err)
		}
	}
}

const head, tail = `{"uid":"x","nsp":"/","type":`, `}`

// hostile is what nobody should send.
var hostile = []string{
	"", "{", "null", "[]", "\x00", "\xc1", "\xdf\xff\xff\xff\xff", "\x84\xa4type", `{}`, `{"type":3}`, `{"uid":1,"nsp":"/","type":3}`,
	head + `0` + tail, head + `14` + tail, head + `99999999999999999999` + tail, head + `-3` + tail, head + `3.5` + tail, head + `"3"` + tail,
	head + `3` + tail, head + `3,"data":null` + tail, head + `3,"data":[]` + tail, head + `3,"data":{"opts":{}}` + tail,
	head + `3,"data":{"opts":{},"packet":{"type":2,"data":"x"}}` + tail, head + `3,"data":{"opts":{},"packet":{"type":2,"data":[]}}` + tail,
	head + `3,"data":{"opts":{},"packet":{"type":2,"data":["connect"]}}` + tail,
	head + `3,"data":{"opts":{},"packet":{"type":2,"data":[{}]}}` + tail,
	head + `3,"data":{"opts":{},"packet":{"type":0,"data":["x"]}}` + tail,
	head + `3,"data":{"opts":{"rooms":"x"},"packet":{"type":2,"data":["x"]}}` + tail,
	head + `3,"data":{"opts":{"rooms":[1]},"packet":{"type":2,"data":["x"]}}` + tail,
	head + `3,"data":{"opts":[],"packet":{"type":2,"data":["x"]}}` + tail,
	head + `3,"data":{"opts":{"flags":1},"packet":{"type":2,"data":["x"]}}` + tail,
	head + `3,"data":{"requestId":"","opts":{},"packet":{"type":2,"data":["x"]}}` + tail,
	head + `3,"data":{"requestId":{},"opts":{},"packet":{"type":2,"data":["x"]}}` + tail,
	head + `4,"data":{"opts":{},"rooms":[null]}` + tail, head + `6,"data":{"opts":{},"close":"yes"}` + tail, head + `7,"data":{"opts":{}}` + tail,
	head + `8,"data":{"requestId":"x","sockets":{}}` + tail, head + `9,"data":{"packet":{}}` + tail, head + `9,"data":{"packet":[1]}` + tail,
	head + `9,"data":{"packet":[]}` + tail, head + `11,"data":{"requestId":"x","clientCount":-1}` + tail,
	head + `11,"data":{"requestId":"x","clientCount":1e300}` + tail, head + `11,"data":{"requestId":"x","clientCount":2147483648}` + tail, head + `12,"data":{}` + tail,
	`{"uid":"` + strings.Repeat("u", 100) + `","nsp":"/","type":9,"data":{"packet":["x"]}}`,
	head + `9,"data":{"requestId":"` + strings.Repeat("r", 100) + `","packet":["x"]}` + tail,
	head + `3` + tail + "x", strings.Repeat("[", 100_000), head + `9,"data":` + strings.Repeat(`{"packet":`, 20_000) + `1` + strings.Repeat("}", 20_001),
	"\x81\xc0\x01", "\x84\xa3uid\xa1x\xa3nsp\xa1/\xa4type\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa4data\x80",
	"\x84\xa3uid\xa1x\xa3nsp\xa1/\xa4type\x03\xa4data\x82\xa4opts\x80\xa6packet\x82\xa4type\x02\xa4data\x91\xdb\xff\xff\xff\xff",
}

// What is no message of the cluster is counted, and told once; what follows is heard.
func TestHostile(t *testing.T) {
	var log strings.Builder
	w := &wire{}
	a, na := w.join(t, clusteradapter.Options{MaxBytes: 1 << 20, Logger: slog.New(slog.NewTextHandler(&log, nil))}, false)
	p := dial(t, a)
	until(t, func() bool { return len(a.Sockets()) == 1 })
	for i, text := range hostile {
		before := na.Stats().Ignored
		na.Receive([]byte(text))
		if na.Stats().Ignored != before+1 {
			t.Errorf("%d: %.200q was taken for a message", i, text)
		}
	}
	before := na.Stats().Ignored
	na.Receive(make([]byte, 100<<20))
	if na.Stats().Ignored != before+1 {
		t.Error("100 MiB were taken for a message")
	}
	for _, text := range []string{ // of another namespace, its own, answers that nobody has asked for, and what a later version may send
		`{"uid":"x","nsp":"/other","type":9,"data":{"packet":["x"]}}`, `{"uid":"` + na.UID() + `","nsp":"/","type":9,"data":{"packet":["x"]}}`,
		head + `8,"data":{"requestId":"x","sockets":[null,{"id":1}]}` + tail, captured["count"], captured["ack"], captured["with ack"],
		`{"v":2,"uid":"x","nsp":"/","type":3,"data":{"packet":{"type":2,"data":["ev",1]},"opts":{"rooms":[],"new":{}}},"more":[1]}`,
	} {
		na.Receive([]byte(text))
	}
	if n := na.Stats().Ignored; n != before+1 {
		t.Errorf("%d messages more were ignored", n-before-1)
	}
	p.expect(`420["q",41]`, `42["ev",1]`)
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines: %.1000s", n, log.String())
	}
}
