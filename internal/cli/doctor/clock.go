package doctor

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clockReading is what an answer said of the time.
type clockReading struct {
	date         time.Time // zero: nothing
	age          time.Duration
	sent, before time.Time // the request, and the head of the answer, by the clock here
}

func readClock(a *answer) clockReading {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return clockReading{}
	}
	age, _ := strconv.ParseUint(a.header.Get("Age"), 10, 31)
	return clockReading{date, time.Duration(age) * time.Second, a.sent, a.sent.Add(a.first)}
}

// offset is how far the server's clock is ahead, and how wrong that may be: by half of the round trip, and the seconds of Date being whole.
func (c clockReading) offset() (ahead, uncertain time.Duration) {
	trip := c.before.Sub(c.sent)
	ahead = c.date.Add(c.age + time.Second/2).Sub(c.sent.Add(trip / 2))
	return ahead, trip/2 + time.Second/2
}

// Clock is the data of the check clock.
type Clock struct {
	Ahead     Duration `json:"ahead_ms"`     // the server's clock, of that here
	Uncertain Duration `json:"uncertain_ms"` // by how much that may be wrong, either way
}

// clockLimit is how far clocks may be apart: tokens live on them. baro serve forgives 30 s.
const clockLimit = 5 * time.Second

func checkClock(_ context.Context, e *examination) Result {
	if e.date.date.IsZero() {
		return skipped("the answer has no Date")
	}
	ahead, uncertain := e.date.offset()
	data := &Clock{Duration(ahead), Duration(uncertain)}
	apart := max(ahead.Abs()-uncertain, 0)
	if apart <= clockLimit {
		return ok(data, "the same, within %s", Duration(max(ahead.Abs(), uncertain)))
	}
	side := "ahead"
	if ahead < 0 {
		side = "behind"
	}
	return warn(data, "Tokens expire by the clock, too early or too late: have both synchronise it (NTP; timedatectl). baro serve forgives 30 s (auth.leeway).",
		"the server's is %s %s", Duration(ahead.Abs().Round(100*time.Millisecond)), side)
}

// Cookies is the data of the check cookies.
type Cookies struct {
	Names  []string `json:"names"`
	Sticky []string `json:"sticky"` // those by which balancers know their clients
}

// sticky are the names of cookies by which balancers know again whom they have sent where, or how these begin.
var sticky = []string{
	"AWSALB", "AWSELB", "SERVERID", "ARRAffinity", "GCLB", "INGRESSCOOKIE", "BIGipServer", "route", "stickounet", "sticky", "lb", "KUBE-", "TS01", "X-Oracle-BMC-LBS-Route", "heroku-session-affinity",
	"fly-machine-id", "io_lb", "srv_id", "ROUTEID", "HAPROXY", "__cflb",
}

func checkCookies(_ context.Context, e *examination) Result {
	data := &Cookies{Names: []string{}, Sticky: []string{}}
	for _, line := range e.head.Values("Set-Cookie") {
		name, _, found := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !found || name == "" || len(data.Names) >= 32 {
			continue
		}
		data.Names = append(data.Names, name)
		if slices.ContainsFunc(sticky, func(prefix string) bool { return name == prefix || len(prefix) > 4 && strings.HasPrefix(name, prefix) }) {
			data.Sticky = append(data.Sticky, name)
		}
	}
	switch {
	case len(data.Sticky) > 0:
		return ok(data, "%s: a balancer knows its clients by it; pages of other origins must send it (withCredentials)", strings.Join(data.Sticky, ", "))
	case len(data.Names) > 0:
		return ok(data, "%s", strings.Join(data.Names, ", "))
	}
	return ok(data, "none")
}
