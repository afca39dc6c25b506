package doctor

import (
	"net/http"
	"slices"
	"strings"
)

// judgeSwitch looks at each line of an answer of 101 (RFC 6455 4.1).
func (e *examination) judgeSwitch(data *Handshake, h http.Header, key string) Result {
	var wrong []string
	note := func(header, problem string) {
		data.note("response", header+":", problem)
		wrong = append(wrong, problem)
	}
	switch values := h.Values("Upgrade"); {
	case len(values) == 0:
		note("Upgrade", "Upgrade is missing: a proxy has taken it away")
	case !hasToken(values, "websocket"):
		note("Upgrade", "Upgrade must be websocket")
	}
	switch values := h.Values("Connection"); {
	case len(values) == 0:
		note("Connection", "Connection is missing: a proxy has taken it away")
	case !hasToken(values, "upgrade"):
		note("Connection", "Connection must say Upgrade")
	}
	switch accept := h.Get("Sec-WebSocket-Accept"); {
	case accept == "":
		note("Sec-WebSocket-Accept", "Sec-WebSocket-Accept is missing")
	case accept != acceptOf(key):
		note("Sec-WebSocket-Accept", "Sec-WebSocket-Accept is wrong: it must be "+acceptOf(key)+"; an answer of a cache, or to another key")
	}
	for extension := range strings.SplitSeq(strings.Join(h.Values("Sec-WebSocket-Extensions"), ","), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(extension), ";")
		if name = strings.TrimSpace(name); name != "" && name != "permessage-deflate" {
			note("Sec-WebSocket-Extensions", "an extension that was not offered")
			break
		}
	}
	switch chosen := h.Get("Sec-WebSocket-Protocol"); {
	case chosen != "" && !slices.Contains(e.o.Subprotocols, chosen):
		note("Sec-WebSocket-Protocol", "a subprotocol that was not offered")
	case chosen == "" && len(e.o.Subprotocols) > 0 && len(wrong) == 0:
		return warn(data, "The server goes on without a subprotocol; browsers then close the connection. Offer one that it speaks.", "101, without a subprotocol")
	}
	if len(wrong) > 0 {
		return refused(data, "Clients end a connection with such an answer. "+upgradeAdvice(whoIs(e.head)), "101, but %s", strings.Join(wrong, "; "))
	}
	return ok(data, "101 Switching Protocols, as it must be")
}

func hasToken(values []string, token string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// judgeRefusal says what another answer than 101 means.
func (e *examination) judgeRefusal(data *Handshake, h http.Header, body []byte) Result {
	problem, advice := e.reading(data.Status, h, body)
	data.note("response", "HTTP/", problem)
	if location := h.Get("Location"); location != "" && data.Status/100 == 3 {
		data.note("response", "Location:", "WebSockets of browsers follow no redirect")
	}
	return refused(data, advice, "%s instead of 101: %s", statusLine(data.Status), problem)
}

// reading says what a status that is not 101 means, and what can be done about it.
func (e *examination) reading(status int, h http.Header, body []byte) (problem, advice string) {
	who := whoIs(h)
	if len(who) == 0 {
		who = whoIs(e.head)
	}
	const eaten = "the server has not seen Upgrade and Connection: a proxy takes them away"
	baro, lower := baroRefusal(status, body), strings.ToLower(string(body))
	engine := engineRefusal(status, body)
	switch {
	case status == http.StatusUpgradeRequired && strings.TrimSpace(h.Get("Sec-WebSocket-Version")) != "" && !hasToken(h.Values("Sec-WebSocket-Version"), "13"):
		return "the server speaks another version of WebSocket", "It speaks " + h.Get("Sec-WebSocket-Version") + ": update it."
	case status == http.StatusUpgradeRequired,
		status == http.StatusOK && h.Get("Baro-Position") != "", // a poll
		engine != nil && engine.Code == "3":                     // Engine.IO knows a WebSocket by the upgrade
		return eaten, upgradeAdvice(who)
	case status == http.StatusBadRequest && (strings.Contains(lower, "upgrade") || strings.Contains(lower, "\"connection\"") || strings.Contains(lower, "hijack")):
		return eaten, upgradeAdvice(who)
	case status/100 == 3 && h.Get("Location") != "":
		return "the server sends elsewhere", redirectAdvice(e.url, h.Get("Location"))
	case status == http.StatusOK && isHTML(body):
		return "a page, as if there were no Upgrade", "The path belongs to pages, or a proxy takes the headers away. If the path is right it is the proxy. " + upgradeAdvice(who)
	case status/100 == 2:
		return "an ordinary answer, as if there were no Upgrade", "The path is not that of a WebSocket, or a proxy takes the headers away. If the path is right it is the proxy. " +
			upgradeAdvice(who)
	case status == http.StatusBadRequest:
		return "the server says " + said(body), "A proxy that changes the headers of the handshake may be why. " + upgradeAdvice(who)
	}
	problem = said(body)
	if baro != nil {
		problem = baro.Message
	}
	return "the answer is " + problem, statusAdvice(status)
}
