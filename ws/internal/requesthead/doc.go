// Package requesthead reads just enough HTTP/1.1 to see a WebSocket upgrade, without I/O, for the front door of an event
// loop.
//
// It decides nothing that net/http would decide otherwise. What is plainly a well-formed request for an upgrade becomes
// the very [net/http.Request] that net/http would hand to its handler; everything else, a refusal included, is left to
// net/http: the bytes are handed over as they came, and answered with its own strictness. Where in doubt this package
// says [Other], which costs time and nothing else. So it takes less than net/http does: no bare LF, no tab, no header
// that changes how a message is framed or answered, no Connection: close, no head beyond [MaxLen] bytes.
//
// A front door asks a [Scanner], as the bytes come, where the head of the request ends, and then [Parse] for the request:
//
//	switch outcome, n := c.scanner.Scan(p); outcome {
//	case requesthead.Incomplete: // keep p, read more
//	case requesthead.Complete:
//		r := requesthead.Parse(ctx, p[:n]) // nil: hand over p
//	case requesthead.Other: // hand over p
//	}
//
// Whether the handshake is valid (its version, its key, its origin) is not looked at.
package requesthead
