// Package channel is the part of Baro that knows what was said where, and nothing of how it travels.
//
// A [Hub] holds named channels. [Hub.Publish] puts a [Message] into one: the message gets the next offset of the
// channel, is kept in the channel's history, and is handed to every subscriber. A transport, be it a WebSocket, an event
// stream or a poll, is a reader of a channel and gets the same messages in the same order as any other:
//
//   - pushed: [Hub.Subscribe] has a [Subscriber] called with each message, for transports that hold a connection;
//   - pulled: [Hub.Read] answers with what there is, and [Hub.Wait] waits for something to be there, for those that poll.
//
// # Positions
//
// The messages of a channel are numbered from 1. A channel lives from its first use until it has been idle (see below), or
// for as long as a store knows it; each life has an epoch, a random word, and numbers its messages anew. Epoch and offset together are a [Position]. A reader that
// comes back with the position of the last message it saw gets exactly what it missed, or the plain fact that it cannot
// be had ([ErrNotRecoverable]); it never gets a part.
//
// # What is bounded
//
// The history of a channel is bounded by count, bytes and age, all channels together by number and bytes ([Options]). A
// channel that has no readers and has not been published to for the age of the history vanishes. When there are too many
// channels, or their history takes too much room, those that were idle for longest go first.
//
// # Concurrency
//
// Everything may be called from any goroutine, except where [Subscriber] says otherwise. Publishing starts no goroutine,
// and waits for no reader.
package channel
