package strictjson

import (
	"slices"
	"strings"
)

// Suggest says to somebody who wrote word which of the words that are known was meant, or which there are.
func Suggest(word string, known []string) string {
	if len(known) == 0 {
		return "there are none"
	}
	if len(word) <= 64 {
		nearest := slices.MinFunc(known, func(a, b string) int { return distance(word, a) - distance(word, b) })
		if distance(word, nearest) <= 1+len(nearest)/3 {
			return `did you mean "` + nearest + `"?`
		}
	}
	return "there are " + strings.Join(known, ", ")
}

// distance is how many letters are to be changed, added, left out or exchanged with their neighbour to make b of a, whatever
// their case.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
