package load

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// with is u with another scheme, path and query.
func with(u *url.URL, path, query string) *url.URL {
	v := *u
	v.Path, v.RawPath, v.RawQuery = path, "", query
	return &v
}

// begin connects and opens what f opens, within the target's timeout. The door's connection has no deadline then.
func (t *Target) begin(ctx context.Context, u *url.URL, f func(*door) error) (d *door, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	nc, err := t.Dial(ctx, u)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = nc.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			nc.Close()
		}
	}()
	d = newDoor(nc, t)
	if f != nil {
		if err := f(d); err != nil {
			return nil, err
		}
	}
	return d, nc.SetDeadline(time.Time{})
}

// socketIOPath is where a URL says that Socket.IO is: its own path, if that names it.
func socketIOPath(u *url.URL) *url.URL {
	path := u.Path
	if !strings.Contains(path, "socket.io") {
		path = "/socket.io/"
	}
	q := u.Query()
	q.Set("EIO", "4")
	q.Set("transport", "websocket")
	return with(u, path, q.Encode())
}

// socketIO opens a session of Engine.IO and enters a namespace.
func (d *door) socketIO(u *url.URL, f *frames, namespace string) error {
	if err := d.webSocket(socketIOPath(u)); err != nil {
		return err
	}
	if err := d.expect(f, "0{"); err != nil {
		return err
	}
	prefix := namespacePrefix(namespace)
	if err := d.say("40" + prefix); err != nil {
		return err
	}
	return d.expect(f, "40"+prefix)
}

// namespacePrefix is what packets of a namespace begin with.
func namespacePrefix(namespace string) string {
	if namespace == "" || namespace == "/" {
		return ""
	}
	return "/" + strings.TrimPrefix(namespace, "/") + ","
}

// maxGreeting bounds the packets with which a session begins.
const maxGreeting = 1 << 20

// expect reads messages until one begins with a prefix. A few that are not that may come before: heartbeats, events.
func (d *door) expect(f *frames, prefix string) error {
	for range 100 {
		m, err := d.message(f, maxGreeting)
		if err != nil {
			return err
		}
		text := string(m)
		switch {
		case strings.HasPrefix(text, prefix):
			return nil
		case text == "2":
			if err := d.say("3"); err != nil {
				return err
			}
		case strings.HasPrefix(text, "44"):
			return fmt.Errorf("the namespace is refused: %.200q", text[2:])
		case !strings.HasPrefix(text, "42"):
			return fmt.Errorf("%.100q came instead of %q", text, prefix)
		}
	}
	return fmt.Errorf("no %q came", prefix)
}
