// Package webhook speaks to a backend over HTTP: a [Sender] tells it what happens, an [Asker] asks it what to do. Both sign
// what they send as Standard Webhooks (standardwebhooks.com) has it, so that a receiver can check it with a library of
// theirs, or in ten lines; [Verify] does it in Go.
//
// URLs are the operator's word, never a client's: private addresses, where backends live, are not refused. Link-local
// addresses are, where clouds keep the credentials of the machine: see [NewTransport]. Redirects are not followed, so that no
// answer can send a request elsewhere.
//
// What events and questions say is no business of this package: package clients has it, and docs/webhooks.md tells backends.
package webhook
