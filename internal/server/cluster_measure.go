package server

import "baro.dev/internal/metrics"

// tell tells metrics how the server stands among others.
func (j *joined) tell(state *metrics.State) {
	if j == nil {
		return
	}
	n, p := j.node.Stats(), j.presence.Stats()
	k := &metrics.Cluster{
		BrokerUp: j.away.Load() == nil, Peers: n.Peers,
		Sent: n.Sent, SentBytes: n.SentBytes, Received: n.Received, ReceivedBytes: n.ReceivedBytes,
		Ignored: n.Invalid + n.Unknown + n.Conflicts + n.Refused + p.Poisoned, Gaps: n.Gaps,
		PresenceMembers: p.Members, PresenceTold: p.Told, PresenceHeard: p.Heard, PresencePulled: p.Pulled,
	}
	c := j.carrier.Stats()
	k.CarriedPolls, k.CarriedSockets, k.CarriedServed = c.Polls, c.Sockets, c.Served
	if j.backbone.Stats != nil {
		b := j.backbone.Stats()
		k.BrokerHeard, k.BrokerGaps, k.BrokerLost, k.BrokerWaiting = b.Heard, b.Gaps, b.Lost, b.Waiting
		k.Ignored += b.Foreign
	}
	state.Cluster = k
}
