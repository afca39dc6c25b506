package clusteradapter_test

import (
	"log/slog"
	"testing"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/clusteradapter"
	"baro.dev/socketio/parser/msgpack"
)

// FuzzReceive has an adapter hear anything. It must not panic, and what it takes for a broadcast must be one that can be sent on.
func FuzzReceive(f *testing.F) {
	for _, text := range captured {
		f.Add([]byte(text))
	}
	for _, text := range hostile {
		f.Add([]byte(text))
	}
	silent := slog.New(slog.DiscardHandler)
	w := &wire{}
	f.Fuzz(func(t *testing.T, data []byte) {
		n := &node{wire: w}
		server := socketio.NewServer(&socketio.Options{Adapter: func(nsp *socketio.Namespace) socketio.Adapter {
			n.Adapter = clusteradapter.New(nsp, n, clusteradapter.Options{MaxBytes: 1 << 16, Logger: silent})
			return n
		}})
		defer func() { _ = server.Close(t.Context()) }()
		n.Receive(data)
		m, err := clusteradapter.Parse(data)
		if err != nil || m.Type != clusteradapter.Broadcast {
			return
		}
		p, err := m.Carried()
		if err != nil {
			return
		}
		m.Packet = p
		encoded, err := m.Encode()
		if err != nil {
			t.Fatalf("%q cannot be sent on: %v", data, err)
		}
		again, err := clusteradapter.Parse(encoded)
		if err != nil {
			t.Fatalf("%q became %q: %v", data, encoded, err)
		}
		q, err := again.Carried()
		if err != nil || q.Data.Name() != p.Data.Name() || q.Data.Len() != p.Data.Len() {
			t.Fatalf("%q became %q: %v", data, encoded, err)
		}
		if packed, err := m.EncodeMsgpack(); err != nil {
			t.Fatal(err)
		} else if _, rest, err := msgpack.Read(packed); err != nil || len(rest) > 0 {
			t.Fatalf("%q became %x: %v", data, packed, err)
		}
	})
}
