// Package proxyproto reads the header of the PROXY protocol, version 1 or 2, by which a proxy says at the beginning of a connection
// whose it is ("The PROXY protocol", versions 1 & 2, of HAProxy). It reads nothing behind the header, so that the connection can
// be handed on as it is.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// ErrHeader is what the errors of [Read] are that are about what the peer said.
var ErrHeader = errors.New("PROXY protocol: invalid header")

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	// leastV1 is the length of the shortest header of version 1; one of version 2 is longer.
	leastV1 = len("PROXY UNKNOWN\r\n")
	// mostV1 is the length of the longest (section 2.1).
	mostV1 = 107
	// MaxV2 is how many bytes may follow the fixed part of a header of version 2, in bytes. The protocol has room for 64 KiB of them, which no proxy
	// needs for addresses and what else it may say, all of which is dropped.
	MaxV2 = 4096
)

// Read reads a header from r, and returns the address of the client: invalid where the connection is the proxy's own, as for a
// check of health (LOCAL, UNKNOWN), or of no address that has a port. The error is [io.EOF] if nothing comes at all.
func Read(r io.Reader) (netip.AddrPort, error) {
	var b [mostV1]byte
	head := b[:leastV1]
	if _, err := io.ReadFull(r, head); err == io.EOF {
		return netip.AddrPort{}, err
	} else if err != nil {
		return netip.AddrPort{}, broken(err)
	}
	switch {
	case bytes.HasPrefix(head, []byte(signature)):
		return readV2(r, b[:])
	case bytes.HasPrefix(head, []byte("PROXY ")):
		return readV1(r, b[:])
	}
	return netip.AddrPort{}, invalid("it is missing")
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHeader, fmt.Sprintf(format, args...))
}

// broken is for a header that breaks off; other errors are the connection's.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("it breaks off")
	}
	return err
}

// readV1 reads on to the end of the line, never further: two bytes at a time, one where the first of CRLF is there.
func readV1(r io.Reader, b []byte) (netip.AddrPort, error) {
	n := leastV1
	for !bytes.HasSuffix(b[:n], []byte("\r\n")) {
		more := 2
		if b[n-1] == '\r' {
			more = 1
		}
		if n+more > len(b) {
			return netip.AddrPort{}, invalid("a line of more than %d bytes", mostV1)
		}
		if _, err := io.ReadFull(r, b[n:n+more]); err != nil {
			return netip.AddrPort{}, broken(err)
		}
		n += more
	}
	line := string(b[len("PROXY ") : n-2])
	if line == "UNKNOWN" || strings.HasPrefix(line, "UNKNOWN ") {
		return netip.AddrPort{}, nil
	}
	fields := strings.Split(line, " ")
	if len(fields) != 5 || fields[0] != "TCP4" && fields[0] != "TCP6" {
		return netip.AddrPort{}, invalid("%q", line)
	}
	is4 := fields[0] == "TCP4"
	source, ok := parseV1(fields[1], fields[3], is4)
	if _, also := parseV1(fields[2], fields[4], is4); !ok || !also {
		return netip.AddrPort{}, invalid("%q", line)
	}
	return source, nil
}

func parseV1(address, port string, is4 bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(address)
	p, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || a.Is4() != is4 || a.Zone() != "" || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}

// readV2 reads the rest of a header of version 2 (section 2.2).
func readV2(r io.Reader, b []byte) (source netip.AddrPort, err error) {
	const fixed = 16
	if _, err := io.ReadFull(r, b[leastV1:fixed]); err != nil {
		return source, broken(err)
	}
	version, command, family := b[12]>>4, b[12]&15, b[13]
	length := int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case version != 2:
		return source, invalid("version %d", version)
	case command > 1:
		return source, invalid("command %d", command)
	case length > MaxV2:
		return source, invalid("%d bytes of addresses and more, %d at most", length, MaxV2)
	}
	size := 0 // of a pair of addresses and ports
	if command == 1 {
		switch family {
		case 0x00: // UNSPEC
		case 0x11:
			size = 2 * (4 + 2)
		case 0x21:
			size = 2 * (16 + 2)
		case 0x31: // a Unix socket has no address that is of any use here
		default:
			return source, invalid("family and transport %#02x", family)
		}
	}
	if length < size {
		return source, invalid("%d bytes of addresses, %d are needed", length, size)
	}
	if _, err := io.ReadFull(r, b[:size]); err != nil {
		return source, broken(err)
	}
	if size > 0 {
		half := (size - 4) / 2
		a, _ := netip.AddrFromSlice(b[:half])
		source = netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(b[2*half:]))
	}
	for rest := length - size; rest > 0; { // what else it says (TLV)
		n, err := io.ReadFull(r, b[:min(rest, len(b))])
		if err != nil {
			return netip.AddrPort{}, broken(err)
		}
		rest -= n
	}
	return source, nil
}
