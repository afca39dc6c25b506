package main

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// What needs most of what a node has decides how many nodes there are.
func TestBottleneck(t *testing.T) {
	for _, c := range []struct {
		want string
		set  func(*Inputs)
	}{
		{"descriptors", func(in *Inputs) { in.NodeDescriptors = 10_000 }},
		{"memory of processes, and of sockets", func(in *Inputs) { in.NodeMemory = gib }},
		{"processors", func(in *Inputs) { in.Messages = 100 }},
		{"network, out", func(in *Inputs) { in.NodeNetwork = 1e6 }},
	} {
		in := Defaults()
		c.set(&in)
		p := Reckon(in)
		first := p.Resources[0]
		if first.Name != c.want {
			t.Errorf("%s, want %s", first.Name, c.want)
		}
		if p.Nodes < first.Nodes+int(in.Spare) {
			t.Errorf("%d nodes, where %s takes %d", p.Nodes, first.Name, first.Nodes)
		}
		for _, r := range p.Resources {
			if r.Need > r.Have*float64(p.Nodes-int(in.Spare))*1.001 {
				t.Errorf("%s: %g of %g at each of %d nodes", r.Name, r.Need, r.Have, p.Nodes)
			}
		}
	}
}

// More of anything takes no fewer nodes, and a better machine no more.
func TestMonotonous(t *testing.T) {
	base := Reckon(Defaults()).Nodes
	for name, set := range map[string]func(*Inputs){
		"connections": func(in *Inputs) { in.Connections *= 2 }, "messages": func(in *Inputs) { in.Messages *= 1000 },
		"TLS off": func(in *Inputs) { in.TLS = false; in.NodeDescriptors /= 2 }, "a slower heartbeat": func(in *Inputs) { in.Heartbeat /= 100 },
		"kept": func(in *Inputs) { in.Kept = 1000 }, "spare": func(in *Inputs) { in.Spare = 3 },
	} {
		in := Defaults()
		set(&in)
		if n := Reckon(in).Nodes; n < base {
			t.Errorf("%s: %d nodes, where %d were needed", name, n, base)
		}
	}
}

// What chance says of where members are is what can be reckoned.
func TestScatter(t *testing.T) {
	r := random()
	for _, n := range []int{1, 3, 30} {
		for _, m := range []int{1, 2, 10, 300} {
			s := Scatter(m, n, 4000, r)
			if want := onNodes(float64(m), float64(n)); math.Abs(s.Mean-want) > 0.05*want {
				t.Errorf("%d members on %d nodes: on %.2f, want %.2f", m, n, s.Mean, want)
			}
			if s.P99 > min(m, n) || float64(s.P99) < s.Mean-0.5 {
				t.Errorf("%d members on %d nodes: on %d at most", m, n, s.P99)
			}
		}
	}
}

func TestReconnect(t *testing.T) {
	in := Defaults()
	// Nobody has to wait: all are back after the first delay, 1 s ± 0.5 s.
	s := Reconnect(in, 10_000, 1e9, 0, random())
	if s.Half < 900*time.Millisecond || s.Half > 1100*time.Millisecond || s.All > 1510*time.Millisecond || s.Attempts != 10_000 || s.GaveUp+s.Refused != 0 {
		t.Errorf("%+v", s)
	}
	// A drain spreads them.
	if d := Reconnect(in, 10_000, 1e9, 10*time.Second, random()); d.Peak > s.Peak/5 || d.All < 9*time.Second || d.All > 12*time.Second {
		t.Errorf("%+v, and at once %+v", d, s)
	}
	// They cannot be back before they are opened, and those that are more stand for themselves.
	for _, clients := range []int{10_000, 200_000} {
		s := Reconnect(in, clients, float64(clients)/20, 0, random())
		if s.All < 20*time.Second || s.All == never || s.Half > s.Most || s.Most > s.All || s.Attempts < float64(clients) || s.Peak > 10*float64(clients) {
			t.Errorf("%d clients: %+v", clients, s)
		}
	}
	// A place to wait for all of them, who give up before it is their turn: the work is done for nobody.
	in.Backlog, in.Patience = 1e9, 0
	if s := Reconnect(in, 10_000, 200, 0, random()); s.GaveUp == 0 || s.Refused > 0 {
		t.Errorf("%+v", s)
	}
	// Nobody comes back to who opens next to none.
	if s := Reconnect(in, 10_000, 1, 0, random()); s.All != never {
		t.Errorf("%+v", s)
	}
}

func TestRun(t *testing.T) {
	var out, again bytes.Buffer
	for _, w := range []io.Writer{&out, &again} {
		if err := run([]string{"-connections", "100000", "-transport", "socketio", "-spare", "2"}, w, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if out.String() != again.String() {
		t.Error("the same seed gives another answer")
	}
	for _, want := range []string{"100,000 connections, socketio with TLS: 3 nodes, 2 of them spare", "runs out first", "second", "it drains", "broker:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, c := range costs() {
		if err := run([]string{"-transport", c.Name, "-connections", "1000", "-tls=false"}, io.Discard, io.Discard); err != nil {
			t.Error(err)
		}
	}
	for _, args := range [][]string{
		{"-connections", "0"}, {"-connections", "1e12"}, {"-connections", "NaN"}, {"-load", "2"}, {"-transport", "pigeon"}, {"-node-memory", "-1"}, {"more"}, {"-what"},
		{"-heartbeat", "-1s"}, {"-room-members", "0"},
	} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
