//go:build !race

package deflate

// raceEnabled says that the race detector runs, which makes this package's work some thirty times slower.
const raceEnabled = false
