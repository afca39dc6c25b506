package natsadapter

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const (
	socketIDLength = 20
	tagLength      = 6 // of what the ids of a node's sockets begin with
)

// key stands for a name of any length: nobody finds two names with one.
type key [16]byte

func keyOf(name string) key {
	sum := sha256.Sum256([]byte(name))
	return key(sum[:])
}

// word is a key as a word of a subject.
func word(name string) string {
	k := keyOf(name)
	return base64.RawURLEncoding.EncodeToString(k[:])
}

// subjects are those of a prefix.
//
//	<prefix>.bus.…                           who is there: those of the nodes of package cluster
//	<prefix>.node.<id>.<namespace>           answers to one node
//	<prefix>.nsp.<namespace>.all             to all nodes that have the namespace
//	<prefix>.nsp.<namespace>.room.<name>     to those that have somebody in a room
//	<prefix>.nsp.<namespace>.id.<tag>.<rest> the same, for a name that is like the id of a socket
type subjects struct{ prefix string }

func (s subjects) bus(subject string) string    { return s.prefix + ".bus." + subject }
func (s subjects) node(id, word string) string  { return s.prefix + ".node." + id + "." + word }
func (s subjects) namespace(word string) string { return s.prefix + ".nsp." + word }
func everybody(namespace string) string         { return namespace + ".all" }
func ownSockets(namespace, tag string) string   { return namespace + ".id." + tag + ".*" }

// namespaceOf returns the word of the namespace that something on a subject is for: "" if none.
func (s subjects) namespaceOf(subject string) string {
	rest, _ := strings.CutPrefix(subject, s.prefix+".")
	kind, rest, _ := strings.Cut(rest, ".")
	first, rest, _ := strings.Cut(rest, ".")
	switch kind {
	case "nsp":
		return first
	case "node":
		return rest
	}
	return ""
}

// roomSubject is where what is for a room is sent. What is for a name that the id of a socket could have goes where the node that
// made the socket hears it: to all of its sockets it listens by one subscription, and to those alone that others have made,
// because their clients have come back to another server.
func roomSubject(namespace, name string) string {
	if isSocketID(name) {
		return namespace + ".id." + name[:tagLength] + "." + name[tagLength:]
	}
	return namespace + ".room." + word(name)
}

// isSocketID reports whether a name is like the ids of sockets of protocol 4.
func isSocketID(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '-' && c != '_' {
			return false
		}
	}
	return len(name) == socketIDLength
}

// newID returns a random id of a node.
func newID() string {
	const characters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	id := make([]byte, 0, idLength)
	var random [2 * idLength]byte
	for len(id) < idLength {
		_, _ = rand.Read(random[:])
		for _, r := range random {
			if int(r) < 4*len(characters) && len(id) < idLength {
				id = append(id, characters[int(r)%len(characters)])
			}
		}
	}
	return string(id)
}

// isPrefix reports whether p is words that are joined by dots.
func isPrefix(p string) bool {
	for w := range strings.SplitSeq(p, ".") {
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return r > 0x7f || !isAlphanumeric(byte(r)) && r != '-' && r != '_' }) {
			return false
		}
	}
	return len(p) <= 128
}
