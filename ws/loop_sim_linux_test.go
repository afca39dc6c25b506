package ws_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/ws"
)

// firstSimulated is the number of the first simulated descriptor: hardly a process has so many of its own.
const firstSimulated = 100_000

// simulation is a Server whose loops run on a simulated system, on which it stands still until it is told to go on.
type simulation struct {
	sys    *eventlooptest.System
	server *ws.Server
}

// newSimulation has s read what comes to n loops. capacity is how many connections there will be, if memory is weighed.
func newSimulation(s *ws.Server, n, capacity int) *simulation {
	sys := eventlooptest.New()
	sys.First, sys.Capacity = firstSimulated, capacity
	s.OnKernel(n, sys.NewKernel)
	sys.Pause()
	return &simulation{sys, s}
}

// visit has c send a request, and in.
func (s *simulation) visit(t testing.TB, c *eventlooptest.Socket, request string, in ...byte) {
	t.Helper()
	if err := s.server.Visit(c.Fd()); err != nil {
		t.Fatal(err)
	}
	c.Feed(append([]byte(request), in...))
}

// end closes the server and checks that nothing is left.
func (s *simulation) end(t testing.TB) {
	t.Helper()
	s.server.Close()
	s.sys.Run()
	s.sys.Resume()
	for start := time.Now(); s.server.Len() != 0; time.Sleep(time.Millisecond) { // handlers may have a goroutine
		if time.Since(start) > patience {
			t.Errorf("%d connections are left", s.server.Len())
			break
		}
	}
	if n := s.sys.Opened(); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
	if n := s.sys.Misuse(); n != 0 {
		t.Errorf("descriptors that were not open were used %d times", n)
	}
}

// welcome is what a server answers to request.
func welcome(t testing.TB) []byte {
	t.Helper()
	s := newSimulation(&ws.Server{Inline: true}, 1, 0)
	defer s.end(t)
	c := s.sys.Open()
	s.visit(t, c, with())
	s.sys.Run()
	out := c.Output()
	if !bytes.HasPrefix(out, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(out, []byte("\r\n\r\n")) {
		t.Fatalf("the answer is %q", out)
	}
	return out
}

// What a simulated system says is what a real one would: a handshake, messages in pieces, a closing handshake.
func TestSimulation(t *testing.T) {
	noLeaks(t)
	for _, inline := range []bool{true, false} {
		closed := make(chan error, 1)
		opened := 0
		s := newSimulation(&ws.Server{
			Inline:    inline,
			OnOpen:    func(*ws.Socket, *http.Request) { opened++ },
			OnMessage: echoBack,
			OnClose:   func(_ *ws.Socket, err error) { closed <- err },
		}, 1, 0)
		c := s.sys.Open()
		in := wireBytes(true, textFrame("one"), pingFrame("p"), binaryFrame(pattern('x', 70_000)), closeFrame(1000, "bye"))
		s.visit(t, c, with(), in[:5]...)
		s.sys.Run()
		for in = in[5:]; len(in) > 0; {
			n := min(len(in), 1000)
			c.Feed(in[:n])
			in = in[n:]
			s.sys.Run()
		}
		s.sys.Resume() // handlers may have a goroutine, for which the loop closes the connection
		<-closed
		r := collected(t, c.Output(), "")
		want := []sight{{opText, "one"}, {opPong, "p"}, {opBinary, pattern('x', 70_000)}, {opClose, closePayload(1000, "")}}
		if len(r) != len(want) {
			t.Fatalf("it sent %v", r)
		}
		for i := range want {
			if r[i] != want[i] {
				t.Errorf("it sent %v, want %v", r[i], want[i])
			}
		}
		s.end(t)
		if opened != 1 || !c.Closed() {
			t.Errorf("opened %d times, closed %v", opened, c.Closed())
		}
	}
}

// collected is what a peer makes of all that a server has sent after so much was agreed.
func collected(t testing.TB, out []byte, extensions string) (all []sight) {
	t.Helper()
	all, err := parseOutput(t, out, extensions)
	if err != io.EOF {
		t.Errorf("after %v: %v", all, err)
	}
	return all
}

// parseOutput is collected; it also returns where the output ends: io.EOF between two messages, io.ErrUnexpectedEOF in one.
func parseOutput(t testing.TB, out []byte, extensions string) (all []sight, err error) {
	t.Helper()
	_, frames, ok := bytes.Cut(out, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("there is no response in %q", out)
	}
	left := bytes.NewReader(frames)
	r := &wireReader{r: bufio.NewReader(left), inflater: newPeerInflater(extensions, false)}
	for left.Len()+r.r.Buffered() > 0 {
		f, err := r.frame()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return all, err
		}
		s, whole, err := r.take(f)
		if err != nil {
			return all, err
		}
		if whole {
			all = append(all, s)
		}
	}
	if r.op != 0 {
		return all, io.ErrUnexpectedEOF
	}
	return all, io.EOF
}
