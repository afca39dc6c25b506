//go:build linux

// Package harness compares servers: it starts each as a process, loads it, and reports what it spent beside the others.
package harness

import (
	"fmt"
	"strconv"
	"strings"

	"baro.dev/bench/internal/load"
)

// Modes of a cell.
const (
	echo   = "echo"
	fanOut = "fanout"
	idle   = "idle"
	churn  = "churn"

	// Those of Socket.IO.
	sioAck  = "sioack"
	sioRoom = "sioroom"
	sioPoll = "siopoll"
	sioIdle = "sioidle"
	sioOpen = "sioopen"
	// sioCluster is sioRoom where the event comes from another server.
	sioCluster = "siocluster"

	// Those of channels.
	chPublish = "chpub"
	chSocket  = "chws"
	chStream  = "chsse"
	chIdle    = "chidle"
	// chCluster is chSocket where the message is published at another server.
	chCluster = "chcluster"
)

// Where server and generator run.
const (
	// oneCore: they share one processor, and neither preempts the other when it wakes (SCHED_BATCH), so they take
	// turns, each doing all it finds to do. That is when times vary least, since they do not depend on which of the two
	// the scheduler prefers at each message.
	oneCore = "onecore"
	// apart: each has a processor.
	apart = "apart"
	// twoCores: neither is bound, as people deploy it.
	twoCores = "twocores"
)

// Cell is one thing to measure. Its name says all of it: echo-64-p16-c100-onecore.
type Cell struct {
	Name    string
	Mode    string
	Size    int  // bytes of a message
	Conns   int  // cN or nN
	Depth   int  // pN or wN: messages, or publications, in flight
	Rate    int  // rN: messages offered a second; 0: as fast as answers come
	Deflate bool // ctx or noctx
	Context bool // ctx: with context takeover
	Where   string
}

// ParseCell reads a name.
func ParseCell(name string) (Cell, error) {
	c := Cell{Name: name, Size: 64, Depth: 1, Conns: 100, Where: twoCores}
	for i, word := range strings.Split(name, "-") {
		number, err := strconv.Atoi(strings.TrimLeft(word, "pwcnr"))
		switch {
		case i == 0:
			c.Mode = word
		case word == "ctx", word == "noctx":
			c.Deflate, c.Context = true, word == "ctx"
		case word == oneCore, word == apart, word == twoCores:
			c.Where = word
		case err != nil || number <= 0:
			return c, fmt.Errorf("cell %q: what is %q?", name, word)
		default:
			switch word[0] {
			case 'p', 'w':
				c.Depth = number
			case 'c', 'n':
				c.Conns = number
			case 'r':
				c.Rate = number
			default:
				c.Size = number
			}
		}
	}
	if c.Size < 2 {
		return c, fmt.Errorf("cell %q: no size", name)
	}
	switch c.Mode {
	case echo, fanOut, idle, churn:
		return c, nil
	case sioAck, sioRoom, sioPoll, sioIdle, sioOpen, sioCluster:
		if c.Deflate || c.Rate > 0 {
			return c, fmt.Errorf("cell %q: Socket.IO is measured without compression and without a rate", name)
		}
		return c, nil
	case chPublish, chSocket, chStream, chIdle, chCluster:
		if c.Deflate || c.Rate > 0 {
			return c, fmt.Errorf("cell %q: channels are measured without compression and without a rate", name)
		}
		return c, nil
	}
	return c, fmt.Errorf("cell %q: a mode is echo, fanout, idle, churn, sioack, sioroom, siopoll, sioidle, sioopen, siocluster, chpub, chws, chsse, chidle or chcluster", name)
}

// socketIO reports whether its servers speak Socket.IO.
func (c Cell) socketIO() bool { return strings.HasPrefix(c.Mode, "sio") }

// channels reports whether its servers are those for channels.
func (c Cell) channels() bool { return strings.HasPrefix(c.Mode, "ch") && c.Mode != churn }

// cluster reports whether it is about what comes from another server.
func (c Cell) cluster() bool { return c.Mode == sioCluster || c.Mode == chCluster }

// base is the server that others are compared with beside the peers: raw TCP, or who delivers what is its own.
func (c Cell) base() (server, title string) {
	switch c.Mode {
	case sioCluster:
		return "baro-sio", "local"
	case chCluster:
		return "baro-plain", "local"
	}
	return "tcpepoll", "raw"
}

// hasBase reports whether base is among its servers.
func (c Cell) hasBase() bool { return c.hasRaw() || c.cluster() }

// hasRaw reports whether there is raw TCP to compare with.
func (c Cell) hasRaw() bool { return !c.socketIO() && !c.channels() }

// isIdle reports whether memory is what is measured.
func (c Cell) isIdle() bool { return c.Mode == idle || c.Mode == sioIdle || c.Mode == chIdle }

// places are those of the server and of the generator.
func (c Cell) places() (server, generator load.Place) {
	switch c.Where {
	case oneCore:
		return load.Place{CPU: 0, Batch: true}, load.Place{CPU: 0, Batch: true}
	case apart:
		return load.Place{CPU: 0}, load.Place{CPU: 1}
	}
	return load.Place{CPU: -1}, load.Place{CPU: -1}
}
