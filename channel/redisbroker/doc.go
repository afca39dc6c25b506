// Package redisbroker has the hubs of many processes share their channels, over Redis: it is the [channel.Broker] behind
// `baro serve --redis`.
//
//	broker, err := redisbroker.Open(&redis.UniversalOptions{Addrs: []string{"redis:6379"}}, nil)
//	hub := channel.NewHub(&channel.Options{Broker: broker})
//
// One Redis, one with Sentinels and Redis Cluster will do, from version 6.2 on; a cluster needs 7, for its sharded Pub/Sub, or
// [Options.Unsharded]. Brokers with another [Options.Prefix] do not meet; each database has its own channels, too.
//
// # What is promised
//
// A message has its place, is kept, and is handed to those who follow the channel by one script, which Redis runs as a whole: all see
// the same messages in the same order. Append does not wait: what is published in a channel while a batch of it is under way
// goes into the next, and the batches of many channels go in one pipeline. A message with a key is there once, whoever tries how
// often. Commands are never repeated by themselves, unless Redis says that it has not taken them: where the connection is lost
// after a batch was sent, its publishers are told that nobody knows (channel.ErrUncertain), and what they send again with the same key
// is there once.
//
// What comes by Pub/Sub is handed on where it is the next message. Anything else, a gap, another epoch, a connection that was lost,
// only has the log be asked, and what is missing read from it; where it is not kept any more, or the channel has begun anew, the
// feed is told that something is lost. All channels that are followed are compared with the log now and then
// ([Options.CheckEvery]), so that what was lost without a word is noticed.
//
// While a slot of a cluster is on its way to another master, Redis refuses scripts with keys in it: those who publish in its channels
// wait, and fail with [ErrAway] where that takes longer than [Options.Timeout].
//
// # What an acknowledgement means
//
// A message that was acknowledged is in the memory of the master of its channel. What it outlives is Redis's configuration:
//
//   - appendonly yes with appendfsync everysec: the end of the Redis process, in whatever way; a power failure may take the
//     last second. With appendfsync always not even that. Without appendonly all since the last snapshot is gone when Redis ends.
//   - replicas: they follow a moment later. When one takes over it may lack the last messages. [Options.Replicas] has
//     each pipeline wait until so many have it, before it is acknowledged.
//   - maxmemory-policy must be noeviction: others drop channels when memory is short. What is wrong is logged when Redis is there,
//     where CONFIG GET is permitted.
//
// # Epochs do not lie
//
// A channel whose keys are gone, because Redis restarted with nothing, or nobody used it for [Options.Remember], begins with another
// epoch. Where Redis has forgotten only the last messages that it had acknowledged, it would give their offsets away again under
// the same epoch. So every message has the tag of its batch, a random one, and every broker knows the offset and the tag of the
// newest message that it has published or handed to a feed: it sends them along with what it publishes and asks. Where Redis is behind
// that, or has another message at that offset, the script gives the channel another epoch; what it has kept stays, and all feeds
// are told. What nobody knows who is still there cannot be noticed: if all
// processes that knew the lost messages end with the master, a client may be given others at offsets it has seen. Of a channel that it
// does not follow a broker forgets what it knows when it has published nothing there for ten minutes.
//
// # What is in Redis
//
// Names of channels have %, { and } replaced by %25, %7B and %7D, and are the hash tag, so that everything of a channel is in one
// slot. Numbers are big-endian. P is the prefix, N the name:
//
//	P"c:{"N"}:m"  string: version 1, epoch (13 letters), offset, bytes published, bytes at the last trimming, time of it (µs), tag (8)
//	P"c:{"N"}:l"  list: the messages, oldest first
//	P"c:{"N"}:k"  hash: of each idempotency key the time, offset, epoch and id of its message
//	P"c:{"N"}:o"  list: those keys with their time, oldest first
//	P"c:{"N"}:n"  string: the newest message, where the rules keep the last
//
// A message is: version 1, offset, time (µs since 1970, by Redis's clock), bytes published up to its end, tag (8); then a byte of
// flags, id, event, user, key and sender, as far as they are there, each after its length as a varint, and the data. On
// P"p"DB":{"N"}" (DB is the number of the database) is published: version 1, epoch, and each message of a batch after its length in
// four bytes.
//
// The list is trimmed by count, bytes and age, a little later than it might be. All keys expire: the list after the age of what is in
// it, the meta after that or [Options.Remember], unless somebody follows the channel; for good stay only the meta and the newest
// message where rules keep the last.
//
// Everything that comes from Redis is checked. What no broker wrote is skipped, counted ([Stats]) and logged once a minute; keys of
// another type are removed; nothing longer than [Options.MaxMessageBytes] is read into memory. Who can publish on Redis's
// channels with a right epoch, offset and form is believed: give the brokers a user of their own (ACL: ~P*, &P*, +@all or the commands of
// the scripts).
//
// # Bounds
//
// What waits for Redis is bounded in bytes and time ([ErrBusy], [ErrAway]). Batches have up to 128 messages and 256 KiB, pipelines
// 256 batches and about 1 MiB. An idle channel costs nothing here; a followed one its subscription.
package redisbroker
