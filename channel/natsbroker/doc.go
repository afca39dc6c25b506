// Package natsbroker has the channels of many processes share one log, in NATS JetStream: it is the [channel.Broker] behind
// `baro serve --cluster` and `--nats`.
//
//	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.FlusherTimeout(5*time.Second))
//	broker, err := natsbroker.Open(ctx, nc, &natsbroker.Options{Replicas: 3})
//	hub := channel.NewHub(&channel.Options{Broker: broker})
//
// It works with the server of NATS from 2.9 on, embedded in the process or not, alone or in a cluster.
//
// # What is promised
//
// A message is acknowledged when JetStream has acknowledged it: when most of [Options.Replicas] servers have it. All of a channel are in
// one order, the same for all, with offsets that have no gap: each record is put after the one that its writer knows to be the
// last, and refused where it is not (Nats-Expected-Last-Subject-Sequence); then it is put after that.
//
// A server writes to its files at once, and has the system bring them to the disk every two minutes, unless its
// sync_interval says otherwise. So kill -9 of a server loses nothing, of Baro's process neither. A power loss may lose what one server
// alone has acknowledged for up to that long; of three it has to hit two at once. "sync_interval: always" (in Go
// server.Options.SyncAlways) closes that, at the price of an fsync for each record.
//
// Where no acknowledgement comes within a second the same record is sent again: it names what it is put after, and cannot be there
// twice. After [Options.Timeout] the publisher is told: that it is not there ([ErrAway]), or, if it may be, that as well
// (channel.ErrUncertain). A right that is missing is named ([ErrDenied]). Whoever publishes again with the same key has it there once: NATS knows the keys of the last
// channel.KeyAge (Nats-Msg-Id), whichever process they came from. What waits is bounded in bytes ([ErrBusy]).
// A duplicate's place is told as long as the first message is in the stream.
//
// Followers hear what the stream publishes again, by interest: a server of NATS sends a process only the channels that it
// follows. That may lose messages. Offsets show it, and what was missed is read from the stream, in order, before what comes after
// it; where it is not there any more the hub is told that it is lost. Without a later message the loss is found when the connection
// comes back, the stream gets another leader or does not answer for a moment, the process took messages too slowly,
// or by comparing each followed channel with the stream every [Options.VerifyEvery].
//
// A channel begins anew, with another epoch, where its last record is gone: purged by somebody, or forgotten, [Options.Remember] after
// the last of its messages was past its age. While somebody follows it, records without messages keep it from that.
//
// Where NATS has forgotten what it had acknowledged, after a power loss for instance, offsets would be given away twice. Whoever knows
// more than the stream, since it published that or was handed it, has the channel begin anew; those who follow are told that something
// is lost. What nobody knows who is still there cannot be noticed: if all processes that knew the lost messages end with the
// server, a client may be given others at offsets it has seen.
//
// # Round trips
//
// To append takes one round trip to the leader of the stream where the channel's end is known: to whoever follows the channel, or has
// appended to it ([Options.MaxTopics]); else two. What comes for one channel while a record is on its way goes into the next one together, up to
// 1024 messages or 256 KiB, but of those with keys one in each record. Records of up to 1024 channels are on their way at once.
//
// Several processes that publish in one channel take turns by chance: whoever was second learns of the first, waits a random time
// and tries again.
//
// # On the wire
//
// One stream, PREFIX_CHANNELS in capitals, on files. A channel is the subject prefix.p.NAME, where NAME is its name in base64 (RFC 4648
// section 5, without padding); the stream publishes again to prefix.r.NAME. MaxMsgsPerSubject is 1024 or the largest count of the rules,
// whichever is more, rounded up to a power of two; it grows when a rule needs it, and never shrinks by itself. What a
// channel's rule does not keep is purged now and then by those who append, so that at most about twice as much is there. Each record has a time
// to live (Nats-TTL: its rule's age and [Options.Remember]; none where the last message is kept whatever its age). Servers before 2.11 do
// not know that: there the stream has an age, the longest of all, and none as soon as one rule keeps the last message; then
// Options.MaxBytes bounds what channels that nobody uses any more take.
//
// A record, which is one message of the stream, is binary, numbers as varints (encoding/binary), words and data with their length before
// them:
//
//	version   a byte, 1
//	id        8 bytes, random, by which the writer knows its record again
//	epoch     word
//	first     offset of the first message; without any, of the next
//	total     bytes of the messages before it, as the hub counts them
//	ttl       seconds; 0: no end
//	time      of publishing, by the clock of NATS as its writer knows it, nanoseconds since 1970, signed; it never goes backwards in a channel
//	marks     3 × sequence and offset of the newest record before it that has an offset which is a multiple of 64, 512, 4096: by
//	          them an old offset is found in a few steps
//	count     of the messages, and for each: a byte of flags (1 binary, 2 not for its sender, 4 id, 8 event, 16 user, 32 key,
//	          64 sender), the words that the flags say, the data
//
// A message of 100 bytes alone, in a channel with a short name, takes about 260 bytes in the stream on each server: the record is 145, of which
// 45 are before the message, the headers are about 70, the rest is JetStream's own. Of many in one record each takes 102. Followers are
// sent about 150 bytes more with each record, since NATS adds headers.
//
// # What comes from elsewhere
//
// Records are checked like the requests of clients: versions, lengths, words, UTF-8. What is none is skipped, counted ([Stats]) and
// logged once a minute; if it is the last of a channel, that is gone on from nevertheless. So are copies of records, which do not say what they
// were put after, or say it of another place, and then the stream refuses them. Who may publish to prefix.p.* can put anything there in the form of
// a record, and who may publish to prefix.r.* can deceive followers: give those rights to Baro alone. It needs to publish to prefix.p.*,
// to subscribe to prefix.r.* and _INBOX.>, and of JetStream's API STREAM.INFO, STREAM.CREATE, STREAM.UPDATE, STREAM.PURGE,
// STREAM.MSG.GET and DIRECT.GET of its stream.
//
// Server and client have a bound of their own, max_payload (1 MiB): longer messages are [ErrTooLarge], and so is what is longer than
// 31 MiB, with which JetStream would damage its files.
package natsbroker
