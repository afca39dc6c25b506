package redisadapter

import (
	"testing"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// FuzzMessages reads whatever a broker may bring. What can be read as a broadcast can be sent on, and means the same again.
func FuzzMessages(f *testing.F) {
	p := &parser.Packet{Type: parser.Event, Namespace: "/", Data: parser.EventData("e", 1, "two", []byte{3})}
	o := &socketio.BroadcastOptions{Rooms: []string{"a"}, Except: []string{"b"}, Flags: socketio.Flags{Volatile: true, Uncompress: true}}
	sent, err := appendBroadcast(nil, "abcdef", p, o)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(sent))
	f.Add(`{"uid":"a","requestId":"b","type":2,"opts":{"rooms":["a",7],"except":[]},"rooms":["c"]}`)
	f.Add(`{"requestId":"b","type":8,"clientCount":1}`)
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := readRequest(s); err == nil && r.kind == serverSideEmit {
			if _, err := encodeServerEvent("u", r.id, &r.event); err != nil {
				t.Errorf("an event that came cannot be sent: %v", err)
			}
		}
		if r, err := readResponse(s); err == nil {
			_, _ = r.remote()
		}
		m, err := readBroadcast(s)
		if err != nil {
			return
		}
		p, err := readPacket(m.packet)
		if err != nil || p.Check() != nil {
			return
		}
		again, err := appendBroadcast(nil, m.uid, p, &m.options)
		if err != nil {
			t.Fatalf("what came cannot be sent: %v", err)
		}
		n, err := readBroadcast(string(again))
		if err != nil {
			t.Fatalf("what was sent cannot be read: %v", err)
		}
		q, err := readPacket(n.packet)
		if err != nil || q.Data.Name() != p.Data.Name() || q.Data.Len() != p.Data.Len() || n.uid != m.uid || len(n.options.Rooms) != len(m.options.Rooms) {
			t.Errorf("%+v came to be %+v: %v", p, q, err)
		}
	})
}
