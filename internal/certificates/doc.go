// Package certificates owns what a server's TLS is made of: the certificate that it shows, and the authorities whose certificates
// clients may show. [Keeper.TLSConfig] is for TCP and QUIC alike.
//
// What comes from files is read anew when they change. What is wrong then (garbage, a key of another certificate, one that has
// expired) is told once, and what was there before stays in use.
//
// # Concurrency
//
// Everything may be called from any goroutine. Handshakes read what is in use by an atomic pointer; a mutex of each set of files
// has one reload at a time. [Keeper.Start] begins one goroutine, which [Keeper.Close] ends.
package certificates
