package redislink

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// stub is a connection from which what is in it comes.
type stub struct {
	net.Conn
	io.Reader
}

func (s stub) Read(b []byte) (int, error)      { return s.Reader.Read(b) }
func (s stub) SetReadDeadline(time.Time) error { return nil }

func connOf(b []byte, maxBytes int) *conn {
	s := stub{Reader: bytes.NewReader(b)}
	return &conn{Conn: s, r: bufio.NewReader(s), maxBytes: maxBytes}
}

func TestNext(t *testing.T) {
	in := "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" +
		"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n" +
		"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2000\r\n" + strings.Repeat("x", 2000) + "\r\n" +
		"*3\r\n$8\r\nsmessage\r\n$1\r\nb\r\n$0\r\n\r\n" +
		"*2\r\n$4\r\npong\r\n$0\r\n\r\n" +
		"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n" +
		"-MOVED 1 127.0.0.1:1\r\n"
	c := connOf([]byte(in), 1000)
	for i, want := range []push{
		{kind: "subscribe", channel: []byte("a")}, {kind: "message", channel: []byte("a"), payload: []byte("hello")},
		{kind: "message", channel: []byte("a"), tooLong: true}, {kind: "smessage", channel: []byte("b")}, {kind: "pong"}, {kind: "unsubscribe"},
	} {
		got, err := c.next(time.Second)
		if err != nil || got.kind != want.kind || string(got.channel) != string(want.channel) && got.kind != "pong" || string(got.payload) != string(want.payload) ||
			got.tooLong != want.tooLong {
			t.Errorf("push %d is %+v, %v", i, got, err)
		}
	}
	if _, err := c.next(time.Second); !Refused(err) || !Passing(err) {
		t.Error(err)
	}
	if _, err := c.next(time.Second); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Whatever comes, nothing is read into memory that is longer than what is there, or than it may be.
func FuzzConn(f *testing.F) {
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n"))
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$999999999999\r\nhello\r\n"))
	f.Add([]byte("*2\r\n$4\r\npong\r\n$-1\r\n-ERR\r\n"))
	f.Add([]byte("*3\r\n$32\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := connOf(b, 100)
		for {
			p, err := c.next(time.Second)
			if err != nil {
				if _, answer := errors.AsType[redisError](err); answer {
					continue
				}
				return
			}
			if len(p.payload) > 100 || len(p.channel) > longestName || cap(p.payload) > 8<<10 || p.kind == "" && len(b) == 0 {
				t.Fatalf("%+v", p)
			}
		}
	})
}
