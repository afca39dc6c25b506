package server

import (
	"encoding/json"
	"strconv"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
)

// channelOf is the channel that a request is about, if its key is for it.
func (q *apiRequest) channelOf(p map[string]string) (string, error) {
	name := p["channel"]
	if err := channel.ValidateName(name); err != nil {
		return "", err
	}
	return name, q.grant.Check(auth.ScopeRead, name)
}

type apiPresence struct {
	Members []apiMember `json:"members"`
	Users   int         `json:"users"`
	Clients int         `json:"clients"`
	Missing []string    `json:"missing,omitempty"` // servers of the cluster that did not answer
}

type apiMember struct {
	Client string          `json:"client"`
	User   string          `json:"user,omitempty"`
	Info   json.RawMessage `json:"info,omitempty"`
	Since  time.Time       `json:"since"`
}

func (a *api) presence(q *apiRequest) (int, any, error) {
	p, err := q.parameters("channel", "limit")
	if err != nil {
		return 0, nil, err
	}
	name, err := q.channelOf(p)
	if err != nil {
		return 0, nil, err
	}
	limit, err := listLimit(p, 1000)
	if err != nil {
		return 0, nil, err
	}
	if limit == 0 {
		limit = -1 // the counts alone
	}
	answer, err := a.server.presenceOfAll(name, limit)
	return 200, answer, err
}

func (a *api) history(q *apiRequest) (int, any, error) {
	p, err := q.parameters("channel", "after", "limit")
	if err != nil {
		return 0, nil, err
	}
	name, err := q.channelOf(p)
	if err != nil {
		return 0, nil, err
	}
	limit, err := listLimit(p, 100)
	if err != nil {
		return 0, nil, err
	}
	from, err := query{"after": {p["after"]}}.from(channel.Oldest())
	if err != nil {
		return 0, nil, err
	}
	batch, err := a.server.hub.Read(name, from, batchBytes)
	if err != nil {
		return 0, nil, err
	}
	if extra := len(batch.Messages) - limit; extra > 0 {
		batch.Messages = batch.Messages[:limit]
		batch.Next.Offset -= uint64(extra)
		batch.More = true
	}
	b := appendBatch(nil, batch)
	b = append(b[:len(b)-len("}\n")], `,"more":`...)
	b = strconv.AppendBool(b, batch.More)
	return 200, rawJSON(append(b, "}\n"...)), nil
}

// apiChannels is the channels there are. More says that there are others.
type apiChannels struct {
	Channels []apiChannel `json:"channels"`
	More     bool         `json:"more"`
	Missing  []string     `json:"missing,omitempty"` // servers of the cluster that did not answer
}

type apiChannel struct {
	Name        string `json:"name"`
	Epoch       string `json:"epoch"`
	Offset      uint64 `json:"offset"`
	Subscribers int    `json:"subscribers"`
	Clients     int    `json:"clients"`
	Users       int    `json:"users"`
	Messages    int    `json:"messages"`
	Bytes       int64  `json:"bytes"`
}

func (a *api) channels(q *apiRequest) (int, any, error) {
	p, err := q.parameters("pattern", "limit")
	if err != nil {
		return 0, nil, err
	}
	if err := q.noLimited("all channels"); err != nil {
		return 0, nil, err
	}
	limit, err := listLimit(p, 100)
	if err != nil {
		return 0, nil, err
	}
	text, ok := p["pattern"]
	if !ok {
		text = "**"
	}
	pattern, err := channel.ParsePattern(text)
	if err != nil {
		return 0, nil, err
	}
	return 200, a.server.channelsOfAll(q.Context(), pattern, limit), nil
}

type apiInfo struct {
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Uptime   int64     `json:"uptime"` // in seconds
	Clients  int       `json:"clients"`
	Users    int       `json:"users"`
	Channels int       `json:"channels"`
	Bytes    int64     `json:"bytes"`             // of all messages in memory
	Node     string    `json:"node,omitempty"`    // of a cluster, that answers
	Nodes    int       `json:"nodes,omitempty"`   // of the cluster
	Missing  []string  `json:"missing,omitempty"` // of these, did not answer
}

func (a *api) info(q *apiRequest) (int, any, error) {
	if _, err := q.parameters(); err != nil {
		return 0, nil, err
	}
	if err := q.noLimited("the server as a whole"); err != nil {
		return 0, nil, err
	}
	stats := a.server.hub.Stats()
	answer := apiInfo{
		Version: a.server.config.Version, Started: a.started.UTC(), Uptime: int64(time.Since(a.started).Seconds()),
		Channels: stats.Channels, Bytes: stats.Bytes,
	}
	answer.Clients, answer.Users = a.server.registry.Len()
	if j := a.server.joined; j != nil {
		answers, missing := askAll[nodeAnswer](q.Context(), j, kindNode, struct{}{})
		for _, o := range answers {
			answer.Clients += max(0, o.Clients)
			answer.Users += max(0, o.Users)
		}
		answer.Node, answer.Nodes, answer.Missing = j.node.ID(), 1+len(answers)+len(missing), missing
	}
	return 200, answer, nil
}
