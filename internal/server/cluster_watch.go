package server

import "time"

// absence is since when what joins servers is away, and why.
type absence struct {
	since     time.Time
	why       error
	operation string // of the broker, that has failed
}

const (
	// awayGrace is how long the broker may be away before the server wants no clients: most of the time it is back at once.
	awayGrace = 2 * time.Second
	// watchEvery is how often the broker is looked at.
	watchEvery = 250 * time.Millisecond
	// remindEvery is how often the log is told that the broker is still away.
	remindEvery = time.Minute
)

// watchBroker sees whether the broker is there, and tells the log once when it goes and when it is back.
func (j *joined) watchBroker() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var told, behind time.Time // zero: of nothing
	for began := time.Now(); ; {
		away := j.watch(time.Now())
		switch {
		case away == nil && !told.IsZero():
			j.server.log.Info("what joins the servers is back")
			j.lookAtShelf()
			told = time.Time{}
		case away != nil && time.Since(away.since) > awayGrace && time.Since(told) > remindEvery:
			j.server.log.Warn("what joins the servers is away: the server is not ready, and publishing fails where history is kept",
				"error", away.why, "since", away.since.UTC())
			told = time.Now()
		}
		switch err := j.behind(); {
		case err == nil && !behind.IsZero():
			j.server.log.Info("the server has what it is to keep for all")
			behind = time.Time{}
		case err != nil && away == nil && time.Since(began) > awayGrace && time.Since(behind) > remindEvery:
			j.server.log.Warn("the server is not ready: it has not got yet what it is to keep for all; no other one should go", "error", err)
			behind = time.Now()
		}
		select {
		case <-tick.C:
		case <-j.ctx.Done():
			return
		}
	}
}

// watch looks whether the broker is there.
func (j *joined) watch(now time.Time) *absence {
	err := j.backbone.Bus.Err()
	if err == nil && j.backbone.Err != nil {
		err = j.backbone.Err()
	}
	if err == nil {
		err = j.node.Err()
	}
	if err == nil {
		err = j.broker.failing()
	}
	before := j.away.Load()
	switch {
	case err == nil:
		j.broker.served.Store(true)
		j.away.Store(nil)
	case before == nil:
		j.away.Store(&absence{since: now, why: err})
	default:
		j.away.Store(&absence{since: before.since, why: err})
	}
	return j.away.Load()
}

// isAway says whether what joins the servers has been away for longer than a moment; before the first time that it is there, at once.
func (j *joined) isAway() bool {
	if j == nil {
		return false
	}
	a := j.away.Load()
	return a != nil && (time.Since(a.since) > awayGrace || !j.broker.used())
}

// behind says what this server has not got yet of what the servers keep: should another one go, it does not count.
func (j *joined) behind() error {
	if j == nil || j.backbone.Behind == nil {
		return nil
	}
	return j.backbone.Behind()
}
