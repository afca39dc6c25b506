package certificates

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxFileBytes = 1 << 20  // of a file of certificates, or of a key
	maxListBytes = 16 << 20 // of one of what is revoked
)

// unsettled is how young a file is that may change again without a change of its time, where a file system has a coarse clock.
const unsettled = 4 * time.Second

// A watched is what was made of some files, and is made anew when they change.
type watched[T any] struct {
	what  string   // for the log
	files []string // that load reads
	load  func() (*T, error)
	used  func(was, is *T) // tells of a new one
	log   *slog.Logger

	current atomic.Pointer[T]

	mu      sync.Mutex // held while looking; guards what follows
	seen    []stamp
	again   bool   // look again, whether or not something changes
	failure string // of the last time; "": it was right
	told    string // the failure that the log has
}

// look loads what has changed; with force, whether or not it has, and then what is wrong is told at once. Else it is told when it is wrong
// twice: a certificate and its key are not replaced at the same moment.
func (w *watched[T]) look(force bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := stamps(w.files)
	if !force && !w.again && slices.EqualFunc(now, w.seen, stamp.equal) {
		return nil
	}
	w.seen, w.again = now, slices.ContainsFunc(now, stamp.young)
	next, err := w.load()
	if err != nil {
		w.again = true
		why := err.Error()
		if (force || why == w.failure) && why != w.told {
			w.told = why
			w.log.Error(w.what+" not replaced: the one of before stays in use", "error", why)
		}
		w.failure = why
		return fmt.Errorf("%s: %w", w.what, err)
	}
	w.failure, w.told = "", ""
	w.used(w.current.Swap(next), next)
	return nil
}

// stamp is what shows that a file is another one, or was written to: what it is a link to counts.
type stamp struct {
	info os.FileInfo // nil: it cannot be had
}

func stamps(files []string) []stamp {
	list := make([]stamp, len(files))
	for i, name := range files {
		list[i].info, _ = os.Stat(name)
	}
	return list
}

func (s stamp) equal(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil
	}
	return s.info.ModTime().Equal(o.info.ModTime()) && s.info.Size() == o.info.Size() && os.SameFile(s.info, o.info)
}

func (s stamp) young() bool { return s.info != nil && time.Since(s.info.ModTime()) < unsettled }

var errTooLong = errors.New("it is longer than such files are")

func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s: %w", name, errTooLong)
	}
	return text, err
}
