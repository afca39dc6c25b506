// Package diskstore keeps the messages of channels on disk: it is the [channel.Store] behind `baro serve --data`.
//
//	store, err := diskstore.Open("/var/lib/baro", nil)
//	hub := channel.NewHub(&channel.Options{Store: store})
//
// One process has a directory open at a time; the next one is told which ([ErrLocked]).
//
// # What is promised
//
// What was acknowledged is there after the process ended, in whatever way. By default every commit is followed by an
// fsync, and it is there after a power loss, too; with [Options.NoSync] it may not be. What comes while a commit is under
// way goes into the next one together, so that many publishers cost hardly more than one; what waits is bounded
// ([Options.MaxQueueBytes]), and beyond that publishers are told so ([ErrBusy]).
//
// Where the disk is full, publishers are told, readers are served, and the store goes on when there is room again. Trimming
// is part of the commit that makes it necessary. Channels of which every message is past its age are forgotten by a
// sweep. A clock that is set back makes messages stay for at most their age, counted from then.
//
// # Damage
//
// Every record has a checksum, and [Open] reads the whole file before it trusts it (some seconds for a gigabyte). If
// anything is wrong with it, what can be read is copied into a new file, the damaged one is kept as
// channels.db.damaged-TIME, and the logger is told what was dropped:
//
//   - a message that cannot be read, and with it those of its channel that are older: there are never gaps;
//   - a channel of which nothing can be read. Where it cannot be said what the newest message of a channel was, what is left
//     of it gets a new epoch, so that readers are told that they cannot recover, instead of missing something.
//
// The same holds for a record that turns out to be damaged while the store is in use. If the file itself does (it was cut
// short, the disk cannot read it), nothing is saved any more ([ErrDamaged]) until the store is opened again.
//
// # Why bbolt
//
// The file is one of bbolt (go.etcd.io/bbolt): a copy-on-write B+ tree, kept by the etcd project, which depends on nothing
// else. A transaction is its pages and then, in one sector, the page that makes them count: there is no log to replay and
// nothing that a kill -9 leaves half done; pages that are free are used again. Considered were:
//
//   - Pebble and Badger, log-structured: faster for writes all over, but channels append in a few places; they are
//     dozens of packages, run compactions in the background, and deleting, which is half of what this store does,
//     gives room back late;
//   - SQLite in Go (modernc.org/sqlite): as sturdy, but machine-translated, some megabytes of program, and a
//     language where keys and values are enough;
//   - the file store of NATS JetStream: made for this, but not to be had without the server, and a directory for each
//     stream where here are a hundred thousand channels;
//   - a log of our own: fewer bytes for each commit, but the giving back of room and the index would be ours to prove.
//
// What bbolt does not do is to survive a damaged file: it panics, and reads memory that is not there. So it never sees one:
// this package reads the file by itself first.
package diskstore
