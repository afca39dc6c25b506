package diskstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/diskstore"
)

// all is what keeps everything.
var all = channel.Keep{Count: 1 << 20, Bytes: 1 << 40, Age: time.Hour}

func open(t testing.TB, dir string, o *diskstore.Options) *diskstore.Store {
	t.Helper()
	s, err := diskstore.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// logged is a logger, and what it was told.
func logged() (*slog.Logger, *lockedBuffer) {
	var b lockedBuffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func message(epoch string, offset uint64, data string) *channel.Message {
	m := &channel.Message{Offset: offset, Epoch: epoch, Time: time.Now(), Data: []byte(data)}
	m.ID = m.Position().String()
	return m
}

// save saves one message and waits for it.
func save(s *diskstore.Store, name string, m *channel.Message, keep channel.Keep) error {
	done := make(chan error, 1)
	s.Save(name, m, keep, func(err error) { done <- err })
	return <-done
}

func mustSave(t testing.TB, s *diskstore.Store, name string, m *channel.Message, keep channel.Keep) {
	t.Helper()
	if err := save(s, name, m, keep); err != nil {
		t.Fatal(err)
	}
}

// fill saves the messages from..to of a channel, each of the given size, and waits for them.
func fill(t testing.TB, s *diskstore.Store, name, epoch string, from, to uint64, size int, keep channel.Keep) {
	t.Helper()
	var wait sync.WaitGroup
	var failed error
	for offset := from; offset <= to; offset++ {
		wait.Add(1)
		s.Save(name, message(epoch, offset, body(name, offset, size)), keep, func(err error) {
			failed = errors.Join(failed, err)
			wait.Done()
		})
	}
	wait.Wait()
	if failed != nil {
		t.Fatal(failed)
	}
}

// body is what a message of the tests says.
func body(name string, offset uint64, size int) string {
	b := fmt.Sprintf("%s %d ", name, offset)
	return b + strings.Repeat("x", max(size-len(b), 0))
}

func load(t testing.TB, s *diskstore.Store, name string, recent channel.Keep) channel.Saved {
	t.Helper()
	saved, err := s.Load(name, recent)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// check compares a channel with what it should be, and reads it from its oldest message on.
func check(t testing.TB, s *diskstore.Store, name, epoch string, first, last uint64, size int) {
	t.Helper()
	saved := load(t, s, name, all)
	count := int(last + 1 - first)
	if saved.Epoch != epoch || saved.Offset != last || saved.Count != count || len(saved.Recent) != count {
		t.Fatalf("%s: got epoch %q, offset %d, %d kept, %d recent; want %q, %d, %d", name, saved.Epoch, saved.Offset, saved.Count, len(saved.Recent), epoch, last, count)
	}
	var bytes int64
	for i, m := range saved.Recent {
		offset := first + uint64(i)
		if m.Offset != offset || m.Epoch != epoch || string(m.Data) != body(name, offset, size) || m.ID != m.Position().String() {
			t.Fatalf("%s: message %d is %+v", name, offset, m)
		}
		bytes += int64(len(m.Data)+len(m.ID)+len(m.Event)) + 200
	}
	if saved.Bytes != bytes {
		t.Fatalf("%s: %d bytes, want %d", name, saved.Bytes, bytes)
	}
	for at := first - 1; at < last; {
		messages, err := s.Read(name, epoch, at, 4*size)
		if err != nil || len(messages) == 0 || messages[0].Offset != at+1 {
			t.Fatalf("%s: reading after %d: %d messages, %v", name, at, len(messages), err)
		}
		at += uint64(len(messages))
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	if saved := load(t, s, "news", all); saved.Epoch != "" || saved.Count != 0 {
		t.Fatalf("a new store has %+v", saved)
	}
	m := message("E1", 1, "hello")
	m.Event, m.ID, m.Binary = "greeting", "id 1", true
	mustSave(t, s, "news", m, all)
	fill(t, s, "rooms/42", "E2", 1, 500, 100, all)
	fill(t, s, "rooms/4", "E3", 7, 9, 5000, all)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("news", all); !errors.Is(err, diskstore.ErrClosed) {
		t.Fatalf("Load after Close: %v", err)
	}
	if err := save(s, "news", m, all); !errors.Is(err, diskstore.ErrClosed) {
		t.Fatalf("Save after Close: %v", err)
	}

	s = open(t, dir, nil)
	saved := load(t, s, "news", all)
	if saved.Epoch != "E1" || saved.Offset != 1 || len(saved.Recent) != 1 {
		t.Fatalf("%+v", saved)
	}
	got := saved.Recent[0]
	if string(got.Data) != "hello" || got.Event != "greeting" || got.ID != "id 1" || !got.Binary || !got.Time.Equal(m.Time) {
		t.Fatalf("%+v", got)
	}
	check(t, s, "rooms/42", "E2", 1, 500, 100)
	check(t, s, "rooms/4", "E3", 7, 9, 5000)
	for _, name := range []string{fileOf(dir), filepath.Join(dir, "lock")} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func fileOf(dir string) string { return filepath.Join(dir, "channels.db") }

func TestRecentIsBounded(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	fill(t, s, "c", "E", 1, 100, 100, all)
	size := int64(100 + len("E:100") + 200)
	for _, c := range []struct {
		keep channel.Keep
		want int
	}{{channel.Keep{Count: 3, Bytes: 1 << 30}, 3}, {channel.Keep{Count: 50, Bytes: 2 * size}, 2}, {channel.Keep{}, 0}} {
		saved := load(t, s, "c", c.keep)
		if len(saved.Recent) != c.want || saved.Count != 100 {
			t.Errorf("%+v: %d recent, %d kept", c.keep, len(saved.Recent), saved.Count)
		}
		if c.want > 0 && saved.Recent[c.want-1].Offset != 100 {
			t.Errorf("%+v: ends at %d", c.keep, saved.Recent[c.want-1].Offset)
		}
	}
}

func TestRead(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	fill(t, s, "c", "E", 1, 10, 100, channel.Keep{Count: 5, Bytes: 1 << 30})
	for _, c := range []struct {
		epoch    string
		after    uint64
		maxBytes int
		first, n int
	}{
		{"E", 5, 1000, 6, 5}, {"E", 5, 100, 6, 1}, {"E", 5, 1, 6, 1}, {"E", 5, 299, 6, 2}, {"E", 9, 1000, 10, 1},
		{"E", 4, 1000, 0, 0}, {"E", 10, 1000, 0, 0}, {"E", 11, 1000, 0, 0}, {"E", 1<<64 - 1, 1000, 0, 0}, {"F", 5, 1000, 0, 0},
	} {
		messages, err := s.Read("c", c.epoch, c.after, c.maxBytes)
		if err != nil || len(messages) != c.n || (c.n > 0 && messages[0].Offset != uint64(c.first)) {
			t.Errorf("%+v: %d messages, %v", c, len(messages), err)
		}
	}
	if messages, err := s.Read("none", "E", 0, 1000); err != nil || len(messages) != 0 {
		t.Errorf("a channel that is not there: %d messages, %v", len(messages), err)
	}
}

func TestTrim(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	fill(t, s, "count", "E", 1, 100, 100, channel.Keep{Count: 10, Bytes: 1 << 30})
	check(t, s, "count", "E", 91, 100, 100)
	fill(t, s, "count", "E", 101, 101, 100, channel.Keep{Count: 3, Bytes: 1 << 30})
	check(t, s, "count", "E", 99, 101, 100)

	size := int64(1000 + len("E:10") + 200)
	fill(t, s, "bytes", "E", 10, 99, 1000, channel.Keep{Count: 1000, Bytes: 7*size + 1})
	check(t, s, "bytes", "E", 93, 99, 1000)
	mustSave(t, s, "bytes", message("E", 100, strings.Repeat("x", 20*int(size))), channel.Keep{Count: 1000, Bytes: 7*size + 1})
	if saved := load(t, s, "bytes", all); saved.Offset != 100 || saved.Count != 0 || saved.Bytes != 0 {
		t.Fatalf("after a message that is longer than what is kept: %+v", saved)
	}
	fill(t, s, "bytes", "E", 101, 102, 1000, all)
	check(t, s, "bytes", "E", 101, 102, 1000)

	fill(t, s, "none", "E", 1, 5, 10, channel.Keep{})
	if saved := load(t, s, "none", all); saved.Offset != 5 || saved.Epoch != "E" || saved.Count != 0 {
		t.Fatalf("%+v", saved)
	}
}

func TestAnotherLife(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	fill(t, s, "c", "E", 1, 100, 10, all)
	fill(t, s, "c", "F", 1, 3, 10, all)
	check(t, s, "c", "F", 1, 3, 10)
	for _, offset := range []uint64{1, 3, 5} {
		if err := save(s, "c", message("F", offset, "x"), all); !errors.Is(err, diskstore.ErrOffset) {
			t.Errorf("message %d after 3: %v", offset, err)
		}
	}
	fill(t, s, "c", "F", 4, 5, 10, all)
	check(t, s, "c", "F", 1, 5, 10)
}

func TestAllFields(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	want := []channel.Message{
		{Offset: 1, Epoch: "E", Time: time.Unix(1, 2), ID: "id", Event: "event", Data: []byte{0, 255}, Binary: true,
			User: "user", Key: "key", Sender: "sender", Exclude: true},
		{Offset: 2, Epoch: "E", Time: time.Unix(-3, 4), ID: "E:2", Data: []byte{}},
	}
	for _, m := range want {
		mustSave(t, s, "c", &m, channel.Keep{Count: 10, Bytes: 1 << 20})
	}
	s.Close()
	s = open(t, dir, nil)
	saved := load(t, s, "c", all)
	read, err := s.Read("c", "E", 0, 1000)
	if err != nil || len(read) != len(want) || len(saved.Recent) != len(want) {
		t.Fatalf("%+v, %d messages, %v", saved, len(read), err)
	}
	for i := range want {
		if !reflect.DeepEqual(*saved.Recent[i], want[i]) || !reflect.DeepEqual(*read[i], want[i]) {
			t.Errorf("got %+v and %+v, want %+v", *saved.Recent[i], *read[i], want[i])
		}
	}
	if size := int64(2+2+5+4+3+200) + int64(3+200); saved.Bytes != size {
		t.Errorf("%d bytes, want %d", saved.Bytes, size)
	}
}

func TestKeepLast(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := diskstore.Open(dir, &diskstore.Options{SweepEvery: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		keep := channel.Keep{Count: 1000, Bytes: 1 << 30, Age: 10 * time.Minute, Last: true}
		fill(t, s, "c", "E", 1, 5, 10, keep)
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		check(t, s, "c", "E", 5, 5, 10)
		fill(t, s, "c", "E", 6, 6, 10, keep)
		check(t, s, "c", "E", 6, 6, 10)
		keep.Last = false
		fill(t, s, "c", "E", 7, 7, 10, keep)
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if saved := load(t, s, "c", all); saved.Epoch != "" {
			t.Errorf("%+v", saved)
		}
	})
}

func TestAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := diskstore.Open(dir, &diskstore.Options{SweepEvery: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		keep := channel.Keep{Count: 1000, Bytes: 1 << 30, Age: 10 * time.Minute}
		for offset := range uint64(5) {
			fill(t, s, "c", "E", offset+1, offset+1, 10, keep)
			time.Sleep(time.Minute)
		}
		fill(t, s, "quiet", "E", 1, 3, 10, keep)
		check(t, s, "c", "E", 1, 5, 10)
		time.Sleep(6*time.Minute - time.Second) // 11 minutes since the first, less a second
		check(t, s, "c", "E", 2, 5, 10)         // seen before it is swept
		if messages, err := s.Read("c", "E", 0, 1000); err != nil || len(messages) != 0 {
			t.Fatalf("what follows a message past its age: %d messages, %v", len(messages), err)
		}
		fill(t, s, "c", "E", 6, 6, 10, keep)
		check(t, s, "c", "E", 2, 6, 10)

		time.Sleep(2 * time.Hour)
		synctest.Wait()
		for _, name := range []string{"c", "quiet"} {
			if saved := load(t, s, name, all); saved.Epoch != "" || saved.Count != 0 {
				t.Errorf("%s was not forgotten: %+v", name, saved)
			}
		}
		// The hub may remember a channel for longer.
		fill(t, s, "c", "E", 7, 8, 10, keep)
		check(t, s, "c", "E", 7, 8, 10)
	})
}

// A sweep goes through more channels than fit in one step.
func TestSweepOfMany(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := diskstore.Open(dir, &diskstore.Options{SweepEvery: time.Hour, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		const channels = 3000
		for i := range channels {
			age := time.Minute
			if i%3 == 0 {
				age = 100 * time.Hour
			}
			s.Save(fmt.Sprintf("c%d", i), message("E", 1, "x"), channel.Keep{Count: 10, Bytes: 1 << 20, Age: age}, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		for i := range channels {
			if saved := load(t, s, fmt.Sprintf("c%d", i), all); (saved.Count == 1) != (i%3 == 0) {
				t.Fatalf("c%d: %+v", i, saved)
			}
		}
	})
}

// A clock that was wrong, by years, and then set right.
func TestClockJumpsBack(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := diskstore.Open(dir, &diskstore.Options{SweepEvery: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		keep := channel.Keep{Count: 1000, Bytes: 1 << 30, Age: 10 * time.Minute}
		for _, name := range []string{"busy", "quiet"} {
			for offset := range uint64(3) {
				m := message("E", offset+1, body(name, offset+1, 10))
				m.Time = time.Now().AddDate(10, 0, 0)
				mustSave(t, s, name, m, keep)
			}
		}
		for offset := range uint64(20) {
			fill(t, s, "busy", "E", offset+4, offset+4, 10, keep)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		saved := load(t, s, "busy", all)
		if saved.Offset != 23 || saved.Count > 10 {
			t.Errorf("the channel that goes on: %d kept of %d", saved.Count, saved.Offset)
		}
		if saved := load(t, s, "quiet", all); saved.Epoch != "" {
			t.Errorf("the channel that is quiet is still there: %+v", saved)
		}
	})
}

func size(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(fileOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// Room that is free is used again, and given back when the store is opened.
func TestRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, &diskstore.Options{NoSync: true, MaxQueueBytes: 1 << 30})
	fill(t, s, "small", "S", 1, 100, 100, all)
	const mega = 1 << 20
	fill(t, s, "large", "L", 1, 90, mega, all)
	fill(t, s, "large", "L", 91, 92, mega, channel.Keep{Count: 2, Bytes: 1 << 30, Age: time.Hour})
	before := size(t, dir)
	fill(t, s, "large", "L", 93, 172, mega, channel.Keep{Count: 2, Bytes: 1 << 30, Age: time.Hour})
	if after := size(t, dir); after > before {
		t.Errorf("the file grew from %d to %d bytes, and most of it was free", before, after)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	log, text := logged()
	s = open(t, dir, &diskstore.Options{Logger: log})
	if after := size(t, dir); after > 16*mega {
		t.Errorf("opened again, the file has %d bytes", after)
	}
	check(t, s, "small", "S", 1, 100, 100)
	check(t, s, "large", "L", 171, 172, mega)
	fill(t, s, "small", "S", 101, 102, 100, all)
	check(t, s, "small", "S", 1, 102, 100)
	if text.String() != "" {
		t.Errorf("the log says %s", text)
	}
}
