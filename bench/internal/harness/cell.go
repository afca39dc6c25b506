//go:build linux

// Package harness compares servers: it starts each as a process, loads it, and reports what it spent beside the others.
package harness

import (
	"fmt"
	"strconv"
	"strings"
)

// Modes of a cell.
const (
	echo   = "echo"
	fanOut = "fanout"
	idle   = "idle"
	churn  = "churn"
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
	OneCore bool // onecore: server and generator take turns on one processor; twocores: neither is bound
}

// ParseCell reads a name.
func ParseCell(name string) (Cell, error) {
	c := Cell{Name: name, Size: 64, Depth: 1, Conns: 100}
	for i, word := range strings.Split(name, "-") {
		number, err := strconv.Atoi(strings.TrimLeft(word, "pwcnr"))
		switch {
		case i == 0:
			c.Mode = word
		case word == "ctx", word == "noctx":
			c.Deflate, c.Context = true, word == "ctx"
		case word == "onecore", word == "twocores":
			c.OneCore = word == "onecore"
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
	}
	return c, fmt.Errorf("cell %q: a mode is echo, fanout, idle or churn", name)
}
