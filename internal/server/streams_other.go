//go:build !linux

package server

import (
	"context"
	"net/http"
)

// streams drives no streams: each has its goroutine.
type streams struct{}

func newStreams(*Server) *streams { return &streams{} }

func (*streams) takes(*http.Request) bool { return false }

func (*streams) take(http.ResponseWriter, *http.Request, *follower, *queue, func()) bool {
	return false
}
func (*streams) waiting() int             { return 0 }
func (*streams) shutdown(context.Context) {}
func (*streams) closeNow()                {}
