// Package clusteradapter is what the adapters of one cluster tell each other, whatever broker carries it: the messages of the
// official ClusterAdapter (types 1 to 13), written in JSON, or in MessagePack where there is anything binary in them.
//
// An adapter for a broker embeds an [Adapter], gives it a [Transport], and hands on what comes: [Adapter.Receive]. What comes is not
// trusted: it is checked, nothing is allocated on the word of a length that it declares, and what is no message of the cluster
// is ignored, counted, and logged once a minute. Which rooms a broadcast is for is looked at first; its event is read, and
// encoded for the clients, only if anybody here gets it, and once.
//
// # Who is waited for
//
// Where the transport knows the servers by their ids, or by heartbeats, a request ends when all that live have answered; one that
// goes meanwhile ([Adapter.Gone]) is not waited for, and the error names those that have not answered in time. Where it only
// knows their number, the request ends with so many answers.
//
// # Who may wait
//
// A Transport does not wait for the network, but in Servers. Handlers of events of other servers run one after another on a
// goroutine of their own, and so do disconnections that another server has asked for: they may wait for what the
// goroutine that receives does.
package clusteradapter
