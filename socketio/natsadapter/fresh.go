package natsadapter

import (
	"context"
	"sync"
	"sync/atomic"
)

// fresh is the rooms that sockets of other servers may have been put into just now, by this one. A server that has had nobody in such a
// room does not hear of it before it has done what it was told: until all have, what is for the room goes to all, behind that.
// So io.In(id).SocketsJoin("room") and then io.To("room").Emit("news") is what it looks like.
type fresh struct {
	adapter *adapter
	some    atomic.Bool

	mu    sync.Mutex
	rooms map[string]uint64 // when they were added
	now   uint64
	full  uint64 // when there were too many to be noted
	runs  bool
}

// maxFresh is how many rooms are noted; with more all are fresh.
const maxFresh = 10_000

func (f *fresh) add(rooms []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now++
	f.some.Store(true)
	for _, room := range rooms {
		if len(f.rooms) < maxFresh {
			f.rooms[room] = f.now
		} else {
			f.full = f.now
		}
	}
	if !f.runs {
		f.runs = true
		go f.settle()
	}
}

// any reports whether any of some rooms is fresh.
func (f *fresh) any(rooms []string) bool {
	if !f.some.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full > 0 {
		return true
	}
	for _, room := range rooms {
		if _, ok := f.rooms[room]; ok {
			return true
		}
	}
	return false
}

// settle waits until the others have done what they were told, and begins again if they were told more meanwhile.
func (f *fresh) settle() {
	for {
		f.mu.Lock()
		now := f.now
		f.mu.Unlock()
		// Whoever does not answer in time is as good as dead: it is in no worse a place than who joins a room by itself.
		_ = f.adapter.cluster.pass(context.Background(), f.adapter.word)
		f.mu.Lock()
		for room, at := range f.rooms {
			if at <= now {
				delete(f.rooms, room)
			}
		}
		if f.full <= now {
			f.full = 0
		}
		if len(f.rooms) == 0 && f.full == 0 {
			f.runs = false
			f.some.Store(false)
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
	}
}
