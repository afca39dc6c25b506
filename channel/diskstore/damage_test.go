package diskstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"baro.dev/channel"
	"baro.dev/channel/diskstore"
)

// sample is a file with channels of all kinds, and what is in them.
type sample struct {
	file     []byte
	channels map[string]channel.Saved
}

func newSample(t *testing.T) sample {
	dir := t.TempDir()
	s := open(t, dir, nil)
	for i := range 40 {
		name := fmt.Sprintf("small/%d", i)
		fill(t, s, name, "S"+strconv.Itoa(i), 1, uint64(i), 30, all)
	}
	fill(t, s, "medium", "M", 1, 300, 200, channel.Keep{Count: 200, Bytes: 1 << 30, Age: time.Hour})
	fill(t, s, "large", "L", 1, 6, 20_000, all)
	fill(t, s, "trimmed", "T", 1, 6, 20, channel.Keep{})
	for i := range uint64(10) {
		fill(t, s, "slow", "W", i+1, i+1, 20, all) // pages that are free
	}
	m := sample{channels: make(map[string]channel.Saved)}
	names := []string{"medium", "large", "trimmed", "slow"}
	for i := range 40 {
		names = append(names, fmt.Sprintf("small/%d", i))
	}
	for _, name := range names {
		if saved := load(t, s, name, all); saved.Epoch != "" {
			m.channels[name] = saved
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.file, err = os.ReadFile(fileOf(dir)); err != nil {
		t.Fatal(err)
	}
	return m
}

// open opens a damaged file, and checks that what is there was there, without gaps, and that the store serves. It says
// how many channels and messages are as they were, whether that was told, and gives the store.
func (m *sample) open(t *testing.T, file []byte, what string) (channels, messages int, told string, s *diskstore.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(fileOf(dir), file, 0o600); err != nil {
		t.Fatal(err)
	}
	log, text := logged()
	s, err := diskstore.Open(dir, &diskstore.Options{Logger: log, NoSync: true})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Cleanup(func() { s.Close() })
	for name, was := range m.channels {
		is, err := s.Load(name, all)
		if err != nil {
			t.Fatalf("%s: %s: %v", what, name, err)
		}
		if len(is.Recent) != is.Count || is.Count > was.Count {
			t.Fatalf("%s: %s has %d messages, %d can be read, and had %d", what, name, is.Count, len(is.Recent), was.Count)
		}
		if is.Epoch == was.Epoch && is.Offset != was.Offset {
			t.Fatalf("%s: %s ended at %d, and does at %d in the same epoch", what, name, was.Offset, is.Offset)
		}
		size := int64(0)
		for i, got := range is.Recent {
			want := was.Recent[int(got.Offset-was.Recent[0].Offset)]
			if got.Offset != is.Offset-uint64(is.Count-1-i) || got.Epoch != is.Epoch || got.ID != want.ID || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("%s: %s: message %d is %+v", what, name, i, got)
			}
			size += int64(len(got.Data)+len(got.ID)) + 200
		}
		if size != is.Bytes {
			t.Fatalf("%s: %s has %d bytes, and says %d", what, name, size, is.Bytes)
		}
		if is.Epoch == was.Epoch && is.Count == was.Count {
			channels++
		}
		messages += is.Count
	}
	kept, err := filepath.Glob(fileOf(dir) + ".damaged-*")
	if err != nil {
		t.Fatal(err)
	}
	told = text.String()
	if (len(kept) == 1) != (told != "") {
		t.Fatalf("%s: moved aside: %v; told: %q", what, kept, told)
	}
	if told != "" {
		if aside, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(aside, file) || !strings.Contains(told, kept[0]) {
			t.Fatalf("%s: what was moved aside is not what was there (%v), or not named in %q", what, err, told)
		}
	} else if channels != len(m.channels) {
		t.Fatalf("%s: only %d of %d channels are as they were, and nobody was told", what, channels, len(m.channels))
	}
	fill(t, s, "new", "N", 1, 3, 2000, all)
	check(t, s, "new", "N", 1, 3, 2000)
	return channels, messages, told, s, dir
}

// try is open, for damage of which nothing is asked but that.
func (m *sample) try(t *testing.T, file []byte, what string) (channels, messages int) {
	t.Helper()
	channels, messages, _, s, dir := m.open(t, file, what)
	if err := s.Close(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	os.RemoveAll(dir)
	return channels, messages
}

func (m *sample) messages() (n int) {
	for _, saved := range m.channels {
		n += saved.Count
	}
	return n
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	m := newSample(t)
	// All around the metas, then every few bytes.
	for n := 0; n < len(m.file); n += 1 + len(m.file)/50 {
		m.try(t, m.file[:n], fmt.Sprintf("truncated at %d", n))
	}
	for _, n := range []int{1, 15, 16, 80, 4095, 4096, 4097, 8191, 8192, 8193, 12288, len(m.file) - 1} {
		m.try(t, m.file[:n], fmt.Sprintf("truncated at %d", n))
	}
}

func TestPagesOverwritten(t *testing.T) {
	t.Parallel()
	m := newSample(t)
	random := rand.New(rand.NewPCG(1, 2))
	pages := len(m.file) / 4096
	best, kept, tried := 0, 0, 0
	for page := range pages {
		for kind := range 3 {
			if page > 12 && kind != page%3 {
				continue // each is a repair, which waits for the disk
			}
			tried++
			file := bytes.Clone(m.file)
			p := file[page*4096 : (page+1)*4096]
			switch kind {
			case 0:
				for i := range p {
					p[i] = byte(random.Uint32())
				}
			case 1:
				clear(p)
			case 2:
				copy(p, m.file[random.IntN(pages)*4096:])
			}
			channels, messages := m.try(t, file, fmt.Sprintf("page %d overwritten, kind %d", page, kind))
			best = max(best, channels)
			if messages > 0 {
				kept++
			}
		}
	}
	if best != len(m.channels) || kept < tried*9/10 {
		t.Errorf("at best %d of %d channels, and in %d of %d cases messages, were kept", best, len(m.channels), kept, tried)
	}
}

func TestBitsFlipped(t *testing.T) {
	t.Parallel()
	m := newSample(t)
	random := rand.New(rand.NewPCG(3, 4))
	gone := 0
	for range 100 {
		file := bytes.Clone(m.file)
		at := random.IntN(len(file))
		if random.IntN(2) == 0 {
			at = at/4096*4096 + random.IntN(200) // where a page says what it is
		}
		file[at] ^= 1 << random.IntN(8)
		_, messages := m.try(t, file, fmt.Sprintf("a bit of byte %d", at))
		if messages == 0 {
			gone++
		}
	}
	if gone > 5 { // the roots
		t.Errorf("%d of 100 times everything was gone", gone)
	}
}

// flip changes the one place where file has text.
func flip(t *testing.T, file []byte, text string) []byte {
	t.Helper()
	file = bytes.Clone(file)
	// There may be older copies of the page, which are free.
	for at := 0; ; {
		i := bytes.Index(file[at:], []byte(text))
		if i < 0 {
			if at == 0 {
				t.Fatalf("the file has no %q", text)
			}
			return file
		}
		at += i + len(text)
		file[at-1] ^= 0x20
	}
}

func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	m := newSample(t)
	channels, messages, told, s, _ := m.open(t, flip(t, m.file, body("medium", 250, 200)), "message 250")
	if channels != len(m.channels)-1 || messages != m.messages()-150 {
		t.Errorf("%d of %d channels and %d of %d messages are left", channels, len(m.channels), messages, m.messages())
	}
	check(t, s, "medium", "M", 251, 300, 200)
	fill(t, s, "medium", "M", 301, 302, 200, all)
	check(t, s, "medium", "M", 251, 302, 200)
	for _, want := range []string{"channel=medium", "messages_dropped=150"} {
		if !strings.Contains(told, want) {
			t.Errorf("not told: %s, in %s", want, told)
		}
	}

	_, _, _, s, _ = m.open(t, flip(t, m.file, body("large", 6, 20_000)), "the newest message")
	if saved := load(t, s, "large", all); saved.Epoch != "L" || saved.Offset != 6 || saved.Count != 0 {
		t.Errorf("without its newest message: %+v", saved)
	}
}

// Nobody knows whether the meta page that is left is the newest: what the channels have stays, with new epochs.
func TestDamagedMeta(t *testing.T) {
	t.Parallel()
	m := newSample(t)
	for page := range 2 {
		file := bytes.Clone(m.file)
		file[page*4096+60] ^= 1
		_, messages, told, s, dir := m.open(t, file, "a meta page")
		if saved := load(t, s, "large", all); saved.Epoch == "L" || saved.Epoch == "" || saved.Offset != 6 {
			t.Errorf("%+v", saved)
		}
		if messages < m.messages()-1 || !strings.Contains(told, "new_epochs="+strconv.Itoa(len(m.channels))) {
			t.Errorf("%d of %d messages, %s", messages, m.messages(), told)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		log, text := logged()
		open(t, dir, &diskstore.Options{Logger: log})
		if text.String() != "" {
			t.Errorf("after the repair: %s", text)
		}
	}
}

// The process ended between the two steps of a repair.
func TestRepairInterrupted(t *testing.T) {
	t.Parallel()
	m := newSample(t)
	dir := t.TempDir()
	if err := os.WriteFile(fileOf(dir)+".new", m.file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, nil)
	check(t, s, "large", "L", 1, 6, 20_000)
	s.Close()

	// Before the first of them, or while the first file was made.
	if err := os.WriteFile(fileOf(dir)+".new", m.file[:5000], 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil)
	check(t, s, "large", "L", 1, 6, 20_000)
	s.Close()
	empty := t.TempDir()
	if err := os.WriteFile(fileOf(empty)+".new", m.file[:5000], 0o600); err != nil {
		t.Fatal(err)
	}
	log, text := logged()
	s = open(t, empty, &diskstore.Options{Logger: log})
	if saved := load(t, s, "large", all); saved.Epoch != "" || text.String() != "" {
		t.Errorf("%+v, %s", saved, text)
	}
}

func TestDamagedInUse(t *testing.T) {
	t.Parallel()
	m := newSample(t)
	dir := t.TempDir()
	if err := os.WriteFile(fileOf(dir), m.file, 0o600); err != nil {
		t.Fatal(err)
	}
	log, text := logged()
	s := open(t, dir, &diskstore.Options{Logger: log})
	if err := os.WriteFile(fileOf(dir), flip(t, m.file, body("medium", 250, 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	if messages, err := s.Read("medium", "M", 249, 1000); err != nil || len(messages) != 0 {
		t.Errorf("what follows a message that is gone: %d messages, %v", len(messages), err)
	}
	check(t, s, "medium", "M", 251, 300, 200)
	if !strings.Contains(text.String(), "messages_dropped=150") {
		t.Errorf("the log says %q", text)
	}
}

// The file loses its end while it is in use: memory that is mapped is then no longer there.
func TestTruncatedInUse(t *testing.T) {
	t.Parallel()
	m := newSample(t)
	dir := t.TempDir()
	if err := os.WriteFile(fileOf(dir), m.file, 0o600); err != nil {
		t.Fatal(err)
	}
	log, text := logged()
	s := open(t, dir, &diskstore.Options{Logger: log})
	if err := os.Truncate(fileOf(dir), 8192); err != nil {
		t.Fatal(err)
	}
	for name := range m.channels {
		if _, err := s.Load(name, all); !errors.Is(err, diskstore.ErrDamaged) {
			t.Fatalf("Load: %v", err)
		}
	}
	for offset := range uint64(3) {
		if err := save(s, "new", message("E", offset+1, "x"), all); !errors.Is(err, diskstore.ErrDamaged) {
			t.Fatalf("Save: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text.String() == "" {
		t.Error("nobody was told")
	}
	s = open(t, dir, &diskstore.Options{Logger: log})
	fill(t, s, "new", "E", 1, 3, 100, all)
	check(t, s, "new", "E", 1, 3, 100)
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	_, err := diskstore.Open(dir, nil)
	if !errors.Is(err, diskstore.ErrLocked) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Fatalf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, nil)
}

func TestNewer(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil).Close()
	db, err := bbolt.Open(fileOf(dir), 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("about")).Put([]byte("format"), []byte{2}) }); err != nil {
		t.Fatal(err)
	}
	db.Close()
	before, err := os.ReadFile(fileOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := diskstore.Open(dir, nil); !errors.Is(err, diskstore.ErrNewer) || !strings.Contains(err.Error(), fileOf(dir)) {
		t.Fatalf("a file of a newer version: %v", err)
	}
	if after, err := os.ReadFile(fileOf(dir)); err != nil || !bytes.Equal(before, after) {
		t.Fatalf("it was changed, %v", err)
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(fileOf(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := diskstore.Open(dir, nil); err == nil || !strings.Contains(err.Error(), "channels.db is no file") {
		t.Errorf("a directory in its place: %v", err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := diskstore.Open(plain, nil); err == nil {
		t.Error("a file in place of the directory: no error")
	}
}

// Whoever may not read or write the file is told so.
func TestNoPermission(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil).Close()
	for path, mode := range map[string]os.FileMode{fileOf(dir): 0, filepath.Join(dir, "lock"): 0o666, dir: 0o777, filepath.Dir(dir): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		if _, err := diskstore.Open(dir, nil); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "channels.db") {
			t.Errorf("without permission: %v", err)
		}
	})
}
