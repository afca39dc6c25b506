package ws_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"baro.dev/ws"
)

// A file as one message, of which neither side ever holds more than a piece.
func ExampleConn_Writer() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, &ws.AcceptOptions{Limits: ws.Limits{MaxMessageSize: 1 << 30}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		_, body, err := c.Reader(r.Context())
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, body)
		c.Write(r.Context(), ws.Text, fmt.Appendf(nil, "%d bytes, %v", n, err))
		c.Close(r.Context(), ws.StatusNormalClosure, "")
	}))
	defer server.Close()

	name := filepath.Join(os.TempDir(), "baro-example")
	os.WriteFile(name, make([]byte, 3<<20), 0o600)
	defer os.Remove(name)
	file, err := os.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	w, err := c.Writer(ctx, ws.Binary)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(w, file); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil { // ends the message
		log.Fatal(err)
	}
	fmt.Println(c.Read(ctx))
	// Output: 3145728 bytes, <nil> <nil>
}

// The messages of a connection as a stream of bytes, for whatever speaks over a net.Conn.
func ExampleNetConn() {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	conn := ws.NetConn(ctx, c, ws.Binary)
	defer conn.Close() // does the closing handshake

	fmt.Fprintln(conn, "one line")
	fmt.Fprintln(conn, "and another")
	lines := bufio.NewScanner(conn)
	for range 2 {
		lines.Scan()
		fmt.Println(lines.Text())
	}
	// Output:
	// one line
	// and another
}
