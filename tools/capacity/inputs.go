package main

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Cost is what a connection of a transport costs a process.
type Cost struct {
	Name           string
	Plain, TLS     float64       // bytes of memory
	Open, OpenTLS  time.Duration // of processor time, to the end of the subscription
	Beat           time.Duration // a heartbeat, both ways
	Overhead       float64       // bytes around a message, without those of TCP and IP
	BeatBytes      float64       // both ways, without those of TCP and IP
	AnswersToBeats bool          // the client sends something, too
}

// costs are measured: docs/capacity.md says how.
func costs() []Cost {
	return []Cost{
		{"websocket", 2200, 24_200, 111 * time.Microsecond, 1232 * time.Microsecond, 10 * time.Microsecond, 2, 8, true},
		{"ws", 3000, 29_900, 90 * time.Microsecond, 1849 * time.Microsecond, 9 * time.Microsecond, 110, 8, true},
		{"socketio", 5200, 35_500, 153 * time.Microsecond, 1806 * time.Microsecond, 8 * time.Microsecond, 110, 10, true},
		{"sse", 2700, 56_800, 81 * time.Microsecond, 955 * time.Microsecond, 7 * time.Microsecond, 60, 10, false},
		{"poll", 22_200, 50_300, 42 * time.Microsecond, 648 * time.Microsecond, 42 * time.Microsecond, 400, 600, true},
	}
}

// Inputs are what there is to be, what one of each costs, and what a machine has.
type Inputs struct {
	Connections float64
	Transport   string
	TLS         bool

	Kernel    float64 // bytes of a socket
	Heartbeat time.Duration

	RoomsEach   float64 // of a connection
	RoomMembers float64
	Messages    float64 // a second in each room
	MessageSize float64
	Kept        float64 // messages of a room that are kept

	RoomMemory  float64 // bytes of a room at each node that has members in it
	KeptMemory  float64 // bytes of a kept message beside its data
	PublishCPU  time.Duration
	CrossingCPU time.Duration // of a message that comes from another node
	DeliveryCPU time.Duration

	BrokerMemory   float64 // bytes of a subscription
	BrokerMessages float64 // in and out, a second, of one server of the broker
	BrokerServers  float64

	NodeCores       float64
	NodeMemory      float64 // bytes
	NodeNetwork     float64 // bits a second
	NodeDescriptors float64
	Load            float64 // of what a node has, that is to be used
	Spare           float64 // nodes that may be away

	Backlog          float64       // connections that wait to be accepted by a node
	Patience         time.Duration // how long a node lets one wait; 0: for ever
	Drain            time.Duration // over what time a node that is told to stop closes connections
	ReconnectDelay   time.Duration
	ReconnectMax     time.Duration
	ReconnectRandom  float64
	ReconnectTimeout time.Duration
}

const (
	kib = 1 << 10
	gib = 1 << 30
	// segment is what TCP and IP, version 4, take of each packet, with timestamps, and Ethernet with its gap.
	segment = 20 + 32 + 38
)

// Defaults are ten million clients of a chat with rooms of ten, on machines of a usual size.
func Defaults() Inputs {
	return Inputs{
		Connections: 10e6, Transport: "websocket", TLS: true,
		Kernel: 4000, Heartbeat: 25 * time.Second,
		RoomsEach: 1, RoomMembers: 10, Messages: 0.02, MessageSize: 128, Kept: 0,
		RoomMemory: 600, KeptMemory: 470,
		PublishCPU: 45 * time.Microsecond, CrossingCPU: 15 * time.Microsecond, DeliveryCPU: 5 * time.Microsecond,
		BrokerMemory: 900, BrokerMessages: 500_000, BrokerServers: 3,
		NodeCores: 16, NodeMemory: 64 * gib, NodeNetwork: 10e9, NodeDescriptors: 1 << 20, Load: 0.6, Spare: 1,
		Backlog: 4096, Patience: time.Second, Drain: 10 * time.Second,
		ReconnectDelay: time.Second, ReconnectMax: 5 * time.Second, ReconnectRandom: 0.5, ReconnectTimeout: 20 * time.Second,
	}
}

