package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Resource is something that nodes have, and run out of.
type Resource struct {
	Name  string
	Need  float64 // in all
	Have  float64 // of one node, as much as is to be used
	Nodes int     // that have it
	text  func(float64) string
}

// Plan is what it takes.
type Plan struct {
	Nodes     int // spare ones among them
	Resources []Resource
	Rooms     float64
	OnNodes   float64 // on how many nodes a room has members, on average
	Crossings float64 // a second
	Published float64
	Delivered float64
	Broker    Broker
	in        Inputs
}

// Broker is what passes through it.
type Broker struct {
	Messages      float64 // a second, in and out
	Bytes         float64 // likewise
	Subscriptions float64
	Memory        float64 // bytes of each server for them
	Servers       int     // that the messages take
}

// onNodes is on how many of n nodes a room of m members is, if each is on any with the same chance.
func onNodes(m, n float64) float64 { return n * (1 - math.Pow(1-1/n, m)) }

// Reckon reckons. The number of nodes depends on how many messages cross, and that on the number of nodes: it begins with one, and adds
// until they are enough.
func Reckon(in Inputs) Plan {
	n := 1
	for range 1000 {
		p := reckonWith(in, float64(n))
		if p.Nodes <= n {
			p.Nodes = n
			return p
		}
		n = max(n+1, min(p.Nodes, n+n/2))
	}
	return reckonWith(in, float64(n))
}

func reckonWith(in Inputs, n float64) Plan {
	c := in.cost()
	memory := c.Plain
	if in.TLS {
		memory = c.TLS
	}
	p := Plan{in: in, Rooms: in.Connections * in.RoomsEach / in.RoomMembers}
	p.OnNodes = onNodes(in.RoomMembers, n)
	places := p.Rooms * p.OnNodes // rooms at nodes
	p.Published = p.Rooms * in.Messages
	p.Delivered = p.Published * in.RoomMembers
	// Who publishes is at any node: with a chance it is one of those that have members, and gets it without crossing.
	p.Crossings = p.Published * (p.OnNodes - p.OnNodes/n)
	beats := in.Connections / in.Heartbeat.Seconds()
	packet := in.MessageSize + c.Overhead + segment
	if in.TLS {
		packet += 22
	}
	cpu := beats*c.Beat.Seconds() + p.Published*in.PublishCPU.Seconds() + p.Crossings*in.CrossingCPU.Seconds() + p.Delivered*in.DeliveryCPU.Seconds()
	wire := (p.Delivered+p.Published+2*p.Crossings)*packet + beats*(segment+c.BeatBytes)
	amount := func(unit string, by float64) func(float64) string {
		return func(v float64) string { return fmt.Sprintf("%.4g%s", v/by, unit) }
	}
	p.Resources = []Resource{
		{Name: "memory of processes, and of sockets", Need: in.Connections*(memory+in.Kernel) + places*(in.RoomMemory+in.Kept*(in.KeptMemory+in.MessageSize)),
			Have: in.NodeMemory * in.Load, text: amount(" GiB", gib)},
		{Name: "processors", Need: cpu, Have: in.NodeCores * in.Load, text: amount("", 1)},
		{Name: "network, out", Need: wire * 8, Have: in.NodeNetwork * in.Load, text: amount(" Gbit/s", 1e9)},
		{Name: "descriptors", Need: in.Connections, Have: in.NodeDescriptors - 128, text: amount(" M", 1e6)},
	}
	p.Broker = Broker{
		Messages: p.Published + p.Crossings, Bytes: (p.Published + p.Crossings) * (in.MessageSize + 100), Subscriptions: places, Memory: places * in.BrokerMemory,
	}
	p.Broker.Servers = int(math.Ceil(p.Broker.Messages / (in.BrokerMessages * in.Load)))
	for i := range p.Resources {
		r := &p.Resources[i]
		r.Nodes = max(1, int(math.Ceil(r.Need/r.Have)))
		p.Nodes = max(p.Nodes, r.Nodes+int(in.Spare))
	}
	slices.SortStableFunc(p.Resources, func(a, b Resource) int { return cmp.Compare(b.Need/b.Have, a.Need/a.Have) })
	return p
}

func (p *Plan) print(w io.Writer) {
	in, tls := p.in, "with TLS"
	if !in.TLS {
		tls = "without TLS"
	}
	fmt.Fprintf(w, "%s connections, %s %s: %d nodes, %.0f of them spare\n\n", count(in.Connections), in.Transport, tls, p.Nodes, in.Spare)
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintf(t, "what\tin all\ta node may use\tnodes\tuse of a node\t\n")
	for i, r := range p.Resources {
		note := ""
		switch i {
		case 0:
			note = "runs out first"
		case 1:
			note = "second"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%.0f %%\t%s\n", r.Name, r.text(r.Need), r.text(r.Have), r.Nodes, 100*r.Need/r.Have*in.Load/float64(p.Nodes), note)
	}
	_ = t.Flush()
	b := p.Broker
	fmt.Fprintf(w, "\n%s rooms of %.4g, each on %.1f nodes; a second %s messages are published, %s cross, %s are delivered\n",
		count(p.Rooms), in.RoomMembers, p.OnNodes, count(p.Published), count(p.Crossings), count(p.Delivered))
	fmt.Fprintf(w, "broker: %s messages and %s bytes a second in and out, %s subscriptions, %.3g GiB at each server",
		count(b.Messages), count(b.Bytes), count(b.Subscriptions), b.Memory/gib)
	if share := float64(b.Servers) / in.BrokerServers; share > 1 {
		fmt.Fprintf(w, "; it takes %d servers, and there are %.0f: THIS IS TOO MUCH FOR IT\n", b.Servers, in.BrokerServers)
	} else {
		fmt.Fprintf(w, "; %.0f %% of what its %.0f servers take\n", 100*b.Messages/(in.BrokerMessages*in.BrokerServers), in.BrokerServers)
	}
}

// count is a number with its thousands.
func count(v float64) string {
	digits := fmt.Sprintf("%.0f", v)
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, parts...), ",")
}
