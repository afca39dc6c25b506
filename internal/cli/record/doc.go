// Package record keeps sessions in files, and plays them again: docs/cli.md, "baro record and baro replay".
//
// A recording is lines of JSON. The first is the [Header]; each of the others is an [Entry]: what came or was sent, and when. No line has a
// secret that can be known as one: see [Redactor].
package record
