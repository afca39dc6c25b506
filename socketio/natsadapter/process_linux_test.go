package natsadapter_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/internal/adaptertest"
)

const childOf = "NATSADAPTER_TEST_BROKER"

// TestChild is a server in a process of its own, for others; it says where it is, and ends with its standard input.
func TestChild(t *testing.T) {
	url := os.Getenv(childOf)
	if url == "" {
		t.Skip("for TestProcess")
	}
	m := join(t, url, quick())
	m.OnConnection(func(s *socketio.Socket) { s.Join("room") })
	fmt.Println("at", m.url, m.cluster.ID())
	_, _ = os.Stdin.Read(make([]byte, 1))
}

type process struct {
	*exec.Cmd
	url, id string
}

func child(t *testing.T, broker string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], "-test.run=^TestChild$")}
	p.Env = append(os.Environ(), childOf+"="+broker)
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil || p.Start() != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := strings.CutPrefix(line, "at "); ok {
			_, _ = fmt.Sscan(at, &p.url, &p.id)
			return p
		}
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// A process that is stopped is called dead, and is back when it goes on; one that is killed is called dead, and another one takes
// its place. Nobody waits for either.
func TestProcess(t *testing.T) {
	t.Parallel()
	url := "nats://" + brokers.NATS(t).Addr
	a := join(t, url, quick())
	p := child(t, url)
	a.sees(t, 2)
	pc := adaptertest.Dial(t, p.url, "/")
	fetch := func(want int) {
		t.Helper()
		begin := time.Now()
		var servers *socketio.ServersError
		all, err := a.FetchSockets(t.Context())
		if len(all) != want || err != nil && !errors.As(err, &servers) || time.Since(begin) > 30*time.Second {
			t.Errorf("%d sockets, want %d; %v, after %v", len(all), want, err, time.Since(begin))
		}
	}
	fetch(1)
	p.signal(t, syscall.SIGSTOP)
	adaptertest.Until(t, "it stands still", func() bool {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		return strings.Contains(string(stat), ") T ")
	})
	fetch(0)
	a.sees(t, 1)
	_ = a.To(pc.ID).Emit("for one that is stopped")
	p.signal(t, syscall.SIGCONT)
	a.sees(t, 2)
	fetch(1)
	pc.Expect(`2["for one that is stopped"]`) // the broker has kept it in the connection
	_ = a.To("room").Emit("back")
	pc.Expect(`2["back"]`)

	p.signal(t, syscall.SIGKILL)
	_ = p.Wait()
	fetch(0)
	a.sees(t, 1)
	p = child(t, url)
	a.sees(t, 2)
	pc = adaptertest.Dial(t, p.url, "/")
	fetch(1)
	adaptertest.Until(t, "its room is heard of", func() bool {
		all, err := a.In("room").FetchSockets(t.Context())
		return err == nil && len(all) == 1
	})
	_ = a.To("room").Emit("again") // it had told the broker of the room before it answered
	pc.Expect(`2["again"]`)
}
