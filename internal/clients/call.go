package clients

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Call asks a client something on behalf of the backend.
type Call struct {
	ID     string          `json:"id"`
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data,omitempty"`
	// Deadline is until when the answer is waited for.
	Deadline time.Time `json:"deadline"`
}

// An Answer is what a call came to.
type Answer struct {
	Call   string          `json:"call"`             // its id
	State  State           `json:"state"`            // of the call
	User   string          `json:"user,omitempty"`   // whom it is for, if it is for a user
	Client string          `json:"client,omitempty"` // who answered, or is asked
	Data   json.RawMessage `json:"data,omitempty"`   // what it answered
	Error  *Refused        `json:"error,omitempty"`  // what it, or this server, refused
}

// Refused is an error of a call. What a client refuses in words of its own has the number of [Refusal], whatever it gives.
type Refused struct {
	Code    string `json:"code"`
	Number  int    `json:"number"`
	Message string `json:"message"`
}

// What a client may say at most when it refuses a call, in bytes.
const (
	MaxRefusalCodeBytes    = 64
	MaxRefusalMessageBytes = 1024
)

// State is how far a call has come.
type State string

// The states of a call.
const (
	Held     State = "held"     // the user is away; the call waits for it
	Asked    State = "asked"    // it has been handed over
	Answered State = "answered" // with data
	Failed   State = "failed"   // refused, or there was no answer in time
)

// A CallRequest is what a backend asks for.
type CallRequest struct {
	User   string // whom to ask: the connection of the user that came last and can be called,
	Client string // or one connection
	Method string
	Data   json.RawMessage
	// Timeout is how long an answer may take once the client has been asked.
	Timeout time.Duration
	// Hold is how long the call waits for a user that is away; 0: not at all. A call that is held, or was handed over to a
	// connection that ended, is handed over when the user comes: it may reach a device twice, under one id.
	Hold time.Duration
	// NoWait has [Registry.Call] return when the call is held, and wait only while a client has been asked.
	NoWait bool
}

// call is a call under way. Its fields but done are guarded by calls.mu.
type call struct {
	Call
	number  uint64 // in the order in which they came
	came    time.Time
	taken   string // the key by which the shelf remembers that it was taken from there; "": it was not
	user    string
	timeout time.Duration
	until   time.Time // how long it may be held; zero: it may not
	client  *Client   // who is asked; nil: it is held
	timer   *time.Timer
	answer  Answer
	parked  chan struct{} // closed when it is first held
	done    chan struct{} // closed when answer is final
}

// calls are those under way, and the answers of those that were held.
type calls struct {
	mu   sync.Mutex
	last uint64 // number
	byID map[string]*call
	held map[string][]*call // by user; of each in the order of their numbers

	bytes int64 // of the data of byID, and of its answers
}

const maxMethodBytes = 128

// Call asks a client, and waits for its answer, or until ctx is done, or as NoWait says: then a call that may be held goes on,
// its state is in the answer, and [Registry.CallState] tells what comes of it; any other is given up. The error says that the
// client was not asked at all; that it refused, or did not answer in time, is in the answer.
//
// In a cluster the client may be connected to any of its servers, and a call that is held is the cluster's: then Call returns at once.
func (r *Registry) Call(ctx context.Context, q CallRequest) (Answer, error) {
	if err := r.checkCall(q); err != nil {
		return Answer{}, err
	}
	if r.config.Elsewhere != nil {
		if a, done, err := r.callElsewhere(ctx, q); done {
			return a, err
		}
	}
	return r.CallHere(ctx, q)
}

