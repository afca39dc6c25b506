package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// A File is what a Writer writes to; *os.File is one.
type File interface {
	io.Writer
	Truncate(size int64) error
	Sync() error
	Close() error
}

// A Writer writes a recording, each line whole: what cannot be written whole is not there. Its methods may be called from any goroutine.
type Writer struct {
	redact *Redactor
	began  time.Time

	mu    sync.Mutex
	file  File
	size  int64
	lines int
	err   error // the first
}

// Create makes the file of a recording, that only its owner can read. One that is there is replaced if replace says so; a pipe or a device is
// written to.
func Create(name string, replace bool) (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	info, err := os.Stat(name)
	special := err == nil && !info.Mode().IsRegular()
	if !replace && !special {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s is there already, and is not overwritten without --force", name)
	}
	if err != nil {
		return nil, err
	}
	if !special {
		if err := f.Chmod(0o600); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// NewWriter writes the header to a file, which it owns. The time of all entries counts from now.
func NewWriter(f File, h Header, redact *Redactor) (*Writer, error) {
	w := &Writer{redact: redact, began: time.Now(), file: f}
	h.URL = redact.words(h.URL)
	return w, w.write(h)
}

// Write writes a line, of now. Secrets are replaced before. After an error there is nothing more.
func (w *Writer) Write(e Entry) error {
	w.redact.entry(&e)
	w.mu.Lock()
	defer w.mu.Unlock()
	e.T = seconds(time.Since(w.began))
	return w.write(e)
}

// write writes a line. The caller holds mu.
func (w *Writer) write(v any) error {
	line, err := encode(v)
	if w.err == nil {
		w.err = err
	}
	if w.err != nil {
		return w.err
	}
	n, err := w.file.Write(line)
	if err == nil {
		w.size += int64(n)
		w.lines++
		return nil
	}
	w.err = fmt.Errorf("the recording ends after %d lines: %w", w.lines, err)
	if n > 0 { // a part of the line is there
		if err := w.file.Truncate(w.size); err != nil {
			w.err = fmt.Errorf("%w, and the last line is not whole: %w", w.err, err)
		}
	}
	return w.err
}

// Lines is how many there are.
func (w *Writer) Lines() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines
}

// Close has what was written on the disk, and closes the file. The error is the first that there was.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if w.err == nil {
		err = w.file.Sync()
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrInvalid) || isInvalid(err) {
			err = nil // a pipe or a device
		}
	}
	err = errors.Join(w.err, err, w.file.Close())
	if w.err == nil {
		w.err = os.ErrClosed
	}
	return err
}
