// Package bench measures this project beside its peers, in one run. It is a module of its own, so that the peers are
// nobody else's dependencies.
//
//	go test -run '^$' -bench . -count 5
package bench
