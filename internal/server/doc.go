// Package server is the stand-alone server, put together: channels over HTTP, the web console, listeners, limits, drain.
//
// A channel is one URL, /c/NAME. The name is everything after /c/, percent-decoded once: /c/rooms/42 and /c/rooms%2F42
// are the channel "rooms/42". [channel.ValidateName] says what a name may be. The request chooses the transport:
//
//	POST /c/NAME                                 publish the body
//	GET  /c/NAME                                 poll: what there is, as JSON
//	GET  /c/NAME?wait=30s                        long poll: the same, but wait for something to be there
//	GET  /c/NAME  Accept: text/event-stream      stream of server-sent events
//	GET  /c/NAME  Accept: application/x-ndjson   stream of JSON lines
//	GET  /c/NAME  Upgrade: websocket             WebSocket
//
// # Where a reader begins
//
// The query parameter after says what a reader has seen: after=EPOCH:OFFSET, or after=OFFSET with epoch=EPOCH; an offset
// without an epoch is taken on trust of those who may read the history. after=oldest begins with the oldest message kept, after=now with the next
// one. Without after, polls begin with the oldest message and streams and WebSockets with the next one. A position whose
// messages cannot be had is answered with 410 and the code not_recoverable (an event stream says so by an event, see
// below), never with a part of the messages. The header Baro-Position has the position that a stream starts at, or the
// one to go on from after a poll; the answer that opens a WebSocket has none.
//
// # Publishing
//
// Bodies of the types text/*, application/json, application/*+json and application/x-www-form-urlencoded (what curl -d
// says of anything) are text and must be UTF-8. Bodies of other types are binary; without a type, a body is text if
// it is UTF-8. The query parameters event and id give the message an event name and an id. The answer has its place:
//
//	{"offset":17,"epoch":"4QJK…","id":"4QJK…:17"}
//
// # Polling
//
// The answer has the messages in envelopes (see package [channel]), and in next what to pass as after the next time:
//
//	{"messages":[{"offset":17,…}],"epoch":"4QJK…","offset":17,"next":"4QJK…:17"}
//
// An answer has about 1 MiB of data at most; the rest is there for the next poll. A long poll that has nothing to
// answer with after wait (30s, or seconds without a unit; 60 s at most) has no messages, and a next all the same.
//
// # Event streams
//
// A message is an event with its position as id, so that browsers recover by Last-Event-ID on their own. Its event name
// is that of the message; binary data is in base64, and the event name then ends in ";base64" ("message;base64" for a
// message without one). Line breaks of every kind arrive as LF, as the format has it. With format=json the data is the
// envelope instead, and the event name is left out. A comment comes every 25 seconds when nothing else does. Where what was missed
// cannot be had, the first event is "baro.reset", with the position that the stream begins at instead:
//
//	event: baro.reset
//	data: {"epoch":"4QJK…","offset":17}
//
// # JSON lines
//
// A line is the envelope of a message. An empty line comes every 25 seconds when nothing else does; readers skip it.
//
// # WebSocket
//
// A frame is a message, text or binary, with nothing around it: what the client sends is published, and comes back to it
// like to everybody else. With the subprotocol baro.v1.json a message is an envelope in a text frame, and the client
// publishes one with data or base64, and event, id and key as wanted; a mistake is answered with an error as below, in a frame.
//
// A plain frame has no offset. Whoever wants to recover over plain frames takes the position from elsewhere, a poll for
// instance, or uses baro.v1.json.
//
// Where what was missed cannot be had, the connection is closed with code 4410. With envelopes it goes on instead, after a
// first frame that says where:
//
//	{"event":"baro.reset","epoch":"4QJK…","offset":17,"next":"4QJK…:17"}
//
// A client that is too slow is closed with 1008, a message too large with 1009; 1001 says that the server stops, 1013
// that it has as many channels as it may.
//
// # The API for backends
//
// Below /api/v1/ backends publish, ask who is there, and call devices, with an API key: /api/v1/openapi.json describes it.
//
// # Many channels at once
//
// /ws is a WebSocket for all channels of a client, with commands and replies in JSON (docs/ws-protocol.md), and /socket.io/ the same
// by the events of Socket.IO (docs/socketio.md). Both are a [clients.Multiplexer] over commands, which is what they have in
// common: visitor is a client of the one, guest of the other.
//
// # Errors
//
// Errors are JSON, with a code for programs, a number that says whether to try again (1000 to 1499) or not (1500 to 1999),
// and a message for people:
//
//	{"error":{"code":"invalid_name","number":1500,"message":"channel name: it is empty"}}
//
// A WebSocket handshake that is malformed, or for another version, is refused in plain text.
//
// # Who may
//
// Requests from pages of another origin are refused, unless the origin is on the list. The API is for no page of another origin.
package server
