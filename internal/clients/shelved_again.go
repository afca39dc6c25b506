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
		if _, mine, err := r.config.Shelf.Take(ctx, shelfAsked, key); err != nil || !mine {
			continue
		}
		switch a, err := r.shelvedState(ctx, k.Call.ID); {
		case err == nil && a.State == Answered, err == nil && a.State == Failed && time.Now().Before(k.Until):
			continue // whoever had it has told of that
		case time.Now().After(k.Until):
			r.failShelved(ctx, &k)
			continue
		}
		switch err := r.shelve(ctx, k); {
		case errors.Is(err, ErrCalls):
			r.failShelved(ctx, &k)
		case err != nil: // and it is tried again
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shelfWithin)
			defer cancel()
			if err := r.config.Shelf.Put(ctx, shelfAsked, key, text, time.Until(k.Until)+shelfLonger); err != nil {
				r.config.Log.Warn("held calls: one is lost whose server is gone", "call", k.Call.ID, "error", err)
			}
			return err
		}
	}
	return nil
}

// isTaken says whether a server that is there has a call of shelfAsked.
func (r *Registry) isTaken(k *record, all map[string][]byte) bool {
	own := r.config.Elsewhere.Node()
	if k.Node != own && r.config.Elsewhere.IsThere(k.Node) || k.Node == own && r.has(k) {
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

// has says whether this server has a call under way, or is taking it.
func (r *Registry) has(k *record) bool {
	r.shelved.mu.Lock()
	_, giving := r.shelved.giving[k.User]
	r.shelved.mu.Unlock()
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	return giving || r.calls.byID[k.Call.ID] != nil
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
