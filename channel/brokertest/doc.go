// Package brokertest has what every [channel.Broker] is held to, as tests that a broker's own tests run by [Run], and a broker in
// memory for tests of what uses one, whose faults the test makes: [Log].
package brokertest
