package handshake

import (
	"net/http"
	"strings"
	"testing"
)

const pmd = "permessage-deflate"

func TestAcceptDeflate(t *testing.T) {
	full := &Deflate{ServerMaxWindowBits: 15, ClientMaxWindowBits: 15}
	lean := DeflatePolicy{NoContextTakeover: true, PeerNoContextTakeover: true}
	small := DeflatePolicy{MaxWindowBits: 9, PeerMaxWindowBits: 10}
	tests := []struct {
		name, offer string
		policy      DeflatePolicy
		agreed      *Deflate
		response    string
	}{
		{"Firefox", pmd, DeflatePolicy{}, full, pmd},
		{"Chrome", pmd + "; client_max_window_bits", DeflatePolicy{}, full, pmd},
		{"nothing we know", "x-webkit-deflate-frame, bbf-usp-protocol", DeflatePolicy{}, nil, ""},
		{"another extension first", "mux, " + pmd, DeflatePolicy{}, full, pmd},
		{"name in other case", "Permessage-Deflate", DeflatePolicy{}, nil, ""},

		// 7.1.1.1: a server accepts server_no_context_takeover by including it, and may include it unasked.
		{"asks for server_no_context_takeover", pmd + ";server_no_context_takeover", DeflatePolicy{},
			&Deflate{true, false, 15, 15}, pmd + "; server_no_context_takeover"},
		{"we reset", pmd, DeflatePolicy{NoContextTakeover: true},
			&Deflate{true, false, 15, 15}, pmd + "; server_no_context_takeover"},
		// 7.1.1.2: a hint in the offer; the server may include it, asked or not.
		{"promises client_no_context_takeover", pmd + ";client_no_context_takeover", DeflatePolicy{},
			&Deflate{false, true, 15, 15}, pmd + "; client_no_context_takeover"},
		{"both reset", pmd, lean,
			&Deflate{true, true, 15, 15}, pmd + "; server_no_context_takeover; client_no_context_takeover"},

		// 7.1.2.1: accepted with the same or a smaller value; may be included unasked.
		{"asks for server_max_window_bits=10", pmd + ";server_max_window_bits=10", DeflatePolicy{},
			&Deflate{false, false, 10, 15}, pmd + "; server_max_window_bits=10"},
		{"asks for server_max_window_bits=15", pmd + ";server_max_window_bits=15", DeflatePolicy{},
			full, pmd + "; server_max_window_bits=15"},
		{"asks for server_max_window_bits=8", pmd + ";server_max_window_bits=8", DeflatePolicy{},
			&Deflate{false, false, 8, 15}, pmd + "; server_max_window_bits=8"},
		{"we use less than asked", pmd + ";server_max_window_bits=12", DeflatePolicy{MaxWindowBits: 9},
			&Deflate{false, false, 9, 15}, pmd + "; server_max_window_bits=9"},
		{"we use more than asked", pmd + ";server_max_window_bits=8", DeflatePolicy{MaxWindowBits: 9},
			&Deflate{false, false, 8, 15}, pmd + "; server_max_window_bits=8"},

		// 7.1.2.2: only if offered, with the same or a smaller value.
		{"client window, any", pmd + ";client_max_window_bits", small,
			&Deflate{false, false, 9, 10}, pmd + "; server_max_window_bits=9; client_max_window_bits=10"},
		{"client window below ours", pmd + ";client_max_window_bits=8", small,
			&Deflate{false, false, 9, 8}, pmd + "; server_max_window_bits=9; client_max_window_bits=8"},
		{"client window above ours", pmd + ";client_max_window_bits=15", small,
			&Deflate{false, false, 9, 10}, pmd + "; server_max_window_bits=9; client_max_window_bits=10"},
		{"client window hint", pmd + ";client_max_window_bits=11", DeflatePolicy{},
			&Deflate{false, false, 15, 11}, pmd + "; client_max_window_bits=11"},
		{"client window of 15", pmd + ";client_max_window_bits=15", DeflatePolicy{}, full, pmd},
		{"client window not offered", pmd, small,
			&Deflate{false, true, 9, 15}, pmd + "; client_no_context_takeover; server_max_window_bits=9"},

		{"everything", pmd + "; client_max_window_bits=\"9\"; server_max_window_bits=\"1\\0\"; client_no_context_takeover; server_no_context_takeover", DeflatePolicy{},
			&Deflate{true, true, 10, 9}, pmd + "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9"},

		// 5.1: offers are in the client's order of preference.
		{"the first that fits", pmd + ";server_max_window_bits=10," + pmd, DeflatePolicy{},
			&Deflate{false, false, 10, 15}, pmd + "; server_max_window_bits=10"},
		{"the second as the first is unknown", pmd + ";x," + pmd + ";server_max_window_bits=9", DeflatePolicy{},
			&Deflate{false, false, 9, 15}, pmd + "; server_max_window_bits=9"},

		// 7: MUST decline an offer with an unknown, invalid or repeated parameter.
		{"unknown parameter", pmd + "; mem_level=9", DeflatePolicy{}, nil, ""},
		{"parameter in other case", pmd + "; Server_no_context_takeover", DeflatePolicy{}, nil, ""},
		{"server_no_context_takeover twice", pmd + "; server_no_context_takeover; server_no_context_takeover", DeflatePolicy{}, nil, ""},
		{"client_no_context_takeover twice", pmd + "; client_no_context_takeover; client_no_context_takeover", DeflatePolicy{}, nil, ""},
		{"server_max_window_bits twice", pmd + "; server_max_window_bits=10; server_max_window_bits=10", DeflatePolicy{}, nil, ""},
		{"client_max_window_bits twice", pmd + "; client_max_window_bits; client_max_window_bits=10", DeflatePolicy{}, nil, ""},
		{"client_max_window_bits twice, bare", pmd + "; client_max_window_bits; client_max_window_bits", DeflatePolicy{}, nil, ""},
		{"server_no_context_takeover=true", pmd + "; server_no_context_takeover=true", DeflatePolicy{}, nil, ""},
		{"client_no_context_takeover=0", pmd + "; client_no_context_takeover=0", DeflatePolicy{}, nil, ""},
		{"server_max_window_bits without a value", pmd + "; server_max_window_bits", DeflatePolicy{}, nil, ""},
	}
	for _, bits := range []string{"0", "7", "16", "abc", "08", "015", "8.", "-8", "+8", "1", "2", "1a", "0x8", "150", "99999999999999999999"} {
		for _, name := range []string{"server", "client"} {
			tests = append(tests, struct {
				name, offer string
				policy      DeflatePolicy
				agreed      *Deflate
				response    string
			}{name + " bits " + bits, pmd + ";" + name + "_max_window_bits=" + bits, DeflatePolicy{}, nil, ""})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{"Sec-Websocket-Extensions": {tt.offer}}
			agreed, response, err := AcceptDeflate(h, &tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			if (agreed == nil) != (tt.agreed == nil) || agreed != nil && *agreed != *tt.agreed || response != tt.response {
				t.Errorf("%+v %q, want %+v %q", agreed, response, tt.agreed, tt.response)
			}
			if agreed, response, err := AcceptDeflate(h, nil); agreed != nil || response != "" || err != nil {
				t.Errorf("without a policy: %+v %q %v", agreed, response, err)
			}
		})
	}
}