func (in *Inputs) flags(f *flag.FlagSet) {
	var names []string
	for _, c := range costs() {
		names = append(names, c.Name)
	}
	f.Float64Var(&in.Connections, "connections", in.Connections, "clients that are connected")
	f.StringVar(&in.Transport, "transport", in.Transport, strings.Join(names, ", "))
	f.BoolVar(&in.TLS, "tls", in.TLS, "the nodes speak it themselves")
	f.Float64Var(&in.Kernel, "kernel", in.Kernel, "`bytes` of the kernel's memory for a socket that waits")
	f.DurationVar(&in.Heartbeat, "heartbeat", in.Heartbeat, "between two of a connection")
	f.Float64Var(&in.RoomsEach, "rooms-each", in.RoomsEach, "rooms, or channels, that a connection is in")
	f.Float64Var(&in.RoomMembers, "room-members", in.RoomMembers, "connections in a room")
	f.Float64Var(&in.Messages, "messages", in.Messages, "a second in each room")
	f.Float64Var(&in.MessageSize, "message-size", in.MessageSize, "`bytes`")
	f.Float64Var(&in.Kept, "kept", in.Kept, "messages of each room that a node keeps in memory")
	f.Float64Var(&in.RoomMemory, "room-memory", in.RoomMemory, "`bytes` of a room at each node that has members")
	f.Float64Var(&in.KeptMemory, "kept-memory", in.KeptMemory, "`bytes` of a kept message, beside its data")
	f.DurationVar(&in.PublishCPU, "publish-cpu", in.PublishCPU, "of publishing a message")
	f.DurationVar(&in.CrossingCPU, "crossing-cpu", in.CrossingCPU, "of receiving a message from another node")
	f.DurationVar(&in.DeliveryCPU, "delivery-cpu", in.DeliveryCPU, "of a delivery to a connection")
	f.Float64Var(&in.BrokerMemory, "broker-memory", in.BrokerMemory, "`bytes` of a subscription at a server of the broker")
	f.Float64Var(&in.BrokerMessages, "broker-messages", in.BrokerMessages, "that a server of the broker takes and sends in a second")
	f.Float64Var(&in.BrokerServers, "broker-servers", in.BrokerServers, "servers of the broker")
	f.Float64Var(&in.NodeCores, "node-cores", in.NodeCores, "of a node")
	f.Float64Var(&in.NodeMemory, "node-memory", in.NodeMemory, "`bytes` of a node")
	f.Float64Var(&in.NodeNetwork, "node-network", in.NodeNetwork, "`bits` a second of a node, each way")
	f.Float64Var(&in.NodeDescriptors, "node-descriptors", in.NodeDescriptors, "of the process of a node")
	f.Float64Var(&in.Load, "load", in.Load, "how much of what a node has is to be used, when none is away")
	f.Float64Var(&in.Spare, "spare", in.Spare, "nodes that may be away without the others having more than that to do")
	f.Float64Var(&in.Backlog, "backlog", in.Backlog, "connections that wait to be accepted, of a node (net.core.somaxconn)")
	f.DurationVar(&in.Patience, "patience", in.Patience, "how long a node lets a connection wait for its turn, and then closes it; 0: for ever")
	f.DurationVar(&in.Drain, "drain", in.Drain, "over what time a node that is told to stop closes connections")
	f.DurationVar(&in.ReconnectDelay, "reconnect-delay", in.ReconnectDelay, "reconnectionDelay of the clients")
	f.DurationVar(&in.ReconnectMax, "reconnect-max", in.ReconnectMax, "reconnectionDelayMax")
	f.Float64Var(&in.ReconnectRandom, "reconnect-random", in.ReconnectRandom, "randomizationFactor")
	f.DurationVar(&in.ReconnectTimeout, "reconnect-timeout", in.ReconnectTimeout, "timeout of an attempt")
}

func (in *Inputs) check() error {
	if !slices.ContainsFunc(costs(), func(c Cost) bool { return c.Name == in.Transport }) {
		return fmt.Errorf("no transport %q", in.Transport)
	}
	for _, v := range []struct {
		name     string
		value    float64
		positive bool
	}{
		{"connections", in.Connections, true}, {"kernel", in.Kernel, false}, {"heartbeat", in.Heartbeat.Seconds(), true},
		{"rooms-each", in.RoomsEach, false}, {"room-members", in.RoomMembers, true}, {"messages", in.Messages, false},
		{"message-size", in.MessageSize, false}, {"kept", in.Kept, false}, {"broker-messages", in.BrokerMessages, true},
		{"broker-servers", in.BrokerServers, true}, {"node-cores", in.NodeCores, true}, {"node-memory", in.NodeMemory, true},
		{"node-network", in.NodeNetwork, true}, {"node-descriptors", in.NodeDescriptors, true}, {"load", in.Load, true},
		{"spare", in.Spare, false}, {"patience", in.Patience.Seconds(), false}, {"drain", in.Drain.Seconds(), false},
		{"backlog", in.Backlog, false}, {"reconnect-delay", in.ReconnectDelay.Seconds(), true},
		{"reconnect-max", in.ReconnectMax.Seconds(), true}, {"reconnect-random", in.ReconnectRandom, false},
		{"reconnect-timeout", in.ReconnectTimeout.Seconds(), true}, {"room-memory", in.RoomMemory, false}, {"kept-memory", in.KeptMemory, false},
		{"publish-cpu", in.PublishCPU.Seconds(), false}, {"crossing-cpu", in.CrossingCPU.Seconds(), false},
		{"delivery-cpu", in.DeliveryCPU.Seconds(), false}, {"broker-memory", in.BrokerMemory, false},
	} {
		if math.IsNaN(v.value) || math.IsInf(v.value, 0) || v.value < 0 || v.positive && v.value == 0 || v.value > 1e15 {
			return fmt.Errorf("-%s cannot be %v", v.name, v.value)
		}
	}
	if in.Load > 1 || in.ReconnectRandom > 1 {
		return fmt.Errorf("-load and -reconnect-random are 1 at most")
	}
	if in.Connections > 1e9 {
		return fmt.Errorf("-connections are 1e9 at most")
	}
	return nil
}

// cost is that of the transport.
func (in *Inputs) cost() Cost {
	for _, c := range costs() {
		if c.Name == in.Transport {
			return c
		}
	}
	return Cost{}
}
