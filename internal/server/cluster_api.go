package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

type subscriptionQuestion struct {
	clients.Target
	Channel string `json:"channel"`
}

type disconnectQuestion struct {
	clients.Target
	Number int    `json:"number"`
	Code   string `json:"code"`
	Text   string `json:"text"`
}

type connectionsQuestion struct {
	User  string `json:"user,omitempty"` // "": all
	Limit int    `json:"limit"`
}

type channelsQuestion struct {
	Pattern string `json:"pattern"`
	Limit   int    `json:"limit"`
}

// handle has this server answer what the others ask.
func (j *joined) handle() {
	s := j.server
	j.handleCalls()
	respond(j, kindSubscribe, func(_ context.Context, q subscriptionQuestion) (apiReached, error) {
		if err := channel.ValidateName(q.Channel); err != nil {
			return apiReached{}, err
		}
		return apiReached{Clients: s.registry.Subscribe(q.Target, q.Channel)}, nil
	})
	respond(j, kindUnsubscribe, func(_ context.Context, q subscriptionQuestion) (apiReached, error) {
		return apiReached{Clients: s.registry.Unsubscribe(q.Target, q.Channel)}, nil
	})
	respond(j, kindDisconnect, func(_ context.Context, q disconnectQuestion) (apiReached, error) {
		if q.Number < 4000 || q.Number > 4999 || len(q.Text) > maxReasonBytes {
			return apiReached{}, clients.ErrRequest
		}
		return apiReached{Clients: s.registry.Disconnect(q.Target, clients.Reason{Number: q.Number, Code: q.Code, Text: q.Text})}, nil
	})
	respond(j, kindConnections, func(_ context.Context, q connectionsQuestion) (apiConnections, error) {
		return s.connectionsHere(q), nil
	})
	respond(j, kindChannels, func(_ context.Context, q channelsQuestion) (apiChannels, error) {
		pattern, err := channel.ParsePattern(q.Pattern)
		if err != nil {
			return apiChannels{}, err
		}
		return s.channelsHere(pattern, q.Limit), nil
	})
	respond(j, kindNode, func(context.Context, struct{}) (nodeAnswer, error) { return s.nodeHere(), nil })
	respond(j, kindOccupied, func(_ context.Context, q occupiedQuestion) (occupiedAnswer, error) {
		return j.occupiedHere(q.Channel), nil
	})
}

// reachAll has all servers do what this one has done to n clients, and says to how many it was done.
func (s *Server) reachAll(ctx context.Context, kind string, question any, n int) apiReached {
	answers, missing := askAll[apiReached](ctx, s.joined, kind, question)
	for _, a := range answers {
		n += max(0, a.Clients)
	}
	return apiReached{Clients: n, Missing: missing}
}

// nodeID is what an answer says of where something is; "" where there is one server alone.
func (s *Server) nodeID() string {
	if s.joined == nil {
		return ""
	}
	return s.joined.node.ID()
}

// connectionsHere are those of this server.
func (s *Server) connectionsHere(q connectionsQuestion) apiConnections {
	all := s.registry.All
	if q.User != "" {
		all = func() []*clients.Client { return s.registry.OfUser(q.User) }
	}
	list := all()
	limit := max(0, min(q.Limit, maxListed))
	answer := apiConnections{Connections: []apiConnection{}, More: len(list) > limit}
	for _, c := range list[:min(limit, len(list))] {
		o := c.Connection()
		slices.Sort(o.Channels)
		answer.Connections = append(answer.Connections, apiConnection{o, s.nodeID()})
	}
	return answer
}

// connectionsOfAll are those of all servers.
func (s *Server) connectionsOfAll(ctx context.Context, q connectionsQuestion) apiConnections {
	all := s.connectionsHere(q)
	answers, missing := askAll[apiConnections](ctx, s.joined, kindConnections, q)
	for node, a := range answers {
		all.More = all.More || a.More
		for _, c := range a.Connections {
			c.Node = node
			all.Connections = append(all.Connections, c)
		}
	}
	if q.User != "" && len(answers) > 0 { // in the order in which they came
		slices.SortStableFunc(all.Connections, func(a, b apiConnection) int { return a.Since.Compare(b.Since) })
	}
	if len(all.Connections) > q.Limit {
		all.Connections, all.More = all.Connections[:q.Limit], true
	}
	all.Missing = missing
	return all
}

