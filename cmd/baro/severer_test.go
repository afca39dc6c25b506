package main

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A severer is a network between clients and a server, which cuts their connections: at a random time, or in the midst of an answer.
type severer struct {
	address  string
	to       string
	min, max time.Duration // how long a connection lasts that does not end before
	cuts     atomic.Int64
	whole    atomic.Bool // new connections remain whole
}

func startSeverer(t *testing.T, to string, shortest, longest time.Duration) *severer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &severer{address: l.Addr().String(), to: to, min: shortest, max: longest}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go s.connect(client)
		}
	}()
	return s
}

func (s *severer) connect(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", s.to)
	if err != nil {
		return
	}
	defer server.Close()
	cut := sync.OnceFunc(func() {
		s.cuts.Add(1)
		if rand.IntN(2) == 0 {
			_ = client.(*net.TCPConn).SetLinger(0) // RST
		}
		client.Close()
		server.Close()
	})
	var answers io.Reader = server
	if !s.whole.Load() {
		timer := time.AfterFunc(s.min+rand.N(s.max-s.min), cut)
		defer timer.Stop()
		if rand.IntN(50) == 0 { // in the head, in a frame, in a body
			answers = io.LimitReader(server, 1+rand.Int64N(8<<10))
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := io.Copy(server, client); err == nil {
			_ = server.(*net.TCPConn).CloseWrite()
		} else {
			server.Close()
		}
	}()
	_, err = io.Copy(client, answers)
	if limited, ok := answers.(*io.LimitedReader); ok && limited.N == 0 {
		cut()
	}
	if err == nil {
		_ = client.(*net.TCPConn).CloseWrite()
	}
	client.Close()
	<-done
}
