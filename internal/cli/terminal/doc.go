// Package terminal is what the commands know of terminals: it makes harmless what others sent, colours, measures, prints
// JSON and bytes for people, and edits lines while output goes on above them.
package terminal
