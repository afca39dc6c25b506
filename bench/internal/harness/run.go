//go:build linux

package harness

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"baro.dev/bench/internal/load"
	"baro.dev/bench/internal/peers"
)

// Contender is a server that takes part.
type Contender struct {
	Name    string
	Command []string // the program that speaks the command line of peers.Main, and its first arguments
	Deflate peers.Compression
	Speaks  protocol
	// Program and Door are those of a server for channels.
	Program string
	Door    *load.Door
	// Joined: it is two servers that are joined, of which one publishes.
	Joined bool
}

// protocol is what a server speaks.
type protocol int

const (
	anything protocol = iota // somebody's own program: whatever it is asked for
	webSocket
	socketIO
)

// enters reports whether the server can do what the cell asks for.
func (s Contender) enters(c Cell) bool {
	if s.Joined && !c.cluster() {
		return false
	}
	if c.channels() || s.Door != nil {
		return c.channels() && s.Door != nil && c.isFor(s.Door)
	}
	if s.Speaks == webSocket && c.socketIO() || s.Speaks == socketIO && !c.socketIO() {
		return false
	}
	return !(c.Deflate && s.Deflate == peers.None || c.Context && s.Deflate < peers.ContextTakeover)
}

// Contenders finds those named; all that are installed if there are none, and says to log which are not. NAME=PROGRAM is
// one that others bring.
func Contenders(names []string, log io.Writer) ([]Contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	all := len(names) == 0
	if all {
		for _, s := range peers.All() {
			names = append(names, s.Name)
		}
	}
	var list []Contender
	for _, name := range names {
		if name, program, ok := strings.Cut(name, "="); ok {
			list = append(list, Contender{Name: name, Command: []string{program}, Deflate: peers.ContextTakeover})
			continue
		}
		s, err := peers.Find(name)
		if err != nil {
			return nil, err
		}
		c := Contender{Name: s.Name, Command: []string{self, "serve"}, Deflate: s.Deflate, Speaks: webSocket}
		c.Joined = s.Broker != ""
		if s.SocketIO {
			c.Speaks = socketIO
		}
		switch {
		case s.Command != nil && c.Joined:
			if _, err = s.Command(); err == nil {
				err = peers.FindBroker(s.Broker)
			}
		case c.Joined && s.Program == nil:
			err = peers.FindBroker(s.Broker)
		case s.Command != nil:
			c.Command, err = s.Command()
		case s.Program != nil:
			c.Door = &s.Program.Door
			if c.Program, err = s.Program.Find(); err == nil && c.Joined {
				err = peers.FindBroker(s.Broker)
			}
		}
		if err != nil && !all {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		} else if err != nil {
			fmt.Fprintf(log, "without %s: %v\n", s.Name, err)
			continue
		}
		list = append(list, c)
	}
	return list, nil
}

// Sample is what one measurement of one server gave.
type Sample struct {
	Cell   string      `json:"cell"`
	Server string      `json:"server"`
	Round  int         `json:"round"`
	Result load.Result `json:"result"`
	Error  string      `json:"error,omitempty"`
}

// Run measures the cells of a plan with the servers named (all if there are none), and prints a table when a cell is
// done. What fails is said to log and is in the report.
func Run(p Plan, servers []string, tables, log io.Writer) (*Report, error) {
	contenders, err := Contenders(servers, log)
	if err != nil {
		return nil, err
	}
	cells := make([]Cell, len(p.Cells))
	for i, name := range p.Cells {
		if cells[i], err = ParseCell(name); err != nil {
			return nil, err
		}
	}
	if err := allowFiles(); err != nil {
		return nil, err
	}
	r := &Report{Date: time.Now(), Machine: ThisMachine(), Rounds: p.Rounds, Warmup: p.Warmup, Each: p.Duration}
	for _, c := range cells {
		rounds := p.Rounds
		if c.Mode == sioIdle {
			rounds = min(rounds, 1) // it takes more than a heartbeat, and memory hardly varies
		}
		for round := range rounds {
			r.Samples = append(r.Samples, runRound(p, c, round, contenders, log)...)
		}
		Table(tables, c, Summarize(c, r.Samples))
	}
	return r, nil
}

// allowFiles raises the limit of open files to what is allowed, for the servers too.
func allowFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// runRound measures each server once. Who is first differs from round to round.
func runRound(p Plan, c Cell, round int, servers []Contender, log io.Writer) (samples []Sample) {
	for i := range servers {
		s := servers[(i+round)%len(servers)]
		if !s.enters(c) {
			continue
		}
		sample := Sample{Cell: c.Name, Server: s.Name, Round: round}
		var err error
		if sample.Result, err = measure(c, s, p); err != nil {
			sample.Error = err.Error()
			fmt.Fprintf(log, "%s, %s: %v\n", c.Name, s.Name, err)
		}
		samples = append(samples, sample)
	}
	return samples
}

func measure(c Cell, s Contender, p Plan) (load.Result, error) {
	heartbeat := cmp.Or(p.Heartbeat, defaultHeartbeat)
	if c.socketIO() {
		p.Warmup = p.JITWarmup
	}
	server, err := start(s, c, heartbeat)
	if err != nil {
		return load.Result{}, err
	}
	defer server.stop()
	t := server.target
	switch c.Mode {
	case sioAck:
		return t.Acks(load.Echo{Conns: c.Conns, Size: c.Size, Depth: c.Depth, Warmup: p.Warmup, Duration: p.Duration})
	case sioRoom, sioCluster:
		return t.Room(load.FanOut{Conns: c.Conns, Size: c.Size, Depth: c.Depth, Warmup: p.Warmup, Duration: p.Duration})
	case sioPoll:
		return t.Polls(load.Echo{Conns: c.Conns, Size: c.Size, Warmup: p.Warmup, Duration: p.Duration})
	case sioIdle:
		return t.Idle(load.Idle{Conns: c.Conns, Size: c.Size, SocketIO: true, Heartbeat: heartbeat})
	case sioOpen:
		return t.Opens(load.Churn{Conns: c.Conns, Size: c.Size, Warmup: p.Warmup, Duration: p.Duration})
	}
	if c.channels() {
		return measureChannels(c, t, *s.Door, p)
	}
	switch {
	case c.Mode == fanOut:
		return t.FanOut(load.FanOut{Conns: c.Conns, Size: c.Size, Depth: c.Depth, Warmup: p.Warmup, Duration: p.Duration})
	case c.Mode == idle:
		return t.Idle(load.Idle{Conns: c.Conns, Size: c.Size, Deflate: c.Deflate, Context: c.Context})
	case c.Mode == churn:
		return t.Churn(load.Churn{Conns: c.Conns, Size: c.Size, Warmup: p.Warmup, Duration: p.Duration})
	case c.Deflate:
		return t.Deflate(load.Deflate{Conns: c.Conns, Size: c.Size, Context: c.Context, Warmup: p.Warmup, Duration: p.Duration})
	case c.Rate > 0:
		return t.Rate(load.Rate{Conns: c.Conns, Size: c.Size, PerSecond: c.Rate, Warmup: p.Warmup, Duration: p.Duration})
	}
	return t.Echo(load.Echo{Conns: c.Conns, Size: c.Size, Depth: c.Depth, Warmup: p.Warmup, Duration: p.Duration})
}
