//go:build linux

package harness

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"baro.dev/bench/internal/load"
	"baro.dev/bench/internal/peers"
)

// child is a server in a process of its own.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	target load.Target
}

const startTimeout = 30 * time.Second

// start starts a server for a cell. It speaks the command line of peers.Main, whosever it is.
func start(s Contender, c Cell, heartbeat time.Duration) (*child, error) {
	role := peers.Echo
	switch {
	case c.channels():
		role = peers.Channels
	case c.Mode == sioRoom, c.Mode == sioCluster:
		role = peers.SocketIORoom
	case c.socketIO():
		role = peers.SocketIO
	case c.Mode == fanOut:
		role = peers.FanOut
	case c.Deflate:
		role = peers.Deflate
	}
	args := append(s.Command[1:len(s.Command):len(s.Command)], "-server", s.Name, "-role", string(role),
		"-inflight", strconv.Itoa(c.Depth*(c.Size+14)), "-takeover="+strconv.FormatBool(c.Context))
	if c.socketIO() {
		args = append(args, "-heartbeat", strconv.FormatInt(heartbeat.Milliseconds(), 10))
	}
	if s.Program != "" {
		args = append(args, "-program", s.Program)
	}
	place, from := c.places()
	ch := &child{cmd: exec.Command(s.Command[0], args...)}
	ch.cmd.Env = os.Environ()
	if place.CPU >= 0 {
		ch.cmd.Env = append(ch.cmd.Env, "GOMAXPROCS=1")
	}
	ch.cmd.Stderr = os.Stderr
	_, err := load.OnThread(place, func() (struct{}, error) { return struct{}{}, ch.run() })
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	defer ch.watch()()
	line, err := ch.stdout.ReadString('\n')
	where, process, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "listening ")), " ")
	addr, parsed := netip.ParseAddrPort(where)
	pid := ch.cmd.Process.Pid
	var publish netip.AddrPort
	if process, other, ok := strings.Cut(process, " "); ok && parsed == nil {
		if publish, parsed = netip.ParseAddrPort(other); parsed == nil {
			pid, parsed = strconv.Atoi(process)
		}
	} else if process != "" && parsed == nil {
		pid, parsed = strconv.Atoi(process)
	}
	if err != nil || parsed != nil {
		ch.stop()
		return nil, fmt.Errorf("start %s: it said %q and not where it listens", s.Name, line)
	}
	ch.target = load.Target{Addr: addr, PID: pid, Publish: publish, Raw: peers.KindOf(s.Name) == peers.Raw, From: from, Free: ch.free}
	if c.channels() {
		ch.target.Free = nil
	}
	return ch, nil
}

func (c *child) run() error {
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.stdout = bufio.NewReader(stdout)
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	return c.cmd.Start()
}

// watch ends the process unless it is stopped in time.
func (c *child) watch() (stop func() bool) {
	return time.AfterFunc(startTimeout, func() { _ = c.cmd.Process.Kill() }).Stop
}

// free makes the server give back what memory it does not need.
func (c *child) free() error {
	defer c.watch()()
	if _, err := io.WriteString(c.stdin, "free\n"); err != nil {
		return err
	}
	line, err := c.stdout.ReadString('\n')
	if err == nil && line != "freed\n" {
		err = fmt.Errorf("the server said %q instead of \"freed\"", line)
	}
	return err
}

// stop ends the process.
func (c *child) stop() {
	c.stdin.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}
