package main

import (
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// What is needed of CycloneDX 1.6 (ECMA-424).
type (
	bom struct {
		Schema       string         `json:"$schema"`
		Format       string         `json:"bomFormat"`
		SpecVersion  string         `json:"specVersion"`
		SerialNumber string         `json:"serialNumber"`
		Version      int            `json:"version"`
		Metadata     bomMetadata    `json:"metadata"`
		Components   []bomComponent `json:"components"`
	}
	bomMetadata struct {
		Timestamp string       `json:"timestamp"`
		Component bomComponent `json:"component"`
	}
	bomComponent struct {
		Type     string       `json:"type"`
		Ref      string       `json:"bom-ref"`
		Name     string       `json:"name"`
		Version  string       `json:"version"`
		Hashes   []bomHash    `json:"hashes,omitempty"`
		Licences []bomLicence `json:"licenses,omitempty"`
		PURL     string       `json:"purl"`
	}
	bomHash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	bomLicence struct {
		Expression string `json:"expression"`
	}
)

// bill lists what a program is made of. Its serial number follows from the program: the same program has the same list.
func bill(name string, info *buildinfo.BuildInfo, parts []component, sum [32]byte, at time.Time) ([]byte, error) {
	id := sum
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562 section 5.8
	main := "pkg:golang/" + info.Main.Path + "@" + info.Main.Version
	b := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		SerialNumber: fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16]),
		Metadata: bomMetadata{at.UTC().Format(time.RFC3339), bomComponent{
			Type: "application", Ref: main, Name: name, Version: info.Main.Version, PURL: main,
			Hashes: []bomHash{{"SHA-256", hex.EncodeToString(sum[:])}}, Licences: []bomLicence{{"MIT"}},
		}},
	}
	for _, c := range parts {
		l := bomComponent{Type: "library", Ref: c.purl, Name: c.name, Version: c.version, PURL: c.purl, Licences: []bomLicence{{strings.Join(c.licences, " AND ")}}}
		if c.hash != "" {
			l.Hashes = []bomHash{{c.algorithm, c.hash}}
		}
		b.Components = append(b.Components, l)
	}
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}
