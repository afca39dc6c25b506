package clients

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// deliverShelved asks a client what is on the shelf for its user, in the order in which it came there; in the background, for each user
// once at a time.
func (r *Registry) deliverShelved(c *Client) {
	user := c.Identity().User
	if !r.mayWait(user) {
		return
	}
	s := &r.shelved
	s.mu.Lock()
	_, giving := s.giving[user]
	if s.giving == nil {
		s.giving = map[string]bool{}
	}
	s.giving[user] = giving
	s.mu.Unlock()
	if giving {
		return
	}
	r.later(func() {
		for c != nil {
			r.giveShelved(c, user)
			c = r.giveAgain(user)
		}
	})
}

func (r *Registry) giveShelved(c *Client, user string) {
	ctx, cancel := context.WithTimeout(context.Background(), shelfWithin)
	defer cancel()
	if err := r.takeShelved(ctx, c, user); err != nil {
		r.config.Log.Warn("held calls: what the cluster keeps cannot be had", "error", err)
		time.AfterFunc(shelfAgain+rand.N(shelfAgain), func() { r.Waiting(user) }) // if he is still here
	}
}

// giveAgain says who is to be handed what has come meanwhile; nil: nothing has, or nobody is there.
func (r *Registry) giveAgain(user string) *Client {
	s := &r.shelved
	for s.again(user) {
		for _, c := range slices.Backward(r.OfUser(user)) { // who came before it was said that there is more
			if c.many() != nil {
				return c
			}
		}
	}
	return nil
}

// again says whether something may have come for a user meanwhile, and ends that he is handed anything if not.
func (s *shelved) again(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.giving[user] {
		s.giving[user] = false
		return true
	}
	delete(s.giving, user)
	if s.given != nil {
		close(s.given)
		s.given = nil
	}
	return false
}

// giveNobody waits until a user is handed nothing, and keeps that so until giveAgain gives nil.
func (s *shelved) giveNobody(ctx context.Context, user string) error {
	for {
		s.mu.Lock()
		if s.giving == nil {
			s.giving = map[string]bool{}
		}
		if _, giving := s.giving[user]; !giving {
			s.giving[user] = false
			s.mu.Unlock()
			return nil
		}
		if s.given == nil {
			s.given = make(chan struct{})
		}
		given := s.given
		s.mu.Unlock()
		select {
		case <-given:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *Registry) takeShelved(ctx context.Context, c *Client, user string) error {
	all, err := r.config.Shelf.List(ctx, shelfHeld+user)
	if err != nil {
		return err
	}
	var held []record
	for id, text := range all {
		var k record
		if r.decode(text, &k) && r.valid(&k, user) && k.Call.ID == id {
			held = append(held, k)
		}
	}
	if len(held) == 0 {
		r.nothingWaits(ctx, user)
		return nil
	}
	slices.SortFunc(held, func(a, b record) int {
		return cmp.Or(a.Came.Compare(b.Came), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Call.ID, b.Call.ID))
	})
	for _, k := range held {
		if time.Now().After(k.Until) || !r.hasRoomFor(&k) {
			continue
		}
		if c.isGone() { // there may be others of the user
			r.config.Elsewhere.Waiting(user)
			r.Waiting(user)
			break
		}
		k.Node = r.config.Elsewhere.Node()
		own, err := r.encode(k)
		if err != nil {
			return err
		}
		// First, so that it survives this server at any moment.
		if err := r.config.Shelf.Put(ctx, shelfAsked, k.asked(), own, time.Until(k.Until)+k.Timeout+shelfLonger); err != nil {
			return err
		}
		_, mine, err := r.config.Shelf.Take(ctx, shelfHeld+user, k.Call.ID)
		if err != nil {
			return err // it may be taken: see holdAgain
		}
		if !mine {
			if _, _, err := r.config.Shelf.Take(ctx, shelfAsked, k.asked()); err != nil {
				return err
			}
			continue
		}
		r.shelved.ended(k.Call.ID)
		r.askShelved(&k, c)
	}
	return nil
}

// hasRoomFor says whether another call may be under way.
func (r *Registry) hasRoomFor(k *record) bool {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	return len(r.calls.byID) < r.config.MaxCalls && (r.calls.bytes == 0 || r.calls.bytes+int64(len(k.Call.Data)) <= r.config.MaxCallsBytes)
}

// nothingWaits forgets that something waited for a user, unless it does again.
func (r *Registry) nothingWaits(ctx context.Context, user string) {
	s := &r.shelved
	s.mu.Lock()
	_, listed := s.users[user]
	delete(s.users, user)
	s.mu.Unlock()
	if !listed {
		return
	}
	if _, _, err := r.config.Shelf.Take(ctx, shelfUsers, user); err != nil {
		return
	}
	if held, err := r.config.Shelf.List(ctx, shelfHeld+user); err == nil && len(held) > 0 {
		_ = r.config.Shelf.Put(ctx, shelfUsers, user, []byte("1"), r.config.MaxHold+shelfLonger)
		r.config.Elsewhere.Waiting(user)
		r.Waiting(user)
	}
}

// askShelved hands over a call that this server has taken.
func (r *Registry) askShelved(held *record, c *Client) {
	k := &call{
		Call: held.Call, user: held.User, timeout: held.Timeout, until: held.Until, came: held.Came,
		parked: make(chan struct{}), done: make(chan struct{}), taken: held.asked(),
	}
	close(k.parked)
	r.calls.mu.Lock()
	if known := r.calls.byID[k.ID]; known != nil { // it was held again by a server that did not know what has come of it
		a, over := known.state(), known.isDone()
		r.calls.mu.Unlock()
		if over {
			r.settle(k, a)
		}
		return
	}
	r.calls.last++
	k.number = r.calls.last
	r.calls.byID[k.ID] = k
	r.calls.bytes += int64(len(k.Data))
	r.calls.mu.Unlock()
	r.ask(k, c)
}
