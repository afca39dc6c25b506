package server

import (
	"cmp"
	"encoding/json"
	"slices"
)

// apiNodes is the servers of the cluster; one that is alone is the only one.
type apiNodes struct {
	Nodes   []nodeAnswer `json:"nodes"`
	Missing []string     `json:"missing,omitempty"`
}

func (a *api) nodes(q *apiRequest) (int, any, error) {
	if _, err := q.parameters(); err != nil {
		return 0, nil, err
	}
	if err := q.noLimited("the servers"); err != nil {
		return 0, nil, err
	}
	self := a.server.nodeHere()
	self.Self = true
	answer := apiNodes{Nodes: []nodeAnswer{self}}
	j := a.server.joined
	if j == nil {
		return 200, answer, nil
	}
	answers, missing := askAll[nodeAnswer](q.Context(), j, kindNode, struct{}{})
	for _, p := range j.node.Peers() {
		o, ok := answers[p.ID]
		if !ok { // what is known of it without its answer
			var state nodeState
			_ = json.Unmarshal(p.State, &state)
			o = nodeAnswer{Draining: state.Draining}
		}
		o.ID, o.Name, o.Version, o.Since, o.Self = p.ID, p.Name, p.Version, p.Since.UTC(), false
		answer.Nodes = append(answer.Nodes, o)
	}
	slices.SortFunc(answer.Nodes, func(a, b nodeAnswer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	answer.Missing = missing
	return 200, answer, nil
}
