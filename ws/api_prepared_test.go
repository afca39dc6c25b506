package ws_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"baro.dev/ws"
)

// One prepared message reads the same on connections of every kind, in both directions, among other messages.
func TestPrepared(t *testing.T) {
	var prepared []*ws.PreparedMessage
	for _, size := range []int{0, 1, 125, 126, 300, 5000, 70_000} {
		for _, typ := range []ws.MessageType{ws.Text, ws.Binary} {
			m, err := ws.NewPreparedMessage(typ, []byte(text(size, 0)))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Message(); got.Type != typ || got.String() != text(size, 0) {
				t.Error(got.Type, len(got.Data))
			}
			prepared = append(prepared, m)
		}
	}
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		for _, ends := range [][2]*ws.Conn{{client, server}, {server, client}} {
			from, to := ends[0], ends[1]
			for i, m := range prepared {
				// What surrounds it refers to it, and it to nothing.
				around := fmt.Sprint(i, text(400, 0))
				go func() {
					from.Write(t.Context(), ws.Text, []byte(around))
					from.WritePrepared(t.Context(), m)
					from.SendPrepared(m)
					from.Write(t.Context(), ws.Text, []byte(around))
				}()
				mustRead(t, to, around)
				for range 2 {
					got, err := to.Read(t.Context())
					if want := m.Message(); err != nil || got.Type != want.Type || got.String() != want.String() {
						t.Fatalf("message %d: %v %.20q of %d, %v", i, got.Type, got.Data, len(got.Data), err)
					}
				}
				mustRead(t, to, around)
			}
		}
	})
}

// A broadcast to connections that need different encodings, from several goroutines at once.
func TestPreparedBroadcast(t *testing.T) {
	m, err := ws.NewPreparedMessage(ws.Text, []byte(strings.Repeat("broadcast ", 500)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, c := range []ws.Compression{
		{}, {Enabled: true}, {Enabled: true, Level: 9}, {Enabled: true, WindowBits: 9},
		{Enabled: true, ContextTakeover: true}, {Enabled: true, ContextTakeover: true, WindowBits: 15},
		{Enabled: true, Threshold: 1 << 20},
	} {
		for range 2 {
			client, server := openHTTP(t, ws.AcceptOptions{Compression: c}, "ws")
			wg.Go(func() {
				for range 5 {
					if err := server.WritePrepared(t.Context(), m); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				for range 5 {
					got, err := client.Read(t.Context())
					if err != nil || got.String() != m.Message().String() {
						t.Errorf("%+v: %.20q, %v", c, got.Data, err)
					}
				}
			})
		}
	}
	wg.Wait()
}

// While a Writer is at it, prepared messages wait as others do.
func TestPreparedDuringWriter(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		m, _ := ws.NewPreparedMessage(ws.Text, []byte(text(6000, 0)))
		for _, ends := range [][2]*ws.Conn{{client, server}, {server, client}} {
			from, to := ends[0], ends[1]
			for range 2 {
				w, err := from.Writer(t.Context(), ws.Text)
				if err != nil {
					t.Fatal(err)
				}
				w.Write([]byte(text(20_000, 1)))
				if err := from.SendPrepared(m); err != nil {
					t.Fatal(err)
				}
				mustWrite(t, from, text(6000, 0))
				w.Close()
				mustRead(t, to, text(20_000, 1))
				mustRead(t, to, text(6000, 0))
				mustRead(t, to, text(6000, 0))
			}
		}
	})
}
