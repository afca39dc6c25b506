package handshake

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What parses is the same when it is written out again and parsed once more, and a line is as good as its parts.
func FuzzExtensions(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits")
	f.Add(`permessage-deflate; server_max_window_bits="1\0", mux;x=1,,y`)
	f.Add("a;b=\"\\c\\c\\c\na,b")
	f.Fuzz(func(t *testing.T, header string) {
		lines := strings.Split(header, "\n")
		got, err := scan(lines)
		if err != nil {
			if err.Status != 400 && err.Status != 431 {
				t.Fatalf("status %d", err.Status)
			}
			return
		}
		if len(got) == 0 || len(got) > maxExtensions {
			t.Fatalf("%d extensions in %q", len(got), header)
		}
		again, err := scan([]string{strings.Join(got, ", ")})
		if err != nil || strings.Join(again, ", ") != strings.Join(got, ", ") {
			t.Errorf("%q became %q, %v", got, again, err)
		}
		if joined, err := scan([]string{strings.Join(lines, ",")}); err != nil || strings.Join(joined, ", ") != strings.Join(got, ", ") {
			t.Errorf("in one line %q, %v; in several %q", joined, err, got)
		}
	})
}

// policy makes a policy of 10 bits; half of the window sizes are absent or out of range.
func policy(n uint16) DeflatePolicy {
	return DeflatePolicy{
		NoContextTakeover:     n&1 != 0,
		PeerNoContextTakeover: n&2 != 0,
		MaxWindowBits:         int(n >> 2 & 15),
		PeerMaxWindowBits:     int(n >> 6 & 15),
	}
}

// Whatever a client offers, the server's response is valid for the offer, and what our own client offers it accepts.
func FuzzDeflate(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits", uint16(0), uint16(0))
	f.Add("permessage-deflate; server_max_window_bits=8, permessage-deflate", uint16(0x3ff), uint16(0x2a4))
	f.Fuzz(func(t *testing.T, header string, clientPolicy, serverPolicy uint16) {
		client, server := policy(clientPolicy), policy(serverPolicy)
		checkAgreement(t, client, server)

		offer := strings.Split(header, "\n")
		agreed, response, err := AcceptDeflate(http.Header{"Sec-Websocket-Extensions": offer}, &server)
		if err != nil || agreed == nil {
			if agreed != nil || response != "" {
				t.Fatalf("%+v and %q with %v", agreed, response, err)
			}
			return
		}
		extensions, bad := scan([]string{response})
		if bad != nil || len(extensions) != 1 {
			t.Fatalf("response %q: %v", response, bad)
		}
		if strings.Contains(response, "client_max_window_bits") && !strings.Contains(header, "client_max_window_bits") {
			t.Errorf("response %q to %q", response, header) // RFC 7692 7.1.2.2: MUST NOT
		}
		// A client that asked for nothing in particular understands it.
		understood, bad := checkExtensions(http.Header{"Sec-Websocket-Extensions": {response}}, &DeflatePolicy{})
		if bad != nil || *understood != *agreed {
			t.Errorf("response %q: %+v, %v; the server thinks %+v", response, understood, bad, agreed)
		}
	})
}

// checkAgreement lets our client and our server negotiate.
func checkAgreement(t *testing.T, client, server DeflatePolicy) {
	t.Helper()
	offer := OfferDeflate(client)
	agreed, response, err := AcceptDeflate(http.Header{"Sec-Websocket-Extensions": {offer}}, &server)
	if err != nil || agreed == nil {
		t.Fatalf("offer %q declined: %v", offer, err)
	}
	ours, bad := checkExtensions(http.Header{"Sec-Websocket-Extensions": {response}}, &client)
	if bad != nil {
		t.Fatalf("response %q to %q: %v", response, offer, bad)
	}
	if *ours != *agreed {
		t.Errorf("%q, %q: the client thinks %+v, the server %+v", offer, response, ours, agreed)
	}
	if agreed.ServerMaxWindowBits > windowBits(client.PeerMaxWindowBits) || agreed.ServerMaxWindowBits > windowBits(server.MaxWindowBits) ||
		agreed.ClientMaxWindowBits > windowBits(client.MaxWindowBits) || agreed.ClientMaxWindowBits > windowBits(server.PeerMaxWindowBits) {
		t.Errorf("%q, %q: %+v beyond %+v or %+v", offer, response, agreed, client, server)
	}
	if (client.PeerNoContextTakeover || server.NoContextTakeover) != agreed.ServerNoContextTakeover ||
		(client.NoContextTakeover || server.PeerNoContextTakeover) != agreed.ClientNoContextTakeover {
		t.Errorf("%q, %q: %+v from %+v and %+v", offer, response, agreed, client, server)
	}
}

// Every kind of policy with every other.
func TestDeflateAgreement(t *testing.T) {
	var policies []DeflatePolicy
	for takeover := range uint16(4) {
		for _, own := range []int{0, 8, 10, 14, 15} {
			for _, peer := range []int{0, 8, 10, 14, 15} {
				p := policy(takeover)
				p.MaxWindowBits, p.PeerMaxWindowBits = own, peer
				policies = append(policies, p)
			}
		}
	}
	for _, client := range policies {
		for _, server := range policies {
			checkAgreement(t, client, server)
		}
	}
}

// A response is read without what follows it, and only a correct one is accepted.
func FuzzResponse(f *testing.F) {
	f.Add([]byte(upgradeResponse + "\r\n\x81\x02hi"))
	f.Add([]byte("HTTP/1.1 103 Early Hints\r\n\r\n" + upgradeResponse + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 12
		r := bytes.NewReader(data)
		br := bufio.NewReaderSize(r, 64)
		resp, err := ReadResponse(br, &http.Request{Method: "GET"}, limit)
		if err != nil {
			return
		}
		offer := Offer{Key: "dGhlIHNhbXBsZSBub25jZQ==", Subprotocols: []string{"chat"}, Deflate: &DeflatePolicy{PeerMaxWindowBits: 10}}
		subprotocol, agreed, err := offer.CheckResponse(resp)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(br)
		if header := data[:len(data)-len(rest)]; !bytes.HasSuffix(data, rest) || !bytes.HasSuffix(header, []byte("\n")) || len(header) > limit {
			t.Errorf("%q of %q is left", rest, data)
		}
		if !bytes.Contains(data, []byte("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) {
			t.Errorf("accepted %q", data)
		}
		if subprotocol != "" && subprotocol != "chat" || agreed != nil && agreed.ServerMaxWindowBits > 10 {
			t.Errorf("%q, %+v", subprotocol, agreed)
		}
	})
}
