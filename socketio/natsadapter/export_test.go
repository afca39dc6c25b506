package natsadapter

import (
	"context"

	"github.com/nats-io/nats.go"
)

// Subjects are those on which something can come for a socket in a namespace.
func Subjects(c *Cluster, namespace, id string) []string {
	w := word(namespace)
	n := c.subjects.namespace(w)
	return []string{everybody(n), roomSubject(n, "room"), roomSubject(n, id), c.subjects.node(c.id, w), c.subjects.bus("node.all"), c.set.Prefix + ".x"}
}

// Take is what happens when something comes. It is for one goroutine, while nothing comes from a broker.
func Take(c *Cluster, subject string, data []byte) {
	c.sort(&nats.Msg{Subject: subject, Data: data}, map[string]uint64{})
}

// Settle returns when what came before has been handled.
func Settle(c *Cluster, namespace string) {
	_, _ = c.tellBarrier(context.Background(), "", []byte(word(namespace)))
}

// Handle is what happens with a message when it is its turn.
func Handle(c *Cluster, data []byte) {
	if f, err := readFrame(data); err == nil {
		c.list()[0].handle(received{sender: f.sender, body: f.body})
	}
}
