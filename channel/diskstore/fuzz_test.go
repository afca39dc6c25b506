package diskstore

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"baro.dev/channel"
)

// FuzzRecord has any bytes read as a record and as a header: with their own checksum, and with the right one. What is
// accepted is what would be written.
func FuzzRecord(f *testing.F) {
	key := messageKey(headerKey("rooms/42"), 7)
	f.Add(appendRecord(nil, key, &channel.Message{Offset: 7, Epoch: "E", ID: "E:7", Time: time.Unix(1, 2), Data: []byte("hello")}))
	f.Add(appendRecord(nil, key, &channel.Message{Offset: 7, Epoch: "EPOCH", ID: "id", Event: "event", Data: []byte{0, 1}, Binary: true,
		User: "user", Key: "key", Sender: "sender", Exclude: true}))
	h := header{epoch: "E", first: 3, last: 9, bytes: 1000, age: time.Hour, oldest: 1, newest: 2, flags: flagLast, stepped: 4, steppedAt: 5}
	f.Add(h.append(nil, headerKey("rooms/42")))
	f.Fuzz(func(t *testing.T, value []byte) {
		if r, err := parseRecord(key, value); err == nil {
			checkRecord(t, &r, key)
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Fatal(err)
		}
		if len(value) >= 4 {
			value = value[:len(value)-4]
		}
		sealed := seal(bytes.Clone(value), 0, key)
		if r, err := parseRecord(key, sealed); err == nil {
			checkRecord(t, &r, key)
		}
		sealed = seal(bytes.Clone(value), 0, headerKey("rooms/42"))
		if h, err := parseHeader(headerKey("rooms/42"), sealed); err == nil {
			again, err := parseHeader(key, h.append(nil, key))
			if err != nil || again != h {
				t.Fatalf("%+v, %+v, %v", h, again, err)
			}
		}
	})
}

func checkRecord(t *testing.T, r *record, key []byte) {
	m := r.message("E")
	if messageSize(m) != r.size() {
		t.Fatalf("%d bytes, as a record %d", messageSize(m), r.size())
	}
	again, err := parseRecord(key, appendRecord(nil, key, m))
	if err != nil || again.time != r.time || again.message(m.Epoch).ID != m.ID || !bytes.Equal(again.data, r.data) || !bytes.Equal(again.epoch, r.epoch) ||
		!bytes.Equal(again.user, r.user) || !bytes.Equal(again.key, r.key) || !bytes.Equal(again.sender, r.sender) || !bytes.Equal(again.event, r.event) {
		t.Fatalf("%+v, %+v, %v", r, again, err)
	}
}

// FuzzFile has any changes of a file opened: at a place, some bytes.
func FuzzFile(f *testing.F) {
	dir := f.TempDir()
	s, err := Open(dir, nil)
	if err != nil {
		f.Fatal(err)
	}
	done := make(chan error)
	for _, name := range []string{"a", "b", "c"} {
		for offset := uint64(1); offset <= 40; offset++ {
			go s.Save(name, &channel.Message{Offset: offset, Epoch: "E", Data: make([]byte, 300)}, channel.Keep{Count: 20, Bytes: 1 << 30}, func(err error) { done <- err })
			if err := <-done; err != nil {
				f.Fatal(err)
			}
		}
	}
	s.Close()
	whole, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(8), []byte{4}, uint32(1<<20))
	f.Add(uint32(4096+16+40), []byte{255, 255}, uint32(1<<20))
	f.Add(uint32(3*4096+10), []byte{0, 0}, uint32(1<<20))
	f.Add(uint32(3*4096+12), []byte{255, 255, 255, 255}, uint32(1<<20))
	f.Add(uint32(0), []byte{}, uint32(9000))
	f.Fuzz(func(t *testing.T, at uint32, change []byte, size uint32) {
		file := bytes.Clone(whole)
		copy(file[at%uint32(len(file)):], change)
		c := &contents{pages: readPages(bytes.NewReader(file), int64(len(file)))}
		c.read()
		healthy := c.check() == nil
		path := filepath.Join(t.TempDir(), fileName)
		if int(size) < len(file) {
			file, healthy = file[:size], false
		}
		if !healthy && len(change) > 0 && change[0]%16 != 0 {
			return // the whole way takes long
		}
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(filepath.Dir(path), &Options{NoSync: true, Logger: slog.New(slog.DiscardHandler)})
		if errors.Is(err, ErrNewer) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, name := range []string{"a", "b", "c"} {
			saved, err := s.Load(name, channel.Keep{Count: 100, Bytes: 1 << 30})
			if err != nil || len(saved.Recent) != saved.Count {
				t.Fatalf("%s: %+v, %v", name, saved, err)
			}
		}
	})
}
