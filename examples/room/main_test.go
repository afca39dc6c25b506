package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"baro.dev/ws"
)

func TestRoom(t *testing.T) {
	server := httptest.NewServer(newRoom())
	defer server.Close()

	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != page || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%.60q, %v, %v", body, resp.Header, err)
	}

	join := func(name string) *ws.Conn {
		c, _, err := ws.Dial(t.Context(), server.URL+"/ws?name="+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.CloseNow() })
		return c
	}
	hear := func(c *ws.Conn, want string) {
		t.Helper()
		if m, err := c.Read(t.Context()); err != nil || m.Type != ws.Text || m.String() != want {
			t.Fatalf("heard %q, %v; want %q", m, err, want)
		}
	}
	ada := join("ada")
	hear(ada, "ada has joined")
	bo := join("bo")
	hear(ada, "bo has joined")
	hear(bo, "bo has joined")
	if err := bo.Write(t.Context(), ws.Text, []byte("<b>안녕</b>")); err != nil {
		t.Fatal(err)
	}
	hear(ada, "bo: <b>안녕</b>")
	hear(bo, "bo: <b>안녕</b>")
	bo.Write(t.Context(), ws.Binary, []byte{0xFF}) // is nothing one could say
	if err := bo.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	hear(ada, "bo has left")
}
