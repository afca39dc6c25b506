package server

import (
	"net/http"
	"strconv"
	"strings"
)

// The media types that a channel answers a GET with.
const (
	typeJSON   = "application/json"
	typeSSE    = "text/event-stream"
	typeNDJSON = "application/x-ndjson"
)

var mediaTypes = []struct{ name, answer string }{
	{typeJSON, typeJSON}, // first, for those who accept anything
	{typeSSE, typeSSE},
	{typeNDJSON, typeNDJSON},
	{"application/ndjson", typeNDJSON},
	{"application/jsonl", typeNDJSON},
}

// negotiate chooses what to answer with (RFC 9110 section 12.5.1): what the client likes best, and among equals what it
// named itself. It is empty where nothing will do.
func negotiate(h http.Header) string {
	accept := strings.Join(h["Accept"], ",")
	if strings.TrimSpace(accept) == "" {
		return typeJSON
	}
	best, bestQuality, bestRank := "", 0.0, 0
	for _, media := range mediaTypes {
		quality, rank := preference(accept, media.name)
		if quality > bestQuality || (quality == bestQuality && quality > 0 && rank > bestRank) {
			best, bestQuality, bestRank = media.answer, quality, rank
		}
	}
	return best
}

// preference is the quality that accept gives to name, by the range that names it most closely, which rank says: 3 for
// the type itself, 2 for its like, 1 for anything, 0 where there is none.
func preference(accept, name string) (quality float64, rank int) {
	kind, _, _ := strings.Cut(name, "/")
	for item := range strings.SplitSeq(accept, ",") {
		media, parameters, _ := strings.Cut(item, ";")
		var r int
		switch media = strings.ToLower(strings.TrimSpace(media)); media {
		case name:
			r = 3
		case kind + "/*":
			r = 2
		case "*/*":
			r = 1
		}
		if r > rank {
			quality, rank = qualityOf(parameters), r
		}
	}
	return quality, rank
}

func qualityOf(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(key, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
