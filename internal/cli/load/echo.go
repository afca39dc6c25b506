package load

import "context"

// echo has connections send messages that the server sends back.
func (r *run) echo() error {
	o := r.o
	r.result.Size, r.result.InFlight = o.Size, o.InFlight
	like := newEchoLike(o.Size, o.Binary)
	err := r.openAll(o.Connections, o.Ramp, func(ctx context.Context, i int, _ int64) error {
		a := &asker{closed: o.Rate == 0, limit: o.limit(), wire: o.InFlight}
		overSocketIO := r.transport(i) == SocketIO
		d, err := o.Target.begin(ctx, o.Target.URL, func(d *door) error {
			if overSocketIO {
				return d.socketIO(o.Target.URL, &frames{}, o.Namespace)
			}
			return d.webSocket(o.Target.URL)
		})
		if err != nil {
			return err
		}
		r.workerOf(i).adopt(d.Conn, d.rest(), func(c *conn) speaker {
			a.conn = c
			if overSocketIO {
				a.codec, a.anyOrder = newEvents(c, o), true
			} else {
				a.codec = &echoes{webSocket: webSocket{conn: c}, like: like}
			}
			return a
		})
		r.mu.Lock()
		r.askers = append(r.askers, a)
		r.mu.Unlock()
		return nil
	})
	if err != nil {
		return err
	}
	r.measure(r.unanswered)
	return nil
}

// unanswered is how many messages wait for their answers, or to be sent.
func (r *run) unanswered() (n int64) {
	for _, w := range r.workers {
		w.mu.Lock()
		if s, ok := w.pace.(*schedule); ok {
			n += s.left(r.now())
		}
		w.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.askers {
		w := a.conn.worker
		w.mu.Lock()
		n += int64(a.waiting())
		w.mu.Unlock()
	}
	return n
}
