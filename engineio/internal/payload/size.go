package payload

import "encoding/base64"

// PacketSize returns how many bytes AppendPacket appends.
func (f Format) PacketSize(p Packet, binary bool) int {
	switch {
	case f.Protocol() == 4:
		return f.textSize(p)
	case binary:
		n := 1 + len(p.Data)
		return 1 + digits(n) + 1 + n
	}
	return digits(f.textUnits(p)) + 1 + f.textSize(p)
}

// PayloadSize returns how many bytes AppendPayload appends.
func (f Format) PayloadSize(packets []Packet) int {
	size, binary := 0, f.Binary(packets)
	for _, p := range packets {
		size += f.PacketSize(p, binary)
	}
	if f.Protocol() == 4 && len(packets) > 0 {
		size += len(packets) - 1
	}
	return size
}

// MessageSize returns how many bytes AppendMessage appends.
func (f Format) MessageSize(p Packet) int {
	switch {
	case !f.IsBinary(p):
		return f.textSize(p)
	case f == V3:
		return 1 + len(p.Data)
	}
	return len(p.Data)
}

// Fit returns how many of packets, from the first, a payload of at most limit bytes holds, and the size of that payload.
func (f Format) Fit(packets []Packet, limit int) (n, size int) {
	if f == V3 {
		return fitV3(packets, limit)
	}
	for _, p := range packets {
		next := size + f.PacketSize(p, false)
		if f.Protocol() == 4 && n > 0 {
			next++
		}
		if next > limit {
			break
		}
		n, size = n+1, next
	}
	return n, size
}

// fitV3 knows that a packet that is binary changes how those before it are framed.
func fitV3(packets []Packet, limit int) (n, size int) {
	text, bytes, binary := 0, 0, false
	for _, p := range packets {
		binary = binary || p.Binary
		bytes += V3.PacketSize(p, true)
		next := bytes
		if !binary {
			text += V3.PacketSize(p, false)
			next = text
		}
		if next > limit {
			break
		}
		n, size = n+1, next
	}
	return n, size
}

// textSize returns the size of p as text in bytes.
func (f Format) textSize(p Packet) int {
	if !p.Binary {
		return 1 + len(p.Data)
	}
	n := 1 + base64.StdEncoding.EncodedLen(len(p.Data))
	if f.Protocol() == 3 {
		n++
	}
	return n
}

// textUnits returns the size of p as text in UTF-16 code units.
func (f Format) textUnits(p Packet) int {
	if p.Binary {
		return f.textSize(p)
	}
	return 1 + units(p.Data)
}

// digits returns how many decimal digits n has, which is not negative.
func digits(n int) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}
