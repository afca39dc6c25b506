package clients

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
)

// Config is what a registry needs. What is nil or zero means what is said with it.
type Config struct {
	Hub      *channel.Hub   // needed
	Verifier *auth.Verifier // of tokens. nil: none are verified
	Attempts *auth.Attempts // bounds wrong tokens. nil: nothing does
	// Anonymous lets clients in of whom nothing says who they are.
	Anonymous bool
	Rules     []Rule
	// Ask asks the backend; the error is a [Error]. nil: there is none to ask.
	Ask func(ctx context.Context, kind string, question, answer any) error
	// AskConnect says that the backend is asked who a client is; AskHeaders which headers it is told.
	AskConnect bool
	AskHeaders []string
	// Notify tells the backend what happened, and does not block. nil: nobody is told.
	Notify func(kind string, data any)
	// Notifies says whether there is anybody to be told at the moment, so that nothing is put together for nobody. nil: there is.
	Notifies func() bool
	// Elsewhere is the other servers of a cluster, and Shelf what it keeps, both or neither. nil: this server is alone.
	Elsewhere Elsewhere
	Shelf     Shelf
	// ShelfNow is the clock that what is on the shelf goes by, for all servers. [time.Now].
	ShelfNow func() time.Time
	// Log is where is reported what no caller can be told. [slog.Default].
	Log *slog.Logger
	// Now is the clock that tokens go by. [time.Now].
	Now func() time.Time

	MaxSubscriptions int           // to how many channels one client may subscribe. 1000
	MaxPerUser       int           // how many clients of one user there may be. No bound
	MaxCalls         int           // how many calls may be under way or held. 100,000
	MaxHeld          int           // how many of them for one user. 100
	MaxHold          time.Duration // how long one may be held. 24 h
	MaxCallBytes     int           // of the data of a call or its answer. 256 KiB
	MaxCallsBytes    int64         // of the data of all calls under way or held, and of the answers that are kept. 256 MiB
}

// A Registry knows the clients. Make one with [New].
type Registry struct {
	config Config
	policy atomic.Pointer[policy]
	bounds atomic.Pointer[bounds]
	calls  calls

	shelved shelved

	requests requests
	changing sync.Mutex // held while the policy is replaced

	mu      sync.RWMutex
	clients map[string]*Client
	users   map[string][]*Client // in the order in which they came
}

// New makes a registry without clients.
func New(c Config) *Registry {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ShelfNow == nil {
		c.ShelfNow = time.Now
	}
	if c.Notify == nil {
		c.Notify = func(string, any) {}
	}
	setDefault(&c.MaxSubscriptions, 1000)
	setDefault(&c.MaxCalls, 100_000)
	setDefault(&c.MaxHeld, 100)
	setDefault(&c.MaxHold, 24*time.Hour)
	setDefault(&c.MaxCallBytes, 256<<10)
	setDefault(&c.MaxCallsBytes, 256<<20)
	r := &Registry{config: c, clients: map[string]*Client{}, users: map[string][]*Client{}}
	r.calls.byID, r.calls.held = map[string]*call{}, map[string][]*call{}
	r.policy.Store(new(policy))
	r.Reconfigure(c)
	r.SetBounds(c.MaxSubscriptions, c.MaxPerUser)
	return r
}

// until is how long it is until a token expires.
func (r *Registry) until(at time.Time) time.Duration { return at.Sub(r.config.Now()) }

// look is when to look whether a token has expired.
func (r *Registry) look(at time.Time) time.Duration { return min(r.until(at), maxUnwatched) }

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// bounds are those that hold at a moment.
type bounds struct {
	subscriptions int
	perUser       int // 0: there is none
}

// SetBounds replaces MaxSubscriptions and MaxPerUser, whose 0 is no bound. Who is beyond already stays.
func (r *Registry) SetBounds(maxSubscriptions, maxPerUser int) {
	r.bounds.Store(&bounds{maxSubscriptions, maxPerUser})
}

// May says whether an identity may do something in a channel; the error says why not.
func (r *Registry) May(id *Identity, action auth.Action, name string) error {
	return r.policy.Load().rules.may(id, action, name)
}

// A Link is how a client is reached. Its methods may be called from any goroutine; they do not block, and do not call the
// client or the registry.
type Link interface {
	// Close ends the connection.
	Close(why Reason)
}

