package clients

import (
	"context"
	"errors"
	"strings"
	"time"
)

// holdAgain has calls held again that a server had handed over which is not there any more.
func (r *Registry) holdAgain(ctx context.Context) error {
	all, err := r.config.Shelf.List(ctx, shelfAsked)
	if err != nil {
		return err
	}
	for key, text := range all {
		var k record
		if !r.decode(text, &k) || !r.valid(&k, k.User) || k.asked() != key || r.isTaken(&k, all) {
			continue
		}
		if err := r.takeOver(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// takeOver has a call held again that nobody has any more, while this server takes no other of its user.
func (r *Registry) takeOver(ctx context.Context, k record) error {
	if err := r.shelved.giveNobody(ctx, k.User); err != nil {
		return err
	}
	defer r.later(func() {
		for c := r.giveAgain(k.User); c != nil; c = r.giveAgain(k.User) {
			r.giveShelved(c, k.User)
		}
	})
	before := k.asked()
	all, err := r.config.Shelf.List(ctx, shelfAsked)
	if _, there := all[before]; err != nil || !there || r.isTaken(&k, all) {
		return err
	}
	k.Node = r.config.Elsewhere.Node()
	if k.asked() != before {
		text, err := r.encode(k)
		if err != nil {
			return err
		}
		// First, so that it survives this server at any moment.
		if err := r.config.Shelf.Put(ctx, shelfAsked, k.asked(), text, time.Until(k.Until)+k.Timeout+shelfLonger); err != nil {
			return err
		}
		_, mine, err := r.config.Shelf.Take(ctx, shelfAsked, before)
		if err != nil {
			return err // it may be taken, and is tried again
		}
		if !mine { // another server takes it over
			_, _, err := r.config.Shelf.Take(ctx, shelfAsked, k.asked())
			return err
		}
	}
	if err := r.holdOver(ctx, &k); err != nil {
		return err
	}
	_, _, err = r.config.Shelf.Take(ctx, shelfAsked, k.asked())
	return err
}

// holdOver holds a call again, unless it is over.
func (r *Registry) holdOver(ctx context.Context, k *record) error {
	switch a, err := r.shelvedState(ctx, k.Call.ID); {
	case err == nil && a.State == Answered, err == nil && a.State == Failed && time.Now().Before(k.Until):
		return nil // whoever had it has told of that
	case time.Now().After(k.Until):
		r.failShelved(ctx, k)
		return nil
	}
	err := r.shelve(ctx, *k)
	if errors.Is(err, ErrCalls) {
		r.failShelved(ctx, k)
		return nil
	}
	return err
}

// isTaken says whether a server that is there has a call of shelfAsked.
func (r *Registry) isTaken(k *record, all map[string][]byte) bool {
	own := r.config.Elsewhere.Node()
	if k.Node != own && r.config.Elsewhere.IsThere(k.Node) || r.has(k) {
		return true
	}
	for key := range all {
		node, same := strings.CutPrefix(key, k.Call.ID+".")
		if same && node != k.Node && (node == own || r.config.Elsewhere.IsThere(node)) {
			return true
		}
	}
	return false
}

// has says whether this server has a call under way.
func (r *Registry) has(k *record) bool {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	return r.calls.byID[k.Call.ID] != nil
}

// failShelved ends a call that nobody has any more.
func (r *Registry) failShelved(ctx context.Context, k *record) {
	a := Answer{Call: k.Call.ID, User: k.User, State: Failed, Error: refused(ErrClientGone)}
	_ = r.putState(ctx, a, time.Time{}, keepAnswer)
	r.config.Notify(TypeCallAnswered, a)
}

// shelveAgain has calls wait on the shelf whose client has left before it answered, or whose server stops. What cannot be put there
// fails. They are not under way any more.
func (r *Registry) shelveAgain(all []*call) {
	for _, k := range all {
		ctx, cancel := context.WithTimeout(context.Background(), shelfWithin)
		if err := r.shelve(ctx, r.recordOf(k)); err != nil {
			a := Answer{Call: k.ID, User: k.user, State: Failed, Error: refused(ErrClientGone)}
			_ = r.putState(ctx, a, time.Time{}, keepAnswer)
			r.config.Notify(TypeCallAnswered, a)
		}
		if k.taken != "" {
			_, _, _ = r.config.Shelf.Take(ctx, shelfAsked, k.taken)
		}
		cancel()
	}
}
