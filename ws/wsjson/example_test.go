package wsjson_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"baro.dev/ws"
	"baro.dev/ws/wsjson"
)

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

type receipt struct {
	Total int    `json:"total"`
	Error string `json:"error,omitempty"`
}

// A server that answers each order with a receipt, and a client that places some.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for o, err := range wsjson.Messages[order](r.Context(), c) {
			var malformed *wsjson.DecodeError
			switch {
			case errors.As(err, &malformed):
				wsjson.Write(r.Context(), c, receipt{Error: "not an order"})
			case err != nil:
				return
			default:
				wsjson.Write(r.Context(), c, receipt{Total: 5 * o.Count})
			}
		}
	}))
	defer server.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	for _, v := range []any{order{"tea", 2}, order{"rice", 3}, "nonsense"} {
		if err := wsjson.Write(ctx, c, v); err != nil {
			fmt.Println(err)
			return
		}
		answer, err := wsjson.Read[receipt](ctx, c)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%+v\n", answer)
	}
	c.Close(ctx, ws.StatusNormalClosure, "")
	// Output:
	// {Total:10 Error:}
	// {Total:15 Error:}
	// {Total:0 Error:not an order}
}

// Handlers decode what is lent to them, and send values back.
func ExampleSend() {
	server := httptest.NewServer(&ws.Server{
		OnMessage: func(c *ws.Socket, m ws.Message) {
			o, err := wsjson.Decode[order](m)
			if err != nil {
				c.Close(ws.StatusInvalidPayload, "not an order")
				return
			}
			wsjson.Send(c, receipt{Total: 5 * o.Count})
		},
	})
	defer server.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	wsjson.Write(ctx, c, order{"tea", 4})
	fmt.Println(wsjson.Read[receipt](ctx, c))
	c.Write(ctx, ws.Text, []byte("{"))
	_, err = wsjson.Read[receipt](ctx, c)
	fmt.Println(ws.CloseStatus(err))
	// Output:
	// {20 } <nil>
	// 1007 (invalid payload)
}
