package main

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/target"
)

// connectingOptions are what the flags of record and replay say of a connection.
type connectingOptions struct {
	to       target.Options
	how      connection.Options
	protocol string
	auth     string
}

func (o *connectingOptions) addFlags(c *cobra.Command, protocol string) {
	f := c.Flags()
	f.StringVarP(&o.protocol, "protocol", "p", protocol, "ws, socketio, sse, ndjson, longpoll, poll, webtransport; or auto: what the server speaks")
	f.IntVar(&o.how.HTTP, "http", 0, "`version` of HTTP: 1, 2 or 3; 0: what suits the protocol")
	f.StringArrayVar(&o.how.Subprotocols, "subprotocol", nil, "`name` of a subprotocol to offer; one with each flag")
	f.StringVar(&o.auth, "auth", "", "what Socket.IO says when it connects (`JSON`)")
	f.StringVar(&o.how.Namespace, "namespace", "", "`namespace` of Socket.IO; otherwise the path of the URL")
	f.StringVar(&o.how.Path, "path", "", "`path` where the server has Socket.IO; otherwise /socket.io/")
	f.StringArrayVar(&o.how.Transports, "transport", nil, "`transport` of Socket.IO: polling, websocket, webtransport; one with each flag, the first to begin with")
	f.DurationVar(&o.how.PingInterval, "ping-interval", 30*time.Second, "after which silence to ping, over WebSocket; negative: never")
	o.to.AddFlags(f)
	completeWith(c, "protocol", protocolNames()...)
	completeWith(c, "http", "1", "2", "3")
	completeWith(c, "transport", "polling", "websocket", "webtransport")
	completeWith(c, "subprotocol")
	completeWith(c, "auth")
	completeTarget(c)
}

// connection are the options for a URL.
func (o *connectingOptions) connection(url string) (*connection.Options, error) {
	to, err := o.to.Target(url)
	if err != nil {
		return nil, err
	}
	own := o.how
	own.Target = to
	own.Protocol = connection.Protocol(o.protocol)
	if o.auth != "" {
		if own.Auth = json.RawMessage(o.auth); !json.Valid(own.Auth) || !strings.HasPrefix(strings.TrimSpace(o.auth), "{") {
			return nil, usageError{errors.New("--auth is no object of JSON")}
		}
	}
	return &own, nil
}

// protocolNames are what --protocol takes.
func protocolNames() []string {
	var protocols []string
	for _, p := range connection.Protocols {
		protocols = append(protocols, string(p))
	}
	return protocols
}
