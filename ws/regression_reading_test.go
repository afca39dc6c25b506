package ws_test

import "testing"

// A Read that returns nothing and no error is not the end: net.Pipe makes one of an empty Write.
func TestEmptyRead(t *testing.T) {
	both(t, func(t *testing.T, client bool) {
		c, p := bareConn(t, "pipe", client, nil)
		go func() {
			p.Write(nil)
			for _, b := range wireBytes(!client, textFrame("Hello")) {
				p.Write([]byte{b})
				p.Write(nil)
			}
		}()
		if m, err := c.Read(t.Context()); err != nil || m.String() != "Hello" {
			t.Fatal(m, err)
		}
	})
}

// What Messages lends stays what it is while something else is read, until the next step of the loop.
func TestLentMessage(t *testing.T) {
	for _, over := range []string{"tcp", "tls", "pipe"} {
		for _, size := range []int{10, 50, 1000, 20_000} {
			t.Run(over, func(t *testing.T) {
				c, p := bareConn(t, over, false, nil)
				first, second := pattern('a', size), pattern('k', size)
				go p.send(textFrame(first))
				for m, err := range c.Messages(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					go func() { p.send(pongFrame((<-p.sights).data), textFrame(second)) }()
					if _, err := c.Ping(t.Context()); err != nil {
						t.Fatal(err)
					}
					if m.String() != first {
						t.Fatalf("%.60q became %.60q", first, m)
					}
					break
				}
				if m, err := c.Read(t.Context()); err != nil || m.String() != second {
					t.Fatalf("%.60q, %v", m, err)
				}
			})
		}
	}
}
