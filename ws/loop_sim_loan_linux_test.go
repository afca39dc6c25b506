package ws_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"baro.dev/ws"
)

// What a handler has been given stays as it is while it runs, however much the loop reads meanwhile: of the same
// connection and of others, more than there are buffers to lend.
func TestLargeReadsStayWhileHandled(t *testing.T) {
	for _, size := range []int{20_000, 70_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { largeReads(t, size) })
	}
}

func largeReads(t *testing.T, size int) {
	noLeaks(t)
	const visitors, messages = 12, 5 // all messages of a connection are one read
	gate := make(chan struct{})
	var entered, done sync.WaitGroup
	entered.Add(visitors)
	done.Add(2 * visitors * messages)
	s := newSimulation(&ws.Server{OnMessage: func(c *ws.Socket, m ws.Message) {
		defer done.Done()
		letter, number := m.Data[0], m.Data[1]
		same := func() bool {
			rest := bytes.Trim(m.Data[2:], string(letter))
			return len(m.Data) == size && len(rest) == 0
		}
		if !same() {
			t.Errorf("%c%d came mixed up", letter, number)
		}
		if number == 0 {
			entered.Done()
			<-gate
		}
		_ = append(m.Data, "what follows is not the handler's"...)
		if !same() || m.Data[1] != number {
			t.Errorf("%c%d was changed while it was handled", letter, number)
		}
	}}, 1, 0)
	burst := func(letter byte, from byte) (in []byte) {
		for i := range byte(messages) {
			payload := bytes.Repeat([]byte{letter}, size)
			payload[1] = from + i
			in = append(in, wireBytes(true, binaryFrame(string(payload)))...)
		}
		return in
	}
	for i := range byte(visitors) {
		c := s.sys.Open()
		s.visit(t, c, with())
		s.sys.Run()
		c.Feed(burst('a'+i, 0))
		s.sys.Run()
		c.Feed(burst('a'+i, messages)) // read only when the others have been handled
		s.sys.Run()
	}
	entered.Wait()
	close(gate)
	s.sys.Resume()
	done.Wait()
	s.end(t)
}
