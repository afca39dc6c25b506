package redisbroker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"baro.dev/channel"
)

// encode makes an entry as the script does.
func encode(m *channel.Message) []byte {
	b := []byte{formatVersion}
	b = binary.BigEndian.AppendUint64(b, m.Offset)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Time.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, 1000)
	b = append(b, "tagtagta"...)
	return appendBody(b, m)
}

func batch(epoch string, entries ...[]byte) []byte {
	b := append([]byte{formatVersion}, epoch...)
	for _, e := range entries {
		b = binary.BigEndian.AppendUint32(b, uint32(len(e)))
		b = append(b, e...)
	}
	return b
}

// What is published is either refused, or messages that a hub could have taken, which are the same when they are written again.
func FuzzBatch(f *testing.F) {
	at := time.UnixMicro(1_700_000_000_000_000)
	one := encode(&channel.Message{Offset: 1, Time: at, Data: []byte("text")})
	all := encode(&channel.Message{Offset: 2, Time: at, ID: "i", Event: "e", User: "u", Key: "k", Sender: "s", Binary: true, Exclude: true, Data: []byte{0xff}})
	f.Add(batch("ABCDEFGHIJKLM", one))
	f.Add(batch("ABCDEFGHIJKLM", one, all))
	f.Add(batch("ABCDEFGHIJKLM", all[:len(all)-1], one[:20]))
	f.Add(batch("abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		epoch, parts, err := parseBatch(b)
		if err != nil {
			if !errors.Is(err, errWire) {
				t.Error(err)
			}
			return
		}
		if !isEpoch(epoch) || len(parts) == 0 {
			t.Errorf("%q, %d entries", epoch, len(parts))
		}
		for _, part := range parts {
			e, err := parseEntry(part, string(epoch))
			if err != nil {
				if !errors.Is(err, errWire) {
					t.Error(err)
				}
				continue
			}
			m := e.message
			if len(m.Data) > len(part) || len(m.ID) > channel.MaxIDBytes || m.Offset == 0 || m.Epoch != string(epoch) {
				t.Errorf("%+v", m)
			}
			again, err := parseEntry(encode(m), m.Epoch)
			if err != nil {
				t.Fatal(err)
			}
			n := again.message
			if !bytes.Equal(m.Data, n.Data) || m.ID != n.ID || m.Event != n.Event || m.User != n.User || m.Key != n.Key || m.Sender != n.Sender ||
				m.Binary != n.Binary || m.Exclude != n.Exclude || m.Position() != n.Position() || !m.Time.Equal(n.Time) {
				t.Errorf("%+v, and again %+v", m, n)
			}
		}
	})
}

// What is kept of a channel and of a key is checked as well.
func FuzzKept(f *testing.F) {
	f.Add("\x01ABCDEFGHIJKLM" + string(make([]byte, 32)) + "tagtagta")
	f.Add("\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05ABCDEFGHIJKLMid")
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := parseMeta(s); ok && (!isEpoch(p.epoch) || len(p.tag) != tagBytes || len(s) != metaBytes) {
			t.Errorf("%+v", p)
		}
		if m, err := parseFirst(s); err == nil && (!isEpoch(m.Epoch) || m.ID == "" || len(m.ID) > channel.MaxIDBytes) {
			t.Errorf("%+v", m)
		}
	})
}