// CallHere is Call for the clients of this server alone.
func (r *Registry) CallHere(ctx context.Context, q CallRequest) (Answer, error) {
	if err := r.checkCall(q); err != nil {
		return Answer{}, err
	}
	k := &call{
		Call: Call{ID: rand.Text()[:22], Method: q.Method, Data: q.Data}, user: q.User, timeout: q.Timeout, came: time.Now(),
		parked: make(chan struct{}), done: make(chan struct{}),
	}
	if q.Hold > 0 {
		k.until = time.Now().Add(min(q.Hold, r.config.MaxHold))
	}
	target, err := r.target(q)
	if err != nil {
		return Answer{}, err
	}
	if target == nil && r.config.Shelf != nil {
		r.calls.mu.Lock()
		r.calls.last++
		k.number = r.calls.last
		r.calls.mu.Unlock()
		return Answer{Call: k.ID, User: k.user, State: Held}, r.shelve(ctx, r.recordOf(k))
	}
	if err := r.begin(k, target); err != nil {
		return Answer{}, err
	}
	var parked chan struct{}
	if q.NoWait || r.config.Shelf != nil {
		parked = k.parked
	}
	select {
	case <-k.done:
	case <-parked:
	case <-ctx.Done():
		if q.Hold == 0 {
			r.finish(k, Answer{State: Failed, Error: refused(ErrTimeout)})
		}
	}
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	return k.state(), nil
}

func (r *Registry) checkCall(q CallRequest) error {
	switch {
	case (q.User == "") == (q.Client == ""):
		return Invalid("invalid_call", "a call is for either a user or a client")
	case q.Method == "" || len(q.Method) > maxMethodBytes:
		return Invalid("invalid_call", fmt.Sprintf("a method has 1 to %d bytes", maxMethodBytes))
	case len(q.Data) > r.config.MaxCallBytes:
		return ErrTooLarge.With(fmt.Sprintf("the data has %d bytes, the limit is %d", len(q.Data), r.config.MaxCallBytes))
	case q.Timeout <= 0:
		return Invalid("invalid_call", "a call needs a timeout")
	case q.Hold < 0 || q.Hold > 0 && q.User == "":
		return Invalid("invalid_call", "a call is held for a user")
	}
	return nil
}

// target is whom a call is for; nil: a user that is away.
func (r *Registry) target(q CallRequest) (*Client, error) {
	if q.Client != "" {
		c := r.Client(q.Client)
		if c == nil || c.many() == nil {
			return nil, ErrNotFound.With("there is no client " + q.Client + " that can be called")
		}
		return c, nil
	}
	all := r.OfUser(q.User)
	for _, c := range slices.Backward(all) {
		if c.many() != nil {
			return c, nil
		}
	}
	if q.Hold == 0 {
		return nil, ErrNotFound.With("the user " + q.User + " is not connected, or not in a way that can be called")
	}
	return nil, nil
}

// begin asks target, or holds the call.
func (r *Registry) begin(k *call, target *Client) error {
	r.calls.mu.Lock()
	if len(r.calls.byID) >= r.config.MaxCalls {
		r.calls.mu.Unlock()
		return ErrCalls
	}
	if target == nil && len(r.calls.held[k.user]) >= r.config.MaxHeld {
		r.calls.mu.Unlock()
		return ErrCalls.With("too many calls are held for the user " + k.user)
	}
	if size := int64(len(k.Data)); r.calls.bytes > 0 && r.calls.bytes+size > r.config.MaxCallsBytes {
		r.calls.mu.Unlock()
		return ErrCalls.With("the calls that are under way take too much memory")
	}
	r.calls.last++
	k.number = r.calls.last
	r.calls.byID[k.ID] = k
	r.calls.bytes += int64(len(k.Data))
	if target == nil {
		r.hold(k)
	}
	r.calls.mu.Unlock()
	if target != nil {
		r.ask(k, target)
		return nil
	}
	// The user may have come in the meantime.
	for _, c := range r.OfUser(k.user) {
		if c.many() != nil {
			r.deliverHeld(c)
		}
	}
	return nil
}

// hold has a call wait for its user. calls.mu is held.
func (r *Registry) hold(k *call) {
	k.client = nil
	k.answer = Answer{State: Held}
	select {
	case <-k.parked:
	default:
		close(k.parked)
	}
	all := r.calls.held[k.user]
	at, _ := slices.BinarySearchFunc(all, k, func(a, b *call) int { return cmp.Compare(a.number, b.number) })
	r.calls.held[k.user] = slices.Insert(all, at, k)
	r.within(k, time.Until(k.until))
}

