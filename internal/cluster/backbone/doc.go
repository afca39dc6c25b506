// Package backbone is what joins the servers of a cluster: a NATS server in each of them, an external NATS, or Redis. It chooses, and
// connects; everything else is said in terms of [cluster.Bus], [cluster.Shelf] and channel.Broker.
package backbone
