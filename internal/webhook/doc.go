// Package webhook speaks to a backend over HTTP: a [Sender] tells it what happens, an [Asker] asks it what to do. Both sign
// what they send as Standard Webhooks (standardwebhooks.com) has it, so that a receiver can check it with a library of
// theirs, or in ten lines; [Verify] does it in Go.
//
// URLs are the operator's word, never a client's: private addresses, where backends live, are not refused. Link-local
// addresses are, where clouds keep the credentials of the machine: see [NewTransport]. Redirects are not followed, so that no
// answer can send a request elsewhere.
//
// What is sent is in [Event] and [Question]. The types of the events, their data, the kinds of questions and the answers to
// them are in this package too; docs/webhooks.md tells backends about them.
package webhook
