package utf8stream

// The automaton is the grammar of RFC 3629 4. Its states are numbered by where
// their successors are found: the row of the table for a byte holds in the six
// bits from s on what follows state s, and so a step is one load and one shift,
// whatever the text is. No successor is reject, which is zero and has no
// successor but itself.
const (
	reject  = 6 * iota
	accept  // between characters
	tail1   // one more UTF8-tail to come
	tail2   // two more
	tail3   // three more
	afterE0 // %xA0-BF UTF8-tail to come: not an overlong form
	afterED // %x80-9F UTF8-tail: not a surrogate
	afterF0 // %x90-BF 2( UTF8-tail ): not an overlong form
	afterF4 // %x80-8F 2( UTF8-tail ): not beyond U+10FFFF

	mask = 1<<6 - 1
)

// The rows: bytes that lead to the same states from every state share one.
const (
	as = accept << accept  // ASCII
	l2 = tail1 << accept   // leads a character of two bytes
	l3 = tail2 << accept   // of three
	l4 = tail3 << accept   // of four
	e0 = afterE0 << accept // of three, with a second byte that is limited
	ed = afterED << accept
	f0 = afterF0 << accept // of four
	f4 = afterF4 << accept
	xx = 0 // C0 and C1 lead only overlong forms, F5 and up nothing

	tail = accept<<tail1 | tail1<<tail2 | tail2<<tail3
	t8   = tail | tail1<<afterED | tail2<<afterF4 // UTF8-tail: 80-8F
	t9   = tail | tail1<<afterED | tail2<<afterF0 // 90-9F
	ta   = tail | tail1<<afterE0 | tail2<<afterF0 // A0-BF
)

var table = [256]uint64{
	//   1   2   3   4   5   6   7   8   9   A   B   C   D   E   F
	as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, // 0
	as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, // 1
	as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, // 2
	as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, // 3
	as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, // 4
	as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, // 5
	as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, // 6
	as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, as, // 7
	t8, t8, t8, t8, t8, t8, t8, t8, t8, t8, t8, t8, t8, t8, t8, t8, // 8
	t9, t9, t9, t9, t9, t9, t9, t9, t9, t9, t9, t9, t9, t9, t9, t9, // 9
	ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, // A
	ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, ta, // B
	xx, xx, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, // C
	l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, l2, // D
	e0, l3, l3, l3, l3, l3, l3, l3, l3, l3, l3, l3, l3, ed, l3, l3, // E
	f0, l4, l4, l4, f4, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, // F
}
