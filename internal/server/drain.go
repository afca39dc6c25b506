package server

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/clients"
)

// A server stops in steps, so that neither it nor those that its clients go to have everybody at once:
//
//  1. It is not ready any more, and for Config.DrainDelay serves on as ever: balancers need a while to notice.
//  2. Over Config.DrainWindow its clients are told to come back, one after the other. Nobody else is let in who would stay. What is
//     published reaches those who are still there, and the histories, where the others find it when they come back: who publishes is
//     not to be without a server for longer than it takes to start another one.
//  3. Nothing is published any more. Whoever is left is told to go, and all that is under way is waited for.
//
// Asking twice, by Close, cuts all of it short.

// leastLeaving is how many clients are told to go in a second, at least: a server with few of them does not take the whole window.
const leastLeaving = 100

// leavingTick is how often the next ones are told.
const leavingTick = 10 * time.Millisecond

// leaving is how far a server has come in stopping.
type leaving struct {
	begun  atomic.Bool     // step 1: it is not ready
	ctx    context.Context // done with step 2
	start  context.CancelFunc
	window atomic.Int64 // a Duration, set before that
}

func (l *leaving) begin() { l.ctx, l.start = context.WithCancel(context.Background()) }

// isLeaving says whether those who would stay are sent elsewhere.
func (s *Server) isLeaving() bool { return s.leaving.ctx.Err() != nil }

// Shutdown stops the server gently. It is not ready any more at once; after Config.DrainDelay its clients are told when to come
// back, and their connections closed evenly over Config.DrainWindow, or half of what is left of ctx's time if that is shorter; then
// nothing is published any more, and Shutdown waits until all is said. When ctx ends before, what is left is cut, and the error is
// that of ctx. Close ends all of that at once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.leaving.begun.Store(true)
	s.joined.drains()
	s.pause(ctx, s.now().DrainDelay)
	s.slots.drain()
	s.leaving.window.Store(int64(s.leavingWindow(ctx)))
	s.leaving.start()
	var carried sync.WaitGroup
	carried.Go(func() { s.letGo(ctx) })
	s.tellAll(ctx)
	carried.Wait()
	return s.finish(ctx)
}

// pause waits, unless the server is to stop at once.
func (s *Server) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.draining.Done():
	}
}

// leavingWindow is over what time the clients there are leave.
func (s *Server) leavingWindow(ctx context.Context) time.Duration {
	window := min(s.now().DrainWindow, time.Duration(s.slots.count()+s.joined.carrying())*time.Second/leastLeaving)
	if deadline, ok := ctx.Deadline(); ok {
		window = min(window, time.Until(deadline)/2)
	}
	return max(0, window)
}

// tellAll tells the clients, in random order, and returns when the window is over, or nobody is left. Polls see to themselves.
func (s *Server) tellAll(ctx context.Context) {
	all := s.registry.All()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	window, began := time.Duration(s.leaving.window.Load()), time.Now()
	tick := time.NewTicker(leavingTick)
	defer tick.Stop()
	for told, over := 0, window <= 0; ; over = time.Since(began) >= window {
		due := len(all)
		if !over {
			due = int(float64(len(all)) * float64(time.Since(began)) / float64(window))
		}
		for ; told < due; told++ {
			all[told].Disconnect(clients.Stopping(s.returnAfter()))
			all[told] = nil
		}
		if over {
			return
		}
		select {
		case <-tick.C:
		case <-s.slots.empty:
			return
		case <-ctx.Done():
			return
		case <-s.draining.Done():
			return
		}
	}
}

// letGo ends the WebSockets that are carried from here to sessions of other servers, over the same window: they would all end with this one.
func (s *Server) letGo(ctx context.Context) {
	if s.joined == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.draining, cancel)
	defer stop()
	s.joined.carrier.Drain(ctx, time.Duration(s.leaving.window.Load()))
}

// turn is when a poll that waits while the server stops is answered, from now.
func (s *Server) turn() time.Duration {
	window := time.Duration(s.leaving.window.Load())
	if window <= 0 {
		return 0
	}
	return rand.N(window)
}

// finish refuses what is published, ends what is left, and waits for it.
func (s *Server) finish(ctx context.Context) error {
	s.stop(ctx)
	var gone sync.WaitGroup
	gone.Go(func() { s.streams.shutdown(ctx) })
	gone.Go(func() { s.sockets.shutdown(ctx) })
	gone.Go(func() { s.multiplex.shutdown(ctx) })
	gone.Go(func() { s.socketIO.shutdown(ctx) })
	var cut error
	gone.Go(func() { cut = s.http3.shutdown(ctx) })
	err := s.shutdownHTTP(ctx)
	gone.Wait()
	if err == nil {
		err = cut
	}
	if err == nil {
		err = s.slots.wait(ctx)
	}
	if err != nil {
		s.Close()
		return err
	}
	return s.end(ctx)
}

// end closes what is below the clients, when these are gone, and tells the backend of that until ctx is done. It may come
// more than once.
func (s *Server) end(ctx context.Context) error {
	defer s.admin.shutdown()
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.registry.Stop()
	s.closeVerifier()
	if s.certificates != nil {
		s.certificates.Close()
	}
	err := s.hub.Close()
	s.joined.leave(ctx)
	if lost := s.backends.close(ctx); lost != nil {
		s.log.Error("the backend was not told everything", "error", lost)
	}
	return err
}

// Close stops the server at once.
func (s *Server) Close() {
	s.leaving.begun.Store(true)
	s.slots.drain()
	s.leaving.start()
	published, enough := context.WithTimeout(context.Background(), publishedSoon)
	s.stop(published)
	enough()
	s.streams.closeNow()
	s.sockets.closeNow()
	s.multiplex.closeNow()
	s.socketIO.closeNow()
	s.http3.closeNow()
	_ = s.http.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.end(ctx); err != nil {
		s.log.Error("closing the channels", "error", err)
	}
}

// publishedSoon is how long what is being published is waited for where nothing else is.
const publishedSoon = time.Second

// stop refuses new clients and what is published from now on, and then has streams and polls end. What is being published it waits for,
// until ctx is done: a disk may hang.
func (s *Server) stop(ctx context.Context) {
	if s.publishing.TryLock() {
		defer s.publishing.Unlock()
		s.drain()
		return
	}
	defer s.drain()
	published := make(chan struct{})
	go func() {
		defer close(published)
		s.publishing.Lock()
		defer s.publishing.Unlock()
		s.drain() // before anybody else publishes
	}()
	select {
	case <-published:
	case <-ctx.Done():
	}
}

// returnAfter is when one client of a server that stops is to come back: not all at once.
func (s *Server) returnAfter() time.Duration {
	return time.Second + rand.N(s.now().ReconnectWindow)
}

// enter lets a client in that is told nothing first.
func (s *Server) enter(identity *clients.Identity, h clients.Hello, link clients.Link) (*clients.Client, error) {
	c, err := s.registry.Enter(identity, h, link)
	if err == nil {
		s.sendOn(c)
	}
	return c, err
}

// sendOn sends a client away that was admitted before the server began to do so with all.
func (s *Server) sendOn(c *clients.Client) {
	if s.isLeaving() {
		c.Disconnect(clients.Stopping(s.returnAfter()))
	}
}