func TestAcceptDeflateMalformed(t *testing.T) {
	tests := []struct {
		name   string
		lines  []string
		status int
	}{
		{"none", nil, 0},
		{"empty", []string{""}, 400},
		{"after an offer that fits", []string{pmd, pmd + ";"}, 400},
		{"unclosed quote", []string{pmd + `;server_max_window_bits="\c\c\c\c`}, 400},
		{"10k offers", []string{strings.Repeat(pmd+",", 10000)}, 431},
		{"33 offers", []string{strings.Repeat(pmd+",", 33)}, 431},
		{"64 KB of spaces", []string{pmd + strings.Repeat(" ", 64<<10)}, 431},
	}
	for _, tt := range tests {
		for _, policy := range []*DeflatePolicy{nil, {}} {
			agreed, response, err := AcceptDeflate(http.Header{"Sec-Websocket-Extensions": tt.lines}, policy)
			wantStatus(t, err, tt.status, "")
			if agreed != nil || response != "" {
				t.Errorf("%s: %+v %q", tt.name, agreed, response)
			}
		}
	}
}

func TestOfferDeflate(t *testing.T) {
	tests := []struct {
		policy DeflatePolicy
		want   string
	}{
		{DeflatePolicy{}, pmd + "; client_max_window_bits"},
		{DeflatePolicy{NoContextTakeover: true}, pmd + "; client_no_context_takeover; client_max_window_bits"},
		{DeflatePolicy{PeerNoContextTakeover: true}, pmd + "; server_no_context_takeover; client_max_window_bits"},
		{DeflatePolicy{MaxWindowBits: 9}, pmd + "; client_max_window_bits=9"},
		{DeflatePolicy{MaxWindowBits: 15, PeerMaxWindowBits: 15}, pmd + "; client_max_window_bits"},
		{DeflatePolicy{PeerMaxWindowBits: 8}, pmd + "; server_max_window_bits=8; client_max_window_bits"},
	}
	for _, tt := range tests {
		if got := OfferDeflate(tt.policy); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.policy, got, tt.want)
		}
	}
}

func TestDeflatePolicyValidate(t *testing.T) {
	for bits := -1; bits <= 17; bits++ {
		ok := bits == 0 || 8 <= bits && bits <= 15
		for _, p := range []DeflatePolicy{{MaxWindowBits: bits}, {PeerMaxWindowBits: bits}} {
			if err := p.Validate(); (err == nil) != ok {
				t.Errorf("%+v: %v", p, err)
			}
		}
	}
}
