package clients

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"baro.dev/internal/auth"
)

// Shelf keeps small things beyond the life of this server, for all of a cluster: see package cluster.
type Shelf interface {
	Put(ctx context.Context, shelf, key string, value []byte, ttl time.Duration) error
	List(ctx context.Context, shelf string) (map[string][]byte, error)
	Take(ctx context.Context, shelf, key string) ([]byte, bool, error)
}

// Calls that are held in a cluster are on a shelf, so that they survive the server that took them, and are given to the device by
// whichever it comes to:
//
//   - shelfUsers has the users for whom something is held, so that nobody is asked for at each connection;
//   - shelfHeld, and the user, has the calls, until one server takes each of them;
//   - shelfAsked has those that a server takes, and hands over, until the device has answered: where the server dies they are held
//     again, by another one. Each server has keys of its own there, so that several may try to take one call;
//   - shelfStates, and the call, has what has come of it.
const (
	shelfUsers  = "held"
	shelfHeld   = "held/"
	shelfAsked  = "asked"
	shelfStates = "call/"
	keyState    = "state"
)

const (
	// shelfWithin is how long the shelf may take.
	shelfWithin = 5 * time.Second
	// shelfAgain is after what time it is asked again, at least, for a user whose calls could not be had.
	shelfAgain = time.Second
	// shelfLonger is how much longer than until its end a call is on the shelf: whoever has put it there tells of its end.
	shelfLonger = time.Minute
	// maxWaitingUsers is how many users are known for whom calls are held. Beyond it the shelf is asked for each who comes.
	maxWaitingUsers = 100_000
	// maxTimers is the end of how many calls is told by an event when it comes. That of others is known to who asks.
	maxTimers = 1_000_000
)

// shelved is what this server knows of the shelf.
type shelved struct {
	mu     sync.Mutex
	users  map[string]struct{} // for whom calls may be held
	known  bool                // users are all there are
	timers map[string]*time.Timer
	// giving has the users who are handed what is held for them at the moment; true: what may have come meanwhile, too.
	giving  map[string]bool
	given   chan struct{} // closed when one of them is not any more; nil: nobody waits for that
	stopped bool
	work    sync.WaitGroup
}

// record is a call on the shelf.
type record struct {
	Call    Call          `json:"call"`
	User    string        `json:"user"`
	Timeout time.Duration `json:"timeout"`
	Until   time.Time     `json:"until"`
	Came    time.Time     `json:"came"`
	Number  uint64        `json:"number"` // of those that came to one server at one time
	Node    string        `json:"node"`   // that has put it there
}

// asked is the key of a record on shelfAsked.
func (k *record) asked() string { return k.Call.ID + "." + k.Node }

// valid says whether a record makes sense: another version, or somebody else, may have written it.
func (r *Registry) valid(k *record, user string) bool {
	return k.Call.ID != "" && len(k.Call.ID) <= 64 && k.User == user && user != "" && k.Call.Method != "" && len(k.Call.Method) <= maxMethodBytes &&
		len(k.Call.Data) <= r.config.MaxCallBytes && k.Timeout > 0 && k.Timeout <= r.config.MaxHold && time.Until(k.Until) <= r.config.MaxHold+shelfLonger
}

func (r *Registry) recordOf(k *call) record {
	return record{
		Call: Call{ID: k.ID, Method: k.Method, Data: k.Data}, User: k.user, Timeout: k.timeout, Until: k.until, Came: k.came, Number: k.number,
		Node: r.config.Elsewhere.Node(),
	}
}

// ahead is by how much the clock of what is on the shelf is ahead of the one here, which is that of a record here.
func (r *Registry) ahead() time.Duration { return time.Until(r.config.ShelfNow()) }

// encode is a record as it is on the shelf.
func (r *Registry) encode(k record) ([]byte, error) {
	ahead := r.ahead()
	k.Until, k.Came = k.Until.Add(ahead), k.Came.Add(ahead)
	return json.Marshal(k)
}

// decode reads a record of the shelf; false where it is none.
func (r *Registry) decode(text []byte, k *record) bool {
	if json.Unmarshal(text, k) != nil {
		return false
	}
	ahead := r.ahead()
	k.Until, k.Came = k.Until.Add(-ahead), k.Came.Add(-ahead)
	return true
}

// shelve has a call wait for its user on the shelf. This server forgets it, but for its end.
func (r *Registry) shelve(ctx context.Context, k record) error {
	ctx, cancel := context.WithTimeout(ctx, shelfWithin)
	defer cancel()
	held, err := r.config.Shelf.List(ctx, shelfHeld+k.User)
	if err != nil {
		return r.shelfFailed("list", err)
	}
	if _, again := held[k.Call.ID]; len(held) >= r.config.MaxHeld && !again {
		return ErrCalls.With("too many calls are held for the user " + k.User)
	}
	ttl := time.Until(k.Until) + shelfLonger
	text, err := r.encode(k)
	if err != nil {
		return err
	}
	state := Answer{Call: k.Call.ID, State: Held, User: k.User}
	// Who comes between two of these looks for it, or is told by the last.
	if err := r.putState(ctx, state, k.Until, ttl); err != nil {
		return err
	}
	if err := r.config.Shelf.Put(ctx, shelfHeld+k.User, k.Call.ID, text, ttl); err != nil {
		return r.shelfFailed("put", err)
	}
	if err := r.config.Shelf.Put(ctx, shelfUsers, k.User, []byte("1"), ttl); err != nil {
		return r.shelfFailed("put", err)
	}
	r.endLater(k)
	r.config.Elsewhere.Waiting(k.User)
	r.Waiting(k.User)
	return nil
}

