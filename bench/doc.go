// Package bench measures this project beside its peers, in one run. It is a module of its own, so that the peers are
// nobody else's dependencies. Command cmd/bench has each server in a process of its own, on Linux; the benchmarks of
// this package have them in theirs, and count allocations. The tests compare what the libraries understand.
//
//	go run ./cmd/bench install
//	go run ./cmd/bench run
//	go test -run '^$' -bench . -count 5
package bench