// A Multiplexer is the link of a client that can have many channels on one connection, and can be called.
type Multiplexer interface {
	Link
	// Message hands over a message of a channel that the client has subscribed to.
	Message(name string, m *channel.Message)
	// Presence tells who joined or left; Present who is there.
	Presence(e *channel.PresenceEvent)
	Present(name string, p channel.Presence)
	// Subscribed says that the server has subscribed the client to a channel; Unsubscribed that it has no subscription any
	// more, and why.
	Subscribed(name string, s Start)
	Unsubscribed(name string, why *Error)
	// Call hands over a call, which is answered by [Client.Answer].
	Call(c Call)
	// HasRoom says whether little of what was handed over waits to be sent.
	HasRoom() bool
	// Room waits until it does. Where that does not come about in time it ends the connection, and the error says why; it is
	// that of ctx when this is done before. Alone of all methods it blocks.
	Room(ctx context.Context) error
}

// A Reason is why the server ends a connection. Numbers are close codes of WebSockets: those of 4000 to 4499 have the client come
// back, those of 4500 to 4999 do not.
type Reason struct {
	Number int
	Code   string
	Text   string
	After  time.Duration // how long the client is to wait until it comes back; 0: as it likes
}

// ComeBack says whether the client is to connect again.
func (r Reason) ComeBack() bool { return r.Number < 4500 }

// Why connections end.
var (
	EndExpired      = Reason{Number: 4001, Code: "token_expired", Text: "the token has expired"}
	EndReconnect    = Reason{Number: 4002, Code: "reconnect", Text: "the backend wants the client to connect anew"}
	EndDisconnected = Reason{Number: 4501, Code: "disconnected", Text: "the backend has disconnected the client"}
)

// Stopping is why they end when the server stops: 1012 is "service restart".
func Stopping(after time.Duration) Reason {
	text := fmt.Sprintf("the server stops: come back in %.1f s", after.Seconds())
	return Reason{Number: 1012, Code: "stopping", Text: text, After: after}
}

// Connect lets a client in. Its subscriptions, and the calls that are held for it, begin with [Client.Begin].
func (r *Registry) Connect(ctx context.Context, h Hello, link Link) (*Client, error) {
	identity, err := r.Identify(ctx, h)
	if err != nil {
		return nil, err
	}
	return r.Enter(identity, h, link)
}

// RoomFor says whether Enter would let in another client with this identity: the error is [ErrOfUser]. It is for those who can tell a client
// only before.
func (r *Registry) RoomFor(identity *Identity) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.roomFor(identity)
}

func (r *Registry) roomFor(identity *Identity) error {
	bound := r.bounds.Load().perUser
	if bound > 0 && identity.User != "" && len(r.users[identity.User]) >= bound {
		return ErrOfUser
	}
	return nil
}

// Enter lets in a client that was identified, unless there are as many of its user as allowed: then the error is [ErrOfUser].
func (r *Registry) Enter(identity *Identity, h Hello, link Link) (*Client, error) {
	id := identity.client
	if id == "" {
		id = newID()
	}
	c := &Client{registry: r, id: id, link: link, transport: h.Transport, remote: h.Remote, since: time.Now().UnixNano()}
	c.identity.Store(identity)
	r.mu.Lock()
	if err := r.roomFor(identity); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	r.clients[id] = c
	if identity.User != "" {
		r.users[identity.User] = append(r.users[identity.User], c)
	}
	r.mu.Unlock()
	c.watchExpiry(identity.Expires)
	r.tell("client connected", c)
	r.config.Notify(TypeConnected, c.event())
	if identity.under != r.policy.Load().number {
		c.recheck() // the policy was replaced after it was identified
	}
	return c, nil
}

// tell logs what happens to a client, for those who debug.
func (r *Registry) tell(what string, c *Client, attrs ...slog.Attr) {
	ctx := context.Background()
	if r.config.Log == nil || !r.config.Log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	r.config.Log.LogAttrs(ctx, slog.LevelDebug, what, append([]slog.Attr{
		slog.String("client", c.id), slog.String("user", c.Identity().User), slog.String("transport", c.transport), slog.String("remote", c.remote),
	}, attrs...)...)
}

// remove forgets a client, and says whether it was there.
func (r *Registry) remove(c *Client) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients[c.id] == nil {
		return false
	}
	delete(r.clients, c.id)
	if user := c.Identity().User; user != "" {
		rest := slices.DeleteFunc(r.users[user], func(o *Client) bool { return o == c })
		if len(rest) == 0 {
			delete(r.users, user)
		} else {
			r.users[user] = rest
		}
	}
	return true
}

// Client finds a client by its id; nil if there is none.
func (r *Registry) Client(id string) *Client {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.clients[id]
}

// OfUser finds the clients of a user, in the order in which they came.
func (r *Registry) OfUser(user string) []*Client {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.users[user])
}

// Len is how many clients there are, and how many users.
func (r *Registry) Len() (clients, users int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.clients), len(r.users)
}

// All is all clients, in no order.
func (r *Registry) All() []*Client {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*Client, 0, len(r.clients))
	for _, c := range r.clients {
		all = append(all, c)
	}
	return all
}
