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
// for as long as a store, or a broker, knows it; each life has an epoch, a random word, and numbers its messages anew. Epoch and offset together are a [Position]. A reader that
// comes back with the position of the last message it saw gets exactly what it missed, or the plain fact that it cannot
// be had ([ErrNotRecoverable]); it never gets a part.
//
// # Rules
//
// What holds for a channel is its [Settings]: those of the first [Rule] whose [Pattern] matches its name, else those of
// [Options]. Rules can be replaced at any time.
//
// # Who is there
//
// Who subscribes with an identity ([Hub.Join]) is a [Member] of the channel: it is counted, by connection and by user
// ([Hub.Presence]), where the settings say so others are told when it comes and goes ([PresenceSubscriber]), and what it
// publishes can be kept from coming back to it ([Message.Exclude], [Settings.NoEcho]).
//
// # Once
//
// A publisher that does not know whether a message got through publishes it again with the same [Message.Key]: within
// [KeyAge] it is published once, and the publisher gets the position of the first.
//
// # What outlives the process
//
// With a [Store] a message is published when it is saved, and not before: no subscriber sees and no publisher is told of a
// message that the end of the process could take back. Where saving fails the publisher gets [ErrStore], and nobody else
// notices. The newest messages of a channel are in memory, too, the older ones are read from the store where a reader
// asks for them; a channel that vanishes from memory has lost nothing. Publishers that come at the same time are saved
// together, and those of one channel do not wait for those of another.
//
// # Many processes
//
// With a [Broker] a channel is that of all hubs that share it: the broker gives each message its place, and feeds it to the hubs
// where the channel is read. A channel is followed while it is used, and for half a minute more; publishing alone follows nothing.
// What was published by a hub it shows at once, unless others have published before that and the feed is yet to bring it. A reader that
// has seen more than the hub to which it comes waits until that has caught up. When the broker has lost messages those who read the
// channel are told ([LostSubscriber]).
//
// With [Peers], members are those of all hubs: the same connection, or the same user, on two of them is there once.
//
// # What is bounded
//
// The history of a channel is bounded by count, bytes and age, all channels together by number and bytes ([Options]). A
// channel that has no readers and has not been published to for the age of the history vanishes, unless it keeps its last
// message. When there are too many channels, or their history takes too much room, those that were idle for longest go
// first. A channel remembers up to [MaxKeys] idempotency keys.
//
// # Concurrency
//
// Everything may be called from any goroutine, except where [Subscriber] says otherwise. Publishing starts no goroutine,
// and waits for no reader, but for the store or the broker. Telling of a member that left takes a goroutine for that moment.
package channel