// within has a call fail unless it is answered in time. calls.mu is held.
func (r *Registry) within(k *call, d time.Duration) {
	if k.timer != nil {
		k.timer.Stop()
	}
	k.timer = time.AfterFunc(d, func() { r.finish(k, Answer{State: Failed, Error: refused(ErrTimeout)}) })
}

// ask hands a call over.
func (r *Registry) ask(k *call, c *Client) {
	r.calls.mu.Lock()
	if k.isDone() || k.client != nil { // another of the user's connections was faster
		r.calls.mu.Unlock()
		return
	}
	r.unhold(k)
	k.client = c
	if c.asked == nil {
		c.asked = map[string]*call{}
	}
	c.asked[k.ID] = k
	k.Deadline = time.Now().Add(k.timeout)
	k.answer = Answer{State: Asked, Client: c.id}
	r.within(k, k.timeout)
	question := k.Call
	r.calls.mu.Unlock()
	c.many().Call(question)
	if c.isGone() { // it may have been abandoned before it was asked
		r.abandon(c)
	}
}

func (c *Client) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// release has a call not be under way here any more, because the shelf gets it. Whoever waits is told that it is held. calls.mu is held.
func (r *Registry) release(k *call) {
	k.client = nil
	k.answer = Answer{State: Held}
	if k.timer != nil {
		k.timer.Stop()
	}
	close(k.done)
	delete(r.calls.byID, k.ID)
	r.calls.bytes -= int64(len(k.Data))
}

// unhold takes a call out of those held, or of those that its client has been asked. calls.mu is held.
func (r *Registry) unhold(k *call) {
	if k.client != nil {
		delete(k.client.asked, k.ID)
		return
	}
	rest := slices.DeleteFunc(r.calls.held[k.user], func(o *call) bool { return o == k })
	if len(rest) == 0 {
		delete(r.calls.held, k.user)
	} else {
		r.calls.held[k.user] = rest
	}
}

// deliverHeld asks a client what was held for its user.
func (r *Registry) deliverHeld(c *Client) {
	if r.config.Shelf != nil {
		r.deliverShelved(c)
		return
	}
	r.calls.mu.Lock()
	all := slices.Clone(r.calls.held[c.Identity().User])
	r.calls.mu.Unlock()
	for _, k := range all {
		r.ask(k, c)
	}
}

// abandon sees to the calls that a client has not answered when it leaves.
func (r *Registry) abandon(c *Client) {
	r.calls.mu.Lock()
	var lost, shelve []*call
	again := false
	for _, k := range c.asked {
		switch {
		case !time.Now().Before(k.until):
			lost = append(lost, k)
		case r.config.Shelf != nil:
			r.release(k)
			shelve = append(shelve, k)
		default:
			r.hold(k)
			again = true
		}
	}
	c.asked = nil
	r.calls.mu.Unlock()
	if len(shelve) > 0 {
		slices.SortFunc(shelve, func(a, b *call) int { return cmp.Compare(a.number, b.number) })
		r.later(func() { r.shelveAgain(shelve) })
	}
	for _, k := range lost {
		r.finish(k, Answer{State: Failed, Client: c.id, Error: refused(ErrClientGone)})
	}
	if again { // to another of the user's connections, if there is one
		for _, o := range slices.Backward(r.OfUser(c.Identity().User)) {
			if o.many() != nil {
				r.deliverHeld(o)
				break
			}
		}
	}
}

