package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"text/tabwriter"
)

// Spread is on how many nodes the members of a room are.
type Spread struct {
	Members int
	Mean    float64 // nodes
	P99     int
	Pub     float64 // messages that cross for one that is published, by a member
	All     float64 // messages that would cross if all nodes heard all
}

// Scatter has rooms of so many members be put on n nodes by chance.
func Scatter(members, n, rooms int, random *rand.Rand) Spread {
	s := Spread{Members: members, All: float64(n - 1)}
	seen := make([]int, n)
	of := make([]int, n+1)
	for room := 1; room <= rooms; room++ {
		distinct := 0
		for range members {
			if i := random.IntN(n); seen[i] != room {
				seen[i] = room
				distinct++
			}
		}
		of[distinct]++
		s.Mean += float64(distinct)
	}
	s.Mean /= float64(rooms)
	s.Pub = s.Mean - 1
	left := rooms / 100
	for s.P99 = n; s.P99 > 0 && left >= of[s.P99]; s.P99-- {
		left -= of[s.P99]
	}
	return s
}

func printSpread(w io.Writer, in Inputs, n int, random *rand.Rand) {
	fmt.Fprintf(w, "\nwhere the members of a room are, by chance, on %d nodes\n\n", n)
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintf(t, "members\tnodes\tof 99 %%, at most\ta member's message crosses\tto all it would\n")
	for _, m := range []int{1, 2, 5, 10, 30, 100, 1000} {
		s := Scatter(m, n, 2000, random)
		fmt.Fprintf(t, "%d\t%.2f\t%d\t%.2f\t%.0f\n", m, s.Mean, s.P99, s.Pub, s.All)
	}
	_ = t.Flush()
}
