package neterr_test

import (
	"errors"
	"net"
	"testing"

	"baro.dev/internal/neterr"
)

// The errors of package net are these.
func TestErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if _, err := net.Listen("tcp", address); !errors.Is(err, neterr.ErrInUse) {
		t.Errorf("listening twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", address); !errors.Is(err, neterr.ErrRefused) {
		t.Errorf("nothing listens: %v", err)
	}
	if _, err := net.Listen("tcp", "192.0.2.1:0"); !errors.Is(err, neterr.ErrNotAvailable) {
		t.Errorf("another machine's: %v", err)
	}
}