// Answer takes a client's answer to a call: data, or its refusal. The error says that the call is not, or not any more, for it to answer.
func (c *Client) Answer(id string, data json.RawMessage, refusal *Refused) error {
	r := c.registry
	if len(data) > r.config.MaxCallBytes {
		return ErrTooLarge.With(fmt.Sprintf("the answer has %d bytes, the limit is %d", len(data), r.config.MaxCallBytes))
	}
	if len(data) > 0 && !json.Valid(data) {
		return Invalid("invalid_data", "the answer is not JSON")
	}
	if refusal != nil && (refusal.Code == "" || len(refusal.Code) > MaxRefusalCodeBytes || len(refusal.Message) > MaxRefusalMessageBytes) {
		return Invalid("invalid_refusal", fmt.Sprintf("a refusal has a code of 1 to %d bytes, and a message of up to %d", MaxRefusalCodeBytes, MaxRefusalMessageBytes))
	}
	r.calls.mu.Lock()
	k := r.calls.byID[id]
	own := k != nil && k.client == c && !k.isDone()
	r.calls.mu.Unlock()
	if !own {
		return ErrNotFound.With("there is no such call, or it is over")
	}
	if refusal != nil {
		r.finish(k, Answer{State: Failed, Client: c.id, Error: &Refused{refusal.Code, refusedNumber, refusal.Message}})
	} else {
		r.finish(k, Answer{State: Answered, Client: c.id, Data: data})
	}
	return nil
}

// keepAnswer is how long the answer of a call that could be held is there to be asked for, if there is room for it.
const keepAnswer = 10 * time.Minute

// finish ends a call; only the first time counts.
func (r *Registry) finish(k *call, a Answer) {
	r.calls.mu.Lock()
	if k.isDone() {
		r.calls.mu.Unlock()
		return
	}
	r.unhold(k)
	if k.timer != nil {
		k.timer.Stop()
	}
	k.answer = a
	close(k.done)
	r.calls.bytes -= int64(len(k.Data))
	k.Data = nil
	mayBeHeld := !k.until.IsZero()
	if size := int64(len(a.Data)); mayBeHeld && r.calls.bytes+size <= r.config.MaxCallsBytes {
		r.calls.bytes += size
		k.timer = time.AfterFunc(keepAnswer, func() { r.forget(k) })
	} else {
		delete(r.calls.byID, k.ID)
	}
	a = k.state()
	r.calls.mu.Unlock()
	if mayBeHeld {
		if r.config.Shelf != nil {
			r.later(func() { r.settle(k, a) })
		}
		r.config.Notify(TypeCallAnswered, a)
	}
}

// Stop has all calls fail that are under way or held, because the server stops: they end with it, but for those that other servers
// of a cluster can hold.
func (r *Registry) Stop() {
	r.calls.mu.Lock()
	var all, shelve []*call
	for _, k := range r.calls.byID {
		if r.config.Shelf != nil && !k.isDone() && k.client != nil && time.Now().Before(k.until) {
			delete(k.client.asked, k.ID)
			r.release(k)
			shelve = append(shelve, k)
			continue
		}
		all = append(all, k)
	}
	r.calls.mu.Unlock()
	for _, k := range all {
		r.finish(k, Answer{State: Failed, Error: refused(ErrStopping)})
	}
	r.shelveAgain(shelve)
	r.stopShelf()
}

func (r *Registry) forget(k *call) {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	delete(r.calls.byID, k.ID)
	r.calls.bytes -= int64(len(k.answer.Data))
}

// CallState tells what has come of a call that could be held, up to ten minutes after its end; in a cluster of a call of any server.
func (r *Registry) CallState(ctx context.Context, id string) (Answer, error) {
	r.calls.mu.Lock()
	k := r.calls.byID[id]
	if k != nil {
		defer r.calls.mu.Unlock()
		return k.state(), nil
	}
	r.calls.mu.Unlock()
	if r.config.Shelf == nil || len(id) > maxCallID {
		return Answer{}, ErrNotFound.With("there is no such call")
	}
	return r.shelvedState(ctx, id)
}

// maxCallID is how long the id of a call may be, in bytes.
const maxCallID = 64

func (k *call) isDone() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

func (k *call) state() Answer {
	a := k.answer
	a.Call, a.User = k.ID, k.user
	return a
}

func refused(p *Error) *Refused { return &Refused{p.Code, p.Number, p.Message} }