func (r *Registry) shelfFailed(what string, err error) error {
	r.config.Log.Warn("held calls: the cluster does not keep anything", "operation", what, "error", err)
	return ErrCluster
}

// callState is what is kept of what has come of a call.
type callState struct {
	Answer
	Until time.Time `json:"until,omitzero"` // of a call that is held
}

func (r *Registry) putState(ctx context.Context, a Answer, until time.Time, ttl time.Duration) error {
	if !until.IsZero() {
		until = until.Add(r.ahead())
	}
	text, err := json.Marshal(callState{a, until})
	if err == nil {
		err = r.config.Shelf.Put(ctx, shelfStates+a.Call, keyState, text, ttl)
	}
	if err != nil {
		return r.shelfFailed("put", err)
	}
	return nil
}

// endLater tells of the end of a call for which nobody has come.
func (r *Registry) endLater(k record) {
	s := &r.shelved
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(s.timers) >= maxTimers {
		return
	}
	if s.timers == nil {
		s.timers = map[string]*time.Timer{}
	}
	if t := s.timers[k.Call.ID]; t != nil {
		t.Stop()
	}
	s.timers[k.Call.ID] = time.AfterFunc(time.Until(k.Until), func() {
		s.mu.Lock()
		delete(s.timers, k.Call.ID)
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), shelfWithin)
		defer cancel()
		if _, mine, err := r.config.Shelf.Take(ctx, shelfHeld+k.User, k.Call.ID); err != nil || !mine {
			return // it was delivered, or is by another server's word
		}
		a := Answer{Call: k.Call.ID, User: k.User, State: Failed, Error: refused(ErrTimeout)}
		_ = r.putState(ctx, a, time.Time{}, keepAnswer)
		r.config.Notify(TypeCallAnswered, a)
	})
}

// Waiting says that a call is held for a user, by this server or another: if the user is here, it is delivered.
func (r *Registry) Waiting(user string) {
	if auth.ValidateUser(user) != nil {
		return
	}
	s := &r.shelved
	s.mu.Lock()
	if s.users == nil {
		s.users = map[string]struct{}{}
	}
	if len(s.users) < maxWaitingUsers {
		s.users[user] = struct{}{}
	} else {
		s.known = false
	}
	s.mu.Unlock()
	for _, c := range slices.Backward(r.OfUser(user)) {
		if c.many() != nil {
			r.deliverShelved(c)
			return
		}
	}
}

// LookAtShelf learns for whom calls are held, at the beginning and whenever this server may not have been told; and has those held again
// whose server is not there any more.
func (r *Registry) LookAtShelf(ctx context.Context) error {
	if r.config.Shelf == nil {
		return nil
	}
	all, err := r.config.Shelf.List(ctx, shelfUsers)
	if err != nil {
		return err
	}
	s := &r.shelved
	s.mu.Lock()
	if s.users == nil {
		s.users = map[string]struct{}{}
	}
	for user := range all {
		if len(s.users) >= maxWaitingUsers {
			break
		}
		if auth.ValidateUser(user) == nil {
			s.users[strings.Clone(user)] = struct{}{}
		}
	}
	s.known = len(s.users) < maxWaitingUsers
	s.mu.Unlock()
	for user := range all {
		for _, c := range slices.Backward(r.OfUser(user)) {
			if c.many() != nil {
				r.deliverShelved(c)
				break
			}
		}
	}
	return r.holdAgain(ctx)
}

// mayWait says whether calls may be held for a user.
func (r *Registry) mayWait(user string) bool {
	s := &r.shelved
	s.mu.Lock()
	defer s.mu.Unlock()
	_, listed := s.users[user]
	return listed || !s.known
}

// later has something done that waits for the shelf. What comes before Stop it waits for.
func (r *Registry) later(f func()) {
	s := &r.shelved
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		go f()
		return
	}
	s.work.Go(f)
}

// settle keeps what has come of a call that could be held, for those who ask another server.
func (r *Registry) settle(k *call, a Answer) {
	ctx, cancel := context.WithTimeout(context.Background(), shelfWithin)
	defer cancel()
	_ = r.putState(ctx, a, time.Time{}, keepAnswer)
	if k.taken != "" {
		if _, _, err := r.config.Shelf.Take(ctx, shelfAsked, k.taken); err != nil {
			r.config.Log.Warn("held calls: one that was answered may be asked again", "call", k.ID, "error", err)
		}
	}
}

// shelvedState is what the cluster knows of a call.
func (r *Registry) shelvedState(ctx context.Context, id string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, shelfWithin)
	defer cancel()
	found, err := r.config.Shelf.List(ctx, shelfStates+id)
	if err != nil {
		return Answer{}, r.shelfFailed("list", err)
	}
	var s callState
	if text, ok := found[keyState]; !ok || json.Unmarshal(text, &s) != nil || s.Call != id {
		return Answer{}, ErrNotFound.With("there is no such call")
	}
	if s.State == Held && r.config.ShelfNow().After(s.Until) { // and the server is gone that would have told of its end
		s.State, s.Error = Failed, refused(ErrTimeout)
	}
	return s.Answer, nil
}

// stopShelf ends what waits for the end of calls that are held: another server has them until then.
func (r *Registry) stopShelf() {
	s := &r.shelved
	s.mu.Lock()
	s.stopped = true
	for _, t := range s.timers {
		t.Stop()
	}
	s.timers = nil
	s.mu.Unlock()
	s.work.Wait()
}

// ended says that a call is over, or was taken: its end needs no timer.
func (s *shelved) ended(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.timers[id]; t != nil {
		t.Stop()
		delete(s.timers, id)
	}
}
