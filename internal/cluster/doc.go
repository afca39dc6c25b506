// Package cluster is what the processes of a cluster tell each other, whatever broker carries it: who is there, questions to
// one or to all, and streams from one to another, by which a request is carried to the process that owns its session.
//
// A [Bus] carries messages, a [Shelf] keeps small things; packages natsbus and redisbus are both, for NATS and for Redis. What is
// published in channels goes another way: see channel.Broker.
package cluster
