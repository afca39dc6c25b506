// Package metrics counts what a server does, for Prometheus: docs/metrics.md has the list. It knows nothing of the server, which tells
// it what happens by the methods of [Metrics], and is asked for the rest by [Config.State] when somebody scrapes.
//
// All methods may be called from any goroutine. Those that come with every message take no lock and allocate nothing. Labels are words of
// this project: never a name of a channel, a user or an address.
package metrics
