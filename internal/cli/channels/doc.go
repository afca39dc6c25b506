// Package channels is what baro publish, baro call and baro subscribe do: as a backend by the HTTP API, or as a client of
// channels. Output goes to a writer, what is for people to Notes; the commands have only flags and texts.
package channels
