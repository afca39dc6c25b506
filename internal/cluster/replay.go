package cluster

// replayBits is how far behind the highest number one may come that is still taken.
const replayBits = 1024

// A replay knows which numbers have come, so that what a broker delivers twice is done once: the sliding window of RFC 4303,
// section 3.4.3. The zero value has seen none.
type replay struct {
	highest uint64
	seen    [replayBits / 64]uint64
}

// first is whether number comes for the first time; what is too old to be known counts as seen.
func (r *replay) first(number uint64) bool {
	if number > r.highest {
		if number-r.highest >= replayBits {
			clear(r.seen[:])
		} else {
			for n := r.highest + 1; n < number; n++ {
				r.seen[n/64%uint64(len(r.seen))] &^= 1 << (n % 64)
			}
		}
		r.highest = number
		r.seen[number/64%uint64(len(r.seen))] |= 1 << (number % 64)
		return true
	}
	if r.highest-number >= replayBits {
		return false
	}
	word, bit := &r.seen[number/64%uint64(len(r.seen))], uint64(1)<<(number%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
