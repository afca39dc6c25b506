package ws

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"baro.dev/ws/internal/dialer"
	"baro.dev/ws/internal/handshake"
)

// Streams opens WebSockets as streams of HTTP/2 (RFC 8441) or HTTP/3 (RFC 9220) connections, which many can share.
// Packages wsh2 and wsh3 have one each.
type Streams interface {
	// HTTPVersion is the major version of HTTP: 2 or 3.
	HTTPVersion() int
	// Open sends r, an extended CONNECT, and returns the answer and, if its status is 2xx, the stream. Closing the
	// stream must make its Read and Write return. The context of r is for Open alone.
	Open(r *http.Request) (*http.Response, io.ReadWriteCloser, error)
}

// dialStream does the opening handshake over a stream.
func (o *DialOptions) dialStream(ctx context.Context, target *dialer.Target, offer *handshake.Offer) (*Conn, *http.Response, error) {
	if target.Network != "tcp" {
		return nil, nil, fmt.Errorf("ws: DialOptions.Streams cannot dial a %s socket", target.Network)
	}
	offer.HTTP = o.Streams.HTTPVersion()
	req, err := offer.Request(target.URL)
	if err != nil {
		return nil, nil, err
	}
	resp, stream, err := o.Streams.Open(req.WithContext(ctx))
	if err != nil {
		return nil, resp, fmt.Errorf("ws: opening a stream to %s: %w", target.URL.Host, err)
	}
	subprotocol, agreed, err := offer.CheckResponse(resp)
	if err != nil {
		keepRefusal(ctx, resp, stream)
		return nil, resp, err
	}
	resp.Body = http.NoBody
	return newConn(newStreamTransport(stream), o.settings(), nil, true, subprotocol, agreed, nil), resp, nil
}

// keepRefusal keeps the beginning of the body of resp, if it has one, as far as it comes until ctx is done, and closes
// stream, which may be nil.
func keepRefusal(ctx context.Context, resp *http.Response, stream io.Closer) {
	body := resp.Body
	end := sync.OnceFunc(func() {
		body.Close()
		if stream != nil {
			stream.Close()
		}
	})
	defer end()
	if resp.StatusCode/100 == 2 {
		resp.Body = http.NoBody // what follows is no body but frames
		return
	}
	defer context.AfterFunc(ctx, end)()
	keepBody(resp)
}

// maxBody is how much of the body of a refusal is kept.
const maxBody = 1 << 10

// keepBody replaces the body of resp by its beginning, in memory.
func keepBody(resp *http.Response) {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // as far as it comes
	resp.Body = io.NopCloser(bytes.NewReader(body))
}
