// Package embedded is a NATS server inside the process, with JetStream, that forms a cluster with those of other processes.
// Nobody reaches it but this process, by [Server.Connect], and its peers, which know the same secret.
package embedded
