package cluster

import "encoding/base64"

// Word makes a word of a subject of any name, and another one of each.
func Word(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }
