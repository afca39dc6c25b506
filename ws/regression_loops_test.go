package ws_test

import (
	"fmt"
	"net/http"
	"testing"

	"baro.dev/ws"
)

// What has been published before Shutdown leaves before the close frame, though nobody has had the time to deliver it.
func TestShutdownAfterPublish(t *testing.T) {
	for _, loops := range []int{1, -1} {
		t.Run(fmt.Sprint("loops ", loops), func(t *testing.T) {
			for range 20 {
				opened := make(chan struct{})
				s := &ws.Server{Loops: loops, OnOpen: func(c *ws.Socket, _ *http.Request) {
					c.Subscribe("all")
					close(opened)
				}}
				h := openHouse(t, s, "tcp", false)
				p := h.visit(t, "subscriber")
				<-opened
				if err := s.Publish("all", ws.Text, []byte("farewell")); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- s.Shutdown(t.Context()) }()
				if err := p.expect(sawText("farewell")); err != nil {
					t.Fatal(err)
				}
				p.send(closeFrame(1001, ""))
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
