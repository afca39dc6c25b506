package ws_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// The tests of this file are about what others are at while a connection is being closed. They run in bubbles of time, which fail them if a goroutine is left.

// Close ends reading: what waits returns, and what is called later returns at once, with the reason. A message that
// was not read whole before is dropped whole.
func TestReadsEndWithClose(t *testing.T) {
	for state, tt := range map[string]struct {
		before []wireFrame
		reads  bool // somebody reads when Close is called
	}{
		"nothing came":          {nil, true},
		"half a message came":   {frames(firstFrame(opText, "abc")), true},
		"half of a long one":    {frames(firstFrame(opText, pattern('a', 70_000))), true},
		"half a message waits":  {frames(firstFrame(opText, "abc")), false},
		"a message waits":       {frames(textFrame("unread")), false},
		"more than one waits":   {frames(textFrame("unread"), textFrame("and"), textFrame("more")), false},
		"a message and a piece": {frames(textFrame("unread"), firstFrame(opText, "abc")), false},
	} {
		for way, next := range nexts {
			t.Run(state+"/"+way, func(t *testing.T) {
				both(t, func(t *testing.T, client bool) {
					synctest.Test(t, func(t *testing.T) {
						c, p := timedConn(t, client, nil)
						type result struct {
							text string
							err  error
						}
						results := make(chan result, 2)
						read := func() {
							text, err := next(context.Background(), c)
							results <- result{text, err}
						}
						if tt.reads {
							go read()
						}
						go p.send(tt.before...)
						time.Sleep(time.Second) // what is read without anybody asking, has been
						closed := make(chan error, 1)
						go func() { closed <- c.Close(context.Background(), ws.StatusNormalClosure, "done") }()
						synctest.Wait()
						if !tt.reads {
							read()
						}
						read()
						for range 2 {
							select {
							case r := <-results:
								whole := way != "Reader" && r.text != ""
								if whole || r.err != c.Err() || !errors.Is(r.err, ws.ErrClosed) {
									t.Errorf("%.20q, %v", r.text, r.err)
								}
							default:
								t.Error("it still waits")
							}
						}
						if err := p.expect(sight{opClose, closePayload(1000, "done")}); err != nil {
							t.Error(err)
						}
						// The rest of it, and others, are nobody's.
						if last := len(tt.before) - 1; last >= 0 && tt.before[last].first&fin == 0 {
							p.send(lastFrame("def"))
						}
						p.send(textFrame("late"), closeFrame(1000, ""))
						p.Close()
						if err := <-closed; err != nil {
							t.Error(err)
						}
						if text, err := next(context.Background(), c); text != "" || !errors.Is(err, ws.ErrClosed) {
							t.Errorf("%q, %v", text, err)
						}
					})
				})
			})
		}
	}
}

// cannotWrite is a stream whose peer does not take anything any more.
type cannotWrite struct{ net.Conn }

func (cannotWrite) Write([]byte) (int, error) { return 0, errCancelled }

// A Close that cannot say so ends reading all the same.
func TestReadsEndWithMuteClose(t *testing.T) {
	for way, next := range nexts {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				c := ws.NewConn(cannotWrite{near}, false, "", nil)
				defer far.Close()
				c.Write(t.Context(), ws.Text, []byte("lost"))
				reads := make(chan error, 2)
				read := func() {
					_, err := next(context.Background(), c)
					reads <- err
				}
				go read()
				synctest.Wait()
				closed := make(chan error, 1)
				go func() { closed <- c.Close(context.Background(), ws.StatusNormalClosure, "") }()
				synctest.Wait()
				go read()
				synctest.Wait()
				if len(reads) != 2 {
					t.Error("a read still waits")
				}
				if err := <-closed; !errors.Is(err, errCancelled) {
					t.Error(err)
				}
				for range 2 {
					if err := <-reads; way != "Messages" && !errors.Is(err, ws.ErrClosed) {
						t.Error(err)
					}
				}
			})
		})
	}
}

// A close frame may come in pieces, with a Read that gives up in between.
func TestCloseFrameInPieces(t *testing.T) {
	both(t, func(t *testing.T, client bool) {
		all := wireBytes(!client, closeFrame(1000, "bye"))
		for cut := 1; cut < len(all); cut++ {
			for _, closing := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					c, p := timedConn(t, client, nil)
					closed := make(chan error, 1)
					if closing {
						go func() { closed <- c.Close(context.Background(), ws.StatusNormalClosure, "bye") }()
						synctest.Wait()
					}
					go p.sendBytes(all[:cut])
					synctest.Wait()
					ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errCancelled)
					defer cancel()
					if _, err := c.Read(ctx); err == nil || !closing && err != errCancelled {
						t.Error(err)
					}
					synctest.Wait()
					go func() {
						p.sendBytes(all[cut:])
						p.Close()
					}()
					if closing {
						if err := <-closed; err != nil {
							t.Errorf("cut at %d: %v", cut, err)
						}
						return
					}
					_, err := c.Read(t.Context())
					if ce, ok := errors.AsType[*ws.CloseError](err); !ok || !ce.Remote || ce.Code != 1000 || ce.Reason != "bye" {
						t.Errorf("cut at %d: %v", cut, err)
					}
				})
			}
		}
	})
}

// Whoever waits for room in the queue returns when closing begins: there will be none for it.
func TestWritersReturnWhenClosing(t *testing.T) {
	prepared, err := ws.NewPreparedMessage(ws.Text, []byte(pattern('c', 900)))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	writers := map[string]func(c *ws.Conn) error{
		"Write":        func(c *ws.Conn) error { return c.Write(ctx, ws.Text, []byte(pattern('b', 900))) },
		"Send":         func(c *ws.Conn) error { return c.Send(ws.Text, []byte(pattern('b', 900))) },
		"SendPrepared": func(c *ws.Conn) error { return c.SendPrepared(prepared) },
		"Writer": func(c *ws.Conn) error {
			w, err := c.Writer(ctx, ws.Text)
			if err != nil {
				return err
			}
			_, err = io.WriteString(w, pattern('d', 20_000))
			return err
		},
	}
	for name, begin := range map[string]func(c *ws.Conn, far net.Conn){
		"Close": func(c *ws.Conn, _ net.Conn) { c.Close(ctx, ws.StatusNormalClosure, "") },
		"the peer closes": func(c *ws.Conn, far net.Conn) {
			go far.Write(wireBytes(true, closeFrame(1000, "")))
			c.Read(ctx)
		},
		"failure": func(c *ws.Conn, far net.Conn) {
			go far.Write(wireBytes(true, textFrame("\xff")))
			c.Read(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe() // and nobody reads
				c := ws.NewConn(near, false, "", &ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 1000, Full: ws.Block}})
				defer far.Close()
				defer c.CloseNow()
				if err := c.Write(ctx, ws.Text, []byte(pattern('a', 900))); err != nil {
					t.Fatal(err)
				}
				returned := make(chan string, 2*len(writers))
				for name, write := range writers {
					for range 2 { // the second Writer waits for the first
						go func() {
							if err := write(c); err == nil || err != c.Err() {
								t.Errorf("%s: %v", name, err)
							}
							returned <- name
						}()
					}
				}
				synctest.Wait()
				if len(returned) > 0 {
					t.Fatalf("%s did not wait", <-returned)
				}
				go begin(c, far)
				synctest.Wait()
				if got := len(returned); got != cap(returned) {
					t.Errorf("%d of %d have returned", got, cap(returned))
				}
			})
		})
	}
}
