package presence

import (
	"context"
	"errors"
	"maps"
	"time"

	"baro.dev/channel"
)

const (
	// pullNames is about how many channels a node is asked at a time.
	pullNames = 200
	// pullTimeout is how long an answer may take; of a channel with many members there are several, one after the other.
	pullTimeout = 2 * time.Second
	// pullAgain is how long a node is left alone that did not answer.
	pullAgain = 500 * time.Millisecond
)

// pullAll asks all other nodes about channels that have come to life.
func (p *Peers) pullAll(places []*place) {
	p.mu.Lock()
	peers := maps.Clone(p.peers)
	p.mu.Unlock()
	var question pull
	for _, l := range places {
		for _, peer := range peers {
			l.begin(peer)
		}
		question.States = append(question.States, state{Name: l.name})
	}
	ctx, cancel := context.WithTimeout(p.ctx, pullTimeout)
	answers, _, err := p.node.AskAll(ctx, kindPull, encode(question))
	cancel()
	for id, peer := range peers {
		answer, ok := answers[id]
		if ok {
			err = p.apply(peer, places, answer)
		}
		if !ok || err != nil {
			p.giveUp(peer, places)
		}
	}
	p.mu.Lock()
	for _, l := range places {
		l.entering = false
	}
	p.awake()
	p.mu.Unlock()
	for _, l := range places {
		l.hearing.Lock()
		l.crowd.Whole()
		l.hearing.Unlock()
	}
}

// giveUp has a node be asked again later.
func (p *Peers) giveUp(peer *peer, places []*place) {
	for _, l := range places {
		l.finish(peer, nil, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range places {
		peer.wants[l.name] = struct{}{}
	}
	peer.not = time.Now().Add(pullAgain)
	p.awake()
}

// pullFrom asks a node about channels.
func (p *Peers) pullFrom(peer *peer, places []*place) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		peer.busy = false
		p.awake()
	}()
	var question pull
	for _, l := range places {
		question.States = append(question.States, l.begin(peer))
	}
	answer, err := p.ask(peer, kindPull, question)
	if err == nil {
		err = p.apply(peer, places, answer)
	}
	if err != nil && p.ctx.Err() == nil {
		p.giveUp(peer, places)
	}
}

// ask asks a node something.
func (p *Peers) ask(peer *peer, kind string, question any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.ctx, pullTimeout)
	defer cancel()
	return p.node.Ask(ctx, peer.id, kind, encode(question))
}

// apply takes the answer of a node about channels, each of which was begun and is finished then; unless there is an error.
func (p *Peers) apply(peer *peer, places []*place, data []byte) error {
	var answer pull
	if err := decode(data, &answer); err != nil {
		p.poison(peer.id, err)
		return err
	}
	states := make(map[string]*state, len(answer.States))
	for i := range answer.States {
		states[answer.States[i].Name] = &answer.States[i]
	}
	for _, l := range places {
		s := states[l.name]
		if s == nil {
			l.finish(peer, nil, nil) // as it was
			continue
		}
		members, err := p.whole(peer, s)
		if err != nil {
			l.finish(peer, nil, nil)
			p.want(peer, l.name)
			continue
		}
		p.mu.Lock()
		p.stats.Pulled++
		p.mu.Unlock()
		l.finish(peer, s, members)
	}
	for _, name := range answer.Later {
		p.want(peer, name)
	}
	return nil
}

var errChanged = errors.New("presence: it has begun anew meanwhile")

// whole asks for the rest of the members of a channel.
func (p *Peers) whole(peer *peer, s *state) ([]channel.Member, error) {
	var all []channel.Member
	for part := s; ; {
		err := part.check()
		if err == nil && part.More && len(part.Members) == 0 || len(all) > maxMembers {
			err = errTooLong
		}
		var members []channel.Member
		if err == nil {
			members, err = membersOf(part.Members)
		}
		if err != nil {
			p.poison(peer.id, err)
			return nil, err
		}
		if all = append(all, members...); !part.More {
			return all, nil
		}
		data, err := p.ask(peer, kindPage, page{s.Name, all[len(all)-1].Client})
		if err != nil {
			return nil, err
		}
		part = new(state)
		if err := decode(data, part); err != nil {
			p.poison(peer.id, err)
			return nil, err
		}
		if part.Life != s.Life {
			return nil, errChanged
		}
	}
}

// answerPull answers what another node asks.
func (p *Peers) answerPull(_ context.Context, from string, data []byte) ([]byte, error) {
	var question, answer pull
	if err := decode(data, &question); err != nil {
		p.poison(from, err)
		return nil, err
	}
	room := p.room()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range question.States {
		l := p.places[known.Name]
		switch {
		case room <= 0:
			answer.Later = append(answer.Later, known.Name)
			continue
		case l == nil || l.seq == 0:
			if known.Life == "" {
				continue
			}
			answer.States = append(answer.States, state{Name: known.Name})
			room -= 2*len(known.Name) + 80
		case l.life != known.Life || l.seq != known.Seq:
			s, size := l.state("", room)
			answer.States = append(answer.States, s)
			room -= size
		}
	}
	return encode(answer), nil
}

// answerPage answers with more of the members of a channel.
func (p *Peers) answerPage(_ context.Context, from string, data []byte) ([]byte, error) {
	var question page
	if err := decode(data, &question); err != nil {
		p.poison(from, err)
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.places[question.Name]
	if l == nil {
		return nil, errChanged
	}
	s, _ := l.state(question.After, p.room())
	return encode(s), nil
}

// room is how many bytes an answer may have, beside the names of what does not fit.
func (p *Peers) room() int { return min(p.bus.MaxBytes()/4, 256<<10) }
