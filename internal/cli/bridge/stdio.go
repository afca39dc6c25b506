package bridge

import (
	"io"
	"sync"
	"time"
)

// stdio is standard input and output as a stream. A read that waits cannot be interrupted, and lasts as long as the process.
type stdio struct {
	io.Reader
	out io.Writer

	once sync.Once
}

func (s *stdio) Write(p []byte) (int, error) { return s.out.Write(p) }

// CloseWrite closes standard output if it can be closed, so that who reads it sees the end.
func (s *stdio) CloseWrite() error {
	var err error
	s.once.Do(func() {
		if c, ok := s.out.(io.Closer); ok {
			err = c.Close()
		}
	})
	return err
}

func (s *stdio) Close() error                    { return s.CloseWrite() }
func (s *stdio) SetReadDeadline(time.Time) error { return nil }