func (s *Server) channelsHere(pattern channel.Pattern, limit int) apiChannels {
	limit = max(0, min(limit, maxListed))
	all := s.hub.Channels(pattern, limit+1)
	answer := apiChannels{Channels: []apiChannel{}, More: len(all) > limit}
	for _, i := range all[:min(limit, len(all))] {
		answer.Channels = append(answer.Channels, apiChannel{
			i.Name, i.Position.Epoch, i.Position.Offset, i.Subscribers, i.Clients, i.Users, i.Messages, i.Bytes,
		})
	}
	return answer
}

// channelsOfAll are the channels that some server uses, each once.
func (s *Server) channelsOfAll(ctx context.Context, pattern channel.Pattern, limit int) apiChannels {
	all := s.channelsHere(pattern, limit)
	answers, missing := askAll[apiChannels](ctx, s.joined, kindChannels, channelsQuestion{pattern.String(), limit})
	if len(answers) > 0 {
		byName := make(map[string]*apiChannel)
		for i := range all.Channels {
			byName[all.Channels[i].Name] = &all.Channels[i]
		}
		// What follows the end of a list that was cut is not known from it.
		end, cut := "", all.More
		if cut && len(all.Channels) > 0 {
			end = all.Channels[len(all.Channels)-1].Name
		}
		for _, a := range answers {
			if a.More && len(a.Channels) > 0 {
				if last := a.Channels[len(a.Channels)-1].Name; !cut || last < end {
					end = last
				}
				cut = true
			}
			for _, c := range a.Channels {
				if channel.ValidateName(c.Name) != nil {
					continue
				}
				if have := byName[c.Name]; have != nil {
					have.add(&c, s.sharesPresence(c.Name))
				} else {
					byName[c.Name] = &c
				}
			}
		}
		merged := make([]apiChannel, 0, len(byName))
		for name, c := range byName {
			if !cut || name <= end {
				merged = append(merged, *c)
			}
		}
		slices.SortFunc(merged, func(a, b apiChannel) int { return cmp.Compare(a.Name, b.Name) })
		all = apiChannels{Channels: merged[:min(limit, len(merged))], More: cut || len(merged) > limit}
	}
	all.Missing = missing
	return all
}

// add adds what another server says of a channel.
func (c *apiChannel) add(o *apiChannel, presenceIsShared bool) {
	c.Subscribers += max(0, o.Subscribers)
	if presenceIsShared {
		c.Clients, c.Users = max(c.Clients, o.Clients), max(c.Users, o.Users)
	} else {
		c.Clients += max(0, o.Clients)
		c.Users += max(0, o.Users)
	}
	if o.Epoch == c.Epoch && o.Offset > c.Offset || c.Offset == 0 {
		c.Epoch, c.Offset = o.Epoch, o.Offset
	}
	c.Messages, c.Bytes = max(c.Messages, o.Messages), max(c.Bytes, o.Bytes)
}

// presenceOfAll is who is in a channel, at any server.
func (s *Server) presenceOfAll(name string, limit int) (apiPresence, error) {
	if limit > maxListed {
		limit = maxListed
	}
	there, err := s.hub.Presence(name, limit)
	if err != nil {
		return apiPresence{}, err
	}
	answer := apiPresence{Members: []apiMember{}, Users: there.Users, Clients: there.Clients, Missing: there.Missing}
	for _, m := range there.Members {
		answer.Members = append(answer.Members, apiMember{m.Client, m.User, m.Info, m.Since.UTC()})
	}
	return answer, nil
}

// sharesPresence says whether the hub knows who is in a channel at all servers.
func (s *Server) sharesPresence(name string) bool {
	return s.joined != nil && s.hub.SettingsOf(name).Presence
}

// nodeAnswer is what there is to say of a server.
type nodeAnswer struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Since    time.Time `json:"since"`
	Draining bool      `json:"draining"`
	Ready    bool      `json:"ready"`
	Clients  int       `json:"clients"`
	Users    int       `json:"users"`
	Channels int       `json:"channels"`
	Self     bool      `json:"self,omitempty"` // it is the one that answers
}

func (s *Server) nodeHere() nodeAnswer {
	ready, _ := s.ready()
	a := nodeAnswer{
		ID: s.nodeID(), Name: s.nodeName, Version: s.config.Version, Since: s.api.started.UTC(), Draining: s.leaving.begun.Load(), Ready: ready,
		Channels: s.hub.Stats().Channels,
	}
	a.Clients, a.Users = s.registry.Len()
	return a
}
