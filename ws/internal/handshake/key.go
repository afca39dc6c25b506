package handshake

import (
	"crypto/fips140"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
)

const (
	keyLen    = 24 // 16 bytes in base64
	acceptLen = 28 // 20 bytes in base64
	keyGUID   = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// NewKey returns a Sec-WebSocket-Key: 16 bytes from a cryptographic source, in base64 (RFC 6455 4.1).
func NewKey() string {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// AcceptKey returns the Sec-WebSocket-Accept that answers a key (RFC 6455 4.2.2).
func AcceptKey(key string) string {
	var accept [acceptLen]byte
	return string(appendAccept(accept[:0], key))
}

func appendAccept(dst []byte, key string) []byte {
	// Nothing rests on the strength of SHA-1 here; a program held to FIPS 140 may speak WebSocket all the same.
	if fips140.Enforced() {
		fips140.WithoutEnforcement(func() { dst = appendSum(dst, key) })
		return dst
	}
	return appendSum(dst, key)
}

func appendSum(dst []byte, key string) []byte {
	var buf [keyLen + len(keyGUID)]byte
	sum := sha1.Sum(append(append(buf[:0], key...), keyGUID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// validKey tells whether a key decodes to 16 bytes. The four bits that the last letter has too many may be set, as in
// the example that RFC 6455 4.1 gives.
func validKey(key string) bool {
	if len(key) != keyLen || key[keyLen-2:] != "==" {
		return false
	}
	for i := range keyLen - 2 {
		if c := key[i]; !isAlnum(c) && c != '+' && c != '/' {
			return false
		}
	}
	return true
}
